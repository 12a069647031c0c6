//! The recording in `testdata/counters`: two writers and a reader on one line, and each on memory of
//! its own, as PEBS would sample them on a machine of two sockets.

use std::io::{self, Cursor};

use hitm::perf_data::{
    AttrFlags, Cache, Comm, EventAttr, EventSpec, Features, ImageBuildId, MISC_MMAP_DATA,
    MappedObject, MemoryTopology, Mmap, NumaNode, RecordType, Sample, SampleId, SampleType, Task,
    Words, Writer, WriterOptions,
};

use super::random::Random;

const PID: u32 = 4711;
const USER: u16 = 2;
/// What binutils says of `root/opt/counters`.
const BUILD_ID: [u8; 20] = [
    0x18, 0xc6, 0x87, 0xa2, 0x2d, 0xcd, 0x16, 0x15, 0x11, 0x04, 0x2f, 0xd3, 0x7b, 0x2a, 0xaa, 0x4a,
    0xaf, 0x51, 0x37, 0xad,
];
const STATISTICS: u64 = 0x40_4080;
const STACKS: u64 = 0x7f3a_5c00_0000;
/// Data sources as Skylake's PEBS gives them.
const L1_HIT: u64 = 0x2_0010_0142;
const LOCAL_HITM: u64 = 0x6_0080_0842;
const REMOTE_HITM: u64 = 0x36_0080_0042;
const STORE_HIT: u64 = 0x2_0000_0144;

/// One thread: name, CPU, field, its load and its store, and the address of its caller.
struct Worker {
    tid: u32,
    cpu: u32,
    field: u64,
    load: u64,
    store: Option<u64>,
}

const WORKERS: [Worker; 3] = [
    Worker { tid: PID + 1, cpu: 0, field: 0, load: 0x40_1210, store: Some(0x40_1217) },
    Worker { tid: PID + 2, cpu: 2, field: 8, load: 0x40_1238, store: Some(0x40_1243) },
    Worker { tid: PID + 3, cpu: 1, field: 16, load: 0x40_1270, store: None },
];

/// The recording's bytes.
pub fn recording() -> io::Result<Vec<u8>> {
    let sample_type = SampleType::IP
        | SampleType::TID
        | SampleType::TIME
        | SampleType::ADDR
        | SampleType::ID
        | SampleType::CPU
        | SampleType::CALLCHAIN
        | SampleType::WEIGHT_STRUCT
        | SampleType::DATA_SRC
        | SampleType::PHYS_ADDR;
    let event = |config, config1, name: &str, id| EventSpec {
        attr: EventAttr {
            kind: 4,
            config,
            config1,
            sample_period: 4000,
            sample_type,
            flags: (AttrFlags::FREQ
                | AttrFlags::SAMPLE_ID_ALL
                | AttrFlags::MMAP
                | AttrFlags::COMM
                | AttrFlags::TASK)
                .with_precise_ip(3),
            ..EventAttr::default()
        },
        name: name.to_owned(),
        ids: vec![id],
    };
    let events = vec![
        event(0x1cd, 30, "cpu/mem-loads,ldlat=30/P", 1),
        event(0x82d0, 0, "cpu/mem-stores/P", 2),
    ];
    let mut writer = Writer::file(Cursor::new(Vec::new()), events, WriterOptions::default())?;
    let id =
        |tid, time| SampleId { thread: Some((PID, tid)), time: Some(time), ..SampleId::default() };
    writer.comm(0, &Comm { pid: PID, tid: PID, name: b"counters" }, &id(PID, 1))?;
    let file = |page_offset, start, length, protection| Mmap {
        pid: PID,
        tid: PID,
        start,
        length,
        page_offset,
        object: MappedObject::Inode { major: 8, minor: 1, inode: 4711, generation: 0 },
        protection,
        flags: 2,
        name: b"/opt/counters",
    };
    writer.mmap(USER, &file(0x1000, 0x40_1000, 0x1000, 5), &id(PID, 2))?;
    writer.mmap(USER | MISC_MMAP_DATA, &file(0x3000, 0x40_4000, 0x1000, 3), &id(PID, 3))?;
    let stacks = Mmap {
        start: STACKS,
        length: 1 << 24,
        page_offset: STACKS,
        object: MappedObject::Inode { major: 0, minor: 0, inode: 0, generation: 0 },
        name: b"//anon",
        ..file(0, 0, 0, 3)
    };
    writer.mmap(USER | MISC_MMAP_DATA, &stacks, &id(PID, 4))?;
    for worker in &WORKERS {
        let task = Task { pid: PID, ppid: PID, tid: worker.tid, ptid: PID, time: 5 };
        writer.task(RecordType::FORK, 0, &task, &id(worker.tid, 5))?;
    }
    let mut random = Random::new(7);
    for number in 0..3000 {
        let worker = &WORKERS[random.index(WORKERS.len())];
        let (event, ip, addr, source, cycles) = access(worker, &mut random);
        let start: Vec<u8> =
            [(-512i64) as u64, ip].iter().flat_map(|word| word.to_le_bytes()).collect();
        let sample = Sample {
            ip: Some(ip),
            thread: Some((PID, worker.tid)),
            time: Some(1_000_000 + number * 250_000),
            addr: Some(addr),
            cpu: Some(worker.cpu),
            callchain: Some(Words::new(&start, writer_order())),
            weight: Some(cycles),
            data_src: Some(source),
            phys_addr: Some(0x1_2345_6000 + (addr & 0xfff)),
            ..Sample::default()
        };
        writer.sample(event, USER, &sample)?;
    }
    writer.finished_round()?;
    Ok(writer.finish(&features())?.into_inner())
}

