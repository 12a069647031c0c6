//! Whose fault a sample's time is.

use super::touches::{Role, Touch};
use super::windows::Meetings;

/// Gives each sample's time to the contended lines it may have waited for: all to the access that it
/// waited for, or at a store-draining instruction in equal parts to the lines with a store that had to
/// drain.
///
/// `meetings` are those at each line: outside of its contended windows nothing is blamed, nor are
/// samples that the filter left out.
/// The result has one entry for each touch: the share of its sample, 0 to 1, that waited for it.
pub fn blame(touches: &[Touch], meetings: &[Meetings]) -> Vec<f64> {
    let mut blames = vec![0.0; touches.len()];
    let mut order: Vec<u32> = (0..touches.len() as u32)
        .filter(|&index| {
            let touch = &touches[index as usize];
            touch.role < Role::Present && touch.is_wanted && is_contended(touch, meetings)
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
            blames[index as usize] += share;
        }
    }
    blames
}

/// Whether a touch lies in a contended window of its line.
pub(super) fn is_contended(touch: &Touch, meetings: &[Meetings]) -> bool {
    meetings.get(touch.line as usize).is_some_and(|meetings| meetings.is_contended_at(touch.time))
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

    #[test]
    fn what_was_waited_for_gets_all_and_drained_stores_share() {
        let windows = [contended(0), contended(0)];
        let touches = [
            touch(0, 1, 0, Role::Waited),
            touch(1, 1, 0, Role::Drained),
            touch(0, 2, 0, Role::Drained),
            touch(1, 2, 0, Role::Drained),
            touch(0, 3, 0, Role::Elsewhere),
            touch(1, 3, 0, Role::Present),
        ];
        assert_eq!(blame(&touches, &windows), [1.0, 0.0, 0.5, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn nothing_is_blamed_while_a_line_is_not_contended() {
        let windows = [contended(0), Meetings::default()];
        let touches = [
            touch(0, 1, 1, Role::Waited),
            touch(0, 2, 0, Role::Drained),
            touch(1, 2, 0, Role::Drained),
        ];
        assert_eq!(blame(&touches, &windows), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn a_line_is_blamed_once_for_a_sample() {
        let windows = [contended(0)];
        let touches = [touch(0, 1, 0, Role::Drained), touch(0, 1, 0, Role::Drained)];
        let sum: f64 = blame(&touches, &windows).iter().sum();
        assert_eq!(sum, 1.0);
    }
}
