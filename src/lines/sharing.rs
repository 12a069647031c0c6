//! False or true: which bytes of a line which threads use.
//!
//! Threads that fight over a line share it truly where they touch the same bytes, and falsely where
//! these bytes would be as well on different lines. Bytes that the same threads use in the same ways
//! belong together, a lock and what it protects for instance: moving them apart would part nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::access::Direction;
use crate::process::{Pid, Tid};

/// One in so many of a thread's accesses to a line says nothing of what it does there: it may have been
/// on the way to something else.
const RARELY: u64 = 100;
/// Where so many accesses were to be expected and none came, there are none: by chance that happens less
/// than once in a hundred times.
const EXPECTED: f64 = 5.0;

/// A thread of a process.
pub type Thread = (Pid, Tid);

/// What some threads do with some bytes of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteUse {
    /// First byte, from the line's start.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// What they do.
    pub direction: Direction,
    /// Whether it is the work of a lock's own functions: its words cannot be parted.
    pub is_of_lock: bool,
    /// How often each of them was seen.
    pub threads: BTreeMap<Thread, u64>,
}

/// How threads share a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Each uses bytes of its own.
    False,
    /// They use the same bytes.
    True,
    /// They use the same bytes, and others would be better elsewhere.
    Mixed,
}

/// Bytes that the same threads use in the same ways.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SharedBytes {
    /// Which bytes, in order.
    pub ranges: Vec<Range<u32>>,
    /// Who reads them, how often.
    pub readers: BTreeMap<Thread, u64>,
    /// Who writes them, how often.
    pub writers: BTreeMap<Thread, u64>,
    /// Whether only a lock's own functions use them.
    pub is_lock: bool,
}

/// What the uses of a line come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// False or true.
    pub verdict: Verdict,
    /// The line's bytes by who uses them, those at lower offsets first.
    pub parts: Vec<SharedBytes>,
}

impl Sharing {
    /// How threads share a line, from all that was seen of it while they were there at once. `None`
    /// where no two of them meet with one writing.
    pub fn of(all: &[ByteUse]) -> Option<Self> {
        let uses = usual(all);
        let has_same = uses.iter().enumerate().any(|(at, one)| {
            uses[at..].iter().any(|other| {
                let overlap = one.offset < other.end() && other.offset < one.end();
                overlap && one.conflicts_with(other)
            })
        });
        let mut parts: Vec<SharedBytes> = Vec::new();
        // A lock's own words are put together first: what else is used like it joins them then.
        let (locks, others): (Vec<_>, Vec<_>) =
            connected(&uses).into_iter().partition(|part| part.is_lock);
        for touching in locks.into_iter().chain(others) {
            let is_with = |part: &&mut SharedBytes| {
                part.is_used_like(&touching) || part.is_lock_of(&touching, all)
            };
            match parts.iter_mut().find(is_with) {
                Some(part) => part.join(touching),
                None => parts.push(touching),
            }
        }
        parts.sort_by_key(|part| part.ranges.first().map(|range| range.start));
        let has_apart = parts.iter().enumerate().any(|(at, one)| {
            parts[at + 1..].iter().any(|other| one.disturbs(other) || other.disturbs(one))
        });
        let verdict = match (has_same, has_apart) {
            (true, true) => Verdict::Mixed,
            (true, false) => Verdict::True,
            (false, true) => Verdict::False,
            (false, false) => return None,
        };
        Some(Self { verdict, parts })
    }
}

impl ByteUse {
    fn end(&self) -> u32 {
        self.offset.saturating_add(self.size)
    }

    /// Whether two different threads are among the users, and one of the uses writes.
    fn conflicts_with(&self, other: &Self) -> bool {
        (self.direction.writes() || other.direction.writes())
            && self.threads.keys().any(|one| other.threads.keys().any(|two| one != two))
    }
}

impl SharedBytes {
    /// All threads that use them, and how often.
    pub fn users(&self) -> BTreeMap<Thread, u64> {
        let mut users = self.readers.clone();
        self.writers.iter().for_each(|(thread, count)| *users.entry(*thread).or_default() += count);
        users
    }

    fn add(&mut self, of: &ByteUse) {
        let (start, end) = (of.offset, of.end());
        match self.ranges.iter_mut().find(|range| start < range.end && range.start < end) {
            Some(range) => *range = range.start.min(start)..range.end.max(end),
            None => self.ranges.push(start..end),
        }
        self.is_lock &= of.is_of_lock;
        for (thread, count) in &of.threads {
            if of.direction.reads() {
                *self.readers.entry(*thread).or_default() += count;
            }
            if of.direction.writes() {
                *self.writers.entry(*thread).or_default() += count;
            }
        }
    }

    fn join(&mut self, other: Self) {
        self.is_lock &= other.is_lock;
        self.ranges.extend(other.ranges);
        self.ranges.sort_by_key(|range| range.start);
        for (thread, count) in other.readers {
            *self.readers.entry(thread).or_default() += count;
        }
        for (thread, count) in other.writers {
            *self.writers.entry(thread).or_default() += count;
        }
    }

