//! Which words of which line are watched next.

use std::time::Duration;

use super::breakpoint::REGISTERS;
use super::place::Place;

/// So many places are watched in turn; those of less importance wait until there are fewer.
const MOST_PLACES: usize = 16;
/// A place has so many turns as soon as it can. From then on one has to be due: what is harmless for a
/// while may be contended later.
const PROMPT_TURNS: u32 = 48;
/// A turn is due again after this part of the time that has passed since the recording began.
const DUE_AFTER: u32 = 16;

/// The places, and how often each had its turn.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    place: Place,
    turns: u32,
    /// When the last one was, since the recording began.
    last: Duration,
    /// Whether it cannot be watched.
    is_given_up: bool,
    /// Whether it is among those that were named last.
    is_current: bool,
}

impl Schedule {
    /// Takes what was found last, the most important first. Turns of a place that is known count on.
    pub(super) fn update(&mut self, places: Vec<Place>) {
        let mut known = std::mem::take(&mut self.slots);
        known.iter_mut().for_each(|slot| slot.is_current = false);
        for place in places.into_iter().take(MOST_PLACES) {
            let is_same =
                |slot: &Slot| (slot.place.pid, slot.place.line) == (place.pid, place.line);
            let slot = known.iter().position(is_same).map(|at| known.swap_remove(at));
            self.slots.push(match slot {
                Some(slot) => Slot { place, is_current: true, ..slot },
                None => Slot {
                    place,
                    turns: 0,
                    last: Duration::ZERO,
                    is_given_up: false,
                    is_current: true,
                },
            });
        }
        // Their counts stay, in case they come back.
        self.slots.extend(known);
    }

    /// The place that has had the fewest turns of those that are due, the more important one of several,
    /// and the offsets of the words to watch there. `elapsed` is the time since the recording began. The
    /// place's threads are in the order in which to watch them, if not all can be at once.
    pub(super) fn next(&mut self, elapsed: Duration) -> Option<(Place, Vec<u16>)> {
        let slots = self.slots.iter_mut().filter(|slot| slot.is_due(elapsed));
        let slot = slots.min_by_key(|slot| slot.turns)?;
        let words = words(&slot.place, slot.turns);
        let mut place = slot.place.clone();
        if let Some((_, others)) = place.threads.split_first_mut()
            && !others.is_empty()
        {
            let by = slot.turns as usize % others.len();
            others.rotate_left(by);
        }
        slot.turns += 1;
        slot.last = elapsed;
        Some((place, words))
    }

    /// This place cannot be watched.
    pub(super) fn give_up(&mut self, place: &Place) {
        for slot in &mut self.slots {
            if (slot.place.pid, slot.place.line) == (place.pid, place.line) {
                slot.is_given_up = true;
            }
        }
    }

    /// How many places had at least one turn.
    pub(super) fn watched(&self) -> usize {
        self.slots.iter().filter(|slot| slot.turns > 0).count()
    }
}

impl Slot {
    fn is_due(&self, elapsed: Duration) -> bool {
        let is_due =
            self.turns < PROMPT_TURNS || elapsed.saturating_sub(self.last) >= elapsed / DUE_AFTER;
        self.is_current && !self.is_given_up && is_due
    }
}

/// The words of a turn: in every other one those that threads were seen at, together, so that their
/// order shows; in between the most telling one and three of the others, so that all are seen. Where
/// more words are known than there are registers, neighbours have their turn and then every second one,
/// so that each two are once watched together.
fn words(place: &Place, turn: u32) -> Vec<u16> {
    let all = &place.words;
    let round = turn as usize / 2;
    let cycle = |from: &[u16], start: usize, count: usize| -> Vec<u16> {
        let wrapped = from.iter().cycle().skip(start % from.len().max(1));
        wrapped.take(count.min(from.len())).copied().collect()
    };
    if turn.is_multiple_of(2) {
        let known = place.known_words.clamp(0, all.len());
        return match known {
            0..=REGISTERS => cycle(all, 0, REGISTERS),
            _ => together(&all[..known], round),
        };
    }
    let Some((first, others)) = all.split_first() else {
        return Vec::new();
    };
    let mut words = vec![*first];
    words.extend(cycle(others, round * (REGISTERS - 1), REGISTERS - 1));
    words
}

