//! Looking at records on their way to the file: which code is in no file, and which threads are new.
//!
//! Everything else about a record is left to the report. What is looked at here is gone by then: the
//! memory of a process that has ended.

use std::io;

use rustc_hash::{FxHashMap, FxHashSet};

use super::fact::Fact;
use super::heap::MappedImage;
use super::held_files::HeldFiles;
use super::program_filter::ProgramFilter;
use super::synthesis::Written;
use crate::kernel::{page_size, read_process_memory, robust_list_of};
use crate::perf_data::{
    ByteOrder, CapturedCode, Comm, Cursor, EventAttr, MISC_MMAP_DATA, Mmap, RECORD_HEADER_SIZE,
    RecordType, SampleFormat, Task, ThreadBase,
};

/// So many pages of code are captured at most: a JIT may make more than anyone reads.
const MAX_CAPTURED_PAGES: usize = 16_384;
/// How far the robust list lies behind the thread's base in the structures of all C libraries known.
const MAX_BASE_DISTANCE: usize = 4096;
/// A thread whose base is not found after so many looks has none that can be verified.
const BASE_ATTEMPTS: u8 = 5;

/// What is new since someone looked.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) images: Vec<MappedImage>,
    pub(super) processes: Vec<u32>,
}

/// Watches records go by.
#[derive(Debug)]
pub(super) struct Observer {
    formats: FxHashMap<u64, SampleFormat>,
    /// Ranges of code that is in no file, by process.
    without_file: FxHashMap<u32, Vec<(u64, u64)>>,
    captured: FxHashSet<(u32, u64)>,
    held: HeldFiles,
    wanted_pages: Vec<(u32, u64)>,
    /// Threads whose base is not known yet, and how often they were asked.
    wanted_bases: FxHashMap<(u32, u32), u8>,
    known_threads: FxHashSet<(u32, u32)>,
    latest: u64,
    pub(super) filter: ProgramFilter,
    pub(super) samples: u64,
    /// Samples that the filter dropped.
    pub(super) dropped: u64,
    pub(super) times: Option<(u64, u64)>,
    pub(super) throttled: u64,
    pub(super) lost: u64,
    partial: Vec<u8>,
    /// Files that were mapped and processes that began, for who follows them; others do not collect any.
    pub(super) news: Option<News>,
    /// Whether the bases of threads are looked for here; not where the registers tell them.
    pub(super) finds_bases: bool,
}

impl Observer {
    pub(super) fn new(
        attr: &EventAttr,
        formats: FxHashMap<u64, SampleFormat>,
        filter: ProgramFilter,
    ) -> Self {
        Self {
            formats,
            without_file: FxHashMap::default(),
            captured: FxHashSet::default(),
            held: HeldFiles::default(),
            wanted_pages: Vec::new(),
            wanted_bases: FxHashMap::default(),
            known_threads: FxHashSet::default(),
            latest: 0,
            filter,
            samples: 0,
            dropped: 0,
            times: None,
            throttled: 0,
            lost: 0,
            partial: Vec::new(),
            news: None,
            finds_bases: cfg!(target_arch = "x86_64") && attr.sample_regs_user != 0,
        }
    }

    /// The time of the latest record, ns.
    pub(super) fn latest(&self) -> u64 {
        self.latest
    }

    /// Takes a process that was there before.
    pub(super) fn add_process(&mut self, pid: u32, process: &Written) {
        for (tid, name) in &process.threads {
            self.add_thread(pid, *tid);
            self.filter.add_name(*tid, name.as_bytes());
        }
        const PROT_EXEC: u32 = 4;
        let code = process.mappings.iter().filter(|it| it.protection & PROT_EXEC != 0);
        for mapping in code {
            self.filter.add_mapping(pid, &mapping.name);
            let range = (mapping.start, mapping.end);
            self.held.add_mapping(pid, range, mapping.offset, &mapping.name);
            if is_without_file(&mapping.name) {
                self.without_file.entry(pid).or_default().push(range);
            }
        }
    }

    fn add_thread(&mut self, pid: u32, tid: u32) {
        if self.known_threads.insert((pid, tid)) {
            self.wanted_bases.insert((pid, tid), 0);
        }
    }

