//! How far behind an access its samples lie.

use std::collections::BTreeMap;

use serde::Serialize;

/// Samples by their distance from the nearest access at or before them in a loop, in instructions: 0
/// is the access itself, 1 the instruction after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Skid {
    /// Samples by distance.
    pub by_distance: BTreeMap<usize, u64>,
    /// Samples that are at no instruction's first byte.
    pub inside_instructions: u64,
}

impl Skid {
    /// Counts a sample at `address` in a loop whose instructions are at `instructions`, in order, of
    /// which those at the places `accesses` access memory.
    pub fn add(&mut self, instructions: &[u64], accesses: &[usize], address: u64) {
        match instructions.binary_search(&address) {
            Ok(at) => {
                if let Some(distance) = distance(instructions.len(), accesses, at) {
                    *self.by_distance.entry(distance).or_default() += 1;
                }
            }
            Err(_) => self.inside_instructions += 1,
        }
    }

    /// The share of samples that lie at most so many instructions behind, 0 to 1; `None` without
    /// samples.
    pub fn share_within(&self, distance: usize) -> Option<f64> {
        let near: u64 = self.by_distance.range(..=distance).map(|(_, samples)| samples).sum();
        let all = self.by_distance.values().sum::<u64>() + self.inside_instructions;
        (all > 0).then(|| near as f64 / all as f64)
    }
}

/// The nearest access before the instruction at `address`, itself left out: the one that a sample there
/// comes behind. Its place among `instructions`.
pub(super) fn nearest_before(
    instructions: &[u64],
    accesses: &[usize],
    address: u64,
) -> Option<usize> {
    let at = instructions.binary_search(&address).ok()?;
    let length = instructions.len();
    let before = (at + length - 1) % length;
    Some((before + length - distance(length, accesses, before)?) % length)
}

/// How many steps back from the instruction `at` to the nearest access; a loop's first instruction
/// comes after its last.
fn distance(length: usize, accesses: &[usize], at: usize) -> Option<usize> {
    let back = |access: &usize| (at + length - access) % length;
    accesses.iter().filter(|access| **access < length).map(back).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_go_around_the_loop() {
        assert_eq!(distance(6, &[0], 0), Some(0));
        assert_eq!(distance(6, &[0], 5), Some(5));
        assert_eq!(distance(6, &[2, 4], 1), Some(3), "back over the loop's end to the second one");
        assert_eq!(distance(6, &[2, 4], 3), Some(1));
        assert_eq!(distance(6, &[], 3), None);
        assert_eq!(distance(6, &[6], 3), None, "no such instruction");
        let nearest = |address| nearest_before(&[0x10, 0x13, 0x17, 0x1a], &[0, 2], address);
        assert_eq!(nearest(0x13), Some(0));
        assert_eq!(nearest(0x17), Some(0));
        assert_eq!(nearest(0x10), Some(2), "around the loop");
        assert_eq!(nearest(0x11), None);
    }

    #[test]
    fn samples_are_counted_by_distance() {
        let mut skid = Skid::default();
        assert_eq!(skid.share_within(1), None);
        for address in [0x10, 0x13, 0x13, 0x1a, 0x14] {
            skid.add(&[0x10, 0x13, 0x17, 0x1a], &[0], address);
        }
        assert_eq!(skid.by_distance, BTreeMap::from([(0, 1), (1, 2), (3, 1)]));
        assert_eq!(skid.inside_instructions, 1);
        assert_eq!(skid.share_within(1), Some(0.6));
        assert_eq!(skid.share_within(9), Some(0.8));
    }
}
