//! Whose fault a sample's time is.

use super::touches::{Role, Touch};
use super::windows::{Meetings, window_of};

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
/// `meetings` are those at each line: outside of its contended windows nothing is blamed, nor are
/// samples that the filter left out.
/// The result has one entry for each touch.
pub fn blame(touches: &[Touch], meetings: &[Meetings]) -> Vec<Blame> {
    let mut blames = vec![Blame::default(); touches.len()];
    let mut order: Vec<u32> = (0..touches.len() as u32)
        .filter(|&index| {
            let touch = &touches[index as usize];
            touch.role != Role::Present && touch.is_wanted && is_contended(touch, meetings)
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
pub(super) fn is_contended(touch: &Touch, meetings: &[Meetings]) -> bool {
    let number = window_of(touch.time);
    let contended = meetings.get(touch.line as usize).map(|meetings| &meetings.contended);
    contended.is_some_and(|windows| windows.binary_search_by_key(&number, |it| it.number).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{CodeAddress, DataAddress, Direction};
    use crate::lines::timed::Window;
    use crate::perf_data::SamplePosition;
    use crate::process::{Cpu, Pid, Tid, Time};

    /// A touch of a line by the sample with this number, taken in the window with this number.
    fn touch(line: u32, sample: u64, window: u64, role: Role) -> Touch {
        let mut position = SamplePosition::default();
        position.ordinal = sample;
        Touch {
            line,
            position,
            time: Time(window * super::super::windows::WINDOW_NS),
            pid: Pid(1),
            tid: Tid(1),
            cpu: Some(Cpu(0)),
            code: CodeAddress(0),
            code_mapping: None,
            data: DataAddress(0),
            data_mapping: None,
            size: 8,
            direction: Direction::Store,
            role,
            is_certain: true,
            is_wanted: true,
            weight: 1,
        }
    }

    fn contended(number: u64) -> Meetings {
        let contended = vec![Window { number, ..Window::default() }];
        Meetings { contended, ..Meetings::default() }
    }

    fn shares(touches: &[Touch], meetings: &[Meetings]) -> Vec<(f64, f64)> {
        blame(touches, meetings).iter().map(|it| (it.waited, it.buffered)).collect()
    }

    #[test]
    fn what_was_waited_for_gets_all_and_drained_stores_share() {
        let windows = [contended(0), contended(0)];
        let touches = [
            touch(0, 1, 0, Role::Waited),
            touch(1, 1, 0, Role::Drained),
            touch(0, 2, 0, Role::Drained),
            touch(1, 2, 0, Role::Drained),
            touch(0, 3, 0, Role::Buffered),
            touch(1, 3, 0, Role::Present),
        ];
        let expected = [(1.0, 0.0), (0.0, 0.0), (0.5, 0.0), (0.5, 0.0), (0.0, 1.0), (0.0, 0.0)];
        assert_eq!(shares(&touches, &windows), expected);
    }

    #[test]
    fn nothing_is_blamed_while_a_line_is_not_contended() {
        let windows = [contended(0), Meetings::default()];
        let touches = [
            touch(0, 1, 1, Role::Waited),
            touch(0, 2, 0, Role::Drained),
            touch(1, 2, 0, Role::Drained),
        ];
        assert_eq!(shares(&touches, &windows), [(0.0, 0.0), (1.0, 0.0), (0.0, 0.0)]);
    }

    #[test]
    fn a_line_is_blamed_once_for_a_sample() {
        let windows = [contended(0)];
        let touches = [touch(0, 1, 0, Role::Drained), touch(0, 1, 0, Role::Drained)];
        let sum: f64 = shares(&touches, &windows).iter().map(|share| share.0).sum();
        assert_eq!(sum, 1.0);
    }
}