    /// Takes records as a ring holds them: in one piece or two, a record may lie across both. Hands on
    /// those that stay.
    pub(super) fn observe(
        &mut self,
        one: &[u8],
        two: &[u8],
        mut put: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut joined = std::mem::take(&mut self.partial);
        let bytes = if two.is_empty() {
            one
        } else {
            joined.clear();
            joined.extend_from_slice(one);
            joined.extend_from_slice(two);
            &joined
        };
        let mut rest = bytes;
        let mut kept_from = bytes;
        while let Some((kind, misc, body, next)) = split_record(rest) {
            if !self.record(RecordType(kind), misc, body) {
                put(&kept_from[..kept_from.len() - rest.len()])?;
                kept_from = next;
            }
            rest = next;
        }
        put(kept_from)?;
        self.partial = joined;
        Ok(())
    }

    /// Looks at one record; says whether it stays.
    fn record(&mut self, kind: RecordType, misc: u16, body: &[u8]) -> bool {
        let mut cursor = Cursor::new(body, ByteOrder::NATIVE);
        match kind {
            RecordType::SAMPLE => return self.sample(misc, body),
            RecordType::MMAP2 => {
                if misc & MISC_MMAP_DATA == 0
                    && let Ok(mmap) = Mmap::decode2(&mut cursor, misc)
                {
                    self.filter.add_mapping(mmap.pid, mmap.name);
                    if let Some(news) = &mut self.news
                        && mmap.name.starts_with(b"/")
                    {
                        news.images.push(MappedImage {
                            pid: mmap.pid,
                            start: mmap.start,
                            end: mmap.start.saturating_add(mmap.length),
                            name: mmap.name.to_vec(),
                        });
                    }
                    let range = (mmap.start, mmap.start.saturating_add(mmap.length));
                    self.held.add_mapping(mmap.pid, range, mmap.page_offset, mmap.name);
                    let ranges = self.without_file.entry(mmap.pid).or_default();
                    ranges.retain(|known| known.1 <= range.0 || range.1 <= known.0);
                    if is_without_file(mmap.name) {
                        ranges.push(range);
                    }
                    self.captured.retain(|(pid, page)| {
                        *pid != mmap.pid || *page < range.0 || *page >= range.1
                    });
                }
            }
            RecordType::FORK => {
                if let Ok(task) = Task::decode(&mut cursor) {
                    self.latest = self.latest.max(task.time);
                    if task.pid != task.ppid {
                        if let Some(news) = &mut self.news {
                            news.processes.push(task.pid);
                        }
                        self.held.fork(task.ppid, task.pid);
                        if let Some(ranges) = self.without_file.get(&task.ppid).cloned() {
                            self.without_file.insert(task.pid, ranges);
                        }
                    }
                    self.filter.add_child(&task);
                    self.add_thread(task.pid, task.tid);
                }
            }
            RecordType::EXIT => {
                if let Ok(task) = Task::decode(&mut cursor) {
                    self.wanted_bases.remove(&(task.pid, task.tid));
                    self.known_threads.remove(&(task.pid, task.tid));
                    self.filter.remove(&task);
                    if task.pid == task.tid {
                        self.without_file.remove(&task.pid);
                        self.held.forget(task.pid);
                        self.captured.retain(|(pid, _)| *pid != task.pid);
                    }
                }
            }
            RecordType::COMM => {
                if let Ok(comm) = Comm::decode(&mut cursor) {
                    // After exec everything about the process is new.
                    const MISC_COMM_EXEC: u16 = 1 << 13;
                    if misc & MISC_COMM_EXEC != 0 {
                        self.without_file.remove(&comm.pid);
                        self.held.forget(comm.pid);
                        self.known_threads.remove(&(comm.pid, comm.tid));
                        self.filter.forget_program(comm.pid);
                    }
                    self.filter.add_name(comm.tid, comm.name);
                    self.add_thread(comm.pid, comm.tid);
                }
            }
            RecordType::THROTTLE => self.throttled += 1,
            RecordType::LOST => {
                if let Ok(lost) = crate::perf_data::Lost::decode(&mut cursor) {
                    self.lost = self.lost.saturating_add(lost.lost);
                }
            }
            _ => {}
        }
        true
    }

