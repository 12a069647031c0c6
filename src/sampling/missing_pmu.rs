//! Sentences about memory samplers that a machine does not have.

use crate::system::{Machine, Vendor};

/// Why there is no sampler of the hardware, as the end of a sentence.
pub(super) fn without_pmu_cause(machine: &Machine) -> String {
    let missing = match machine.cpu.vendor() {
        Vendor::Intel => "sysfs has no memory events (cpu/mem-loads)",
        Vendor::Amd => "sysfs has no PMU ibs_op",
        Vendor::Arm => "sysfs has no PMU arm_spe_0",
        Vendor::Other => "no memory sampler of this CPU is known",
    };
    let surroundings = &machine.surroundings.virtualisation;
    match (&surroundings.by, surroundings.is_virtual) {
        (Some(by), true) => {
            format!("this is a virtual machine ({by}) without the CPU's PMU: {missing}")
        }
        (None, true) => format!("this is a virtual machine without the CPU's PMU: {missing}"),
        _ => missing.to_owned(),
    }
}

/// What gives a sampler of the hardware where there is none.
pub(super) fn without_pmu_remedy(machine: &Machine) -> String {
    if machine.surroundings.virtualisation.is_virtual {
        "use --sampler clock, or a machine without a hypervisor (cloud providers call it bare metal)"
            .to_owned()
    } else {
        "use --sampler clock, or look whether the firmware or the kernel leaves the PMU out \
         (dmesg | grep -i -e pmu -e ibs -e spe)"
            .to_owned()
    }
}

/// Who made this CPU, as the end of a sentence.
pub(super) fn vendor_name(vendor: Vendor, machine: &Machine) -> String {
    match vendor {
        Vendor::Intel => "Intel's".to_owned(),
        Vendor::Amd => "AMD's".to_owned(),
        Vendor::Arm => "Arm's".to_owned(),
        Vendor::Other => match &machine.cpu.vendor_id {
            Some(vendor) => format!("{vendor}'s"),
            None => format!("an unknown {}", machine.arch),
        },
    }
}
