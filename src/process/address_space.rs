//! The mappings of one process over time.

use std::collections::BTreeMap;

use super::overlay::Overlay;

/// An address space: which mapping covered an address at a time.
///
/// Ranges never overlap; each has the mappings that covered it, by the time they came. A new mapping
/// cuts ranges at its ends and adds itself to those within. The kernel does not record unmapping, so
/// a mapping stays until another takes its place.
#[derive(Debug, Default)]
pub(super) struct AddressSpace {
    ranges: BTreeMap<u64, Range>,
    /// Mappings that would have cut and copied too much of the ranges.
    overlay: Option<Box<Overlay>>,
    /// The space that this one came from.
    pub(super) parent: Option<Parent>,
}

/// What the mappings of all address spaces may still grow by, in entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Budget {
    /// Histories of ranges.
    pub(super) histories: usize,
    /// Pieces of overlays.
    pub(super) overlays: usize,
}

/// Where an address space comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parent {
    /// Number of the space.
    pub(super) space: usize,
    /// When it was left.
    pub(super) time: u64,
    /// Whether its mappings are inherited (fork), or gone (exec).
    pub(super) is_fork: bool,
}

#[derive(Debug, Clone)]
struct Range {
    end: u64,
    /// Since when, and which mapping; ascending.
    history: Vec<(u64, u32)>,
}

impl AddressSpace {
    /// The space of a new process or program.
    pub(super) fn from_parent(parent: Option<Parent>) -> Self {
        Self { parent, ..Self::default() }
    }

    /// Adds mapping number `mapping` at [start, end) from `time` on. Times must not descend.
    ///
    /// Mappings that replace each other in ever new ways make the histories of ranges grow with the
    /// square of their number. One that would take more than `budget` allows goes to the overlay, which
    /// is slower to search and grows evenly; the answer is `false`, and nothing is added, when the
    /// budget does not allow that either.
    pub(super) fn insert(
        &mut self,
        start: u64,
        end: u64,
        time: u64,
        mapping: u32,
        budget: &mut Budget,
    ) -> bool {
        start >= end
            || self.insert_range(start, end, time, mapping, &mut budget.histories)
            || self.overlay.get_or_insert_default().insert(
                start,
                end,
                time,
                mapping,
                &mut budget.overlays,
            )
    }

    fn insert_range(
        &mut self,
        start: u64,
        end: u64,
        time: u64,
        mapping: u32,
        budget: &mut usize,
    ) -> bool {
        let cut_off = self.history_to_copy(start) + self.history_to_copy(end);
        let within = self.ranges.range(start..end).take(*budget).count();
        // A range and a gap for each one within, and one at each end.
        let Some(left) = budget.checked_sub(cut_off + 2 * within + 2) else {
            return false;
        };
        *budget = left;
        self.cut(start);
        self.cut(end);
        let mut gaps = Vec::new();
        let mut position = start;
        for (&range_start, range) in self.ranges.range_mut(start..end) {
            if position < range_start {
                gaps.push((position, range_start));
            }
            range.history.push((time, mapping));
            position = range.end;
        }
        if position < end {
            gaps.push((position, end));
        }
        for (start, end) in gaps {
            self.ranges.insert(start, Range { end, history: vec![(time, mapping)] });
        }
        true
    }

    /// Entries that a cut at `at` copies.
    fn history_to_copy(&self, at: u64) -> usize {
        let before = self.ranges.range(..at).next_back();
        before.filter(|(_, range)| range.end > at).map_or(0, |(_, range)| range.history.len())
    }

    /// The mapping that covered `address` at `time`.
    pub(super) fn find(&self, address: u64, time: u64) -> Option<u32> {
        let in_ranges = self.find_range(address, time);
        let Some(overlay) = &self.overlay else {
            return in_ranges.map(|(_, mapping)| mapping);
        };
        // Numbers ascend with time, so the newer one is the larger one.
        in_ranges.max(overlay.find(address, time)).map(|(_, mapping)| mapping)
    }

    fn find_range(&self, address: u64, time: u64) -> Option<(u64, u32)> {
        let (_, range) = self.ranges.range(..=address).next_back()?;
        if address >= range.end {
            return None;
        }
        let since = range.history.partition_point(|(from, _)| *from <= time);
        range.history.get(since.checked_sub(1)?).copied()
    }

    fn cut(&mut self, at: u64) {
        if let Some((_, range)) = self.ranges.range_mut(..at).next_back()
            && range.end > at
        {
            let tail = range.clone();
            range.end = at;
            self.ranges.insert(at, tail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_later_mapping_replaces_from_its_time_on_and_leaves_the_rest() {
        let mut space = AddressSpace::default();
        let mut budget = Budget { histories: 100, overlays: 0 };
        assert!(space.insert(0x1000, 0x9000, 10, 0, &mut budget));
        assert!(space.insert(0x3000, 0x4000, 20, 1, &mut budget));
        assert_eq!(space.find(0x3800, 15), Some(0));
        assert_eq!(space.find(0x3800, 20), Some(1));
        assert_eq!(space.find(0x4000, 25), Some(0));
        assert_eq!(space.find(0x2fff, 25), Some(0));
        assert_eq!(space.find(0x2fff, 9), None);
        assert_eq!(space.find(0x9000, 25), None);
    }

    #[test]
    fn histories_do_not_outgrow_their_budget() {
        let mut space = AddressSpace::default();
        let mut budget = Budget { histories: 100_000, overlays: 100_000 };
        let count = 10_000;
        for time in 0..count {
            space.insert(0x1000, 0x1000_0000, time, 0, &mut budget);
        }
        for page in 0..count {
            space.insert(0x1000 + page * 2, 0x1001 + page * 2, count, 1, &mut budget);
        }
        let entries: usize = space.ranges.values().map(|range| range.history.len()).sum();
        assert!(entries <= 100_000, "{entries}");
        // What did not fit is found all the same, and what did is found as before.
        assert_eq!(space.find(0x1000 + 2 * (count - 1), count), Some(1));
        assert_eq!(space.find(0x1001, count), Some(0));
        assert!(budget.overlays < 100_000);
    }

    proptest! {
        /// A byte map of who covers what is the truth.
        #[test]
        fn agrees_with_a_byte_map(
            inserts in prop::collection::vec((0u64..64, 0u64..64), 1..40),
            mut histories in 0usize..200,
        ) {
            let mut space = AddressSpace::default();
            let mut truth = [[None; 64]; 40];
            for (time, (first, second)) in inserts.iter().enumerate() {
                if time > 0 {
                    truth[time] = truth[time - 1];
                }
                let (start, end) = (*first.min(second), *first.max(second));
                // With little to spend on ranges, some go to the overlay.
                let mut budget = Budget { histories: histories.min(10_000), overlays: 10_000 };
                prop_assert!(space.insert(start, end, time as u64, time as u32, &mut budget));
                histories = budget.histories;
                truth[time][start as usize..end as usize].fill(Some(time as u32));
            }
            for (time, row) in truth.iter().enumerate().take(inserts.len()) {
                for (address, expected) in row.iter().enumerate() {
                    prop_assert_eq!(space.find(address as u64, time as u64), *expected);
                }
            }
        }
    }
}
