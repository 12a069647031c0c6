//! Arm's statistical profiling extension: the PMUs `arm_spe_0` and so on, one for each kind of core.

use super::attributes::{
    base, cpus_of, exclusions, kernel_note, memory_sample_type, physical_note, side_suffix,
    tracking,
};
use super::sampler::{PlannedEvent, Role, SamplerKind, SamplerPlan};
use super::sampler_error::SamplerError;
use super::sampler_options::{Rate, SamplerOptions};
use crate::perf_data::AttrFlags;
use crate::system::{EventWords, Machine, Pmu, Vendor};

/// Least latency of sampled operations, cycles, where none is asked: what perf takes.
const DEFAULT_MIN_LATENCY: u32 = 30;
/// Operations between two samples where the PMU does not say its shortest interval.
const DEFAULT_INTERVAL: u64 = 4096;
/// AUX buffer of each CPU where locked memory is not limited, bytes.
const AUX_PRIVILEGED: u64 = 4 << 20;
/// AUX buffer of each CPU otherwise, bytes.
const AUX_UNPRIVILEGED: u64 = 128 << 10;

/// Plans SPE for a machine.
///
/// # Errors
///
/// The machine has no such PMU, or an option asks for what it has not.
pub fn plan(machine: &Machine, options: &SamplerOptions) -> Result<SamplerPlan, SamplerError> {
    let pmus: Vec<&Pmu> =
        machine.pmus.iter().filter(|pmu| pmu.name.starts_with("arm_spe_")).collect();
    if pmus.is_empty() {
        return Err(not_here(machine));
    }
    let permissions = &machine.permissions;
    let may_see_kernel = permissions.may_sample_kernel();
    let physical = !options.no_physical_addresses && may_see_kernel;
    let min_latency = options.ldlat.unwrap_or(DEFAULT_MIN_LATENCY);
    let is_unlimited =
        permissions.is_perfmon_capable() || permissions.paranoid.is_some_and(|level| level < 0);
    let fields = memory_sample_type(&machine.arch, options, physical);
    let mut events = Vec::new();
    for pmu in &pmus {
        let mut words = EventWords::default();
        let mut terms = Vec::new();
        let settings = [
            ("ts_enable", 1),
            // Physical addresses are the kernel's to give.
            ("pa_enable", u32::from(physical)),
            ("load_filter", 1),
            ("store_filter", 1),
            ("min_latency", min_latency),
        ];
        for (name, value) in settings.into_iter().filter(|(_, value)| *value > 0) {
            pmu.set(&mut words, name, u64::from(value))?;
            terms.push(format!("{name}={value}"));
        }
        let mut attr = base(pmu.kind, words, fields);
        attr.sample_period = period(pmu, options.rate);
        attr.flags |= exclusions(options.privilege, permissions) | AttrFlags::EXCLUDE_GUEST;
        events.push(PlannedEvent {
            name: format!("{}/{}/{}", pmu.name, terms.join(","), side_suffix(attr.flags)),
            attr,
            role: Role::Samples,
            cpus: cpus_of(pmu, machine),
            aux_bytes: Some(if is_unlimited { AUX_PRIVILEGED } else { AUX_UNPRIVILEGED }),
            precise_fallback: Vec::new(),
        });
    }
    let mut dummy = tracking(fields);
    // The buffer says what each CPU ran; the switches say when.
    dummy.attr.flags |= AttrFlags::CONTEXT_SWITCH;
    events.push(dummy);
    let mut notes: Vec<String> = kernel_note(options, permissions).into_iter().collect();
    notes.extend(physical_note(options, permissions));
    if let Rate::Frequency(frequency) = options.rate {
        notes.push(format!(
            "{frequency} Hz are not kept: SPE counts operations and knows no frequency; -c sets how \
             many lie between two samples"
        ));
    }
    Ok(SamplerPlan {
        kind: SamplerKind::Spe,
        events,
        reason: format!(
            "SPE, because this machine has the PMU {}: the hardware says where each sampled load \
             was served from",
            pmus.iter().map(|pmu| pmu.name.as_str()).collect::<Vec<_>>().join(" and ")
        ),
        notes,
    })
}

/// Operations between two samples. The driver refuses a frequency.
fn period(pmu: &Pmu, rate: Rate) -> u64 {
    match rate {
        Rate::Period(period) => period,
        Rate::Default | Rate::Frequency(_) => {
            let interval = pmu.cap("min_interval").and_then(|text| text.parse().ok());
            interval.filter(|&interval| interval > 0).unwrap_or(DEFAULT_INTERVAL)
        }
    }
}

fn not_here(machine: &Machine) -> SamplerError {
    let kind = SamplerKind::Spe;
    match machine.cpu.vendor() {
        Vendor::Arm if machine.surroundings.virtualisation.is_virtual => SamplerError::NotHere {
            kind,
            cause: super::missing_pmu::without_pmu_cause(machine),
            remedy: super::missing_pmu::without_pmu_remedy(machine),
        },
        Vendor::Arm => SamplerError::NotHere {
            kind,
            cause:
                "there is no arm_spe_0 in sysfs: the CPU lacks the extension, the kernel's driver \
                    arm_spe_pmu is not loaded, or the firmware does not describe it"
                    .to_owned(),
            remedy: "try modprobe arm_spe_pmu and, with kernel page table isolation, the kernel \
                     parameter kpti=off; or use --sampler clock"
                .to_owned(),
        },
        vendor => SamplerError::NotHere {
            kind,
            cause: format!(
                "SPE is Arm's and this CPU is {}",
                super::missing_pmu::vendor_name(vendor, machine)
            ),
            remedy: "use --sampler auto".to_owned(),
        },
    }
}
