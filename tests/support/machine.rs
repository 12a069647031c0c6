//! The machine that synthetic recordings come from: two nodes of eight CPUs.

use hitm::perf_data::{
    AttrFlags, Cache, EventAttr, EventSpec, Features, ImageBuildId, MemoryTopology, NumaNode,
    ReadFormat, SampleType,
};

/// CPUs of the machine.
pub const CPUS: u32 = 16;
/// Bytes of a block of physical memory.
pub const MEMORY_BLOCK: u64 = 128 << 20;
/// Physical address where a node's memory starts.
pub const NODE_MEMORY: [u64; 2] = [0, 64 * MEMORY_BLOCK];
/// A physical address that belongs to no node.
pub const MEMORY_HOLE: u64 = 97 * MEMORY_BLOCK;
/// A node's usable bytes from [`NODE_MEMORY`] on.
pub const NODE_MEMORY_SIZE: u64 = 32 * MEMORY_BLOCK;

/// What the machine and its recorder say about themselves.
pub fn features() -> Features {
    let node = |id: u32| NumaNode {
        id,
        total_kib: 8 << 20,
        free_kib: 3 << 20,
        cpus: (id * 8..id * 8 + 8).collect(),
    };
    let cache = |level, kind: &str, size: &str, sets, ways, cpus: &str| Cache {
        level,
        line_size: 64,
        sets,
        ways,
        kind: kind.to_owned(),
        size: size.to_owned(),
        cpus: cpus.to_owned(),
    };
    let command = ["/usr/bin/perf", "c2c", "record", "-a", "--", "sleep", "1"];
    Features {
        hostname: Some("synthetic".to_owned()),
        os_release: Some("6.1.0-synthetic".to_owned()),
        version: Some("6.1.0".to_owned()),
        arch: Some("x86_64".to_owned()),
        cpus: Some((CPUS, CPUS)),
        cpu_description: Some("Synthetic CPU @ 2.00GHz".to_owned()),
        cpuid: Some("GenuineIntel,6,85,4".to_owned()),
        total_memory_kib: Some(16 << 20),
        command_line: command.map(str::to_owned).to_vec(),
        numa_nodes: Some(vec![node(0), node(1)]),
        memory_topology: Some(MemoryTopology {
            block_size: MEMORY_BLOCK,
            nodes: vec![(0, vec![(0, 63)]), (1, vec![(64, 95), (100, 131)])],
        }),
        caches: vec![
            cache(1, "Data", "32K", 64, 8, "0"),
            cache(1, "Instruction", "32K", 64, 8, "0"),
            cache(2, "Unified", "1024K", 1024, 16, "0"),
            cache(3, "Unified", "16896K", 24576, 11, "0-7"),
        ],
        // No kernel has this build id. Without one perf would take the running kernel's symbols.
        build_ids: vec![ImageBuildId {
            misc: 1,
            pid: -1,
            build_id: (1..=20).collect(),
            name: "[kernel.kallsyms]".to_owned(),
        }],
        ..Features::default()
    }
}

/// The two events of `perf c2c record` on this machine, each with an id for each CPU; and, as when
/// the user asked for it, one of cycles that has no addresses.
pub fn events(weight: SampleType, callchains: bool, cycles: bool) -> Vec<EventSpec> {
    let mut sample_type = SampleType::IP
        | SampleType::TID
        | SampleType::TIME
        | SampleType::ADDR
        | SampleType::ID
        | SampleType::CPU
        | SampleType::PERIOD
        | SampleType::DATA_SRC
        | SampleType::PHYS_ADDR
        | weight;
    if callchains {
        sample_type |= SampleType::CALLCHAIN;
    }
    let shared =
        AttrFlags::DISABLED | AttrFlags::INHERIT | AttrFlags::FREQ | AttrFlags::SAMPLE_ID_ALL;
    let tracking = AttrFlags::MMAP
        | AttrFlags::MMAP2
        | AttrFlags::MMAP_DATA
        | AttrFlags::COMM
        | AttrFlags::COMM_EXEC
        | AttrFlags::TASK;
    // Events with different fields must say first what they are.
    if cycles {
        sample_type |= SampleType::IDENTIFIER;
    }
    let event = |name: &str, config, config1, flags: AttrFlags, first_id: u64| EventSpec {
        attr: EventAttr {
            kind: 4,
            size: 128,
            config,
            config1,
            sample_period: 4000,
            sample_type,
            read_format: ReadFormat::ID,
            flags: flags.with_precise_ip(3),
            sample_max_stack: if callchains { 127 } else { 0 },
            ..EventAttr::default()
        },
        name: name.to_owned(),
        ids: (first_id..first_id + u64::from(CPUS)).collect(),
    };
    let mut events = vec![
        event("cpu/mem-loads,ldlat=30/P", 0x1cd, 30, shared | tracking, 100),
        event("cpu/mem-stores/P", 0x82d0, 0, shared, 200),
    ];
    if cycles {
        let mut event = event("cycles", 0, 0, shared, 300);
        let without = SampleType::ADDR | SampleType::DATA_SRC | SampleType::PHYS_ADDR | weight;
        event.attr.kind = 0;
        event.attr.sample_type = SampleType(sample_type.0 & !without.0);
        events.push(event);
    }
    events
}
