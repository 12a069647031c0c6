//! AMD's instruction-based sampling of operations: the PMU `ibs_op`.
//!
//! It samples every kind of operation, loads and stores among them. Bits that a kernel does not
//! describe in `format/` are refused by it, so none of them is set.

use super::attributes::{
    base, cpus_of, exclusions, kernel_note, level, memory_sample_type, physical_note, raise_right,
    set_rate, tracking,
};
use super::sampler::{PlannedEvent, Role, SamplerKind, SamplerPlan};
use super::sampler_error::SamplerError;
use super::sampler_options::{Privilege, Rate, SamplerOptions};
use crate::system::{EventWords, Machine, Pmu, Vendor};

/// The PMU.
const PMU: &str = "ibs_op";
/// The shortest period that the hardware takes, operations or cycles.
const SHORTEST_PERIOD: u64 = 0x90;
/// Bits of a period that the hardware's counter does not have; kernels refuse them.
const PERIOD_LOW_BITS: u64 = 0xf;
/// Latencies that the filter can compare with, cycles (Zen 5).
const LDLAT: std::ops::RangeInclusive<u32> = 128..=2048;

/// Plans IBS for a machine.
///
/// # Errors
///
/// The machine has no such PMU, an option asks for a filter that it has not, or the kernel must be
/// left out and this PMU cannot do that.
pub fn plan(machine: &Machine, options: &SamplerOptions) -> Result<SamplerPlan, SamplerError> {
    let pmu = machine.pmu(PMU).ok_or_else(|| not_here(machine))?;
    let permissions = &machine.permissions;
    let mut words = EventWords::default();
    let mut terms = Vec::new();
    let mut set = |name: &str, value: u32, option: &str, cause: &str| {
        pmu.set(&mut words, name, u64::from(value)).map_err(|_| refuse(option, cause))?;
        terms.push(format!("{name}={value}"));
        Ok::<(), SamplerError>(())
    };
    if options.ibs_count_operations {
        set("cnt_ctl", 1, "counting operations", "this CPU's IBS counts cycles only")?;
    }
    if options.ibs_l3_miss_only {
        let cause = "this CPU's IBS has no such filter (Zen 4 and later have it)";
        set("l3missonly", 1, "sampling only misses of the last-level cache", cause)?;
    }
    if let Some(ldlat) = options.ldlat.filter(|&ldlat| ldlat > 0) {
        let option = format!("--ldlat {ldlat}");
        let cause = "this CPU's IBS has no latency filter (Zen 5 with a recent kernel has it)";
        if !has_ldlat(pmu) {
            return Err(refuse(&option, cause));
        }
        if !LDLAT.contains(&ldlat) {
            return Err(refuse(&option, "its latency filter takes 128 to 2048 cycles"));
        }
        set("ldlat", ldlat, &option, cause)?;
    }
    let sides = exclusions(options.privilege, permissions);
    if sides.0 != 0 {
        // The hardware cannot tell; recent kernels drop the samples of the other side.
        let cause = "this kernel's IBS samples user space and kernel together";
        if pmu.format("swfilt").is_none() {
            return Err(match options.privilege {
                Privilege::Any => SamplerError::NotPermitted {
                    kind: SamplerKind::Ibs,
                    cause: format!(
                        "{cause}, and kernel.perf_event_paranoid {} keeps the kernel from this user",
                        level(permissions)
                    ),
                    remedy: raise_right(1),
                },
                Privilege::User => refuse("--all-user", cause),
                Privilege::Kernel => refuse("--all-kernel", cause),
            });
        }
        set("swfilt", 1, "leaving out a side", cause)?;
    }

    let physical = !options.no_physical_addresses && permissions.may_sample_kernel();
    let mut attr = base(pmu.kind, words, memory_sample_type(&machine.arch, options, physical));
    let mut notes: Vec<String> = kernel_note(options, permissions).into_iter().collect();
    notes.extend(physical_note(options, permissions));
    set_rate(&mut attr, rate(options.rate, &mut notes)?, permissions);
    attr.flags |= sides;

    let name = format!("{PMU}/{}/{}", terms.join(","), super::attributes::side_suffix(sides));
    let fields = attr.sample_type;
    let operations = PlannedEvent {
        name,
        attr,
        role: Role::Samples,
        cpus: cpus_of(pmu, machine),
        aux_bytes: None,
        precise_fallback: Vec::new(),
    };
    Ok(SamplerPlan {
        kind: SamplerKind::Ibs,
        events: vec![operations, tracking(fields)],
        reason:
            "IBS, because this machine has the PMU ibs_op: the hardware says where each sampled \
                 load was served from"
                .to_owned(),
        notes,
    })
}

/// Whether loads can be filtered by latency: the setting is there, and the hardware says so where it
/// says anything.
fn has_ldlat(pmu: &Pmu) -> bool {
    pmu.format("ldlat").is_some() && pmu.cap("ldlat").is_none_or(|value| value.trim() == "1")
}

/// A period without the bits that the counter does not have.
fn rate(rate: Rate, notes: &mut Vec<String>) -> Result<Rate, SamplerError> {
    let Rate::Period(asked) = rate else {
        return Ok(rate);
    };
    if asked < SHORTEST_PERIOD {
        return Err(refuse(&format!("a period of {asked}"), "the shortest period of IBS is 144"));
    }
    let period = asked & !PERIOD_LOW_BITS;
    if period != asked {
        notes
            .push(format!("the period is {period} in place of {asked}: IBS counts in steps of 16"));
    }
    Ok(Rate::Period(period))
}

fn refuse(option: &str, cause: &str) -> SamplerError {
    SamplerError::Option {
        kind: SamplerKind::Ibs,
        option: option.to_owned(),
        cause: cause.to_owned(),
    }
}

fn not_here(machine: &Machine) -> SamplerError {
    let kind = SamplerKind::Ibs;
    match machine.cpu.vendor() {
        Vendor::Amd => SamplerError::NotHere {
            kind,
            cause: super::missing_pmu::without_pmu_cause(machine),
            remedy: super::missing_pmu::without_pmu_remedy(machine),
        },
        vendor => SamplerError::NotHere {
            kind,
            cause: format!(
                "IBS is AMD's and this CPU is {}",
                super::missing_pmu::vendor_name(vendor, machine)
            ),
            remedy: "use --sampler auto".to_owned(),
        },
    }
}