fn writer_order() -> hitm::perf_data::ByteOrder {
    WriterOptions::default().order
}

/// Event, code, data, source and latency of one access: two in three on the shared line.
fn access(worker: &Worker, random: &mut Random) -> (usize, u64, u64, u64, u64) {
    let own = STACKS + u64::from(worker.tid - PID) * 0x10_0000 + random.below(32) * 8;
    let is_shared = random.chance(67);
    if let Some(store) = worker.store.filter(|_| random.chance(40)) {
        let addr = if is_shared { STATISTICS + worker.field } else { own };
        return (1, store, addr, STORE_HIT, 0);
    }
    if !is_shared {
        return (0, worker.load, own, L1_HIT, 30 + random.below(20));
    }
    // The reader shares a socket with the first writer; the second writer is on the other one.
    let (source, cycles) = match random.below(10) {
        0..3 => (LOCAL_HITM, 90 + random.below(80)),
        3..8 => (REMOTE_HITM, 250 + random.below(200)),
        _ => (L1_HIT, 30 + random.below(20)),
    };
    (0, worker.load, STATISTICS + worker.field, source, cycles)
}

fn features() -> Features {
    let node = |id, cpus| NumaNode { id, total_kib: 1 << 24, free_kib: 1 << 23, cpus };
    Features {
        hostname: Some("two-sockets".to_owned()),
        os_release: Some("6.1.0".to_owned()),
        version: Some("6.1".to_owned()),
        arch: Some("x86_64".to_owned()),
        cpus: Some((4, 4)),
        cpu_description: Some("Two sockets of two cores (written, not recorded)".to_owned()),
        cpuid: Some("GenuineIntel,6,85,4".to_owned()),
        total_memory_kib: Some(1 << 25),
        command_line: ["perf", "c2c", "record", "-g", "--", "/opt/counters"]
            .map(str::to_owned)
            .into(),
        numa_nodes: Some(vec![node(0, vec![0, 1]), node(1, vec![2, 3])]),
        memory_topology: Some(MemoryTopology {
            block_size: 1 << 27,
            nodes: vec![(0, vec![(0, 127)]), (1, vec![(128, 255)])],
        }),
        caches: vec![Cache {
            level: 1,
            line_size: 64,
            sets: 64,
            ways: 8,
            kind: "Data".to_owned(),
            size: "32K".to_owned(),
            cpus: "0".to_owned(),
        }],
        sample_time: Some((1_000_000, 1_000_000 + 2999 * 250_000)),
        build_ids: vec![ImageBuildId {
            misc: USER,
            pid: -1,
            build_id: BUILD_ID.to_vec(),
            name: "/opt/counters".to_owned(),
        }],
        ..Features::default()
    }
}
