//! Whose memory an access is: what makes two accesses meet on one line, and what keeps them apart.

use std::io::Cursor;

use hitm::lines::SortKey;
use hitm::perf_data::{
    AttrFlags, EventAttr, EventSpec, Features, Input, MISC_EXEC, MISC_MMAP_DATA, MappedObject,
    Mmap, RecordType, Recording, Sample, SampleId, SampleType, Task, Writer, WriterOptions,
};
use hitm::report::{Report, ReportOptions, report};

const KERNEL: u16 = 1;
const USER: u16 = 2;
const MAP_SHARED: u32 = 1;
const MAP_PRIVATE: u32 = 2;
const LOCAL_HITM: u64 = 0x6_0080_0842;
const STORE_HIT: u64 = 0x2_0000_0144;

/// A recording in the making: each step comes a microsecond after the one before.
struct Scene {
    writer: Writer<Cursor<Vec<u8>>>,
    time: u64,
    latency: u64,
}

impl Scene {
    fn new() -> Self {
        let sample_type = SampleType::IP
            | SampleType::TID
            | SampleType::TIME
            | SampleType::ADDR
            | SampleType::CPU
            | SampleType::DATA_SRC
            | SampleType::PHYS_ADDR
            | SampleType::WEIGHT;
        let flags = AttrFlags::SAMPLE_ID_ALL;
        let attr = EventAttr { kind: 4, config: 0x1cd, sample_type, flags, ..EventAttr::default() };
        let event = EventSpec { attr, name: "loads".into(), ids: vec![1] };
        let file = Cursor::new(Vec::new());
        let writer = Writer::file(file, vec![event], WriterOptions::default()).expect("started");
        Self { writer, time: 1000, latency: 100 }
    }

    fn id(&mut self) -> SampleId {
        self.time += 1000;
        SampleId { time: Some(self.time), ..SampleId::default() }
    }

    fn map(mut self, pid: u32, start: u64, inode: u64, page_offset: u64, flags: u32) -> Self {
        let id = self.id();
        let name: &[u8] = if inode == 0 { b"//anon" } else { b"/data/file" };
        let device = u32::from(inode != 0);
        let object = MappedObject::Inode { major: device, minor: device, inode, generation: 0 };
        let mmap = Mmap {
            pid,
            tid: pid,
            start,
            length: 0x10_000,
            page_offset,
            object,
            protection: 3,
            flags,
            name,
        };
        self.writer.mmap(USER | MISC_MMAP_DATA, &mmap, &id).expect("written");
        self
    }

    fn fork(mut self, ppid: u32, pid: u32) -> Self {
        let id = self.id();
        let task = Task { pid, ppid, tid: pid, ptid: ppid, time: self.time };
        self.writer.task(RecordType::FORK, 0, &task, &id).expect("written");
        self
    }

    fn exec(mut self, pid: u32) -> Self {
        let id = self.id();
        let comm = hitm::perf_data::Comm { pid, tid: pid, name: b"new" };
        self.writer.comm(MISC_EXEC, &comm, &id).expect("written");
        self
    }

    fn access(mut self, mode: u16, pid: u32, addr: u64, data_src: u64, phys_addr: u64) -> Self {
        self.time += 1000;
        let sample = Sample {
            ip: Some(0x40_1000),
            thread: Some((pid, pid)),
            time: Some(self.time),
            addr: Some(addr),
            cpu: Some(pid % 4),
            data_src: Some(data_src),
            weight: Some(self.latency),
            phys_addr: Some(phys_addr),
            ..Sample::default()
        };
        self.writer.sample(0, mode, &sample).expect("written");
        self
    }

    fn load(self, pid: u32, addr: u64) -> Self {
        self.access(USER, pid, addr, LOCAL_HITM, 0)
    }

    fn store(self, pid: u32, addr: u64) -> Self {
        self.access(USER, pid, addr, STORE_HIT, 0)
    }

    fn report(self) -> Report {
        let bytes = self.writer.finish(&Features::default()).expect("finished").into_inner();
        let input = Input::from_bytes(bytes);
        let recording = Recording::open(&input).expect("a readable recording");
        let options = ReportOptions { show_all: true, ..ReportOptions::default() };
        report(&recording, &options, SortKey::Address, None, &|_| {}).expect("a report")
    }
}

/// Samples of each line, most first.
fn samples(report: &Report) -> Vec<u64> {
    let mut samples: Vec<u64> = report.lines.iter().map(|line| line.samples).collect();
    samples.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
    samples
}

#[test]
fn shared_memory_meets_wherever_it_is_mapped() {
    let report = Scene::new()
        .map(10, 0x7000_0000, 5, 0x2000, MAP_SHARED)
        .map(20, 0x9000_0000, 5, 0x1000, MAP_SHARED)
        .load(10, 0x7000_0048)
        .store(20, 0x9000_1040)
        .report();
    assert_eq!(samples(&report), [2]);
    assert_eq!(report.lines[0].pid, None);
    assert_eq!(report.lines[0].objects[0].kind, "shared");
    assert_eq!(report.lines[0].address.0, 0x7000_0040);
}

#[test]
fn private_memory_of_two_processes_stays_apart() {
    let report = Scene::new()
        .map(10, 0x7000_0000, 0, 0, MAP_PRIVATE)
        .map(20, 0x7000_0000, 0, 0, MAP_PRIVATE)
        .load(10, 0x7000_0040)
        .store(20, 0x7000_0040)
        .report();
    assert_eq!(samples(&report), [1, 1]);
    assert_eq!(report.lines[0].pid, Some(10));
}

