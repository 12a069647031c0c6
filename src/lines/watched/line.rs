//! What the hits on one line say.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::hits::PlacedHit;
use super::interleaving::Interleaving;
use super::suspicion::{SeenTurn, Suspicion};
use crate::access::{CodeAddress, Direction};
use crate::lines::{ByteUse, LineOffset, Sharing};
use crate::process::{Cores, Cpu, Pid, Tid, Time};

/// So many accesses between two of another thread make a certainty: one may be an access on the way
/// from one owner to the next.
const MIN_INTERLEAVED: u64 = 3;
/// So many turns in which nothing of the kind was seen make one, too.
const MIN_TURNS: usize = 4;
/// So many turns of a line are kept: more than there are in a month. It bounds the work for recordings
/// that nobody made.
const MOST_TURNS: usize = 1000;

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

/// A thread that was caught at a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WatchedThread {
    /// How often.
    pub hits: u64,
    /// CPUs it was on.
    pub cpus: BTreeSet<Cpu>,
    /// Whether it is one of those that interleaved.
    pub has_interleaved: bool,
}

/// A line that was watched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WatchedLine {
    /// Turns in which some of its words were watched.
    pub turns: u32,
    /// These, as far as they may speak against a suspicion.
    seen: Vec<SeenTurn>,
    /// Hits.
    pub hits: u64,
    /// Hits between two of another thread, on different CPUs, with at least one write among them.
    pub interleaved: u64,
    /// Who was there.
    pub threads: BTreeMap<(Pid, Tid), WatchedThread>,
    /// Who did what where.
    pub sites: Vec<WatchedSite>,
    /// The sites by what tells them apart.
    index: FxHashMap<SiteKey, usize>,
}

/// What tells sites apart.
type SiteKey = (LineOffset, Option<u32>, Option<Direction>, CodeAddress);

impl WatchedLine {
    /// What it comes to for a suspicion.
    pub fn outcome(&self, suspicion: &Suspicion) -> WatchOutcome {
        if self.interleaved >= MIN_INTERLEAVED {
            WatchOutcome::Confirmed
        } else if self.interleaved == 0 && suspicion.is_refuted_by(&self.seen, MIN_TURNS) {
            WatchOutcome::Refuted
        } else {
            WatchOutcome::Undecided
        }
    }

    /// Which bytes the threads that interleaved share: `None` where none did, or sizes are not known.
    /// `is_of_lock` says which sites are a lock's own.
    pub fn sharing(&self, mut is_of_lock: impl FnMut(&WatchedSite) -> bool) -> Option<Sharing> {
        let uses: Vec<ByteUse> = self
            .sites
            .iter()
            .filter_map(|site| {
                let threads: BTreeMap<(Pid, Tid), u64> = site
                    .threads
                    .iter()
                    .filter(|(thread, _)| self.interleaves(thread))
                    .map(|(thread, hits)| (*thread, *hits))
                    .collect();
                Some(ByteUse {
                    offset: u32::from(site.offset.0),
                    size: site.size.filter(|_| !threads.is_empty())?,
                    // A write, as far as is known.
                    direction: site.direction.unwrap_or(Direction::Store),
                    is_of_lock: is_of_lock(site),
                    threads,
                })
            })
            .collect();
        Sharing::of(&uses)
    }

    /// Those that came in between each other.
    pub fn interleaved_threads(&self) -> impl Iterator<Item = (&(Pid, Tid), &WatchedThread)> {
        self.threads.iter().filter(|(_, thread)| thread.has_interleaved)
    }

    /// Whether a thread is one of these.
    pub fn interleaves(&self, thread: &(Pid, Tid)) -> bool {
        self.threads.get(thread).is_some_and(|it| it.has_interleaved)
    }

    /// Adds one turn's hits on the line, which are in order of time.
    pub(super) fn add_turn(&mut self, hits: &[PlacedHit], turn: LineTurn, cores: &Cores) {
        self.turns += 1;
        let line = turn.line;
        if turn.ran.len() >= 2 && self.seen.len() < MOST_TURNS {
            self.seen.push(SeenTurn {
                time: turn.time,
                is_touched: !hits.is_empty(),
                words: turn.words,
                ran: turn.ran.into_iter().collect(),
            });
        }
        self.hits += hits.len() as u64;
        let interleaving = Interleaving::of(hits, cores);
        self.interleaved += interleaving.between;
        for thread in interleaving.threads {
            self.threads.entry(thread).or_default().has_interleaved = true;
        }
        for placed in hits {
            // An access that began in the line before has its part here.
            let offset =
                LineOffset(placed.address.saturating_sub(line).min(u64::from(u16::MAX)) as u16);
            let key = (offset, placed.size, placed.direction, placed.code);
            let at = *self.index.entry(key).or_insert_with(|| {
                self.sites.push(WatchedSite::new(placed, offset));
                self.sites.len() - 1
            });
            let thread = self.threads.entry((placed.hit.pid, placed.hit.tid)).or_default();
            thread.hits += 1;
            thread.cpus.extend(placed.hit.cpu);
            let site = &mut self.sites[at];
            site.hits += 1;
            *site.threads.entry((placed.hit.pid, placed.hit.tid)).or_default() += 1;
            site.cpus.extend(placed.hit.cpu);
            site.last_time = placed.hit.time;
        }
    }
}

