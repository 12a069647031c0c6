//! The mappings of one process over time.

use std::collections::BTreeMap;

/// An address space: which mapping covered an address at a time.
///
/// Ranges never overlap; each has the mappings that covered it, by the time they came. A new mapping
/// cuts ranges at its ends and adds itself to those within, so a mapping that was partly replaced
/// keeps its rest without being copied. The kernel does not record unmapping, so a mapping stays
/// until another takes its place.
#[derive(Debug, Default)]
pub(super) struct AddressSpace {
    ranges: BTreeMap<u64, Range>,
    /// The space this one was forked from, and when.
    pub(super) parent: Option<(usize, u64)>,
    /// When the process ran another program, ascending.
    pub(super) execs: Vec<u64>,
}

#[derive(Debug, Clone)]
struct Range {
    end: u64,
    /// Since when, and which mapping; ascending.
    history: Vec<(u64, u32)>,
}

impl AddressSpace {
    /// The space of a new process, which sees what its parent had at the time of the fork.
    pub(super) fn forked(parent: Option<(usize, u64)>) -> Self {
        Self { parent, ..Self::default() }
    }

    /// Adds mapping number `mapping` at [start, end) from `time` on. Times must not descend.
    pub(super) fn insert(&mut self, start: u64, end: u64, time: u64, mapping: u32) {
        if start >= end {
            return;
        }
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
    }

    /// The mapping that covered `address` at `time`.
    pub(super) fn find(&self, address: u64, time: u64) -> Option<u32> {
        let (_, range) = self.ranges.range(..=address).next_back()?;
        if address >= range.end {
            return None;
        }
        let since = range.history.partition_point(|(from, _)| *from <= time);
        range.history.get(since.checked_sub(1)?).map(|(_, mapping)| *mapping)
    }

    /// How often the process had run another program by `time`.
    pub(super) fn epoch(&self, time: u64) -> usize {
        self.execs.partition_point(|exec| *exec <= time)
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
        space.insert(0x1000, 0x9000, 10, 0);
        space.insert(0x3000, 0x4000, 20, 1);
        assert_eq!(space.find(0x3800, 15), Some(0));
        assert_eq!(space.find(0x3800, 20), Some(1));
        assert_eq!(space.find(0x4000, 25), Some(0));
        assert_eq!(space.find(0x2fff, 25), Some(0));
        assert_eq!(space.find(0x2fff, 9), None);
        assert_eq!(space.find(0x9000, 25), None);
    }

    proptest! {
        /// A byte map of who covers what is the truth.
        #[test]
        fn agrees_with_a_byte_map(inserts in prop::collection::vec((0u64..64, 0u64..64), 1..40)) {
            let mut space = AddressSpace::default();
            let mut truth = [[None; 64]; 40];
            for (time, (first, second)) in inserts.iter().enumerate() {
                if time > 0 {
                    truth[time] = truth[time - 1];
                }
                let (start, end) = (*first.min(second), *first.max(second));
                space.insert(start, end, time as u64, time as u32);
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
