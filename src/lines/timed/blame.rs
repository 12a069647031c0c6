//! Whose fault a sample's time is.

use super::touches::{Role, Touch};
use super::windows::{Window, window_of};

/// The part of a sample's time that goes to one touch.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Blame {
    /// Share of the sample, 0 to 1, that waited for it.
    pub waited: f64,
    /// Share of the sample, 0 to 1, that may have waited for the store buffer it went through.
    pub buffered: f64,
}

/// Gives each sample's time to the contended lines it may have waited for: all to the access that it
/// waited for; at a store-draining instruction in equal parts to the lines with a store that had to
/// drain; and where nothing tells, as a mere possibility, to those with an earlier store.
///
/// `windows` are each line's contended ones, in order of time: outside of them nothing is blamed.
/// The result has one entry for each touch.
pub fn blame(touches: &[Touch], windows: &[Vec<Window>]) -> Vec<Blame> {
    let mut blames = vec![Blame::default(); touches.len()];
    let mut order: Vec<u32> = (0..touches.len() as u32)
        .filter(|&index| {
            let touch = &touches[index as usize];
            touch.role != Role::Present && is_contended(touch, windows)
        })
        .collect();
    order.sort_by_key(|&index| {
        let touch = &touches[index as usize];
        (touch.position, touch.role, touch.line)
    });
    let touch = |index: &u32| &touches[*index as usize];
    for sample in order.chunk_by(|a, b| touch(a).position == touch(b).position) {
        let Some(strongest) = sample.first().map(|index| touch(index).role) else {
            continue;
        };
        // Of several touches of one line the last one stands for it: it is nearest to the sample.
        let candidates: Vec<u32> = sample
            .chunk_by(|a, b| (touch(a).role, touch(a).line) == (touch(b).role, touch(b).line))
            .filter_map(|same| same.last().copied())
            .filter(|index| touch(index).role == strongest)
            .collect();
        let share = 1.0 / candidates.len() as f64;
        for index in candidates {
            let blame = &mut blames[index as usize];
            match strongest {
                Role::Buffered => blame.buffered += share,
                _ => blame.waited += share,
            }
        }
    }
    blames
}

/// Whether a touch lies in a contended window of its line.
pub(super) fn is_contended(touch: &Touch, windows: &[Vec<Window>]) -> bool {
    let number = window_of(touch.time);
    windows
        .get(touch.line as usize)
        .is_some_and(|windows| windows.binary_search_by_key(&number, |it| it.number).is_ok())
}