#[test]
fn private_file_pages_are_one_line_only_where_the_physical_address_says_so() {
    let scene = || {
        Scene::new().map(10, 0x7000_0000, 5, 0, MAP_PRIVATE).map(20, 0x8000_0000, 5, 0, MAP_PRIVATE)
    };
    let load =
        |scene: Scene, pid, addr, physical| scene.access(USER, pid, addr, LOCAL_HITM, physical);
    let unknown = load(load(scene(), 10, 0x7000_0040, 0), 20, 0x8000_0040, 0);
    assert_eq!(samples(&unknown.report()), [1, 1]);
    let same = load(load(scene(), 10, 0x7000_0040, 0x5040), 20, 0x8000_0040, 0x5048);
    let same = load(same, 20, 0x8000_0040, 0).report();
    assert_eq!(samples(&same), [3], "a sample without physical address follows its line");
    assert_eq!((same.other_lines.lines, same.lines[0].pid), (0, None));
    let copied = load(load(scene(), 10, 0x7000_0040, 0x5040), 20, 0x8000_0040, 0x9040);
    assert_eq!(samples(&copied.report()), [1, 1]);
}

#[test]
fn a_kernel_access_to_user_memory_joins_the_users_line() {
    let report = Scene::new()
        .map(10, 0x7000_0000, 0, 0, MAP_PRIVATE)
        .store(10, 0x7000_0040)
        .access(KERNEL, 10, 0x7000_0048, LOCAL_HITM, 0)
        .report();
    assert_eq!(samples(&report), [2]);
    assert_eq!(report.summary.in_kernel, 1);
}

#[test]
fn kernel_memory_is_one_for_all_processes() {
    let address = 0xffff_8881_0000_0040;
    let report = Scene::new()
        .access(KERNEL, 10, address, LOCAL_HITM, 0)
        .access(KERNEL, 20, address + 8, STORE_HIT, 0)
        .report();
    assert_eq!(samples(&report), [2]);
    assert_eq!(report.lines[0].objects[0].kind, "kernel");
    assert_eq!(report.lines[0].pid, None);
}

#[test]
fn a_forked_process_has_its_own_copy_and_a_new_program_its_own_memory() {
    let report = Scene::new()
        .map(10, 0x7000_0000, 0, 0, MAP_PRIVATE)
        .fork(10, 20)
        .load(10, 0x7000_0040)
        .store(20, 0x7000_0040)
        .exec(20)
        .store(20, 0x7000_0040)
        .report();
    assert_eq!(samples(&report), [1, 1, 1]);
}

#[test]
fn a_forked_process_keeps_shared_mappings_of_its_parent() {
    let report = Scene::new()
        .map(10, 0x7000_0000, 5, 0, MAP_SHARED)
        .fork(10, 20)
        .load(10, 0x7000_0040)
        .store(20, 0x7000_0040)
        .report();
    assert_eq!(samples(&report), [2]);
}

/// Two processes that each run a new program have nothing in common with what was mapped before.
#[test]
fn a_new_program_has_no_mapping_of_the_old_one() {
    let report = Scene::new()
        .map(10, 0x7000_0000, 5, 0, MAP_SHARED)
        .fork(10, 20)
        .exec(20)
        .exec(10)
        .load(10, 0x7000_0040)
        .store(20, 0x7000_0040)
        .report();
    assert_eq!(samples(&report), [1, 1]);
    assert_eq!(report.lines[0].objects[0].name, None);
}

#[test]
fn latencies_of_any_size_add_up_without_overflow() {
    let mut scene = Scene::new().map(10, 0x7000_0000, 0, 0, MAP_PRIVATE);
    for _ in 0..3 {
        scene.latency = u64::MAX;
        scene = scene.load(10, 0x7000_0040);
    }
    assert_eq!(scene.report().lines[0].contended_cycles, Some(u64::MAX));
}

#[test]
fn user_code_is_not_the_kernels_even_where_the_kernel_is_said_to_be_everywhere() {
    let mut scene = Scene::new().map(10, 0x40_0000, 7, 0, MAP_PRIVATE);
    let id = scene.id();
    let kernel = Mmap {
        pid: u32::MAX,
        tid: 0,
        start: 0,
        length: 0,
        page_offset: 0,
        object: MappedObject::Unknown,
        protection: 0,
        flags: 0,
        name: b"[kernel.kallsyms]_text",
    };
    scene.writer.mmap(KERNEL, &kernel, &id).expect("written");
    let report = scene.load(10, 0x7000_0040).report();
    assert_eq!(report.lines[0].accesses[0].object.as_deref(), Some("/data/file"));
}

#[test]
fn a_mapping_counts_from_its_time_on() {
    let report = Scene::new()
        .map(10, 0x7000_0000, 5, 0, MAP_SHARED)
        .map(20, 0x7000_0000, 5, 0, MAP_SHARED)
        .load(10, 0x7000_0040)
        .load(20, 0x7000_0040)
        // Another file takes its place in one of them.
        .map(20, 0x7000_0000, 6, 0, MAP_SHARED)
        .load(20, 0x7000_0040)
        .report();
    assert_eq!(samples(&report), [2, 1]);
}
