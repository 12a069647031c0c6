//! Features: every section that is written is read back, in files and pipes of both byte orders.

use std::io::{self, Cursor};

use hitm::perf_data::{
    ByteOrder, Cache, CompressionInfo, CpuTopology, EventAttr, EventSpec, FeatureId, Features,
    ImageBuildId, Input, MemoryTopology, NumaNode, Recording, SampleType, Writer, WriterOptions,
    format_cpu_list, parse_cpu_list,
};
use proptest::prelude::*;

const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

/// Features with nothing left out that can be written.
fn all_features() -> Features {
    let text = |text: &str| Some(text.to_owned());
    let pair = |first: &str, second: &str| (first.to_owned(), second.to_owned());
    Features {
        hostname: text("host"),
        os_release: text("6.1.0"),
        version: text("6.1.187"),
        arch: text("x86_64"),
        cpus: Some((3, 2)),
        cpu_description: text(
            "A CPU whose description is longer than the sixty-four bytes of padding",
        ),
        cpuid: text("GenuineIntel,6,85,4"),
        total_memory_kib: Some(u64::MAX),
        command_line: vec!["perf".into(), "record".into(), String::new(), "--".into()],
        cpu_topology: Some(CpuTopology {
            packages: vec!["0-2".into()],
            cores: vec!["0".into(), "1-2".into()],
            cpus: vec![(0, 0), (1, 0), (1, 0)],
            dies: vec!["0-2".into()],
            cpu_dies: vec![0, 0, 7],
        }),
        numa_nodes: Some(vec![
            NumaNode { id: 0, total_kib: 7, free_kib: 5, cpus: vec![0, 1, 2, 8] },
            NumaNode { id: 9, total_kib: 8, free_kib: 6, cpus: vec![] },
        ]),
        pmu_mappings: vec![(4, "cpu".into()), (1, "software".into())],
        groups: vec![("group".into(), 1, 2)],
        caches: vec![Cache {
            level: 1,
            line_size: 64,
            sets: 64,
            ways: 8,
            kind: "Data".into(),
            size: "32K".into(),
            cpus: "0-2".into(),
        }],
        sample_time: Some((5, 9)),
        memory_topology: Some(MemoryTopology {
            block_size: 128 << 20,
            nodes: vec![(0, vec![(0, 0), (2, 63), (65, 130)]), (1, vec![]), (2, vec![(131, 131)])],
        }),
        clock_resolution: Some(1),
        clock_data: Some((4, 17, 19)),
        directory_format: Some(1),
        compression: Some(CompressionInfo {
            version: 1,
            kind: 1,
            level: 3,
            ratio: 4,
            mmap_length: 528384,
        }),
        cpu_pmu_caps: vec![pair("branches", "32"), pair("max_precise", "3")],
        hybrid_topology: vec![pair("cpu_core", "0-1"), pair("cpu_atom", "2")],
        pmu_caps: vec![("ibs_op".into(), vec![pair("zen4", "1")]), ("empty".into(), vec![])],
        build_ids: vec![
            ImageBuildId {
                misc: 1,
                pid: -1,
                build_id: vec![1; 20],
                name: "[kernel.kallsyms]".into(),
            },
            ImageBuildId {
                misc: 2,
                pid: 7,
                build_id: vec![2; 16],
                name: "/usr/lib/libc.so.6".into(),
            },
        ],
        elf_machine: Some((62, 5)),
        cache_line_size: Some(128),
        has_branch_stack: true,
        ..Features::default()
    }
}

fn event() -> EventSpec {
    let attr = EventAttr { size: 128, sample_type: SampleType::IP, ..EventAttr::default() };
    EventSpec { attr, name: "cycles".into(), ids: vec![5, 6] }
}

fn through_a_pipe(features: &Features, order: ByteOrder) -> io::Result<Features> {
    let options = WriterOptions { order, compression_level: None };
    read(Writer::pipe(Vec::new(), vec![event()], features, options)?.finish_pipe()?)
}

