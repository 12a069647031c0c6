//! Which machine this is, without saying whose.

use std::collections::BTreeMap;

use serde::Serialize;

use super::privacy::without_paths;
use crate::kernel::hypervisor_signature;
use crate::system::Machine;

/// A machine, as far as sampling depends on it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MachineFacts {
    /// `uname -m`.
    pub arch: String,
    /// The CPU's name.
    pub cpu: Option<String>,
    /// x86: maker.
    pub vendor: Option<String>,
    /// x86: family.
    pub family: Option<u32>,
    /// x86: model.
    pub model: Option<u32>,
    /// x86: stepping.
    pub stepping: Option<u32>,
    /// Arm: the main identification register, in hexadecimal.
    pub midr: Option<String>,
    /// The version of the CPU's microcode.
    pub microcode: Option<String>,
    /// CPUs that are online.
    pub online_cpus: usize,
    /// Whether this is a virtual machine.
    pub is_virtual: bool,
    /// What the hypervisor calls itself to x86 guests: `KVMKVMKVM`, `Microsoft Hv`, `VMwareVMware`.
    pub hypervisor: Option<String>,
    /// Whose virtual machine it is, as far as the firmware says.
    pub firmware: Option<String>,
    /// What points to a container.
    pub container: Option<String>,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// `kernel.perf_event_paranoid`.
    pub perf_event_paranoid: Option<i32>,
    /// The PMUs.
    pub pmus: Vec<PmuFacts>,
}

/// A PMU.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PmuFacts {
    /// Its name.
    pub name: String,
    /// Capabilities and their values.
    pub caps: BTreeMap<String, String>,
    /// Names of its settings.
    pub formats: Vec<String>,
    /// Its memory events, as sysfs describes them.
    pub memory_events: BTreeMap<String, String>,
}

impl MachineFacts {
    pub(super) fn of(machine: &Machine) -> Self {
        let cpu = &machine.cpu;
        let around = &machine.surroundings;
        Self {
            arch: machine.arch.clone(),
            cpu: cpu.name.clone(),
            vendor: cpu.vendor_id.clone(),
            family: cpu.family,
            model: cpu.model,
            stepping: cpu.stepping,
            midr: cpu.midr.map(|midr| format!("{midr:#x}")),
            microcode: cpu.microcode.clone(),
            online_cpus: machine.online_cpus.len(),
            is_virtual: around.virtualisation.is_virtual,
            hypervisor: hypervisor_signature(),
            firmware: around.virtualisation.by.as_deref().map(without_paths),
            container: around.container.clone(),
            kernel: machine.kernel_release.clone(),
            perf_event_paranoid: machine.permissions.paranoid,
            pmus: machine
                .pmus
                .iter()
                .map(|pmu| PmuFacts {
                    name: pmu.name.clone(),
                    caps: pmu.caps.iter().cloned().collect(),
                    formats: pmu.formats.iter().map(|format| format.name.clone()).collect(),
                    memory_events: pmu
                        .events
                        .iter()
                        .filter(|(name, _)| name.starts_with("mem"))
                        .cloned()
                        .collect(),
                })
                .collect(),
        }
    }
}
