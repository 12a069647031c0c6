//! Caches: `/sys/devices/system/cpu/cpuN/cache/indexM`.

use std::path::Path;

use super::tree;

/// One cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheLevel {
    /// Level, from 1.
    pub level: u32,
    /// Bytes of a line.
    pub line_size: u32,
    /// Sets.
    pub sets: u32,
    /// Ways.
    pub ways: u32,
    /// `Data`, `Instruction` or `Unified`.
    pub kind: String,
    /// `32K` and the like.
    pub size: String,
    /// The CPUs that share it, as a list.
    pub cpus: String,
}

/// The caches of a machine, each once, by level and then by first CPU, as perf lists them.
pub fn caches(root: &Path) -> Vec<CacheLevel> {
    let mut found = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (_, cpu) in tree::numbered(&root.join("sys/devices/system/cpu"), "cpu") {
        for (_, folder) in tree::numbered(&cpu.join("cache"), "index") {
            if let Some(cache) = read(&folder)
                && seen.insert(cache.clone())
            {
                found.push(cache);
            }
        }
    }
    found.sort_by_key(|cache| cache.level);
    found
}

fn read(folder: &Path) -> Option<CacheLevel> {
    let text = |name| Some(tree::text(folder, name)?.trim().to_owned());
    Some(CacheLevel {
        level: tree::number(folder, "level")?,
        line_size: tree::number(folder, "coherency_line_size")?,
        // Some virtual machines leave these out.
        sets: tree::number(folder, "number_of_sets").unwrap_or(0),
        ways: tree::number(folder, "ways_of_associativity").unwrap_or(0),
        kind: text("type")?,
        size: text("size")?,
        cpus: text("shared_cpu_list")?,
    })
}
