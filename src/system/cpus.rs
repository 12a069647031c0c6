//! Which CPUs there are, and how they sit in cores, sockets and caches.

use std::path::Path;

/// The machine's CPUs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpus {
    /// Those that run, by number.
    pub online: Vec<u32>,
    /// How many there can be.
    pub possible: u32,
    /// Where each online CPU sits.
    pub places: Vec<CpuPlace>,
    /// Caches, each once.
    pub caches: Vec<CpuCache>,
}

/// Where a CPU sits. Lists are the kernel's, such as `0-3,8`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuPlace {
    /// Number of the core within its package.
    pub core: u32,
    /// Number of the package; -1 where the kernel does not know is 0 here.
    pub package: u32,
    /// Number of the die within its package.
    pub die: Option<u32>,
    /// The CPUs of the package.
    pub package_cpus: String,
    /// The CPUs of the die.
    pub die_cpus: Option<String>,
    /// The CPUs of the core.
    pub core_cpus: String,
}

/// A cache, as one of its CPUs describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuCache {
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

/// The numbers of a list such as `0-3,8`, sorted; `None` when it is no such list. A list without
/// numbers is one.
pub fn parse_list(text: &str) -> Option<Vec<u32>> {
    /// No machine has more; a range that claims so is damaged.
    const MOST: u32 = 1 << 16;
    let mut numbers = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        numbers.extend(first..=last);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

impl Cpus {
    /// Reads `/sys/devices/system/cpu` below `root`.
    pub fn read(root: &Path) -> Self {
        let folder = root.join("sys/devices/system/cpu");
        let line = |path: &str| {
            let text = std::fs::read_to_string(folder.join(path)).ok()?;
            Some(text.trim().to_owned())
        };
        let list = |path: &str| line(path).and_then(|text| parse_list(&text));
        let online = list("online").unwrap_or_default();
        let possible = list("possible").or_else(|| list("present"));
        let possible = possible.and_then(|cpus| Some(cpus.last()? + 1));
        Self {
            possible: possible.unwrap_or(online.len() as u32),
            places: online.iter().filter_map(|cpu| place(*cpu, &line)).collect(),
            caches: caches(&online, &line),
            online,
        }
    }

    /// Bytes of a line of the first-level data cache.
    pub fn line_size(&self) -> Option<u32> {
        let data = self.caches.iter().filter(|cache| cache.kind != "Instruction");
        data.min_by_key(|cache| cache.level).map(|cache| cache.line_size)
    }
}

fn place(cpu: u32, line: &dyn Fn(&str) -> Option<String>) -> Option<CpuPlace> {
    let read = |name: &str| line(&format!("cpu{cpu}/topology/{name}"));
    let number = |name: &str| Some(read(name)?.parse::<i64>().ok()?.max(0) as u32);
    Some(CpuPlace {
        core: number("core_id")?,
        package: number("physical_package_id")?,
        die: number("die_id"),
        package_cpus: read("package_cpus_list").or_else(|| read("core_siblings_list"))?,
        die_cpus: read("die_cpus_list"),
        core_cpus: read("core_cpus_list").or_else(|| read("thread_siblings_list"))?,
    })
}

fn caches(online: &[u32], line: &dyn Fn(&str) -> Option<String>) -> Vec<CpuCache> {
    /// No CPU has more.
    const MOST: u32 = 16;
    let mut caches: Vec<CpuCache> = Vec::new();
    for cpu in online {
        for index in 0..MOST {
            let read = |name: &str| line(&format!("cpu{cpu}/cache/index{index}/{name}"));
            let number = |name: &str| read(name)?.parse::<u32>().ok();
            let Some(level) = number("level") else {
                break;
            };
            let cache = CpuCache {
                level,
                line_size: number("coherency_line_size").unwrap_or_default(),
                sets: number("number_of_sets").unwrap_or_default(),
                ways: number("ways_of_associativity").unwrap_or_default(),
                kind: read("type").unwrap_or_default(),
                size: read("size").unwrap_or_default(),
                cpus: read("shared_cpu_list").unwrap_or_default(),
            };
            if !caches.contains(&cache) {
                caches.push(cache);
            }
        }
    }
    caches.sort_by_key(|cache| cache.level);
    caches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_strictly() {
        assert_eq!(parse_list("0-2,8\n"), Some(vec![0, 1, 2, 8]));
        assert_eq!(parse_list("\n"), Some(vec![]));
        for wrong in ["a", "3-1", "0-99999999", "1,-"] {
            assert_eq!(parse_list(wrong), None, "{wrong}");
        }
    }
}