/// The file has a record, because one without any is taken for one whose recorder did not finish.
fn through_a_file(features: &Features, order: ByteOrder) -> io::Result<Features> {
    let options = WriterOptions { order, compression_level: None };
    let mut writer = Writer::file(Cursor::new(Vec::new()), vec![event()], options)?;
    writer.finished_round()?;
    read(writer.finish(features)?.into_inner())
}

fn read(bytes: Vec<u8>) -> io::Result<Features> {
    let input = Input::from_bytes(bytes);
    let recording = Recording::open(&input).map_err(io::Error::other)?;
    assert_eq!(recording.damage(), []);
    let mut features = recording.features().clone();
    // The writer fills this section in from its events.
    assert_eq!(features.events.len(), 1);
    assert_eq!(features.events[0].ids, event().ids);
    features.events.clear();
    Ok(features)
}

#[test]
fn all_features_at_once_round_trip() {
    for order in ORDERS {
        assert_eq!(through_a_file(&all_features(), order).unwrap(), all_features());
        assert_eq!(through_a_pipe(&all_features(), order).unwrap(), all_features());
    }
}

#[test]
fn every_feature_alone_round_trips_and_is_written() {
    let all = all_features();
    let mut written = 0;
    for number in 0..64 {
        let id = FeatureId(number);
        for order in ORDERS {
            let Some(payload) = all.encode(id, order) else {
                continue;
            };
            written += 1;
            // The number of CPUs says how long the topology is.
            let mut read = Features { cpus: all.cpus, ..Features::default() };
            read.decode(id, &payload, order).unwrap_or_else(|_| panic!("{id} is not read back"));
            let again = read.encode(id, order);
            assert_eq!(again.as_ref(), Some(&payload), "{id}");
            for cut in 0..payload.len() {
                // Whatever is cut off, nothing is read that is not there.
                let _ = Features::default().decode(id, &payload[..cut], order);
            }
        }
    }
    // Twice each; a feature that the writer forgets would make this test meaningless.
    assert!(written >= 2 * 27, "only {written} sections were written");
}

#[test]
fn cpu_lists_are_bounded() {
    // Each part is small and believable; together they would fill the memory.
    let list = "0-65535,".repeat(20_000);
    assert!(parse_cpu_list(&list).len() <= 1 << 20);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_round_trips(texts in prop::collection::vec("[^\0]{0,200}", 7), big: bool) {
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let text = |index: usize| Some(texts[index].clone());
        let features = Features {
            hostname: text(0),
            os_release: text(1),
            arch: text(2),
            cpuid: text(3),
            command_line: texts.clone(),
            pmu_mappings: vec![(7, texts[4].clone())],
            pmu_caps: vec![(texts[5].clone(), vec![(texts[6].clone(), texts[0].clone())])],
            ..Features::default()
        };
        prop_assert_eq!(through_a_file(&features, order)?, features.clone());
        prop_assert_eq!(through_a_pipe(&features, order)?, features);
    }

    #[test]
    fn any_memory_topology_round_trips(
        nodes in prop::collection::vec(prop::collection::btree_set(0_u64..500, 0..60), 0..4),
        block_size: u64,
        big: bool,
    ) {
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let ranges = |blocks: std::collections::BTreeSet<u64>| {
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            for block in blocks {
                match ranges.last_mut() {
                    Some((_, last)) if *last + 1 == block => *last = block,
                    _ => ranges.push((block, block)),
                }
            }
            ranges
        };
        let nodes = nodes.into_iter().zip(0..).map(|(set, node)| (node, ranges(set))).collect();
        let topology = MemoryTopology { block_size, nodes };
        let features = Features { memory_topology: Some(topology), ..Features::default() };
        prop_assert_eq!(through_a_file(&features, order)?, features);
    }

    #[test]
    fn any_cpu_list_round_trips(cpus in prop::collection::btree_set(0_u32..4096, 0..200)) {
        let cpus: Vec<u32> = cpus.into_iter().collect();
        prop_assert_eq!(parse_cpu_list(&format_cpu_list(&cpus)), cpus);
    }
}