/// What a turn watched of one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LineTurn {
    /// The line's address.
    pub(super) line: u64,
    /// When it ended.
    pub(super) time: Time,
    /// The threads that ran for a good part of it.
    pub(super) ran: BTreeSet<Tid>,
    /// The words that were watched: a bit for each.
    pub(super) words: u64,
}

#[cfg(test)]
mod tests {
    use super::super::hits::tests::hit;
    use super::super::suspicion::tests::suspicion;
    use super::*;
    use crate::lines::Verdict;

    fn turn(ms: u64, words: u64, ran: &[u32]) -> LineTurn {
        let ran = ran.iter().copied().map(Tid).collect();
        LineTurn { line: 0x1000, time: Time(ms * 1_000_000), ran, words }
    }

    fn add(line: &mut WatchedLine, hits: &[PlacedHit], turn: LineTurn) {
        line.add_turn(hits, turn, &Cores::default());
    }

    #[test]
    fn turns_decide() {
        let suspected = suspicion(&[(0, 1000)]);
        let outcome = |line: &WatchedLine| line.outcome(&suspected);
        let alternating: Vec<PlacedHit> =
            (0..8).map(|n| hit(1 + n % 2, n % 2, u64::from(n) * 100, Direction::Store)).collect();
        let mut line = WatchedLine::default();
        add(&mut line, &[], turn(1, 0xf, &[1, 2]));
        assert_eq!(outcome(&line), WatchOutcome::Undecided);
        for ms in 0..MIN_TURNS as u64 {
            assert_eq!(outcome(&line), WatchOutcome::Undecided);
            add(&mut line, &alternating[..1], turn(ms, 0xf, &[1, 2]));
        }
        assert_eq!(outcome(&line), WatchOutcome::Undecided, "half of its words");
        add(&mut line, &[], turn(1, 0xf0, &[1, 2]));
        assert_eq!(outcome(&line), WatchOutcome::Refuted);
        add(&mut line, &alternating, turn(2, 0xf, &[1, 2]));
        assert_eq!((line.interleaved, outcome(&line)), (6, WatchOutcome::Confirmed));
        let site = &line.sites[0];
        assert_eq!((site.offset, site.hits, site.cpus.len()), (LineOffset(8), 12, 2));
        let mut asleep = WatchedLine::default();
        for _ in 0..9 {
            add(&mut asleep, &alternating[..1], turn(1, 0xff, &[1]));
        }
        assert_eq!(outcome(&asleep), WatchOutcome::Undecided, "the other one did not run");
    }

    /// A line at which these threads come by in between each other, again and again.
    fn line(places: &[(u32, u64, Direction)]) -> WatchedLine {
        let hits: Vec<PlacedHit> = (0..10)
            .flat_map(|round| places.iter().map(move |place| (round, place)))
            .map(|(round, &(tid, address, what))| PlacedHit {
                address,
                ..hit(tid, tid, round * 10, what)
            })
            .collect();
        let mut line = WatchedLine::default();
        add(&mut line, &hits, turn(0, 0xff, &[1, 2]));
        line
    }

    #[test]
    fn bytes_decide_between_true_and_false() {
        let verdict =
            |places: &[(u32, u64, Direction)]| line(places).sharing(|_| false).map(|it| it.verdict);
        use Direction::{Load, Store};
        assert_eq!(verdict(&[(1, 0x1000, Store), (2, 0x1008, Store)]), Some(Verdict::False));
        assert_eq!(verdict(&[(1, 0x1000, Store), (2, 0x1000, Load)]), Some(Verdict::True));
        assert_eq!(verdict(&[(1, 0x1000, Store), (2, 0x1004, Load)]), Some(Verdict::True));
        assert_eq!(verdict(&[(1, 0x1000, Store), (2, 0x1000, Store)]), Some(Verdict::True));
        let queue = [(1, 0x1000, Store), (2, 0x1000, Load), (2, 0x1010, Store), (1, 0x1010, Load)];
        assert_eq!(verdict(&queue), Some(Verdict::Mixed));
        assert_eq!(verdict(&[(1, 0x1000, Load), (2, 0x1008, Load)]), None);
        assert_eq!(verdict(&[(1, 0x1000, Store), (1, 0x1008, Store)]), None);
    }

    #[test]
    fn who_sets_it_up_or_reads_the_result_changes_no_verdict() {
        use Direction::{Load, Store};
        let mut line = line(&[(1, 0x1000, Store), (2, 0x1008, Store)]);
        let main = [(0x1000, Store), (0x1008, Store), (0x1000, Load), (0x1008, Load)]
            .map(|(address, what)| PlacedHit { address, ..hit(9, 0, 0, what) });
        for _ in 0..20 {
            add(&mut line, &main, turn(0, 0xff, &[9]));
        }
        assert_eq!(line.sharing(|_| false).map(|it| it.verdict), Some(Verdict::False));
        assert_eq!((line.threads.len(), line.interleaved_threads().count()), (3, 2));
        assert_eq!(line.threads[&(Pid(1), Tid(9))].hits, 80);
    }
}
