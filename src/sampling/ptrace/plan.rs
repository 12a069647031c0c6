//! What sampling by `ptrace` samples, and what it cannot do.

use crate::perf_data::{AttrFlags, SampleType};
use crate::sampling::attributes::{SOFTWARE, base};
use crate::sampling::clock::{SHORTEST_PERIOD, X86_64_REGISTERS};
use crate::sampling::sampler::{PlannedEvent, Role, SamplerKind, SamplerPlan};
use crate::sampling::sampler_error::SamplerError;
use crate::sampling::sampler_options::{Privilege, Rate, SamplerOptions};
use crate::sampling::target::Target;
use crate::system::{EventWords, Machine};

/// Nanoseconds of CPU time between two samples of a thread where nothing is asked: a prime near eight
/// milliseconds, which costs 1 to 2 %.
const DEFAULT_PERIOD: u64 = 7_999_993;
/// What a sample costs, ns, the tracer's work included: two busy threads on two CPUs lost 1.0 to 1.8 %
/// at 125 Hz and 2.7 % at 250 Hz.
const COST: u64 = 110_000;
/// The name of the event, by which reports know how the samples were taken.
const EVENT: &str = "ptrace";
/// `PERF_COUNT_SW_CPU_CLOCK`.
const CPU_CLOCK: u64 = 0;
/// `CLOCK_MONOTONIC`.
const MONOTONIC: i32 = 1;

/// Plans the sampling; it works wherever `ptrace` does and the registers are known here.
pub(in crate::sampling) fn plan(
    machine: &Machine,
    options: &SamplerOptions,
) -> Result<SamplerPlan, SamplerError> {
    const KIND: SamplerKind = SamplerKind::Ptrace;
    if machine.arch != "x86_64" || !cfg!(target_arch = "x86_64") {
        return Err(SamplerError::NotHere {
            kind: KIND,
            cause: format!("the registers of {} are not read by this version", machine.arch),
            remedy: "use --sampler clock".to_owned(),
        });
    }
    let refuse = |option: String, cause: &str| {
        Err(SamplerError::Option { kind: KIND, option, cause: cause.to_owned() })
    };
    if let Some(ldlat) = options.ldlat {
        return refuse(format!("--ldlat {ldlat}"), "it does not know latencies");
    }
    if options.call_graph {
        return refuse("-g".to_owned(), "it does not follow callers");
    }
    if options.privilege == Privilege::Kernel {
        return refuse("--all-kernel".to_owned(), "it does not see the kernel's code");
    }
    let fields = SampleType::IP
        | SampleType::TID
        | SampleType::TIME
        | SampleType::CPU
        | SampleType::PERIOD
        | SampleType::IDENTIFIER
        | SampleType::REGS_USER;
    let words = EventWords { config: CPU_CLOCK, ..EventWords::default() };
    let mut attr = base(SOFTWARE, words, fields);
    attr.sample_period = match options.rate {
        Rate::Default => DEFAULT_PERIOD,
        Rate::Frequency(frequency) => {
            1_000_000_000_u64.checked_div(frequency).unwrap_or(u64::MAX) | 1
        }
        Rate::Period(period) => period,
    }
    .max(SHORTEST_PERIOD);
    attr.sample_regs_user = X86_64_REGISTERS;
    attr.clockid = MONOTONIC;
    attr.flags |= AttrFlags::USE_CLOCKID
        | AttrFlags::MMAP
        | AttrFlags::MMAP2
        | AttrFlags::MMAP_DATA
        | AttrFlags::COMM
        | AttrFlags::COMM_EXEC
        | AttrFlags::TASK
        | AttrFlags::BUILD_ID
        | AttrFlags::EXCLUDE_HV
        | AttrFlags::EXCLUDE_GUEST;
    if options.privilege == Privilege::User {
        attr.flags |= AttrFlags::EXCLUDE_KERNEL;
    }
    let rate = 1_000_000_000 / attr.sample_period;
    Ok(SamplerPlan {
        kind: KIND,
        events: vec![PlannedEvent {
            name: EVENT.to_owned(),
            attr,
            role: Role::Samples,
            cpus: None,
            aux_bytes: None,
            precise_fallback: Vec::new(),
        }],
        reason: KIND.to_string(),
        notes: vec![format!(
            "threads were stopped with ptrace, {rate} times in a second of CPU time, which costs about \
             {:.1} % of it",
            COST as f64 / attr.sample_period as f64 * 100.0
        )],
    })
}

/// Why a target cannot be followed with `ptrace`, if it cannot.
pub fn cannot_follow(target: &Target) -> Option<SamplerError> {
    let option = match target {
        Target::Command(_) | Target::Processes(_) => return None,
        Target::Threads(_) => "-t",
        Target::Cpus(cpus) if cpus.is_empty() => "-a",
        Target::Cpus(_) => "-C",
        Target::Cgroup(_) => "-G",
    };
    Some(SamplerError::Option {
        kind: SamplerKind::Ptrace,
        option: option.to_owned(),
        cause: "it follows a command, or processes (-p)".to_owned(),
    })
}
