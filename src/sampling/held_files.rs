//! Program files that are kept open while their code is sampled: a file may be deleted or replaced
//! before the report is made, and the processes that had it mapped may be gone by then.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustc_hash::{FxHashMap, FxHashSet};

use super::fact::Fact;
use crate::kernel::page_size;
use crate::perf_data::CapturedCode;

/// So many files are held at most: the programs and libraries of a large machine.
pub(super) const MAX_FILES: usize = 256;
/// So many sampled pages are remembered at most.
const MAX_PAGES: usize = 16_384;

/// A range of a process in which a file's code is mapped.
#[derive(Debug, Clone, Copy)]
struct CodeRange {
    start: u64,
    end: u64,
    /// Offset of `start` in the file.
    offset: u64,
    file: usize,
}

/// A page of a file that was sampled in a process.
#[derive(Debug)]
struct SampledPage {
    pid: u32,
    time: u64,
    address: u64,
    range: CodeRange,
}

/// Files, where they are mapped, and which of their pages were sampled.
#[derive(Debug, Default)]
pub(super) struct HeldFiles {
    files: Vec<(PathBuf, File)>,
    numbers: FxHashMap<Vec<u8>, Option<usize>>,
    ranges: FxHashMap<u32, Vec<CodeRange>>,
    /// Pages that were looked at, by process, whether a held file has them or not.
    seen: FxHashMap<u32, FxHashSet<u64>>,
    pages: Vec<SampledPage>,
}

impl HeldFiles {
    /// Takes a mapping of code; a name that is no file's, or a file that is not there, only ends what
    /// was mapped there before.
    pub(super) fn add_mapping(
        &mut self,
        pid: u32,
        (start, end): (u64, u64),
        offset: u64,
        name: &[u8],
    ) {
        let file = self.number_of(name);
        let ranges = self.ranges.entry(pid).or_default();
        let is_apart = |known: &CodeRange| known.end <= start || end <= known.start;
        if !ranges.iter().all(is_apart) {
            ranges.retain(is_apart);
            if let Some(seen) = self.seen.get_mut(&pid) {
                seen.retain(|page| *page < start || *page >= end);
            }
        }
        if let Some(file) = file {
            ranges.push(CodeRange { start, end, offset, file });
        }
    }

    fn number_of(&mut self, name: &[u8]) -> Option<usize> {
        if !name.starts_with(b"/") {
            return None;
        }
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        // Also what is not there is remembered, but not without end.
        const MAX_NAMES: usize = 65_536;
        if self.files.len() >= MAX_FILES || self.numbers.len() >= MAX_NAMES {
            return None;
        }
        let path = Path::new(OsStr::from_bytes(name));
        let is_file = |file: &File| file.metadata().is_ok_and(|facts| facts.is_file());
        let file = std::fs::metadata(path)
            .ok()
            .filter(std::fs::Metadata::is_file)
            .and_then(|_| File::open(path).ok())
            .filter(is_file);
        let number = file.map(|file| {
            self.files.push((path.to_owned(), file));
            self.files.len() - 1
        });
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// A child has what its parent has mapped.
    pub(super) fn fork(&mut self, parent: u32, child: u32) {
        if let Some(ranges) = self.ranges.get(&parent).cloned() {
            self.ranges.insert(child, ranges);
        }
    }

    /// A process has ended, or become another program.
    pub(super) fn forget(&mut self, pid: u32) {
        self.ranges.remove(&pid);
        self.seen.remove(&pid);
    }

    /// Takes a sampled address.
    pub(super) fn sampled(&mut self, pid: u32, time: u64, address: u64) {
        let page = address & !(page_size() as u64 - 1);
        if self.pages.len() >= MAX_PAGES || !self.seen.entry(pid).or_default().insert(page) {
            return;
        }
        let ranges = self.ranges.get(&pid).map_or(&[][..], Vec::as_slice);
        let is_there = |range: &&CodeRange| (range.start..range.end).contains(&address);
        if let Some(range) = ranges.iter().find(is_there) {
            self.pages.push(SampledPage { pid, time, address: page, range: *range });
        }
    }

    /// The sampled pages of files that are no longer where they were, each with its neighbours: the
    /// function around a sample may begin or end there.
    pub(super) fn of_gone_files(&mut self) -> Vec<Fact> {
        let is_gone: Vec<bool> =
            self.files.iter().map(|(path, file)| is_gone(path, file)).collect();
        let size = page_size() as u64;
        let mut written = FxHashSet::default();
        let mut facts = Vec::new();
        for SampledPage { pid, time, address, range } in std::mem::take(&mut self.pages) {
            if !is_gone[range.file] {
                continue;
            }
            for page in [address.wrapping_sub(size), address, address.wrapping_add(size)] {
                let is_inside = (range.start..range.end).contains(&page);
                if !is_inside || !written.insert((pid, page)) {
                    continue;
                }
                let mut bytes = vec![0; page_size().min(CapturedCode::MAX)];
                let offset = range.offset.wrapping_add(page - range.start);
                let length = self.files[range.file].1.read_at(&mut bytes, offset).unwrap_or(0);
                bytes.truncate(length);
                if !bytes.is_empty() {
                    facts.push(Fact::Code { pid, time, address: page, bytes });
                }
            }
        }
        facts
    }
}

/// Whether a path no longer leads to a file.
fn is_gone(path: &Path, file: &File) -> bool {
    let identity = |facts: std::fs::Metadata| (facts.dev(), facts.ino());
    let held = file.metadata().map(identity).ok();
    held.is_some() && std::fs::metadata(path).map(identity).ok() != held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_gone_is_given_and_each_page_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let size = page_size();
        let (stays, goes) = (directory.path().join("stays"), directory.path().join("goes"));
        for path in [&stays, &goes] {
            let pages: Vec<u8> = (0..4u8).flat_map(|page| vec![page; size]).collect();
            std::fs::write(path, pages).expect("written");
        }
        let mut held = HeldFiles::default();
        let at = |page: u64| page * size as u64;
        let bytes_of = |path: &Path| path.as_os_str().as_bytes().to_owned();
        held.add_mapping(1, (at(16), at(19)), at(1), &bytes_of(&goes));
        held.add_mapping(1, (at(32), at(36)), 0, &bytes_of(&stays));
        held.add_mapping(1, (at(48), at(49)), 0, b"/no/such/file");
        held.fork(1, 2);
        for address in [at(16) + 5, at(16) + 9, at(17), at(33), at(48)] {
            held.sampled(1, 7, address);
        }
        held.forget(1);
        held.sampled(1, 7, at(18));
        held.sampled(2, 8, at(18));
        std::fs::remove_file(&goes).expect("removed");
        let found: Vec<_> = held
            .of_gone_files()
            .into_iter()
            .map(|fact| match fact {
                Fact::Code { pid, time, address, bytes } => {
                    assert!(bytes.iter().all(|byte| *byte == bytes[0]) && bytes.len() == size);
                    (pid, time, address / size as u64, bytes[0])
                }
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [(1, 7, 16, 1), (1, 7, 17, 2), (1, 7, 18, 3), (2, 8, 18, 3), (2, 8, 17, 2)];
        let sorted = |mut list: Vec<(u32, u64, u64, u8)>| {
            list.sort_unstable();
            list
        };
        assert_eq!(sorted(found), sorted(expected.to_vec()));
    }
}
