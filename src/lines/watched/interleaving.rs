//! Whether threads come to a line in between each other.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::hits::PlacedHit;
use crate::process::{Cores, Cpu, Pid, Tid};

/// Threads interleave when one comes between two accesses of another that are no further apart, ns.
/// What changes hands less often costs less than a thousandth of the time: a few hundred transfers a
/// second, of at most a microsecond each.
const CLOSE_NS: u64 = 2_500_000;
/// So many hits on either side of one are looked at: more than the registers of a turn's threads make in
/// that time. It bounds the work for recordings that nobody made.
const MOST_NEAR: usize = 640;

/// What the hits of one turn on one line show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Interleaving {
    /// Hits that lie close between two of one other thread, on another core, when one of the three
    /// writes.
    pub(super) between: u64,
    /// The threads of all of these.
    pub(super) threads: BTreeSet<(Pid, Tid)>,
}

/// The distance to another thread's nearest hit on one side, and to its nearest write.
#[derive(Debug, Clone, Copy)]
struct Near {
    hit: u64,
    write: Option<u64>,
}

impl Interleaving {
    /// Looks at hits in order of time.
    pub(super) fn of(hits: &[PlacedHit], cores: &Cores) -> Self {
        let mut found = Self::default();
        let (mut before, mut after) = (FxHashMap::default(), FxHashMap::default());
        for (at, middle) in hits.iter().enumerate() {
            near(middle, hits[..at].iter().rev(), cores, &mut before);
            if before.is_empty() {
                continue;
            }
            near(middle, hits[at + 1..].iter(), cores, &mut after);
            let around = before.iter().filter(|(thread, before)| {
                after.get(*thread).is_some_and(|after| has_between(middle, before, after))
            });
            let around: Vec<(Pid, Tid)> = around.map(|(thread, _)| *thread).collect();
            if !around.is_empty() {
                found.between += 1;
                found.threads.insert((middle.hit.pid, middle.hit.tid));
                found.threads.extend(around);
            }
        }
        found
    }
}

/// The other threads that come close on other cores.
fn near<'h>(
    middle: &PlacedHit,
    hits: impl Iterator<Item = &'h PlacedHit>,
    cores: &Cores,
    found: &mut FxHashMap<(Pid, Tid), Near>,
) {
    found.clear();
    let core = |cpu: Option<Cpu>| cpu.map(|cpu| cores.first_of(cpu));
    let Some(own) = core(middle.hit.cpu) else {
        return;
    };
    for other in hits.take(MOST_NEAR) {
        let distance = other.hit.time.0.abs_diff(middle.hit.time.0);
        if distance > CLOSE_NS {
            break;
        }
        let is_elsewhere = core(other.hit.cpu).is_some_and(|core| core != own);
        if other.hit.tid == middle.hit.tid || !is_elsewhere {
            continue;
        }
        let near = found
            .entry((other.hit.pid, other.hit.tid))
            .or_insert(Near { hit: distance, write: None });
        if other.writes() && near.write.is_none() {
            near.write = Some(distance);
        }
    }
}

/// Whether a hit lies between two of a thread, and one of the three writes.
fn has_between(middle: &PlacedHit, before: &Near, after: &Near) -> bool {
    let is_close = |before: u64, after: u64| before + after <= CLOSE_NS;
    match middle.writes() {
        true => is_close(before.hit, after.hit),
        false => {
            before.write.is_some_and(|write| is_close(write, after.hit))
                || after.write.is_some_and(|write| is_close(before.hit, write))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hits::tests::hit;
    use super::*;
    use crate::access::Direction::{self, Load, Store};

    fn between(hits: &[PlacedHit]) -> u64 {
        Interleaving::of(hits, &Cores::default()).between
    }

    #[test]
    fn only_what_lies_between_two_close_accesses_of_another_thread_interleaves() {
        let three =
            |a: (u32, u64, Direction), b: (u32, u64, Direction), c: (u32, u64, Direction)| {
                between(&[a, b, c].map(|(tid, us, what)| hit(tid, tid, us, what)))
            };
        assert_eq!(three((1, 0, Load), (2, 100, Store), (1, 200, Load)), 1);
        assert_eq!(three((1, 0, Store), (2, 100, Load), (1, 200, Load)), 1);
        assert_eq!(three((1, 0, Load), (2, 100, Load), (1, 200, Store)), 1);
        assert_eq!(three((1, 0, Load), (2, 100, Load), (1, 200, Load)), 0, "nobody writes");
        assert_eq!(three((1, 0, Store), (2, 100, Store), (2, 200, Store)), 0, "handed over");
        assert_eq!(three((1, 0, Store), (2, 100, Store), (1, 5000, Store)), 0, "in turns");
        assert_eq!(three((1, 0, Load), (2, 2000, Store), (1, 4000, Load)), 0, "too far apart");
        let one_cpu = [(1, 0), (2, 100), (1, 200)].map(|(tid, us)| hit(tid, 0, us, Store));
        assert_eq!(between(&one_cpu), 0, "on one CPU");
        let fourth =
            [(1, 0), (2, 100), (3, 150), (1, 200)].map(|(tid, us)| hit(tid, tid, us, Store));
        assert_eq!(between(&fourth), 2, "both lie between");
    }

    #[test]
    fn a_write_that_is_not_the_nearest_counts_while_it_is_close() {
        let with_write_at = |us: u64| {
            [(1, us, Store), (1, 3000, Load), (2, 3100, Load), (1, 3200, Load)]
                .map(|(tid, us, what)| hit(tid, tid, us, what))
        };
        assert_eq!(between(&with_write_at(1000)), 1);
        assert_eq!(between(&with_write_at(600)), 0);
    }

    #[test]
    fn hardware_threads_of_one_core_do_not_interleave() {
        let hits =
            [(1, 0, 0), (2, 1, 100), (1, 0, 200)].map(|(tid, cpu, us)| hit(tid, cpu, us, Store));
        assert_eq!(between(&hits), 1);
        assert_eq!(Interleaving::of(&hits, &Cores::new([vec![0, 1]])).between, 0);
    }

    #[test]
    fn who_comes_by_once_is_none_of_them() {
        let mut hits: Vec<PlacedHit> =
            (0..6).map(|n| hit(1 + n % 2, n % 2, u64::from(n) * 10, Store)).collect();
        hits.push(hit(3, 0, 100, Load));
        let found = Interleaving::of(&hits, &Cores::default());
        assert_eq!((found.between, found.threads.len()), (4, 2));
    }

    #[test]
    fn any_number_of_hits_at_one_time_is_read_in_little_time() {
        let hits: Vec<PlacedHit> = (0..5_000).map(|n| hit(n % 64, n % 64, 7, Load)).collect();
        assert_eq!(between(&hits), 0);
    }
}
