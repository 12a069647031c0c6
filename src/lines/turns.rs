//! Whether threads use a line one after another, from the order of samples alone.

use std::collections::BTreeMap;

use super::sharing::Thread;
use crate::process::Time;

/// Fewer samples tell nothing of their order.
const ENOUGH: u64 = 24;
/// In turns the next sample of a line is so many times less often another thread's than in no order.
const SELDOM: f64 = 8.0;

/// Whether the samples of each thread come together, as when one initialises what another one uses later, or
/// when work is passed on. Threads that are there at once come in no order.
pub(super) fn are_in_turns(samples: impl Iterator<Item = (Time, Thread)>) -> bool {
    let mut samples: Vec<(Time, Thread)> = samples.collect();
    samples.sort_unstable();
    let mut counts: BTreeMap<Thread, u64> = BTreeMap::new();
    samples.iter().for_each(|(_, thread)| *counts.entry(*thread).or_default() += 1);
    let all = samples.len() as f64;
    let squares: f64 = counts.values().map(|count| (*count as f64).powi(2)).sum();
    // Of all neighbours in a random order so many are of different threads.
    let expected = (all * all - squares) / all.max(1.0);
    let changes = samples.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    samples.len() as u64 >= ENOUGH && (changes as f64) * SELDOM < expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Pid, Tid};

    fn in_turns(order: impl Iterator<Item = u32>) -> bool {
        are_in_turns(
            order.zip(0..).map(|(thread, at)| (Time(at * 1_000_000), (Pid(1), Tid(thread)))),
        )
    }

    #[test]
    fn one_after_the_other_is_in_turns() {
        assert!(in_turns((0..200).map(|at| at / 100)), "two phases");
        assert!(in_turns((0..400).map(|at| at / 40 % 2)), "passed on every 40 samples");
        assert!(in_turns((0..100).map(|at| at / 25)), "four threads");
    }

    #[test]
    fn at_once_is_not_in_turns() {
        assert!(!in_turns((0..200).map(|at| at % 2)), "each in between the others");
        assert!(!in_turns((0..200).map(|at| at / 3 % 2)), "three samples each");
        assert!(!in_turns((0..20).map(|at| at / 10)), "too few samples");
        // A writer of one in 100 samples, in the middle of a reader's.
        assert!(!in_turns((0..400).map(|at| u32::from(at % 100 == 50))));
        assert!(!in_turns((0..200).map(|_| 7)), "one thread");
    }
}
