//! The stretches of time in which threads on different CPUs interleaved on a line.

use super::touches::Touch;
use crate::process::{Cpu, Time};

/// How long a window is, ns. Hand-overs that are faster than the sampling period cannot be told from
/// simultaneity, so threads count as simultaneous when they meet in one window.
pub const WINDOW_NS: u64 = 100_000_000;

/// A stretch of time with contention on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its number: time divided by [`WINDOW_NS`].
    pub number: u64,
    /// Touches in it.
    pub touches: u64,
    /// Samples in it that write.
    pub writes: u64,
    /// How often a touch followed one of another thread.
    pub hand_overs: u64,
}

/// Number of the window of a time.
pub fn window_of(time: Time) -> u64 {
    time.0 / WINDOW_NS
}

struct Presence {
    thread: u32,
    first: Time,
    last: Time,
    cpus: Vec<Cpu>,
    writes: u64,
}

/// The windows in which a thread that writes and another one, on different CPUs, were at a line at
/// once: the stretch from the first to the last touch of one overlaps that of the other. A line that
/// one thread leaves before another comes to it has no such window, nor has one whose threads share a
/// CPU. The touches of one line come in time order.
pub fn contended_windows(touches: &[Touch]) -> Vec<Window> {
    touches
        .chunk_by(|a, b| window_of(a.time) == window_of(b.time))
        .filter_map(|touches| {
            let first = touches.first()?;
            is_contended(touches).then(|| Window {
                number: window_of(first.time),
                touches: touches.len() as u64,
                writes: touches.iter().filter(|touch| touch.direction.writes()).count() as u64,
                hand_overs: touches.windows(2).filter(|pair| pair[0].tid != pair[1].tid).count()
                    as u64,
            })
        })
        .collect()
}

fn is_contended(touches: &[Touch]) -> bool {
    let mut present: Vec<Presence> = Vec::new();
    for touch in touches {
        let Some(cpu) = touch.cpu else {
            continue;
        };
        let writes = u64::from(touch.direction.writes());
        match present.iter_mut().find(|it| it.thread == touch.tid.0) {
            Some(it) => {
                it.last = touch.time;
                it.writes += writes;
                if !it.cpus.contains(&cpu) {
                    it.cpus.push(cpu);
                }
            }
            None => present.push(Presence {
                thread: touch.tid.0,
                first: touch.time,
                last: touch.time,
                cpus: vec![cpu],
                writes,
            }),
        }
    }
    let mut writers = present.iter().filter(|it| it.writes > 0);
    writers.any(|writer| present.iter().any(|other| writer.overlaps(other)))
}

impl Presence {
    /// Whether two threads were there at once, on different CPUs. One that was seen once may lie
    /// within the other's stretch; two that were seen once have no stretch to compare.
    fn overlaps(&self, other: &Self) -> bool {
        let has_stretch = self.first < self.last || other.first < other.last;
        self.thread != other.thread
            && has_stretch
            && self.first.max(other.first) <= self.last.min(other.last)
            && self.cpus.iter().any(|a| other.cpus.iter().any(|b| a != b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{CodeAddress, DataAddress, Direction};
    use crate::lines::timed::Role;
    use crate::perf_data::SamplePosition;
    use crate::process::{Pid, Tid};

    /// A touch by a thread on a CPU at a time in ms.
    fn touch(tid: u32, cpu: u32, ms: u64, direction: Direction) -> Touch {
        Touch {
            line: 0,
            position: SamplePosition::default(),
            time: Time(ms * 1_000_000),
            pid: Pid(1),
            tid: Tid(tid),
            cpu: Some(Cpu(cpu)),
            code: CodeAddress(0),
            code_mapping: None,
            data: DataAddress(0),
            data_mapping: None,
            size: 8,
            direction,
            role: Role::Present,
            is_certain: true,
            weight: 1,
        }
    }

    fn contended(touches: &[(u32, u32, u64, Direction)]) -> Vec<u64> {
        let touches: Vec<_> =
            touches.iter().map(|&(tid, cpu, ms, what)| touch(tid, cpu, ms, what)).collect();
        contended_windows(&touches).iter().map(|window| window.number).collect()
    }

    #[test]
    fn threads_must_interleave_on_different_cpus_and_one_write() {
        use Direction::{Load, Store};
        let both = [(1, 0, 10, Store), (2, 1, 20, Load), (1, 0, 30, Store), (2, 1, 40, Load)];
        assert_eq!(contended(&both), [0]);
        let read_only = both.map(|(tid, cpu, ms, _)| (tid, cpu, ms, Load));
        assert!(contended(&read_only).is_empty());
        let one_cpu = both.map(|(tid, _, ms, what)| (tid, 0, ms, what));
        assert!(contended(&one_cpu).is_empty());
        let handed_over =
            [(1, 0, 10, Store), (1, 0, 20, Store), (2, 1, 30, Load), (2, 1, 40, Store)];
        assert!(contended(&handed_over).is_empty());
        let in_other_windows = both.map(|(tid, cpu, ms, what)| (tid, cpu, ms * 10, what));
        assert!(contended(&in_other_windows).is_empty(), "one touch in each window");
        let once = [(1, 0, 210, Load), (2, 1, 220, Store), (1, 0, 230, Load)];
        assert_eq!(contended(&once), [2], "a writer seen once, within the reader's stretch");
        assert!(contended(&once[..2]).is_empty());
    }

    #[test]
    fn touches_without_a_cpu_prove_nothing() {
        let mut touches = [(1, 10), (2, 20), (1, 30), (2, 40)]
            .map(|(tid, ms)| touch(tid, tid, ms, Direction::Store));
        assert_eq!(contended_windows(&touches).len(), 1);
        touches.iter_mut().for_each(|touch| touch.cpu = None);
        assert!(contended_windows(&touches).is_empty());
    }
}
