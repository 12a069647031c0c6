//! What processes have mapped: read when it may have changed, and written where it is new.

use std::fs::File;
use std::path::Path;
use std::rc::Rc;

use super::proc_files::mapped_pages;
use super::records::Records;
use crate::kernel::monotonic_time;
use crate::sampling::synthesis::{BuildIds, is_written};
use crate::system::{MapLine, maps};

/// Reading takes at most one part in so many of the time.
const SHARE: u64 = 50;
/// The same while code runs that is in no mapping known.
const SHARE_FOR_CODE: u64 = 5;

/// The address space of one process.
#[derive(Debug)]
pub(super) struct AddressSpace {
    statm: Option<File>,
    pages: u64,
    /// As last read, ascending.
    lines: Rc<Vec<MapLine>>,
    /// When it was last read, and for how long, ns.
    read_at: u64,
    read_for: u64,
    /// Whether it has changed since.
    pub(super) is_stale: bool,
}

impl AddressSpace {
    /// One of which nothing is known yet, or what was written.
    pub(super) fn new(pid: u32, lines: Vec<MapLine>) -> Self {
        Self {
            statm: File::open(format!("/proc/{pid}/statm")).ok(),
            pages: 0,
            lines: Rc::new(lines),
            read_at: 0,
            read_for: 0,
            is_stale: true,
        }
    }

    /// That of a child: it begins as its parent's.
    pub(super) fn of_child(&self, pid: u32) -> Self {
        Self { pages: self.pages, ..Self::new(pid, Vec::new()) }.with_lines(self.lines.clone())
    }

    fn with_lines(mut self, lines: Rc<Vec<MapLine>>) -> Self {
        self.lines = lines;
        self.is_stale = false;
        self
    }

    /// Looks whether it has changed before code at an address ran, and writes what is new.
    pub(super) fn look(
        &mut self,
        pid: u32,
        code: u64,
        time: u64,
        records: &mut Records,
        build_ids: &mut BuildIds,
    ) {
        let pages = self.statm.as_ref().and_then(mapped_pages);
        if let Some(pages) = pages.filter(|pages| *pages != self.pages) {
            self.pages = pages;
            self.is_stale = true;
        }
        let share = if self.has(code) { SHARE } else { SHARE_FOR_CODE };
        if (self.is_stale || share == SHARE_FOR_CODE) && self.may_read(share) {
            self.read(pid, time, records, build_ids);
        }
    }

    /// Whether reading is within its share of the time.
    pub(super) fn may_read(&self, share: u64) -> bool {
        monotonic_time() >= self.read_at.saturating_add(self.read_for.saturating_mul(share))
    }

    /// Whether there is anything to do for which there was no time.
    pub(super) fn is_due(&self) -> bool {
        self.is_stale && self.may_read(SHARE)
    }

    fn has(&self, address: u64) -> bool {
        let next = self.lines.partition_point(|line| line.end <= address);
        self.lines.get(next).is_some_and(|line| line.start <= address)
    }

    /// Reads it, and writes what is new as of `time`.
    pub(super) fn read(
        &mut self,
        pid: u32,
        time: u64,
        records: &mut Records,
        build_ids: &mut BuildIds,
    ) {
        let root = Path::new("/");
        let begun = monotonic_time();
        let Ok(lines) = maps(root, pid) else {
            return;
        };
        for line in lines.iter().filter(|line| is_written(line)) {
            let at = self.lines.partition_point(|known| known.start < line.start);
            if self.lines.get(at) != Some(line) {
                let build_id = build_ids.of(root, pid, line);
                records.mmap(pid, line, build_id.as_ref(), time);
            }
        }
        self.lines = Rc::new(lines);
        self.is_stale = false;
        self.read_at = monotonic_time();
        self.read_for = self.read_at - begun;
    }

    /// Another program runs in the process.
    pub(super) fn forget(&mut self, pid: u32) {
        *self = Self::new(pid, Vec::new());
    }
}