    fn sample(&mut self, misc: u16, body: &[u8]) -> bool {
        const CPU_MODE: u16 = 7;
        const USER: u16 = 2;
        let format = match self.formats.len() {
            1 => self.formats.values().next(),
            _ => body
                .get(..8)
                .and_then(|id| id.try_into().ok())
                .and_then(|id| self.formats.get(&u64::from_ne_bytes(id))),
        };
        let cursor = Cursor::new(body, ByteOrder::NATIVE);
        let Some(Ok(sample)) = format.map(|format| format.decode(cursor)) else {
            self.samples += 1;
            return true;
        };
        if let Some((pid, tid)) = sample.thread
            && !self.filter.keeps(pid, tid)
        {
            self.dropped += 1;
            return false;
        }
        self.samples += 1;
        if let Some(time) = sample.time {
            self.latest = self.latest.max(time);
            self.times = match self.times {
                None => Some((time, time)),
                Some((first, last)) => Some((first.min(time), last.max(time))),
            };
        }
        let (Some(ip), Some((pid, tid))) = (sample.ip, sample.thread) else {
            return true;
        };
        if misc & CPU_MODE != USER {
            return true;
        }
        self.add_thread(pid, tid);
        self.held.sampled(pid, self.latest, ip);
        let is_without = |ranges: &Vec<(u64, u64)>| {
            ranges.iter().any(|(start, end)| (*start..*end).contains(&ip))
        };
        if self.without_file.get(&pid).is_some_and(is_without) {
            let page = ip & !(page_size() as u64 - 1);
            // The function around it may begin or end in the next page.
            for page in [page.wrapping_sub(page_size() as u64), page, page + page_size() as u64] {
                if self.captured.len() < MAX_CAPTURED_PAGES && self.captured.insert((pid, page)) {
                    self.wanted_pages.push((pid, page));
                }
            }
        }
        true
    }

    /// The sampled code of files that are gone by now, to be asked for when all is recorded.
    pub(super) fn code_of_gone_files(&mut self) -> Vec<Fact> {
        self.held.of_gone_files()
    }

    /// Reads what is wanted from the processes, as far as they still have it.
    pub(super) fn facts(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        let time = self.latest;
        for (pid, address) in std::mem::take(&mut self.wanted_pages) {
            let mut bytes = vec![0; page_size().min(CapturedCode::MAX)];
            if let Ok(length) = read_process_memory(pid, address, &mut bytes) {
                bytes.truncate(length);
                facts.push(Fact::Code { pid, time, address, bytes });
            }
        }
        if self.finds_bases {
            self.wanted_bases.retain(|&(pid, tid), attempts| {
                *attempts += 1;
                match thread_base(pid, tid) {
                    Some(base) => {
                        facts.push(Fact::Base(ThreadBase { pid, tid, time: 0, base }));
                        false
                    }
                    None => *attempts < BASE_ATTEMPTS,
                }
            });
        }
        facts
    }
}

/// Splits one record off: type, misc, body, and the rest.
fn split_record(bytes: &[u8]) -> Option<(u32, u16, &[u8], &[u8])> {
    let kind = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    let misc = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let size = usize::from(u16::from_ne_bytes(bytes.get(6..8)?.try_into().ok()?));
    let body = bytes.get(RECORD_HEADER_SIZE..size)?;
    Some((kind, misc, body, &bytes[size..]))
}

/// Whether code of a mapping cannot be read from a file later: it is anonymous, or its file is gone.
fn is_without_file(name: &[u8]) -> bool {
    name.is_empty()
        || name == b"//anon"
        || name.starts_with(b"[anon")
        || name.starts_with(b"/memfd:")
        || name.starts_with(b"/anon_hugepage")
        || name.ends_with(b" (deleted)")
        || (name.starts_with(b"/") && !exists(name))
}

fn exists(name: &[u8]) -> bool {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new(std::ffi::OsStr::from_bytes(name)).exists()
}

/// Where a thread's `fs` segment begins. It cannot be sampled, but with glibc and musl the list of
/// robust locks lies in the structure at the segment's start, whose first word points to itself, as
/// does glibc's third (System V ABI: `%fs:0` holds the base).
pub(super) fn thread_base(pid: u32, tid: u32) -> Option<u64> {
    let list = robust_list_of(tid).ok().filter(|list| *list != 0)?;
    let first = list.saturating_sub(MAX_BASE_DISTANCE as u64) & !7;
    let mut bytes = vec![0; (list - first) as usize];
    // The start may lie before what is mapped: try from the page of the list then.
    let page = list & !(page_size() as u64 - 1);
    let (first, length) = match read_process_memory(pid, first, &mut bytes) {
        Ok(length) => (first, length),
        Err(_) => {
            let first = page.max(first);
            bytes.truncate((list - first) as usize);
            (first, read_process_memory(pid, first, &mut bytes).ok()?)
        }
    };
    let word = |index: usize| {
        let bytes = bytes.get(index..index.checked_add(8)?)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    };
    (0..length.saturating_sub(8)).step_by(8).rev().find_map(|index| {
        let address = first + index as u64;
        let points_to_itself = word(index)? == address && word(index + 16)? == address;
        points_to_itself.then_some(address)
    })
}
