//! How fast a loop runs: rounds in a time, from registers that count them.

use crate::access::{LoopCounter, RegisterValues};
use crate::process::Time;

/// Two samples of one thread in one loop.
const MIN_PAIRS: usize = 10;
/// So many of ten pairs must have the counter move forwards: else the loop is entered anew too often to
/// tell.
const FORWARD_OF_TEN: usize = 9;
/// Samples that are further apart than so many times their usual distance have something else between
/// them.
const LONG_GAP: f64 = 1.5;
/// No loop makes more rounds in a ns: one a cycle at 8 GHz.
const MOST_PER_NS: f64 = 8.0;

/// A sample in a loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaceSample {
    /// When.
    pub time: Time,
    /// Registers.
    pub registers: RegisterValues,
}

/// Rounds and the time that they took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    /// Rounds.
    pub rounds: u64,
    /// ns.
    pub time: u64,
    /// Pairs of samples that this is from.
    pub pairs: usize,
}

impl Pace {
    /// Rounds in a ns.
    pub fn per_ns(&self) -> f64 {
        self.rounds as f64 / self.time.max(1) as f64
    }
}

/// The pace of a loop that one thread was sampled in, from neighbouring samples in order of time; by the
/// counter that tells most. `None` where no counter tells.
pub fn pace(samples: &[PaceSample], counters: &[LoopCounter]) -> Option<Pace> {
    let mut gaps: Vec<u64> = samples
        .windows(2)
        .map(|pair| pair[1].time.0.saturating_sub(pair[0].time.0))
        .filter(|gap| *gap > 0)
        .collect();
    gaps.sort_unstable();
    let limit = *gaps.get(gaps.len() / 2)? as f64 * LONG_GAP;
    let paces = counters.iter().filter_map(|counter| by_counter(samples, counter, limit));
    paces.max_by_key(|pace| pace.pairs)
}

fn by_counter(samples: &[PaceSample], counter: &LoopCounter, limit: f64) -> Option<Pace> {
    let (mut pace, mut tried) = (Pace::default(), 0);
    for pair in samples.windows(2) {
        let gap = pair[1].time.0.saturating_sub(pair[0].time.0);
        let values =
            (pair[0].registers.get(counter.register), pair[1].registers.get(counter.register));
        let (Some(before), Some(after)) = values else { continue };
        if gap == 0 || gap as f64 > limit {
            continue;
        }
        tried += 1;
        let rounds = counter.rounds(before, after);
        if let Some(rounds) = rounds.filter(|it| *it as f64 <= gap as f64 * MOST_PER_NS) {
            pace.rounds += rounds;
            pace.time += gap;
            pace.pairs += 1;
        }
    }
    let is_steady = pace.pairs * 10 >= tried * FORWARD_OF_TEN;
    (pace.pairs >= MIN_PAIRS && is_steady && pace.rounds > 0).then_some(pace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: LoopCounter = LoopCounter { register: 0, step: 1, is_narrow: false };

    /// Samples at ms, with the counter's value.
    fn samples(of: impl IntoIterator<Item = (u64, u64)>) -> Vec<PaceSample> {
        let sample = |(ms, value)| PaceSample {
            time: Time(ms * 1_000_000),
            registers: RegisterValues::new(1, [value]),
        };
        of.into_iter().map(sample).collect()
    }

    #[test]
    fn rounds_are_counted_between_neighbours() {
        let steady = samples((0..30).map(|ms| (ms, ms * 50_000)));
        let found = pace(&steady, &[COUNTER]).expect("a pace");
        assert_eq!((found.pairs, found.rounds), (29, 29 * 50_000));
        assert!((found.per_ns() - 0.05).abs() < 1e-9);
        // While it slept nothing ran.
        let slept = samples((0..30).map(|n| (n + if n >= 15 { 400 } else { 0 }, n * 50_000)));
        assert_eq!(pace(&slept, &[COUNTER]).map(|it| it.pairs), Some(28));
    }

    #[test]
    fn a_loop_that_begins_anew_all_the_time_has_no_pace() {
        let anew = samples((0..60).map(|ms| (ms, ms * 7_919 % 1_000)));
        assert_eq!(pace(&anew, &[COUNTER]), None);
        let few = samples((0..5).map(|ms| (ms, ms * 100)));
        assert_eq!(pace(&few, &[COUNTER]), None);
        let still = samples((0..30).map(|ms| (ms, 7)));
        assert_eq!(pace(&still, &[COUNTER]), None);
        assert_eq!(pace(&[], &[COUNTER]), None);
    }
}
