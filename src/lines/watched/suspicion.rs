//! What a suspicion rests on, and so what has to be watched before it is refuted.

use std::ops::Range;

use crate::process::{Pid, Tid, Time};

/// So much of the time after a turn, and before it, is like the time of the turn, ns; later in a run a
/// quarter of the time since the suspicion began.
const REACH_NS: u64 = 2_000_000_000;
/// A turn belongs to the windows in which it ended, and to those next to it, ns.
const BESIDE_NS: u64 = 100_000_000;

/// Why a line is suspected: when, who and where.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Suspicion {
    /// Stretches of time in which threads were there at once or, where these may be chance, in turns.
    pub times: Vec<Range<Time>>,
    /// Those in which they were there at once, with the samples of each.
    pub at_once: Vec<(Range<Time>, u64)>,
    /// So many samples at once make a suspicion.
    pub least_samples: u64,
    /// Threads, with the samples of each, and whether it writes.
    pub threads: Vec<((Pid, Tid), u64, bool)>,
    /// The words of 8 bytes that they were seen at: a bit for each.
    pub words: u64,
    /// How many words a line has.
    pub line_words: u64,
}

/// A turn as a suspicion sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SeenTurn {
    /// When it ended.
    pub(super) time: Time,
    /// Whether the line was touched.
    pub(super) is_touched: bool,
    /// The words that were watched: a bit for each.
    pub(super) words: u64,
    /// The threads that were watched and ran for a good part of the turn, in order.
    pub(super) ran: Vec<Tid>,
}

impl Suspicion {
    /// Whether so many turns, in which nothing of the kind was seen, say that there is nothing: they were
    /// when it was suspected, and at no time of it far away; they watched a writer and another one of
    /// its threads while these ran, taken together nine in ten of what its threads do, and all words,
    /// each two of those that it rests on together.
    pub(super) fn is_refuted_by(&self, turns: &[SeenTurn], least_turns: usize) -> bool {
        let turns: Vec<&SeenTurn> = turns.iter().filter(|turn| self.is_met_by(turn)).collect();
        turns.iter().filter(|turn| turn.is_touched).count() >= least_turns
            && self.has_watched_words(&turns)
            && self.has_watched_threads(&turns)
            && self.has_watched_times(&turns)
    }

    /// Whether a turn was when and with whom it should be.
    fn is_met_by(&self, turn: &SeenTurn) -> bool {
        let (start, end) = (turn.time.0.saturating_add(BESIDE_NS), turn.time);
        let is_then = self
            .times
            .iter()
            .any(|range| range.start.0 <= start && end.0 < range.end.0.saturating_add(BESIDE_NS));
        let has_run = |tid: Tid| turn.ran.binary_search(&tid).is_ok();
        let ran = || self.threads.iter().filter(|((_, tid), ..)| has_run(*tid));
        is_then && ran().count() >= 2 && ran().any(|(.., writes)| *writes)
    }

    fn has_watched_words(&self, turns: &[&SeenTurn]) -> bool {
        let all = turns.iter().fold(0, |all: u64, turn| all | turn.words);
        let bits = |words: u64| (0..64).map(|bit| 1_u64 << bit).filter(move |bit| words & bit != 0);
        u64::from(all.count_ones()) >= self.line_words.min(64)
            && bits(self.words).all(|one| {
                bits(self.words).all(|two| {
                    let both = one | two;
                    turns.iter().any(|turn| turn.words & both == both)
                })
            })
    }

    fn has_watched_threads(&self, turns: &[&SeenTurn]) -> bool {
        let all: u64 = self.threads.iter().map(|(_, samples, _)| samples).sum();
        let has_run = |tid: &Tid| turns.iter().any(|turn| turn.ran.binary_search(tid).is_ok());
        let watched = self.threads.iter().filter(|((_, tid), ..)| has_run(tid));
        let watched: u64 = watched.map(|(_, samples, _)| samples).sum();
        u128::from(watched) * 10 >= u128::from(all) * 9
    }

