//! What the hits on one line say.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::hits::PlacedHit;
use crate::access::{CodeAddress, Direction};
use crate::lines::{ByteUse, LineOffset, Sharing};
use crate::process::{Cpu, Pid, Tid, Time};

/// Threads interleave when one comes between two accesses of another that are no further apart, ns.
/// What changes hands less often costs less than a thousandth of the time: a few hundred transfers a
/// second, of at most a microsecond each.
const CLOSE_NS: u64 = 2_500_000;
/// So many accesses between two of another thread make a certainty: one may be an access on the way
/// from one owner to the next.
const MIN_INTERLEAVED: u64 = 3;
/// So many turns in which nothing of the kind was seen make one, too.
const MIN_TURNS: u32 = 4;

/// What watching has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WatchOutcome {
    /// Threads on different CPUs interleaved there, and at least one wrote.
    Confirmed,
    /// They were there, each of them ran while its words were watched, and they did not interleave.
    Refuted,
    /// Neither.
    #[default]
    Undecided,
}

/// One instruction that was caught at one offset.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchedSite {
    /// Offset in the line.
    pub offset: LineOffset,
    /// Bytes it touches, if known.
    pub size: Option<u32>,
    /// What it does, if known.
    pub direction: Option<Direction>,
    /// Its address, as its first hit had it.
    pub code: CodeAddress,
    /// The mapping of that address.
    pub mapping: Option<u32>,
    /// Hits.
    pub hits: u64,
    /// Hits by thread.
    pub threads: BTreeMap<(Pid, Tid), u64>,
    /// CPUs it ran on.
    pub cpus: BTreeSet<Cpu>,
    /// The last hit's time.
    pub last_time: Time,
}

impl WatchedSite {
    fn new(placed: &PlacedHit, offset: LineOffset) -> Self {
        Self {
            offset,
            size: placed.size,
            direction: placed.direction,
            code: placed.code,
            mapping: placed.mapping,
            hits: 0,
            threads: BTreeMap::new(),
            cpus: BTreeSet::new(),
            last_time: placed.hit.time,
        }
    }
}

/// A line that was watched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WatchedLine {
    /// Turns in which some of its words were watched.
    pub turns: u32,
    /// When those of them ended in which at least two threads ran, and whether the line was touched.
    telling: Vec<(Time, bool)>,
    /// The words that were watched in telling turns: a bit for each.
    words: u64,
    /// Hits.
    pub hits: u64,
    /// Hits between two of another thread, on different CPUs, with at least one write among them.
    pub interleaved: u64,
    /// Who did what where.
    pub sites: Vec<WatchedSite>,
}

impl WatchedLine {
    /// What it comes to, for a line of so many words that was suspected for this time. What was quiet
    /// before and after says nothing of the time between.
    pub fn outcome(&self, words: u64, suspected: &Range<Time>) -> WatchOutcome {
        if self.interleaved >= MIN_INTERLEAVED {
            return WatchOutcome::Confirmed;
        }
        let telling = self.telling.iter().filter(|(time, _)| suspected.contains(time));
        let touched = telling.filter(|(_, is_touched)| *is_touched).count() as u32;
        let has_seen_all = self.words.count_ones() as u64 >= words.min(64);
        if self.interleaved == 0 && has_seen_all && touched >= MIN_TURNS {
            WatchOutcome::Refuted
        } else {
            WatchOutcome::Undecided
        }
    }

    /// Which bytes threads share: `None` where no two threads were seen, or sizes are not known.
    /// `is_of_lock` says which sites are a lock's own.
    pub fn sharing(&self, mut is_of_lock: impl FnMut(&WatchedSite) -> bool) -> Option<Sharing> {
        let uses: Vec<ByteUse> = self
            .sites
            .iter()
            .filter_map(|site| {
                Some(ByteUse {
                    offset: u32::from(site.offset.0),
                    size: site.size?,
                    // A write, as far as is known.
                    direction: site.direction.unwrap_or(Direction::Store),
                    is_of_lock: is_of_lock(site),
                    threads: site.threads.clone(),
                })
            })
            .collect();
        Sharing::of(&uses)
    }

    /// CPUs on which it was touched.
    pub fn cpus(&self) -> BTreeSet<Cpu> {
        self.sites.iter().flat_map(|site| site.cpus.iter().copied()).collect()
    }

