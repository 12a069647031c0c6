//! NUMA nodes and the physical memory of each: `/sys/devices/system/node`.

use std::path::Path;

use super::cpu_list::parse_cpu_list;
use super::tree;

/// A node with its CPUs and the amount of its memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeMemory {
    /// Number.
    pub id: u32,
    /// Its CPUs; none for a node of memory alone.
    pub cpus: Vec<u32>,
    /// Memory, KiB.
    pub total_kib: u64,
    /// Free memory, KiB.
    pub free_kib: u64,
}

/// Which blocks of physical memory belong to which node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryBlocks {
    /// Bytes of a block.
    pub block_size: u64,
    /// Node and its blocks as ranges of numbers (first, last), ascending.
    pub nodes: Vec<(u32, Vec<(u64, u64)>)>,
}

/// The nodes that are online, by number. A kernel without NUMA has none.
pub fn nodes(root: &Path) -> Vec<NodeMemory> {
    let folders = tree::numbered(&root.join("sys/devices/system/node"), "node").into_iter();
    let nodes = folders.filter_map(|(id, folder)| {
        let meminfo = tree::text(&folder, "meminfo")?;
        // `Node 0 MemTotal:       23292120 kB`
        let amount = |name: &str| {
            meminfo.lines().find_map(|line| {
                let mut words = line.split_whitespace().skip_while(|word| *word != name).skip(1);
                words.next()?.parse().ok()
            })
        };
        let cpus = parse_cpu_list(&tree::text(&folder, "cpulist")?).ok()?;
        Some(NodeMemory {
            id,
            cpus,
            total_kib: amount("MemTotal:")?,
            free_kib: amount("MemFree:").unwrap_or(0),
        })
    });
    nodes.collect()
}

/// The memory blocks of every node; `None` where the kernel does not tell (no memory hotplug).
pub fn memory_blocks(root: &Path) -> Option<MemoryBlocks> {
    let size = tree::text(root, "sys/devices/system/memory/block_size_bytes")?;
    let block_size = u64::from_str_radix(size.trim(), 16).ok().filter(|&size| size > 0)?;
    let folders = tree::numbered(&root.join("sys/devices/system/node"), "node").into_iter();
    let nodes = folders.map(|(id, folder)| {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (block, _) in tree::numbered(&folder, "memory") {
            let block = u64::from(block);
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == block => *last = block,
                _ => ranges.push((block, block)),
            }
        }
        (id, ranges)
    });
    let nodes: Vec<_> = nodes.filter(|(_, ranges)| !ranges.is_empty()).collect();
    (!nodes.is_empty()).then_some(MemoryBlocks { block_size, nodes })
}
