//! How long a cache line takes from one CPU to another.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::claim::{Groups, Relation, contradictions};
use super::statistics::median;
use crate::kernel::pin_this_thread;

/// Machines with more CPUs are measured on a sample of them.
const MOST_CPUS: usize = 32;
/// Passes there and back in a batch.
const ROUNDS: u64 = 200;
/// Batches of a pair, unless the time is over before.
const BATCHES: usize = 41;
/// Time for one direction of a pair.
const TIME: Duration = Duration::from_micros(2500);
/// A partner that does not answer for so long does not run at all.
const PATIENCE: Duration = Duration::from_millis(200);
/// Looks at the word between two looks at the clock.
const LOOKS: u32 = 1 << 14;

/// A line that two threads passed to and fro, each pinned to its CPU.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PassedLine {
    /// The CPU that begins.
    pub from: u32,
    /// The other.
    pub to: u32,
    /// The nearest thing that they share, as the machine says.
    pub claim: Relation,
    /// One way, ns: the median of all batches; `None` where it could not be measured.
    pub nanoseconds: Option<f64>,
    /// The same at the end of the self-test.
    pub nanoseconds_later: Option<f64>,
    /// Batches of 200 passes there and back.
    pub batches: usize,
    /// Why not.
    pub reason: Option<String>,
}

/// The matrix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinePassing {
    /// CPUs on which this process may run.
    pub allowed_cpus: usize,
    /// Those that were measured, each with each of the others.
    pub cpus: Vec<u32>,
    /// Both directions of all pairs.
    pub pairs: Vec<PassedLine>,
    /// Where the measurements contradict what the machine says, in sentences.
    pub contradictions: Vec<String>,
}

impl LinePassing {
    /// Measures all pairs of the CPUs, or of a sample where they are many.
    pub(super) fn measure(allowed: &[u32], groups: &Groups) -> Self {
        let cpus = chosen_cpus(allowed);
        let ordered = cpus.iter().flat_map(|from| cpus.iter().map(move |to| (*from, *to)));
        let pairs: Vec<PassedLine> = ordered
            .filter(|(from, to)| from != to)
            .map(|(from, to)| {
                let claim = groups.relation(from, to);
                let none = PassedLine {
                    from,
                    to,
                    claim,
                    nanoseconds: None,
                    nanoseconds_later: None,
                    batches: 0,
                    reason: None,
                };
                match pass(from, to) {
                    Ok(times) => {
                        PassedLine { nanoseconds: median(&times), batches: times.len(), ..none }
                    }
                    Err(error) => PassedLine { reason: Some(error.to_string()), ..none },
                }
            })
            .collect();
        Self { allowed_cpus: allowed.len(), cpus, pairs, contradictions: Vec::new() }
    }

    /// Measures the same pairs again, some time after, and compares everything.
    pub(super) fn measure_again(&mut self) {
        for pair in self.pairs.iter_mut().filter(|pair| pair.nanoseconds.is_some()) {
            pair.nanoseconds_later = pass(pair.from, pair.to).ok().as_deref().and_then(median);
        }
        self.contradictions = contradictions(&self.pairs);
    }

    /// The two CPUs between which a line takes longest.
    pub(super) fn farthest(&self) -> Option<[u32; 2]> {
        let measured = self.pairs.iter().filter_map(|pair| Some((pair.nanoseconds?, pair)));
        measured.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, pair)| [pair.from, pair.to])
    }
}

/// All CPUs, or of more than 32 pairs of neighbours at even distances: neighbours share the most,
/// and siblings are neighbours or half of all CPUs apart.
pub fn chosen_cpus(allowed: &[u32]) -> Vec<u32> {
    if allowed.len() <= MOST_CPUS {
        return allowed.to_vec();
    }
    let groups = MOST_CPUS / 2;
    let starts = (0..groups).map(|group| group * allowed.len() / groups);
    starts.flat_map(|start| [allowed[start], allowed[start + 1]]).collect()
}

/// The line that goes to and fro, and another that is written once.
#[derive(Debug, Default)]
struct Game {
    turn: Alone<AtomicU64>,
    is_over: Alone<AtomicBool>,
}

/// With two lines to itself: prefetchers fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Alone<T>(T);

/// The time of one way in each batch, ns.
fn pass(from: u32, to: u32) -> io::Result<Vec<f64>> {
    let game = &Game::default();
    let ended = || io::Error::other("a thread ended early");
    std::thread::scope(|scope| {
        let follower = scope.spawn(move || {
            let pinned = pin_this_thread(to);
            match pinned.is_ok() {
                true => game.follow(),
                false => game.is_over.0.store(true, Ordering::Relaxed),
            }
            pinned
        });
        let leader = scope.spawn(move || {
            let times = pin_this_thread(from).and_then(|()| game.lead());
            game.is_over.0.store(true, Ordering::Relaxed);
            times
        });
        let times = leader.join().unwrap_or_else(|_| Err(ended()));
        // That it could not be pinned is why the leader got no answer.
        follower.join().unwrap_or_else(|_| Err(ended()))?;
        times
    })
}

impl Game {
    /// Answers every odd turn with the next even one. Waits without a pause instruction, which on some
    /// CPUs takes longer than the line does.
    fn follow(&self) {
        loop {
            let seen = self.turn.0.load(Ordering::Acquire);
            if seen % 2 == 1 {
                self.turn.0.store(seen + 1, Ordering::Release);
            } else if self.is_over.0.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    fn lead(&self) -> io::Result<Vec<f64>> {
        let start = Instant::now();
        let mut times = Vec::new();
        let mut next = 1;
        // The first batch waits until the partner is there, and does not count.
        for batch in 0..=BATCHES {
            let batch_start = Instant::now();
            for _ in 0..ROUNDS {
                self.turn.0.store(next, Ordering::Release);
                self.wait_for(next + 1, batch_start)?;
                next += 2;
            }
            if batch > 0 {
                times.push(batch_start.elapsed().as_nanos() as f64 / (ROUNDS * 2) as f64);
                if start.elapsed() > TIME {
                    break;
                }
            }
        }
        Ok(times)
    }

    fn wait_for(&self, wanted: u64, since: Instant) -> io::Result<()> {
        let mut looks = 0u32;
        while self.turn.0.load(Ordering::Acquire) != wanted {
            looks = looks.wrapping_add(1);
            let is_time = looks.is_multiple_of(LOOKS);
            if is_time && (since.elapsed() > PATIENCE || self.is_over.0.load(Ordering::Relaxed)) {
                return Err(io::Error::other("the other thread does not answer"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_cpus_are_all_measured_and_many_in_pairs_of_neighbours() {
        assert_eq!(chosen_cpus(&[3, 5]), [3, 5]);
        let all: Vec<u32> = (0..32).collect();
        assert_eq!(chosen_cpus(&all), all);
        let many: Vec<u32> = (0..256).collect();
        let chosen = chosen_cpus(&many);
        assert_eq!(chosen.len(), 32);
        assert_eq!(chosen[..4], [0, 1, 16, 17]);
        assert!(chosen.contains(&128) && chosen.contains(&129), "siblings of 0 and 1");
        let odd: Vec<u32> = (0..33).collect();
        let mut chosen = chosen_cpus(&odd);
        chosen.dedup();
        assert_eq!(chosen.len(), 32, "each once");
    }

    #[test]
    fn a_cpu_that_is_not_there_is_told() {
        for (from, to) in [(60_000, 0), (0, 60_000)] {
            assert!(pass(from, to).is_err(), "{from} {to}");
        }
    }
}
