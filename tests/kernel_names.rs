//! Names of kernel code from an image of the kernel, moved as kernels are at each start.

use std::io::Cursor;
use std::path::Path;

use hitm::lines::SortKey;
use hitm::perf_data::{
    AttrFlags, EventAttr, EventSpec, Features, ImageBuildId, Input, MappedObject, Mmap, Recording,
    Sample, SampleId, SampleType, Writer, WriterOptions,
};
use hitm::report::{NameOptions, Report, ReportOptions, report};

const KERNEL: u16 = 1;
/// Where `serve` of `testdata/counters` is stated to be, and where this "kernel" has it.
const STATED: u64 = 0x40_1200;
const MODULE: u64 = 0xffff_ffff_c010_0000;
const MOVED: u64 = 0xffff_ffff_a140_1200;

/// A report of one kernel sample, with the fixture's program in the kernel's place.
fn report_with(build_id: Option<&str>) -> Report {
    let sample_type = SampleType::IP
        | SampleType::TID
        | SampleType::TIME
        | SampleType::ADDR
        | SampleType::DATA_SRC;
    let flags = AttrFlags::SAMPLE_ID_ALL;
    let attr = EventAttr { kind: 4, sample_type, flags, ..EventAttr::default() };
    let event = EventSpec { attr, name: "loads".into(), ids: vec![1] };
    let mut writer = Writer::file(Cursor::new(Vec::new()), vec![event], WriterOptions::default())
        .expect("started");
    let text = Mmap {
        pid: u32::MAX,
        tid: 0,
        start: MOVED - 0x200,
        length: 0x10_0000,
        page_offset: MOVED,
        object: MappedObject::Unknown,
        protection: 0,
        flags: 0,
        name: b"[kernel.kallsyms]serve",
    };
    // A module, mapped first and sampled most: it must not be taken for the kernel.
    let module = Mmap { start: MODULE, length: 0x1000, page_offset: 0, name: b"[module]", ..text };
    writer.mmap(KERNEL, &module, &SampleId::default()).expect("written");
    writer.mmap(KERNEL, &text, &SampleId::default()).expect("written");
    for time in [500, 600] {
        let sample = Sample {
            ip: Some(MODULE + 0x10),
            thread: Some((10, 10)),
            time: Some(time),
            addr: Some(MODULE + 0x40),
            data_src: Some(0x6_0080_0842),
            ..Sample::default()
        };
        writer.sample(0, KERNEL, &sample).expect("written");
    }
    let sample = Sample {
        ip: Some(MOVED + 0x10),
        thread: Some((10, 10)),
        time: Some(1000),
        addr: Some(0xffff_8881_0000_0040),
        data_src: Some(0x6_0080_0842),
        ..Sample::default()
    };
    writer.sample(0, KERNEL, &sample).expect("written");
    let id = |text: &str| {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
            .collect()
    };
    let build_ids = build_id.map(|text| ImageBuildId {
        misc: KERNEL,
        pid: -1,
        build_id: id(text),
        name: "[kernel.kallsyms]".to_owned(),
    });
    let features = Features { build_ids: build_ids.into_iter().collect(), ..Features::default() };
    let bytes = writer.finish(&features).expect("finished").into_inner();
    let input = Input::from_bytes(bytes);
    let recording = Recording::open(&input).expect("a readable recording");
    let vmlinux = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/counters/root/opt/counters");
    let names =
        NameOptions { vmlinux: Some(vmlinux), source_lines: true, ..NameOptions::default() };
    let options = ReportOptions { names, ..ReportOptions::default() };
    report(&recording, &options, SortKey::Cost, None, &|_| {}).expect("a report")
}

#[test]
fn the_image_is_moved_to_where_the_kernel_ran() {
    for build_id in [None, Some("18c687a22dcd161511042fd37b2aaa4aaf5137ad")] {
        let made = report_with(build_id);
        assert_eq!(made.lines[0].accesses[0].label, "[module]+0x10");
        let access = &made.lines[1].accesses[0];
        assert_eq!(access.symbol.as_deref(), Some("serve"), "{:?}", made.warnings);
        assert_eq!(access.source.as_ref().map(|source| source.line), Some(17));
        assert!(access.in_kernel);
    }
    assert_eq!(MOVED & 0xfff, STATED & 0xfff, "kernels are moved by whole pages");
}

#[test]
fn the_image_of_another_kernel_is_not_used() {
    let made = report_with(Some("0000000022dcd161511042fd37b2aaa4aaf5137a"));
    assert!(made.lines.iter().all(|line| line.accesses[0].symbol.is_none()));
    assert!(made.warnings.iter().any(|warning| warning.code() == "names"), "{:?}", made.warnings);
}