    /// Threads that were caught there.
    pub fn threads(&self) -> BTreeSet<(Pid, Tid)> {
        self.sites.iter().flat_map(|site| site.threads.keys().copied()).collect()
    }

    /// Adds one turn's hits on the line, which are in order of time.
    pub(super) fn add_turn(&mut self, hits: &[PlacedHit], turn: &LineTurn) {
        let line = turn.line;
        self.turns += 1;
        if turn.has_run {
            self.telling.push((turn.time, !hits.is_empty()));
            self.words |= turn.words;
        }
        self.hits += hits.len() as u64;
        self.interleaved += interleaved(hits);
        for placed in hits {
            // An access that began in the line before has its part here.
            let offset =
                LineOffset(placed.address.saturating_sub(line).min(u64::from(u16::MAX)) as u16);
            let is_same = |site: &WatchedSite| {
                site.offset == offset
                    && site.size == placed.size
                    && site.direction == placed.direction
                    && site.code == placed.code
            };
            let at = self.sites.iter().position(is_same).unwrap_or_else(|| {
                self.sites.push(WatchedSite::new(placed, offset));
                self.sites.len() - 1
            });
            let site = &mut self.sites[at];
            site.hits += 1;
            *site.threads.entry((placed.hit.pid, placed.hit.tid)).or_default() += 1;
            site.cpus.extend(placed.hit.cpu);
            site.last_time = placed.hit.time;
        }
    }
}

/// What a turn watched of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LineTurn {
    /// The line's address.
    pub(super) line: u64,
    /// When it ended.
    pub(super) time: Time,
    /// Whether at least two threads ran.
    pub(super) has_run: bool,
    /// The words that were watched: a bit for each.
    pub(super) words: u64,
}