    /// Whether the same threads do the same with both, as far as can be told from how often they were
    /// seen.
    fn is_used_like(&self, other: &Self) -> bool {
        let is_one_lock = self.is_lock && other.is_lock;
        is_alike(&self.users(), &other.users())
            && (is_one_lock || is_alike(&self.writers, &other.writers))
    }

    /// Whether both are words of one lock, of which some are used seldom: the same threads were seen at both
    /// at all, and some of them often.
    fn is_lock_of(&self, other: &Self, all: &[ByteUse]) -> bool {
        let (own, others) = (self.users(), other.users());
        self.is_lock
            && other.is_lock
            && own.keys().any(|thread| others.contains_key(thread))
            && self.seen(all) == other.seen(all)
    }

    /// The threads that were seen at these bytes, however seldom.
    fn seen(&self, all: &[ByteUse]) -> BTreeSet<Thread> {
        let is_here = |of: &&ByteUse| {
            self.ranges.iter().any(|range| of.offset < range.end && range.start < of.end())
        };
        all.iter().filter(is_here).flat_map(|of| of.threads.keys().copied()).collect()
    }

    /// Whether a thread that writes these makes another one wait for those.
    fn disturbs(&self, other: &Self) -> bool {
        let users = other.users();
        self.writers.keys().any(|writer| users.keys().any(|user| user != writer))
    }
}

/// Whether none of the threads is missing on either side.
fn is_alike(one: &BTreeMap<Thread, u64>, other: &BTreeMap<Thread, u64>) -> bool {
    let all_there = |from: &BTreeMap<Thread, u64>, to: &BTreeMap<Thread, u64>| {
        let (from_all, to_all): (u64, u64) = (from.values().sum(), to.values().sum());
        from.iter().filter(|(thread, _)| !to.contains_key(thread)).all(|(_, count)| {
            let expected = to_all as f64 * *count as f64 / from_all.max(1) as f64;
            to_all > 0 && expected < EXPECTED
        })
    };
    all_there(one, other) && all_there(other, one)
}

/// The uses without those that a thread makes so seldom that they tell nothing. Stores wait elsewhere
/// and are seldom seen whatever they do, so they are measured by the thread's other stores.
fn usual(uses: &[ByteUse]) -> Vec<ByteUse> {
    let mut all: BTreeMap<(Thread, bool), u64> = BTreeMap::new();
    for of in uses {
        for (thread, count) in &of.threads {
            *all.entry((*thread, false)).or_default() += count;
            if of.direction.writes() {
                *all.entry((*thread, true)).or_default() += count;
            }
        }
    }
    let is_usual = |of: &ByteUse, thread: Thread, count: u64| {
        let base = all.get(&(thread, of.direction.writes())).copied().unwrap_or_default();
        count.saturating_mul(RARELY) > base
    };
    let of_usual = |of: &ByteUse| {
        let threads: BTreeMap<Thread, u64> = of
            .threads
            .iter()
            .filter(|(thread, count)| is_usual(of, **thread, **count))
            .map(|(thread, count)| (*thread, *count))
            .collect();
        (!threads.is_empty()).then(|| ByteUse { threads, ..of.clone() })
    };
    uses.iter().filter_map(of_usual).collect()
}

