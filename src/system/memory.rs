//! NUMA nodes, and which memory is theirs.

use std::path::Path;

use super::cpus::parse_list;

/// A node's CPUs and memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeMemory {
    /// Number.
    pub id: u32,
    /// Its CPUs.
    pub cpus: Vec<u32>,
    /// Memory, KiB.
    pub total_kib: u64,
    /// Free memory, KiB.
    pub free_kib: u64,
    /// Its memory blocks: ranges of consecutive indices, first and last.
    pub blocks: Vec<(u64, u64)>,
}

impl NodeMemory {
    /// Reads `/sys/devices/system/node` below `root`, in the order of numbers.
    pub fn read_all(root: &Path) -> Vec<Self> {
        let folder = root.join("sys/devices/system/node");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            return Vec::new();
        };
        let ids = entries.flatten().filter_map(|entry| {
            entry.file_name().to_str()?.strip_prefix("node")?.parse::<u32>().ok()
        });
        let mut ids: Vec<u32> = ids.collect();
        ids.sort_unstable();
        ids.into_iter().map(|id| Self::read(&folder.join(format!("node{id}")), id)).collect()
    }

    fn read(folder: &Path, id: u32) -> Self {
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let meminfo = text("meminfo");
        let amount = |name: &str| {
            let line = meminfo.lines().find(|line| line.contains(name))?;
            line.split_whitespace().rev().nth(1)?.parse::<u64>().ok()
        };
        Self {
            id,
            cpus: parse_list(&text("cpulist")).unwrap_or_default(),
            total_kib: amount("MemTotal:").unwrap_or_default(),
            free_kib: amount("MemFree:").unwrap_or_default(),
            blocks: ranges(blocks(folder)),
        }
    }
}

/// Bytes of a memory block; the kernel states them in hexadecimal.
pub(super) fn block_size(root: &Path) -> Option<u64> {
    let path = root.join("sys/devices/system/memory/block_size_bytes");
    u64::from_str_radix(std::fs::read_to_string(path).ok()?.trim(), 16).ok()
}

fn blocks(folder: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut blocks: Vec<u64> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("memory")?.parse().ok())
        .collect();
    blocks.sort_unstable();
    blocks
}

fn ranges(numbers: Vec<u64>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}
