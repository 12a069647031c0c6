//! Everything that sampling has to know of a machine.

use std::path::Path;

use super::cpu_model::CpuModel;
use super::cpus::Cpus;
use super::host::Host;
use super::limits::Limits;
use super::memory::{NodeMemory, block_size};
use super::permissions::Permissions;
use super::pmu::Pmu;

/// A machine, as its files describe it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// Its name and kernel.
    pub host: Host,
    /// Its processor.
    pub model: CpuModel,
    /// Its CPUs.
    pub cpus: Cpus,
    /// Its NUMA nodes.
    pub nodes: Vec<NodeMemory>,
    /// Bytes of a memory block.
    pub memory_block_size: Option<u64>,
    /// Memory, KiB.
    pub memory_kib: Option<u64>,
    /// Its PMUs.
    pub pmus: Vec<Pmu>,
    /// What this process may do.
    pub permissions: Permissions,
    /// Its limits.
    pub limits: Limits,
}

impl Machine {
    /// Reads `/proc` and `/sys` below `root` (`/` on a real machine).
    pub fn read(root: &Path) -> Self {
        let meminfo = std::fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
        let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        Self {
            host: Host::read(root),
            model: CpuModel::read(root),
            cpus: Cpus::read(root),
            nodes: NodeMemory::read_all(root),
            memory_block_size: block_size(root),
            memory_kib: total.and_then(|text| text.split_whitespace().next()?.parse().ok()),
            pmus: Pmu::read_all(root),
            permissions: Permissions::read(root),
            limits: Limits::read(root),
        }
    }

    /// The PMU of a name.
    pub fn pmu(&self, name: &str) -> Option<&Pmu> {
        self.pmus.iter().find(|pmu| pmu.name == name)
    }
}
