//! The feature sections that describe a machine, read from it.

use std::path::Path;

use crate::perf_data::{Cache, CpuTopology, Features, MemoryTopology, NumaNode};
use crate::system::{Host, Machine, caches, memory_blocks, nodes, topology};

/// Fills in what the machine below `root` says of itself: host name, kernel, architecture, CPUs,
/// memory, topology, caches, nodes, memory blocks, PMUs and their capabilities, the size of a cache
/// line. Everything else stays as it is.
pub fn describe_machine(root: &Path, machine: &Machine, features: &mut Features) {
    let host = Host::read(root);
    features.hostname = host.name;
    features.os_release = host.kernel_release;
    features.arch = Some(machine.arch.clone());
    features.cpu_description = machine.cpu.name.clone();
    features.cpuid = machine.cpu.cpuid();
    features.total_memory_kib = total_memory(root);
    features.elf_machine = match machine.arch.as_str() {
        "x86_64" => Some((62, 0)),
        "aarch64" => Some((183, 0)),
        _ => None,
    };

    let found = topology(root);
    features.cpus = Some((found.available, found.online)).filter(|&(available, _)| available > 0);
    // Architectures that do not know dies store none.
    let has_dies = !found.dies.is_empty();
    features.cpu_topology = (!found.cores.is_empty()).then(|| CpuTopology {
        cpus: found.places.iter().map(|at| (at.core as u32, at.package as u32)).collect(),
        cpu_dies: found.places.iter().filter(|_| has_dies).map(|at| at.die as u32).collect(),
        packages: found.packages,
        cores: found.cores,
        dies: found.dies,
    });
    features.caches = caches(root)
        .into_iter()
        .map(|cache| Cache {
            level: cache.level,
            line_size: cache.line_size,
            sets: cache.sets,
            ways: cache.ways,
            kind: cache.kind,
            size: cache.size,
            cpus: cache.cpus,
        })
        .collect();
    let first_level = features.caches.iter().filter(|cache| cache.kind != "Instruction");
    features.cache_line_size =
        first_level.map(|cache| cache.line_size).find(|size| size.is_power_of_two());

    // Written even when empty: without this section perf c2c refuses a recording. A kernel without
    // NUMA is one node.
    let mut nodes: Vec<NumaNode> = nodes(root)
        .into_iter()
        .map(|node| NumaNode {
            id: node.id,
            total_kib: node.total_kib,
            free_kib: node.free_kib,
            cpus: node.cpus,
        })
        .collect();
    if nodes.is_empty() {
        nodes.push(NumaNode {
            id: 0,
            total_kib: features.total_memory_kib.unwrap_or(0),
            free_kib: 0,
            cpus: machine.online_cpus.clone(),
        });
    }
    features.numa_nodes = Some(nodes);
    features.memory_topology = memory_blocks(root).map(|blocks| MemoryTopology {
        block_size: blocks.block_size,
        nodes: blocks.nodes.into_iter().map(|(node, ranges)| (u64::from(node), ranges)).collect(),
    });

    features.pmu_mappings = machine.pmus.iter().map(|pmu| (pmu.kind, pmu.name.clone())).collect();
    features.cpu_pmu_caps = machine.pmu("cpu").map(|pmu| pmu.caps.clone()).unwrap_or_default();
    let kinds = ["cpu_core", "cpu_atom"].into_iter().filter_map(|name| machine.pmu(name));
    features.hybrid_topology = kinds
        .filter_map(|pmu| {
            let cpus = pmu.cpus.as_ref()?;
            Some((pmu.name.clone(), crate::perf_data::format_cpu_list(cpus)))
        })
        .collect();
    let others = machine.pmus.iter().filter(|pmu| pmu.name != "cpu" && !pmu.caps.is_empty());
    features.pmu_caps = others.map(|pmu| (pmu.name.clone(), pmu.caps.clone())).collect();
}

fn total_memory(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse().ok()
}
