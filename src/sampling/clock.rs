//! The kernel's CPU clock with the user's registers: what works where there is no PMU.

use super::attributes::{SOFTWARE, base, exclusions, kernel_note, side_suffix, tracking};
use super::sampler::{PlannedEvent, Role, SamplerKind, SamplerPlan};
use super::sampler_error::SamplerError;
use super::sampler_options::{Rate, SamplerOptions};
use crate::perf_data::{AttrFlags, SampleType};
use crate::system::{EventWords, Machine};

/// Nanoseconds between two samples where nothing is asked: a prime near a millisecond, so that it is
/// no multiple of what a program or a timer does at round intervals.
pub const DEFAULT_PERIOD: u64 = 999_983;
/// The shortest period that the kernel's clock event keeps, nanoseconds (it takes shorter ones as
/// this).
pub const SHORTEST_PERIOD: u64 = 10_000;
/// General registers, instruction pointer and flags of x86-64: `PERF_REG_X86_AX` 0 to `FLAGS` 9 and
/// `R8` 16 to `R15` 23.
pub const X86_64_REGISTERS: u64 = 0x00ff_03ff;
/// `x0` to `x30`, stack pointer and program counter of arm64: 0 to 32.
pub const ARM64_REGISTERS: u64 = 0x1_ffff_ffff;
/// `PERF_COUNT_SW_CPU_CLOCK`.
const CPU_CLOCK: u64 = 0;

/// Plans the clock for a machine; it works on every one whose registers are known here.
///
/// # Errors
///
/// An architecture whose registers are not known here, or an option that the clock does not have.
pub fn plan(machine: &Machine, options: &SamplerOptions) -> Result<SamplerPlan, SamplerError> {
    let registers = match machine.arch.as_str() {
        "x86_64" => X86_64_REGISTERS,
        "aarch64" => ARM64_REGISTERS,
        arch => {
            return Err(SamplerError::NotHere {
                kind: SamplerKind::Clock,
                cause: format!("the registers of {arch} are not known to this version"),
                remedy: "record with perf mem record, if that works there".to_owned(),
            });
        }
    };
    if let Some(ldlat) = options.ldlat {
        return Err(SamplerError::Option {
            kind: SamplerKind::Clock,
            option: format!("--ldlat {ldlat}"),
            cause: "the clock does not know latencies".to_owned(),
        });
    }
    let mut fields = SampleType::IP
        | SampleType::TID
        | SampleType::TIME
        | SampleType::CPU
        | SampleType::PERIOD
        | SampleType::IDENTIFIER
        | SampleType::REGS_USER;
    if options.call_graph {
        fields |= SampleType::CALLCHAIN;
    }
    let words = EventWords { config: CPU_CLOCK, ..EventWords::default() };
    let mut attr = base(SOFTWARE, words, fields);
    attr.sample_period = period(options.rate);
    attr.sample_regs_user = registers;
    attr.flags |= exclusions(options.privilege, &machine.permissions) | AttrFlags::EXCLUDE_GUEST;
    let side = side_suffix(attr.flags);
    let mut dummy = tracking(fields);
    // Its fields are those of the clock, so it must name the registers too.
    dummy.attr.sample_regs_user = registers;
    let clock = PlannedEvent {
        name: if side.is_empty() { "cpu-clock".to_owned() } else { format!("cpu-clock:{side}") },
        attr,
        role: Role::Samples,
        cpus: None,
        aux_bytes: None,
        precise_fallback: Vec::new(),
    };
    Ok(SamplerPlan {
        kind: SamplerKind::Clock,
        events: vec![clock, dummy],
        reason: format!(
            "the clock, because {}: accesses are worked out from the registers and instructions of \
             each sample",
            super::missing_pmu::without_pmu_cause(machine)
        ),
        notes: kernel_note(options, &machine.permissions).into_iter().collect(),
    })
}

fn period(rate: Rate) -> u64 {
    match rate {
        Rate::Default => DEFAULT_PERIOD,
        Rate::Frequency(1000) => DEFAULT_PERIOD,
        Rate::Frequency(frequency) => {
            1_000_000_000_u64.checked_div(frequency).unwrap_or(u64::MAX) | 1
        }
        Rate::Period(period) => period,
    }
    .max(SHORTEST_PERIOD)
}

/// The next period, nanoseconds: evenly drawn from the eighth below to the eighth above `base`, so
/// that on average it is `base` and no program can keep in step with it. `random` is any 64 random
/// bits.
pub fn jittered_period(base: u64, random: u64) -> u64 {
    let spread = base / 4;
    // The high half of the product is an even draw from 0 ..= spread, without a division.
    let draw = (u128::from(random) * (u128::from(spread) + 1)) >> 64;
    (base - spread / 2).saturating_add(draw as u64).max(SHORTEST_PERIOD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_those_of_the_kernel_header() {
        use perf_event_open_sys::bindings as header;
        let ranges = [
            (header::PERF_REG_X86_AX, header::PERF_REG_X86_FLAGS),
            (header::PERF_REG_X86_R8, header::PERF_REG_X86_R15),
        ];
        let mask = ranges
            .iter()
            .flat_map(|&(first, last)| first..=last)
            .fold(0, |mask, bit| mask | 1_u64 << bit);
        assert_eq!(X86_64_REGISTERS, mask);
    }

    #[test]
    fn a_period_is_jittered_around_its_base() {
        let base = DEFAULT_PERIOD;
        assert_eq!(jittered_period(base, 0), base - base / 8);
        assert_eq!(jittered_period(base, u64::MAX), base - base / 8 + base / 4);
        // A low-discrepancy sequence in place of chance: its mean is exact.
        let draws = 100_000_u64;
        let golden = 0x9e37_79b9_7f4a_7c15_u64;
        let sum: u64 =
            (0..draws).map(|index| jittered_period(base, index.wrapping_mul(golden))).sum();
        let mean = sum / draws;
        assert!(mean.abs_diff(base) < 50, "{mean}");
        assert_eq!(jittered_period(0, 7), SHORTEST_PERIOD);
        assert_eq!(jittered_period(u64::MAX, u64::MAX), u64::MAX);
    }
}
