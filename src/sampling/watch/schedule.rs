//! Which words of which line are watched next.

use super::breakpoint::REGISTERS;
use super::place::Place;

/// So many places are watched in turn; those of less importance wait until there are fewer.
const MOST_PLACES: usize = 16;
/// So many turns tell all that turns will tell of a place.
const MOST_TURNS: u32 = 48;

/// The places, and how often each had its turn.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    place: Place,
    turns: u32,
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
            let turns = known.iter().position(is_same).map_or(0, |at| known.swap_remove(at).turns);
            self.slots.push(Slot { place, turns, is_current: true });
        }
        // Their counts stay, in case they come back.
        self.slots.extend(known);
    }

    /// The place that has had the fewest turns, the more important one of several, and the offsets of
    /// the words to watch there.
    pub(super) fn next(&mut self) -> Option<(Place, Vec<u16>)> {
        let slots = self.slots.iter_mut().filter(|it| it.is_current && it.turns < MOST_TURNS);
        let slot = slots.min_by_key(|slot| slot.turns)?;
        let words = words(&slot.place, slot.turns);
        slot.turns += 1;
        Some((slot.place.clone(), words))
    }

    /// This place cannot be watched.
    pub(super) fn give_up(&mut self, place: &Place) {
        for slot in &mut self.slots {
            if (slot.place.pid, slot.place.line) == (place.pid, place.line) {
                slot.turns = MOST_TURNS;
            }
        }
    }

    /// How many places had at least one turn.
    pub(super) fn watched(&self) -> usize {
        self.slots.iter().filter(|slot| slot.turns > 0).count()
    }
}

/// The words of a turn: in every other one those that threads were seen at, together, so that their
/// order shows; in between the most telling one and three of the others, so that all are seen.
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
            _ => cycle(&all[..known], round * (REGISTERS - 1), REGISTERS),
        };
    }
    let Some((first, others)) = all.split_first() else {
        return Vec::new();
    };
    let mut words = vec![*first];
    words.extend(cycle(others, round * (REGISTERS - 1), REGISTERS - 1));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u64, words: &[u16], known_words: usize) -> Place {
        Place { pid: 1, line, words: words.to_vec(), known_words, threads: vec![1, 2] }
    }

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
        assert_eq!(words(&many, 2), [24, 32, 40, 48]);
        assert_eq!(words(&self::place(0, &WORDS[..1], 1), 1), [8]);
    }

    #[test]
    fn places_take_turns_and_keep_their_counts() {
        let (a, b) = (place(0x40, &WORDS, 2), place(0x80, &WORDS, 2));
        let mut schedule = Schedule::default();
        assert!(schedule.next().is_none());
        schedule.update(vec![a.clone(), b.clone()]);
        let mut order = || schedule.next().map(|(place, _)| place.line);
        assert_eq!([order(), order(), order()], [Some(0x40), Some(0x80), Some(0x40)]);
        schedule.update(vec![b.clone()]);
        assert_eq!(schedule.next().map(|(place, _)| place.line), Some(0x80));
        schedule.update(vec![b.clone(), a.clone()]);
        assert_eq!(schedule.next().map(|(place, _)| place.line), Some(0x80));
        assert_eq!(schedule.watched(), 2);
        schedule.give_up(&a);
        schedule.give_up(&b);
        assert!(schedule.next().is_none());
    }
}
