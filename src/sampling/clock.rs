//! The clock sampler: where threads spend their time, with their registers.

use super::error::SamplingError;
use super::sampler::{PlannedEvent, Role, SamplerKind, SamplerPlan};
use crate::perf_data::{AttrFlags, EventAttr, ReadFormat, SampleType};
use crate::system::Machine;

/// How often the clock samples by default, Hz: often enough to see what costs 1 % of ten seconds, and
/// seldom enough not to slow the target (see the README's figures).
pub const DEFAULT_CLOCK_HZ: u64 = 1_000;

const PERF_TYPE_SOFTWARE: u32 = 1;
const PERF_COUNT_SW_CPU_CLOCK: u64 = 0;

/// `PERF_REG_X86_*`: `ax` to `flags` and `r8` to `r15`; segment selectors tell nothing of addresses.
pub const X86_64_REGISTERS: u64 = 0xff_03ff;
/// `PERF_REG_ARM64_*`: `x0` to `x29`, `lr`, `sp`, `pc`.
const ARM64_REGISTERS: u64 = 0x1_ffff_ffff;

/// How to sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Samples each second.
    pub frequency: Option<u64>,
    /// Events between samples; ns for the clock. Wins over the frequency.
    pub period: Option<u64>,
}

/// Which code is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modes {
    /// Leave out the kernel.
    pub user_only: bool,
    /// Leave out user code.
    pub kernel_only: bool,
}

/// Options that every sampler knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamplerOptions {
    /// How often.
    pub rate: Rate,
    /// Where.
    pub modes: Modes,
    /// Whether callers are wanted.
    pub call_graph: bool,
}

/// Plans the clock.
///
/// # Errors
///
/// [`SamplingError::Rate`] for a frequency or period that cannot be.
pub fn clock_plan(
    machine: &Machine,
    options: &SamplerOptions,
    reason: String,
) -> Result<SamplerPlan, SamplingError> {
    let mut sample_type = SampleType::IDENTIFIER
        | SampleType::IP
        | SampleType::TID
        | SampleType::TIME
        | SampleType::CPU
        | SampleType::PERIOD
        | SampleType::REGS_USER;
    if options.call_graph {
        sample_type = sample_type | SampleType::CALLCHAIN;
    }
    let mut flags = AttrFlags::SAMPLE_ID_ALL
        | AttrFlags::MMAP
        | AttrFlags::MMAP2
        | AttrFlags::MMAP_DATA
        | AttrFlags::BUILD_ID
        | AttrFlags::COMM
        | AttrFlags::COMM_EXEC
        | AttrFlags::TASK
        | AttrFlags::EXCLUDE_GUEST
        | AttrFlags::EXCLUDE_HV;
    let may_see_kernel = machine.permissions.allows_kernel();
    if options.modes.user_only || !may_see_kernel {
        flags = flags | AttrFlags::EXCLUDE_KERNEL | AttrFlags::EXCLUDE_CALLCHAIN_KERNEL;
    }
    if options.modes.kernel_only {
        flags = flags | AttrFlags::EXCLUDE_USER;
    }
    let attr = EventAttr {
        kind: PERF_TYPE_SOFTWARE,
        size: crate::perf_data::ATTR_SIZE_DEFAULT as u32,
        config: PERF_COUNT_SW_CPU_CLOCK,
        sample_period: clock_period(&options.rate, machine.permissions.max_sample_rate)?,
        sample_type,
        read_format: ReadFormat::ID | ReadFormat::LOST,
        flags,
        sample_regs_user: match cfg!(target_arch = "aarch64") {
            true => ARM64_REGISTERS,
            false => X86_64_REGISTERS,
        },
        ..EventAttr::default()
    };
    let event = PlannedEvent {
        name: "cpu-clock".to_owned(),
        attr,
        role: Role::Samples,
        cpus: None,
        aux_bytes: None,
        precise_fallback: Vec::new(),
    };
    Ok(SamplerPlan { kind: SamplerKind::Clock, events: vec![event], reason })
}

/// ns between samples.
fn clock_period(rate: &Rate, max_rate: Option<u64>) -> Result<u64, SamplingError> {
    const SECOND: u64 = 1_000_000_000;
    let wrong = |text: String| Err(SamplingError::Rate(text));
    let period = match (rate.period, rate.frequency) {
        (Some(period), _) => period,
        (None, Some(0)) => return wrong("a frequency of 0 Hz samples nothing".to_owned()),
        (None, frequency) => SECOND / frequency.unwrap_or(DEFAULT_CLOCK_HZ).min(SECOND),
    };
    if period == 0 {
        return wrong("a period of 0 samples nothing".to_owned());
    }
    if let Some(max_rate) = max_rate.filter(|rate| *rate > 0)
        && SECOND / period > max_rate
    {
        return wrong(format!(
            "{} samples a second are more than this kernel takes, which is {max_rate} \
             (kernel.perf_event_max_sample_rate): give -F {max_rate} or less",
            SECOND / period
        ));
    }
    Ok(jittered(period, 0))
}

/// A period near `base`, by a number drawn at random: up to 5 % longer or shorter, so that samples do
/// not keep step with a program that does something every millisecond.
pub fn jittered(base: u64, random: u64) -> u64 {
    // From round numbers the first one keeps away by an odd fraction (1.37 %).
    const OFF: u64 = 137;
    let span = base / 10;
    let base = base + base / 10_000 * OFF;
    if span == 0 || random == 0 { base } else { base - span / 2 + random % span }
}
