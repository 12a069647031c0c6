//! What already runs, as records: the kernel only tells of what happens from now on.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustc_hash::FxHashMap;

use crate::perf_data::{
    Comm, MISC_MMAP_DATA, MappedObject, Mmap, RecordType, SampleId, Task, Writer,
};
use crate::symbols::{BuildId, build_id_of_file};
use crate::system::{MapLine, maps, status, thread_ids};

const MISC_KERNEL: u16 = 1;
const MISC_USER: u16 = 2;
const PROT_READ: u32 = 1;
const PROT_EXEC: u32 = 4;
const MAP_SHARED: u32 = 1;
const MAP_PRIVATE: u32 = 2;
/// The process id of the kernel's own mappings.
const KERNEL_PID: u32 = u32::MAX;

/// The id that written records end with.
pub(super) fn sample_id(pid: u32, tid: u32, time: u64, event_id: u64) -> SampleId {
    SampleId {
        thread: Some((pid, tid)),
        time: Some(time),
        id: Some(event_id),
        stream_id: Some(0),
        cpu: Some(0),
        identifier: Some(event_id),
    }
}

/// Writes the mappings of the kernel and its modules, as far as this user may know their addresses.
pub(super) fn kernel<W: Write>(
    root: &Path,
    writer: &mut Writer<W>,
    event_id: u64,
) -> io::Result<()> {
    let id = sample_id(KERNEL_PID, 0, 0, event_id);
    if let Some((start, end)) = kernel_text(root) {
        let text = kernel_mmap(start, end - start, start, b"[kernel.kallsyms]_text");
        writer.mmap(MISC_KERNEL, &text, &id)?;
    }
    let modules = std::fs::read_to_string(root.join("proc/modules")).unwrap_or_default();
    for line in modules.lines() {
        let mut fields = line.split(' ');
        let (name, size, address) = (fields.next(), fields.next(), fields.nth(3));
        let address =
            address.and_then(|text| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok());
        let size = size.and_then(|text| text.parse::<u64>().ok());
        if let (Some(name), Some(size), Some(address)) = (name, size, address)
            && address != 0
        {
            let name = format!("[{name}]");
            writer.mmap(MISC_KERNEL, &kernel_mmap(address, size, 0, name.as_bytes()), &id)?;
        }
    }
    Ok(())
}

fn kernel_mmap(start: u64, length: u64, page_offset: u64, name: &[u8]) -> Mmap<'_> {
    Mmap {
        pid: KERNEL_PID,
        tid: 0,
        start,
        length,
        page_offset,
        object: MappedObject::Unknown,
        protection: 0,
        flags: 0,
        name,
    }
}

/// From `_text` to `_etext`; none where addresses are hidden, which shows as 0.
fn kernel_text(root: &Path) -> Option<(u64, u64)> {
    let file = std::fs::File::open(root.join("proc/kallsyms")).ok()?;
    let mut start = None;
    for line in BufReader::new(file).lines() {
        let line = line.ok()?;
        let mut fields = line.split_whitespace();
        let address = u64::from_str_radix(fields.next()?, 16).ok()?;
        match fields.nth(1)? {
            "_text" => start = Some(address).filter(|address| *address != 0),
            "_etext" => return start.filter(|start| *start < address).map(|it| (it, address)),
            _ => {}
        }
    }
    None
}

/// Build-ids of mapped files, each read once: as the kernel tells them of what is mapped from now on.
#[derive(Debug, Default)]
pub(super) struct BuildIds {
    known: FxHashMap<(u32, u32, u64), Option<BuildId>>,
}

impl BuildIds {
    /// The build-id of the very file that a process has mapped, also if it sees other files than we
    /// do, or if the file was deleted.
    pub(super) fn of(&mut self, root: &Path, pid: u32, mapping: &MapLine) -> Option<BuildId> {
        if mapping.inode == 0 || !mapping.name.starts_with(b"/") {
            return None;
        }
        let file = (mapping.major, mapping.minor, mapping.inode);
        *self.known.entry(file).or_insert_with(|| {
            let MapLine { start, end, .. } = mapping;
            let mapped = root.join(format!("proc/{pid}/map_files/{start:x}-{end:x}"));
            let name = OsStr::from_bytes(&mapping.name[1..]);
            let named = root.join(format!("proc/{pid}/root")).join(name);
            build_id_of_file(&mapped).or_else(|| build_id_of_file(&named))
        })
    }
}

/// A process as it was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Its threads, with their names.
    pub(super) threads: Vec<(u32, String)>,
    /// What it had mapped.
    pub(super) mappings: Vec<MapLine>,
}

/// Writes a process: its threads, their names and what is mapped. A process that ends meanwhile is
/// written as far as it was read.
pub(super) fn process<W: Write>(
    root: &Path,
    pid: u32,
    time: u64,
    writer: &mut Writer<W>,
    event_id: u64,
    build_ids: &mut BuildIds,
) -> io::Result<Written> {
    let mut written = Written::default();
    for tid in thread_ids(root, pid).unwrap_or_default() {
        let Ok(found) = status(root, tid) else {
            continue;
        };
        let id = sample_id(pid, tid, time, event_id);
        // The main thread came from the parent process, the others from the main thread.
        let (ppid, ptid) = if tid == pid { (found.parent, found.parent) } else { (pid, pid) };
        let task = Task { pid, ppid, tid, ptid, time };
        writer.task(RecordType::FORK, 0, &task, &id)?;
        writer.comm(0, &Comm { pid, tid, name: found.name.as_bytes() }, &id)?;
        written.threads.push((tid, found.name));
    }
    written.mappings = maps(root, pid).unwrap_or_default();
    let id = sample_id(pid, pid, time, event_id);
    for mapping in &written.mappings {
        if is_written(mapping) {
            let build_id = build_ids.of(root, pid, mapping);
            mmap(pid, mapping, build_id.as_ref(), &id, writer)?;
        }
    }
    Ok(written)
}

fn mmap<W: Write>(
    pid: u32,
    mapping: &MapLine,
    build_id: Option<&BuildId>,
    id: &SampleId,
    writer: &mut Writer<W>,
) -> io::Result<()> {
    let (misc, record) = mmap_record(pid, mapping, build_id);
    writer.mmap(misc, &record, id)
}

/// Whether something mapped can be read or run, and so is written.
pub(super) fn is_written(mapping: &MapLine) -> bool {
    mapping.protection & (PROT_READ | PROT_EXEC) != 0
}

/// A line of `/proc/PID/maps` as a record, and its `misc` word.
pub(super) fn mmap_record<'l>(
    pid: u32,
    mapping: &'l MapLine,
    build_id: Option<&'l BuildId>,
) -> (u16, Mmap<'l>) {
    let record = Mmap {
        pid,
        tid: pid,
        start: mapping.start,
        length: mapping.end.saturating_sub(mapping.start),
        page_offset: mapping.offset,
        object: match build_id {
            Some(build_id) => MappedObject::BuildId(build_id.as_bytes()),
            None => MappedObject::Inode {
                major: mapping.major,
                minor: mapping.minor,
                inode: mapping.inode,
                generation: 0,
            },
        },
        protection: mapping.protection,
        flags: if mapping.is_shared { MAP_SHARED } else { MAP_PRIVATE },
        name: if mapping.name.is_empty() { b"//anon" } else { &mapping.name },
    };
    let is_code = mapping.protection & PROT_EXEC != 0;
    (if is_code { MISC_USER } else { MISC_USER | MISC_MMAP_DATA }, record)
}
