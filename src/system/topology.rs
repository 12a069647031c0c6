//! Which CPUs share a core, a die, a package: `/sys/devices/system/cpu/cpuN/topology`.

use std::path::Path;

use super::cpu_list::parse_cpu_list;
use super::tree;

/// Where a CPU sits. An offline CPU does not say and is -1 throughout, as perf stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuPlace {
    /// `core_id`.
    pub core: i32,
    /// `die_id`.
    pub die: i32,
    /// `physical_package_id`.
    pub package: i32,
}

/// The CPUs of a machine and what they share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topology {
    /// CPUs that could be there: the highest present number and one.
    pub available: u32,
    /// CPUs that are online.
    pub online: u32,
    /// Lists of CPUs of each package, in order of their first CPU.
    pub packages: Vec<String>,
    /// Lists of CPUs of each die; empty on architectures that do not know dies.
    pub dies: Vec<String>,
    /// Lists of CPUs of each core.
    pub cores: Vec<String>,
    /// Place of each available CPU.
    pub places: Vec<CpuPlace>,
}

/// Reads the topology.
pub fn topology(root: &Path) -> Topology {
    let folder = root.join("sys/devices/system/cpu");
    let list = |name: &str| {
        tree::text(&folder, name).and_then(|text| parse_cpu_list(&text).ok()).unwrap_or_default()
    };
    let (present, online) = (list("present"), list("online"));
    let available = present.last().or(online.last()).map_or(0, |last| last + 1);
    let mut found = Topology { available, online: online.len() as u32, ..Topology::default() };
    for cpu in 0..available {
        let place = folder.join(format!("cpu{cpu}/topology"));
        let id = |name: &str| tree::number(&place, name).unwrap_or(-1);
        found.places.push(CpuPlace {
            core: id("core_id"),
            die: id("die_id"),
            package: id("physical_package_id"),
        });
        // The second names are those of kernels before 5.3.
        add(&mut found.packages, &place, ["package_cpus_list", "core_siblings_list"]);
        add(&mut found.dies, &place, ["die_cpus_list", ""]);
        add(&mut found.cores, &place, ["core_cpus_list", "thread_siblings_list"]);
    }
    found
}

fn add(lists: &mut Vec<String>, folder: &Path, names: [&str; 2]) {
    let found =
        names.iter().filter(|name| !name.is_empty()).find_map(|name| tree::text(folder, name));
    if let Some(list) = found.filter(|list| !list.is_empty() && !lists.contains(list)) {
        lists.push(list);
    }
}