/// The bytes that are touched in one go, each set of overlapping uses as one.
fn connected(uses: &[ByteUse]) -> Vec<SharedBytes> {
    let mut sorted: Vec<&ByteUse> = uses.iter().collect();
    sorted.sort_by_key(|of| (of.offset, of.end()));
    let mut parts: Vec<(u32, SharedBytes)> = Vec::new();
    for of in sorted {
        match parts.last_mut() {
            Some((end, part)) if of.offset < *end => {
                part.add(of);
                *end = (*end).max(of.end());
            }
            _ => {
                let mut part = SharedBytes { is_lock: true, ..SharedBytes::default() };
                part.add(of);
                parts.push((of.end(), part));
            }
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Load, ReadModifyWrite, Store};

    /// Offset, size, direction, and how often each of the threads 0, 1, … was seen.
    fn uses(of: &[(u32, u32, Direction, &[u64])]) -> Vec<ByteUse> {
        of.iter()
            .map(|&(offset, size, direction, counts)| ByteUse {
                offset,
                size,
                direction,
                is_of_lock: false,
                threads: (0..)
                    .zip(counts)
                    .filter(|(_, count)| **count > 0)
                    .map(|(thread, count)| ((Pid(1), Tid(thread)), *count))
                    .collect(),
            })
            .collect()
    }

    fn verdict(of: &[(u32, u32, Direction, &[u64])]) -> Option<Verdict> {
        Sharing::of(&uses(of)).map(|sharing| sharing.verdict)
    }

    #[test]
    fn bytes_of_ones_own_are_shared_falsely() {
        let slots: [(u32, u32, Direction, &[u64]); 2] =
            [(0, 8, ReadModifyWrite, &[90, 0]), (8, 8, ReadModifyWrite, &[0, 80])];
        assert_eq!(verdict(&slots), Some(Verdict::False));
        let flag_and_counter: [(u32, u32, Direction, &[u64]); 2] =
            [(0, 8, Store, &[5, 0, 0]), (8, 4, Load, &[0, 900, 800])];
        assert_eq!(verdict(&flag_and_counter), Some(Verdict::False));
        let sharing = Sharing::of(&uses(&flag_and_counter)).unwrap();
        assert_eq!(sharing.parts.len(), 2);
        assert_eq!(sharing.parts[1].readers.len(), 2);
    }

    #[test]
    fn the_same_bytes_are_shared_truly() {
        assert_eq!(verdict(&[(0, 8, ReadModifyWrite, &[90, 70])]), Some(Verdict::True));
        let partly = [(0, 8, Store, &[9, 0][..]), (4, 4, Load, &[0, 90][..])];
        assert_eq!(verdict(&partly), Some(Verdict::True));
        let flag = [(0, 4, Store, &[9, 0, 0][..]), (0, 4, Load, &[0, 90, 80][..])];
        assert_eq!(verdict(&flag), Some(Verdict::True));
    }

    #[test]
    fn a_lock_and_its_data_belong_together() {
        let lock: [(u32, u32, Direction, &[u64]); 4] = [
            (0, 4, ReadModifyWrite, &[100, 90, 110]),
            (0, 4, Store, &[10, 9, 11]),
            (8, 8, ReadModifyWrite, &[30, 40, 30]),
            (16, 8, Store, &[3, 1, 0]),
        ];
        assert_eq!(verdict(&lock), Some(Verdict::True));
        assert_eq!(Sharing::of(&uses(&lock)).unwrap().parts.len(), 1);
    }

    #[test]
    fn the_words_of_a_lock_belong_together() {
        let mut mutex = uses(&[
            (0, 4, ReadModifyWrite, &[100, 90]),
            (8, 4, Store, &[30, 40]),
            (16, 4, Load, &[30, 40]),
            (40, 8, ReadModifyWrite, &[20, 10]),
        ]);
        assert_eq!(Sharing::of(&mutex).unwrap().verdict, Verdict::Mixed, "words of any kind");
        mutex[..3].iter_mut().for_each(|of| of.is_of_lock = true);
        assert_eq!(Sharing::of(&mutex).unwrap().verdict, Verdict::True);
    }

    #[test]
    fn a_word_of_a_lock_that_is_used_seldom_belongs_to_it() {
        let mut mutex = uses(&[
            (0, 4, ReadModifyWrite, &[300, 290]),
            (12, 4, ReadModifyWrite, &[10, 2]),
            (40, 8, ReadModifyWrite, &[120, 110]),
        ]);
        mutex[..2].iter_mut().for_each(|of| of.is_of_lock = true);
        assert_eq!(Sharing::of(&mutex).unwrap().verdict, Verdict::True);
        // Two locks, each of a thread of its own that looks at the other's once in a while.
        let mut two =
            uses(&[(0, 4, ReadModifyWrite, &[300, 2]), (4, 4, ReadModifyWrite, &[2, 290])]);
        two.iter_mut().for_each(|of| of.is_of_lock = true);
        assert_eq!(Sharing::of(&two).unwrap().verdict, Verdict::False);
    }

    #[test]
    fn what_others_use_in_another_way_would_be_better_elsewhere() {
        let count_beside_data: [(u32, u32, Direction, &[u64]); 2] =
            [(0, 8, ReadModifyWrite, &[100, 90]), (8, 8, Load, &[30, 40])];
        assert_eq!(verdict(&count_beside_data), Some(Verdict::Mixed));
        let queue: [(u32, u32, Direction, &[u64]); 4] = [
            (0, 8, Store, &[50, 0]),
            (0, 8, Load, &[0, 200]),
            (8, 8, Store, &[0, 50]),
            (8, 8, Load, &[200, 0]),
        ];
        assert_eq!(verdict(&queue), Some(Verdict::Mixed));
    }

    #[test]
    fn nothing_is_shared_without_two_threads_and_a_write() {
        assert_eq!(verdict(&[(0, 8, Load, &[90, 70]), (8, 8, Load, &[90, 70])]), None);
        assert_eq!(verdict(&[(0, 8, Store, &[90]), (8, 8, Store, &[90])]), None);
        assert_eq!(verdict(&[]), None);
    }

    #[test]
    fn what_happens_once_in_a_while_does_not_decide() {
        let with_a_look: [(u32, u32, Direction, &[u64]); 3] = [
            (0, 8, ReadModifyWrite, &[900, 0]),
            (8, 8, ReadModifyWrite, &[0, 900]),
            (0, 8, Load, &[0, 9]),
        ];
        assert_eq!(verdict(&with_a_look), Some(Verdict::False));
        let seldom_written = [(0, 8, Load, &[0, 900][..]), (8, 8, Store, &[2, 0][..])];
        let seldom_written_by_a_reader =
            [(0, 8, Load, &[900, 900][..]), (8, 8, Store, &[9, 0][..])];
        assert_eq!(verdict(&seldom_written), Some(Verdict::False));
        assert_eq!(verdict(&seldom_written_by_a_reader), Some(Verdict::False));
    }
}
