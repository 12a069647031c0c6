//! Mappings that overlap others too often for a list of ranges.

use rustc_hash::FxHashMap;

/// Ranges of addresses over time, kept in pieces that are powers of two long and aligned to their
/// length, as the nodes of a binary trie: a new range touches no other, and takes at most two pieces of
/// each length.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// By length (its logarithm) and number of the piece: since when, and which mapping; ascending.
    pieces: FxHashMap<(u8, u64), Vec<(u64, u32)>>,
    /// The lengths that there are, as bits.
    lengths: u64,
}

impl Overlay {
    /// Adds mapping number `mapping` at [start, end) from `time` on, if it takes no more pieces than
    /// `budget` has; says whether. Times must not descend.
    pub(super) fn insert(
        &mut self,
        start: u64,
        end: u64,
        time: u64,
        mapping: u32,
        budget: &mut usize,
    ) -> bool {
        let Some(left) = budget.checked_sub(pieces_of(start, end).count()) else {
            return false;
        };
        *budget = left;
        for (length, number) in pieces_of(start, end) {
            self.lengths |= 1 << length;
            self.pieces.entry((length, number)).or_default().push((time, mapping));
        }
        true
    }

    /// The newest mapping that covered `address` at `time`, and since when.
    pub(super) fn find(&self, address: u64, time: u64) -> Option<(u64, u32)> {
        let lengths = (0..64u8).filter(|length| self.lengths >> length & 1 == 1);
        let newest = lengths.filter_map(|length| {
            let history = self.pieces.get(&(length, address >> length))?;
            let since = history.partition_point(|(from, _)| *from <= time);
            history.get(since.checked_sub(1)?).copied()
        });
        newest.max()
    }
}

/// The largest aligned pieces of [start, end): logarithm of the length, and number.
fn pieces_of(start: u64, end: u64) -> impl Iterator<Item = (u8, u64)> {
    let mut next = start;
    std::iter::from_fn(move || {
        let left = end.checked_sub(next).filter(|left| *left > 0)?;
        let length = next.trailing_zeros().min(left.ilog2()).min(63);
        let piece = (length as u8, next >> length);
        next = next.saturating_add(1 << length);
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_a_range_once() {
        let pieces: Vec<_> = pieces_of(3, 17).collect();
        assert_eq!(pieces, [(0, 3), (2, 1), (3, 1), (0, 16)]);
        assert_eq!(pieces_of(0, u64::MAX).count(), 64);
        assert_eq!(pieces_of(5, 5).count(), 0);
    }
}