/// As many of the words as there are registers: neighbours, or every second one.
fn together(words: &[u16], round: usize) -> Vec<u16> {
    let (start, stride) = (round / 2, 1 + round % 2);
    let mut chosen: Vec<u16> =
        (0..REGISTERS).map(|n| words[(start + n * stride) % words.len()]).collect();
    let mut known = Vec::new();
    chosen.retain(|word| {
        !known.contains(word) && {
            known.push(*word);
            true
        }
    });
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u64, words: &[u16], known_words: usize) -> Place {
        Place { pid: 1, line, words: words.to_vec(), known_words, threads: vec![1, 2] }
    }

    const NOW: Duration = Duration::from_secs(1);
    const WORDS: [u16; 8] = [8, 0, 16, 24, 32, 40, 48, 56];

    #[test]
    fn all_words_have_their_turn_and_known_ones_every_other() {
        let place = place(0, &WORDS, 2);
        let turns: Vec<Vec<u16>> = (0..6).map(|turn| words(&place, turn)).collect();
        assert_eq!(turns[0], [8, 0, 16, 24]);
        assert_eq!(turns[1], [8, 0, 16, 24]);
        assert_eq!(turns[2], [8, 0, 16, 24]);
        assert_eq!(turns[3], [8, 32, 40, 48]);
        assert_eq!(turns[5], [8, 56, 0, 16]);
        let many = self::place(0, &WORDS, 8);
        assert_eq!(words(&many, 0), [8, 0, 16, 24]);
        assert_eq!(words(&many, 2), [8, 16, 32, 48]);
        assert_eq!(words(&self::place(0, &WORDS[..1], 1), 1), [8]);
    }

    #[test]
    fn places_take_turns_and_keep_their_counts() {
        let (a, b) = (place(0x40, &WORDS, 2), place(0x80, &WORDS, 2));
        let mut schedule = Schedule::default();
        assert!(schedule.next(NOW).is_none());
        schedule.update(vec![a.clone(), b.clone()]);
        let mut order = || schedule.next(NOW).map(|(place, _)| place.line);
        assert_eq!([order(), order(), order()], [Some(0x40), Some(0x80), Some(0x40)]);
        schedule.update(vec![b.clone()]);
        assert_eq!(schedule.next(NOW).map(|(place, _)| place.line), Some(0x80));
        schedule.update(vec![b.clone(), a.clone()]);
        assert_eq!(schedule.next(NOW).map(|(place, _)| place.line), Some(0x80));
        assert_eq!(schedule.watched(), 2);
        schedule.give_up(&a);
        schedule.give_up(&b);
        assert!(schedule.next(NOW).is_none());
    }
    #[test]
    fn each_two_known_words_are_once_watched_together() {
        for known in 2..=WORDS.len() {
            let place = place(0, &WORDS, known);
            let turns: Vec<Vec<u16>> = (0..PROMPT_TURNS).map(|turn| words(&place, turn)).collect();
            for one in &WORDS[..known] {
                for two in &WORDS[..known] {
                    let has_both = |turn: &Vec<u16>| turn.contains(one) && turn.contains(two);
                    assert!(turns.iter().any(has_both), "{one} and {two} of {known}");
                }
            }
            let are_distinct = |turn: &Vec<u16>| {
                turn.len() <= REGISTERS
                    && turn.iter().collect::<std::collections::BTreeSet<_>>().len() == turn.len()
            };
            assert!(turns.iter().all(are_distinct));
        }
    }

    #[test]
    fn turns_go_on_ever_more_seldom() {
        let mut schedule = Schedule::default();
        schedule.update(vec![place(0x40, &WORDS, 2)]);
        let mut taken = Vec::new();
        for ms in (0..600_000).step_by(20) {
            if schedule.next(Duration::from_millis(ms)).is_some() {
                taken.push(ms);
            }
        }
        assert_eq!(taken[PROMPT_TURNS as usize - 1], 940);
        assert!(taken.len() < 200, "{}", taken.len());
        // Never further apart than an eighth of the time that has passed.
        assert!(taken.windows(2).all(|two| two[1] - two[0] <= two[1] / 8 + 20));
        assert!(taken.last().is_some_and(|last| *last > 560_000));
    }

    #[test]
    fn the_first_thread_meets_all_others() {
        let mut schedule = Schedule::default();
        let threads = vec![1, 2, 3, 4];
        schedule.update(vec![Place { threads, ..place(0x40, &WORDS, 2) }]);
        let mut second =
            || schedule.next(NOW).map(|(place, _)| [place.threads[0], place.threads[1]]);
        let pairs: Vec<_> = (0..3).filter_map(|_| second()).collect();
        assert_eq!(pairs, [[1, 2], [1, 3], [1, 4]]);
    }
}
