//! How fast this machine is where nobody is in its way: what time at a contended line is compared with.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::perf_data::Calibration;

/// Rounds of one measurement: some tens of microseconds.
const ROUNDS: u32 = 10_000;
/// The fastest of so many counts: the others were disturbed.
const REPEATS: u32 = 5;
/// Cycles of a multiplication of 64-bit numbers that depends on the one before, three on Intel since
/// Nehalem and on AMD since Zen, and of one that combines its bits with others (uops.info; Agner Fog,
/// "Instruction tables").
const CHAIN_CYCLES: u64 = 4;

/// Measures; takes less than a millisecond.
pub(super) fn calibrate() -> Calibration {
    let own = AtomicU64::new(0);
    let locked_ps = fastest(|| {
        for _ in 0..ROUNDS {
            black_box(own.fetch_add(1, Ordering::Relaxed));
        }
    });
    let stored_ps = fastest(|| {
        for _ in 0..ROUNDS {
            own.store(own.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    });
    let chain_ps = fastest(|| {
        let mut number = black_box(0x9e37_79b9_7f4a_7c15_u64);
        let (factor, others) = (black_box(number | 1), black_box(number >> 7));
        for _ in 0..ROUNDS {
            number = number.wrapping_mul(factor) ^ others;
        }
        black_box(number);
    });
    Calibration { cycle_ps: chain_ps / CHAIN_CYCLES, locked_ps, stored_ps }
}

/// Picoseconds of one round in the fastest of several runs.
fn fastest(run: impl Fn()) -> u64 {
    let one = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_nanos() as u64
    };
    let shortest = (0..REPEATS).map(one).min().unwrap_or_default();
    shortest.saturating_mul(1_000) / u64::from(ROUNDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_of_this_world() {
        let Calibration { cycle_ps, locked_ps, stored_ps } = calibrate();
        // Without optimisation the loops take longer than what they measure.
        assert!((50..50_000).contains(&cycle_ps), "{cycle_ps} ps");
        assert!((500..500_000).contains(&locked_ps), "{locked_ps} ps");
        assert!((50..500_000).contains(&stored_ps), "{stored_ps} ps");
    }
}
