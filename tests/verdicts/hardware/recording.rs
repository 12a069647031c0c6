//! The recording of a process with two threads.

use std::fs::File;
use std::path::Path;

use hitm::perf_data::{
    Comm, CpuMode, MISC_MMAP_DATA, MappedObject, Mmap, RecordType, Sample, SampleId, SampleType,
    Task, Writer, WriterOptions,
};
use object::{Object, ObjectSegment, SegmentFlags, elf};

use super::code::{BASE, Executable};
use crate::support::machine;
use crate::support::random::Random;

pub const PID: u32 = 4000;
/// The threads are this one and the next.
pub const FIRST_TID: u32 = PID + 1;
/// Memory of the heap.
pub const HEAP: u64 = 0x5555_5600_1000;

const START: u64 = 1_000_000_000_000;
/// Samples of each load or store that is to be seen.
const ROUNDS: u64 = 200;
/// `misc`: the instruction pointer is exact.
const EXACT: u16 = 1 << 14;
/// As Skylake's PEBS has them: a load that hit the first level, one of a line that was modified on this
/// node, a store that hit.
const L1_HIT: u64 = 0x2_0010_0142;
const LOCAL_HITM: u64 = 0x6_0080_0842;
const STORE_HIT: u64 = 0x2_0000_0144;

/// A sample at an instruction.
#[derive(Debug, Clone, Copy)]
pub struct Hit {
    pub thread: u32,
    pub code: u64,
    pub address: u64,
    pub is_store: bool,
}

/// Writes it: all hits over and over, or those of the first thread in the first half and of the second one in
/// the second half. Loads hit modified lines where lines are contended, and otherwise only the first time.
pub fn write(
    path: &Path,
    executable: &Executable,
    hits: &[Hit],
    is_contended: bool,
    in_halves: bool,
) {
    let file = File::create(path).expect("the recording's file");
    let events = machine::events(SampleType::WEIGHT_STRUCT, false, false);
    let mut writer =
        Writer::file(file, events, WriterOptions::default()).expect("it can be written");
    let id = SampleId::default();
    for tid in [PID, FIRST_TID, FIRST_TID + 1] {
        let task = Task { pid: PID, ppid: PID, tid, ptid: PID, time: 0 };
        writer.task(RecordType::FORK, 0, &task, &id).expect("a task");
        writer.comm(0, &Comm { pid: PID, tid, name: b"verdicts" }, &id).expect("a name");
    }
    for (misc, mapping) in mappings(executable) {
        writer.mmap(misc, &mapping, &id).expect("a mapping");
    }
    writer.record(RecordType::FINISHED_INIT, 0, &[]).expect("an end");
    let mut time = START;
    let mut random = Random::new(1);
    for round in 0..ROUNDS {
        // Threads that are there at once come in no order.
        let mut order: Vec<&Hit> = hits.iter().collect();
        order.sort_by_cached_key(|_| random.next());
        for hit in order {
            if in_halves && hit.thread != u32::from(round >= ROUNDS / 2) {
                continue;
            }
            time += 1_000_000;
            let is_modified = match in_halves {
                true => hit.thread == 1 && round == ROUNDS / 2,
                false => is_contended,
            };
            let (event, source, weight) = match (hit.is_store, is_modified) {
                (true, _) => (1, STORE_HIT, 0),
                (false, true) => (0, LOCAL_HITM, 120 + round % 60),
                (false, false) => (0, L1_HIT, 5),
            };
            let cpu = hit.thread;
            let sample = Sample {
                ip: Some(hit.code),
                thread: Some((PID, FIRST_TID + hit.thread)),
                time: Some(time),
                addr: Some(hit.address),
                id: Some(100 * (event as u64 + 1) + u64::from(cpu)),
                cpu: Some(cpu),
                period: Some(1),
                weight: Some(weight),
                data_src: Some(source),
                phys_addr: Some(hit.address & 0xfff_ffff),
                ..Sample::default()
            };
            writer.sample(event, CpuMode::User as u16 | EXACT, &sample).expect("a sample");
        }
        writer.finished_round().expect("a round");
    }
    let mut features = machine::features();
    features.sample_time = Some((START, time));
    writer.finish(&features).expect("the end");
}

fn mappings(executable: &Executable) -> Vec<(u16, Mmap<'_>)> {
    const PAGE: u64 = 4096;
    let user = CpuMode::User as u16;
    let name = executable.path.as_os_str().as_encoded_bytes();
    let anonymous = MappedObject::Inode { major: 0, minor: 0, inode: 0, generation: 0 };
    let of = |start, length, page_offset, object, protection, name| Mmap {
        pid: PID,
        tid: PID,
        start,
        length,
        page_offset,
        object,
        protection,
        flags: 2,
        name,
    };
    let mut mappings = Vec::new();
    for segment in executable.file().segments() {
        let SegmentFlags::Elf { p_flags, .. } = segment.flags() else { continue };
        let (offset, size) = segment.file_range();
        let start = BASE + segment.address() / PAGE * PAGE;
        let end = (BASE + segment.address() + size).next_multiple_of(PAGE);
        let object = MappedObject::Inode { major: 8, minor: 1, inode: 41, generation: 3 };
        let executes = p_flags.contains(elf::PF_X);
        let misc = if executes { user } else { user | MISC_MMAP_DATA };
        let protection = match (executes, p_flags.contains(elf::PF_W)) {
            (true, _) => 5,
            (_, true) => 3,
            _ => 1,
        };
        let mapping = of(start, end - start, offset / PAGE * PAGE, object, protection, name);
        mappings.push((misc, mapping));
        // What has no bytes in the file begins in its last page and goes on in memory of its own.
        let all = (BASE + segment.address() + segment.size()).next_multiple_of(PAGE);
        if all > end {
            mappings.push((user | MISC_MMAP_DATA, of(end, all - end, 0, anonymous, 3, b"//anon")));
        }
    }
    let heap = of(HEAP / PAGE * PAGE, 33 * PAGE, 0, anonymous, 3, b"[heap]");
    mappings.push((user | MISC_MMAP_DATA, heap));
    mappings
}