/// How many hits lie close between two of one other thread, on another CPU, when one of the three
/// writes.
fn interleaved(hits: &[PlacedHit]) -> u64 {
    let is_between = |at: usize| {
        let middle = &hits[at];
        let is_other = |other: &PlacedHit| {
            let on_other_cpu =
                matches!((other.hit.cpu, middle.hit.cpu), (Some(a), Some(b)) if a != b);
            other.hit.tid != middle.hit.tid && on_other_cpu
        };
        let distance = |other: &PlacedHit| other.hit.time.0.abs_diff(middle.hit.time.0);
        let before = hits[..at].iter().rev().take_while(|it| distance(it) <= CLOSE_NS);
        before.filter(|it| is_other(it)).any(|before| {
            let after = hits[at + 1..].iter().take_while(|it| distance(it) <= CLOSE_NS);
            after
                .filter(|it| is_other(it) && it.hit.tid == before.hit.tid)
                .filter(|it| it.hit.time.0 - before.hit.time.0 <= CLOSE_NS)
                .any(|after| middle.writes() || before.writes() || after.writes())
        })
    };
    (0..hits.len()).filter(|at| is_between(*at)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::WatchHit;
    use crate::lines::Verdict;
    use crate::perf_data::SamplePosition;

    /// A hit of a thread on a CPU at a time in µs.
    fn hit(tid: u32, cpu: u32, us: u64, direction: Direction) -> PlacedHit {
        PlacedHit {
            hit: WatchHit {
                id: 1,
                pid: Pid(1),
                tid: Tid(tid),
                cpu: Some(Cpu(cpu)),
                time: Time(us * 1000),
                next: CodeAddress(0x10),
                address: 0x1000,
                length: 8,
                writes_only: false,
                registers: None,
                position: SamplePosition::default(),
            },
            code: CodeAddress(0xc),
            mapping: None,
            direction: Some(direction),
            address: 0x1008,
            size: Some(8),
        }
    }

    #[test]
    fn only_what_lies_between_two_close_accesses_of_another_thread_interleaves() {
        use Direction::{Load, Store};
        let three =
            |a: (u32, u64, Direction), b: (u32, u64, Direction), c: (u32, u64, Direction)| {
                interleaved(&[a, b, c].map(|(tid, us, what)| hit(tid, tid, us, what)))
            };
        assert_eq!(three((1, 0, Load), (2, 100, Store), (1, 200, Load)), 1);
        assert_eq!(three((1, 0, Store), (2, 100, Load), (1, 200, Load)), 1);
        assert_eq!(three((1, 0, Load), (2, 100, Load), (1, 200, Load)), 0, "nobody writes");
        assert_eq!(three((1, 0, Store), (2, 100, Store), (2, 200, Store)), 0, "handed over");
        assert_eq!(three((1, 0, Store), (2, 100, Store), (1, 5000, Store)), 0, "in turns");
        let one_cpu = [(1, 0), (2, 100), (1, 200)].map(|(tid, us)| hit(tid, 0, us, Store));
        assert_eq!(interleaved(&one_cpu), 0, "on one CPU");
        let fourth =
            [(1, 0), (2, 100), (3, 150), (1, 200)].map(|(tid, us)| hit(tid, tid, us, Store));
        assert_eq!(interleaved(&fourth), 2, "both lie between");
    }

    fn turn(ms: u64, words: u64, has_run: bool) -> LineTurn {
        LineTurn { line: 0x1000, time: Time(ms * 1_000_000), has_run, words }
    }

    #[test]
    fn turns_decide() {
        let suspected = Time(0)..Time(1_000_000_000);
        let outcome = |line: &WatchedLine| line.outcome(8, &suspected);
        let alternating: Vec<PlacedHit> =
            (0..8).map(|n| hit(n % 2, n % 2, u64::from(n) * 100, Direction::Store)).collect();
        let mut line = WatchedLine::default();
        line.add_turn(&[], &turn(1, 0xf, true));
        assert_eq!(outcome(&line), WatchOutcome::Undecided);
        for ms in 0..u64::from(MIN_TURNS) {
            assert_eq!(outcome(&line), WatchOutcome::Undecided);
            line.add_turn(&alternating[..1], &turn(ms, 0xf, true));
        }
        assert_eq!(outcome(&line), WatchOutcome::Undecided, "half of its words");
        line.add_turn(&[], &turn(1, 0xf0, true));
        assert_eq!(outcome(&line), WatchOutcome::Refuted);
        let later = Time(1_000_000_000)..Time(2_000_000_000);
        assert_eq!(line.outcome(8, &later), WatchOutcome::Undecided, "watched at another time");
        line.add_turn(&alternating, &turn(2, 0xf, true));
        assert_eq!((line.interleaved, outcome(&line)), (6, WatchOutcome::Confirmed));
        let site = &line.sites[0];
        assert_eq!((site.offset, site.hits, site.cpus.len()), (LineOffset(8), 12, 2));
        let mut asleep = WatchedLine::default();
        for _ in 0..9 {
            asleep.add_turn(&alternating[..1], &turn(1, 0xff, false));
        }
        assert_eq!(outcome(&asleep), WatchOutcome::Undecided, "the other one did not run");
    }

    #[test]
    fn bytes_decide_between_true_and_false() {
        let verdict = |places: &[(u32, u64, Direction)]| {
            let hits: Vec<PlacedHit> = places
                .iter()
                .map(|&(tid, address, what)| PlacedHit { address, ..hit(tid, tid, 0, what) })
                .collect();
            let mut line = WatchedLine::default();
            line.add_turn(&hits, &turn(0, 0xff, true));
            line.sharing(|_| false).map(|sharing| sharing.verdict)
        };
        use Direction::{Load, Store};
        let thrice = |places: &[(u32, u64, Direction)]| verdict(&places.repeat(3));
        assert_eq!(thrice(&[(1, 0x1000, Store), (2, 0x1008, Store)]), Some(Verdict::False));
        assert_eq!(thrice(&[(1, 0x1000, Store), (2, 0x1000, Load)]), Some(Verdict::True));
        assert_eq!(thrice(&[(1, 0x1000, Store), (2, 0x1004, Load)]), Some(Verdict::True));
        let queue = [(1, 0x1000, Store), (2, 0x1000, Load), (2, 0x1010, Store), (1, 0x1010, Load)];
        assert_eq!(thrice(&queue), Some(Verdict::Mixed));
        assert_eq!(thrice(&[(1, 0x1000, Load), (2, 0x1008, Load)]), None);
        assert_eq!(thrice(&[(1, 0x1000, Store), (1, 0x1008, Store)]), None);
    }
}
