//! What a recording says of its machine.

use crate::perf_data::{Cache, CpuTopology, Features, MemoryTopology, NumaNode};
use crate::system::{CpuPlace, Machine};

/// The features that describe a machine and its recorder.
pub(super) fn machine_features(machine: &Machine, command_line: &[String]) -> Features {
    let nodes = machine.nodes.iter().map(|node| NumaNode {
        id: node.id,
        total_kib: node.total_kib,
        free_kib: node.free_kib,
        cpus: node.cpus.clone(),
    });
    let mut nodes: Vec<NumaNode> = nodes.collect();
    if nodes.is_empty() {
        // A kernel without NUMA has one node in all but name; perf c2c refuses recordings without.
        nodes.push(NumaNode {
            id: 0,
            total_kib: machine.memory_kib.unwrap_or_default(),
            free_kib: 0,
            cpus: machine.cpus.online.clone(),
        });
    }
    let model = &machine.model;
    Features {
        hostname: machine.host.name.clone(),
        os_release: machine.host.kernel_release.clone(),
        version: Some(format!("hitm {}", env!("CARGO_PKG_VERSION"))),
        arch: Some(std::env::consts::ARCH.to_owned()),
        cpus: Some((machine.cpus.possible, machine.cpus.online.len() as u32)),
        cpu_description: Some(model.name.clone()).filter(|name| !name.is_empty()),
        cpuid: model.cpuid(),
        total_memory_kib: machine.memory_kib,
        command_line: command_line.to_vec(),
        cpu_topology: topology(&machine.cpus.places),
        numa_nodes: Some(nodes),
        pmu_mappings: machine.pmus.iter().map(|pmu| (pmu.kind, pmu.name.clone())).collect(),
        caches: caches(machine),
        ..Features::default()
    }
}

/// Which physical memory is whose: of use with physical addresses.
pub(super) fn memory_topology(machine: &Machine) -> Option<MemoryTopology> {
    Some(MemoryTopology {
        block_size: machine.memory_block_size?,
        nodes: machine.nodes.iter().map(|node| (u64::from(node.id), node.blocks.clone())).collect(),
    })
}

fn topology(places: &[CpuPlace]) -> Option<CpuTopology> {
    let distinct = |list: &dyn Fn(&CpuPlace) -> Option<String>| {
        let mut lists: Vec<String> = Vec::new();
        for list in places.iter().filter_map(list) {
            if !lists.contains(&list) {
                lists.push(list);
            }
        }
        lists
    };
    let dies: Option<Vec<u32>> = places.iter().map(|place| place.die).collect();
    (!places.is_empty()).then(|| CpuTopology {
        packages: distinct(&|place| Some(place.package_cpus.clone())),
        cores: distinct(&|place| Some(place.core_cpus.clone())),
        cpus: places.iter().map(|place| (place.core, place.package)).collect(),
        dies: distinct(&|place| place.die_cpus.clone()),
        cpu_dies: dies.unwrap_or_default(),
    })
}

fn caches(machine: &Machine) -> Vec<Cache> {
    let caches = machine.cpus.caches.iter().map(|cache| Cache {
        level: cache.level,
        line_size: cache.line_size,
        sets: cache.sets,
        ways: cache.ways,
        kind: cache.kind.clone(),
        size: cache.size.clone(),
        cpus: cache.cpus.clone(),
    });
    caches.collect()
}