    fn has_watched_times(&self, turns: &[&SeenTurn]) -> bool {
        let Some(begun) = self.times.iter().map(|range| range.start.0).min() else {
            return false;
        };
        let is_near = |range: &Range<Time>| {
            turns.iter().filter(|turn| turn.is_touched).any(|turn| {
                let time = turn.time.0;
                let reach = REACH_NS.max(time.saturating_sub(begun) / 4);
                range.start.0 <= time.saturating_add(reach)
                    && time <= range.end.0.saturating_add(reach)
            })
        };
        let far = self.at_once.iter().filter(|(range, _)| !is_near(range));
        far.map(|(_, samples)| samples).sum::<u64>() < self.least_samples
    }
}

#[cfg(test)]
pub(in crate::lines::watched) mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Threads 1, which writes, and 2 were at words 0 and 1 of a line of 8 in these times, in ms.
    pub(in crate::lines::watched) fn suspicion(times: &[(u64, u64)]) -> Suspicion {
        let times = times.iter().map(|(start, end)| Time(start * MS)..Time(end * MS));
        let times: Vec<Range<Time>> = times.collect();
        Suspicion {
            at_once: times.iter().map(|range| (range.clone(), 10)).collect(),
            times,
            least_samples: 6,
            threads: vec![((Pid(1), Tid(1)), 50, true), ((Pid(1), Tid(2)), 50, false)],
            words: 0b11,
            line_words: 8,
        }
    }

    fn turns(times_ms: &[u64], words: &[u64], ran: &[u32]) -> Vec<SeenTurn> {
        let turn = |time: &u64, words: &u64| SeenTurn {
            time: Time(time * MS),
            is_touched: true,
            words: *words,
            ran: ran.iter().copied().map(Tid).collect(),
        };
        times_ms.iter().zip(words.iter().cycle()).map(|(time, words)| turn(time, words)).collect()
    }

    const ALL: [u64; 2] = [0x0f, 0xf1];

    #[test]
    fn turns_at_other_times_say_nothing() {
        let early = turns(&[800, 850, 900, 950], &ALL, &[1, 2]);
        assert!(suspicion(&[(700, 1000)]).is_refuted_by(&early, 4));
        assert!(!suspicion(&[(0, 100), (5000, 9000)]).is_refuted_by(&early, 4), "in between");
        // It began harmlessly, and was something else later on.
        assert!(!suspicion(&[(700, 1000), (5000, 9000)]).is_refuted_by(&early, 4), "a late phase");
        let spread = turns(&[800, 850, 900, 950, 3000, 5000, 7000], &ALL, &[1, 2]);
        assert!(suspicion(&[(700, 1000), (5000, 9000)]).is_refuted_by(&spread, 4));
        let mut few_late = suspicion(&[(700, 1000), (5000, 9000)]);
        few_late.at_once[1].1 = 5;
        assert!(few_late.is_refuted_by(&early, 4), "five samples are chance");
    }

    #[test]
    fn turns_with_others_say_nothing() {
        let suspicion = suspicion(&[(0, 1000)]);
        let with = |ran: &[u32]| turns(&[800, 850, 900, 950], &ALL, ran);
        assert!(suspicion.is_refuted_by(&with(&[1, 2]), 4));
        assert!(!suspicion.is_refuted_by(&with(&[1, 3]), 4), "one of them, and a bystander");
        assert!(!suspicion.is_refuted_by(&with(&[]), 4));
        let mut of_three = suspicion.clone();
        of_three.threads.push(((Pid(1), Tid(3)), 50, false));
        assert!(!of_three.is_refuted_by(&with(&[2, 3]), 4), "the writer slept");
        assert!(!of_three.is_refuted_by(&with(&[1, 2]), 4), "who is missing may be the one");
        assert!(of_three.is_refuted_by(&with(&[1, 2, 3]), 4));
    }

    #[test]
    fn words_are_watched_together() {
        let mut suspicion = suspicion(&[(0, 1000)]);
        let with = |words: &[u64]| turns(&[800, 850, 900, 950], words, &[1, 2]);
        assert!(suspicion.is_refuted_by(&with(&ALL), 4));
        assert!(!suspicion.is_refuted_by(&with(&[0x0f]), 4), "half of the line");
        assert!(!suspicion.is_refuted_by(&with(&ALL), 5), "too few turns");
        suspicion.words = 0b1_0010;
        assert!(!suspicion.is_refuted_by(&with(&ALL), 4), "words 1 and 4 were never both watched");
        assert!(suspicion.is_refuted_by(&with(&[0x0f, 0xf1, 0x12]), 4));
    }
}
