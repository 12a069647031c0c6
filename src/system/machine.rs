//! What a machine can sample and what stands in the way: everything that choosing a sampler needs.

use std::path::Path;

use super::cpu_list::parse_cpu_list;
use super::cpu_model::CpuModel;
use super::hypervisor::Surroundings;
use super::permissions::Permissions;
use super::pmu::{Pmu, pmus};
use super::tree;

/// A machine's capabilities: pure data, read once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// As `uname -m` says it: `x86_64`, `aarch64`.
    pub arch: String,
    /// Kernel release.
    pub kernel_release: Option<String>,
    /// The CPU.
    pub cpu: CpuModel,
    /// CPUs that are online, ascending.
    pub online_cpus: Vec<u32>,
    /// PMUs in sysfs, by name.
    pub pmus: Vec<Pmu>,
    /// Limits and rights.
    pub permissions: Permissions,
    /// Virtual machine and container.
    pub surroundings: Surroundings,
}

impl Machine {
    /// Reads a machine below `root` (`/` on a real one).
    pub fn read(root: &Path) -> Self {
        let cpu = CpuModel::read(root);
        let arch = tree::text(root, "proc/sys/kernel/arch").unwrap_or_else(|| {
            // Kernels before 6.1 have no such file.
            match (&cpu.vendor_id, cpu.implementer) {
                (None, Some(_)) => "aarch64".to_owned(),
                (Some(_), _) => "x86_64".to_owned(),
                _ => std::env::consts::ARCH.to_owned(),
            }
        });
        let online = tree::text(root, "sys/devices/system/cpu/online");
        Self {
            arch,
            kernel_release: tree::text(root, "proc/sys/kernel/osrelease"),
            online_cpus: online.and_then(|list| parse_cpu_list(&list).ok()).unwrap_or_default(),
            pmus: pmus(root),
            permissions: Permissions::read(root),
            surroundings: Surroundings::read(root, &cpu),
            cpu,
        }
    }

    /// The PMU of this name.
    pub fn pmu(&self, name: &str) -> Option<&Pmu> {
        self.pmus.iter().find(|pmu| pmu.name == name)
    }
}
