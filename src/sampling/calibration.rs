//! How fast this machine is where nobody is in its way: what time at a contended line is compared with.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::perf_data::Calibration;

/// Rounds of one measurement: some microseconds.
const ROUNDS: u64 = 2_000;
/// The fastest of so many counts: the others were disturbed, be it by another machine on the same CPU.
const REPEATS: u32 = 40;
/// Disturbances last.
const BETWEEN: Duration = Duration::from_micros(200);
/// Cycles of a multiplication of 64-bit numbers that depends on the one before, three on Intel since
/// Nehalem and on AMD since Zen, and of one that combines its bits with others (uops.info; Agner Fog,
/// "Instruction tables").
const CHAIN_CYCLES: u64 = 4;

/// Measures; takes about ten milliseconds, most of them asleep.
pub(super) fn calibrate() -> Calibration {
    let own = AtomicU64::new(0);
    let (mut locked, mut stored, mut chain) = (u64::MAX, u64::MAX, u64::MAX);
    for _ in 0..REPEATS {
        locked = locked.min(nanoseconds(|| {
            for _ in 0..ROUNDS {
                black_box(own.fetch_add(1, Ordering::Relaxed));
            }
        }));
        stored = stored.min(nanoseconds(|| {
            for _ in 0..ROUNDS {
                own.store(own.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            }
        }));
        chain = chain.min(nanoseconds(|| {
            let mut number = black_box(0x9e37_79b9_7f4a_7c15_u64);
            let (factor, others) = (black_box(number | 1), black_box(number >> 7));
            for _ in 0..ROUNDS {
                number = number.wrapping_mul(factor) ^ others;
            }
            black_box(number);
        }));
        std::thread::sleep(BETWEEN);
    }
    let of_round = |time: u64| time.saturating_mul(1_000) / ROUNDS;
    Calibration {
        cycle_ps: of_round(chain) / CHAIN_CYCLES,
        locked_ps: of_round(locked),
        stored_ps: of_round(stored),
    }
}

fn nanoseconds(run: impl Fn()) -> u64 {
    let start = Instant::now();
    run();
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
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
