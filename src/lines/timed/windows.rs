//! The stretches of time in which threads on different CPUs interleaved on a line.

use super::stays::{LONG_GAP, Sample, has_met};
use super::touches::Touch;
use crate::process::{Cores, Cpu, Time};

/// How long a window is, ns. Hand-overs that are faster than the sampling period cannot be told from
/// simultaneity, so threads count as simultaneous when they meet in one window.
pub const WINDOW_NS: u64 = 100_000_000;

/// A stretch of time in which threads met at a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// Its number: time divided by [`WINDOW_NS`].
    pub number: u64,
    /// Samples in it that touch the line.
    pub samples: u64,
    /// Samples in it that write.
    pub writes: u64,
}

/// Number of the window of a time.
pub fn window_of(time: Time) -> u64 {
    time.0 / WINDOW_NS
}

/// How threads meet at a line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Meetings {
    /// Windows in which threads were there at once, on different cores.
    pub contended: Vec<Window>,
    /// Windows in which they were there at once on hardware threads of one core.
    pub on_one_core: Vec<Window>,
    /// Windows in which several were there, each for long before the next one came.
    pub in_turns: Vec<Window>,
    /// Windows in which several shared one CPU.
    pub on_one_cpu: Vec<Window>,
}

/// Samples in windows.
pub fn samples_in(windows: &[Window]) -> u64 {
    windows.iter().map(|window| window.samples).sum()
}

impl Meetings {
    /// Samples in windows with contention.
    pub fn contended_samples(&self) -> u64 {
        samples_in(&self.contended)
    }

    /// Whether a time lies in a window with contention.
    pub fn is_contended_at(&self, time: Time) -> bool {
        let number = window_of(time);
        self.contended.binary_search_by_key(&number, |window| window.number).is_ok()
    }
}

/// The windows in which a thread that writes and another one, on different cores, were at a line at
/// once: samples of one lie within a stay of the other. A line that one thread leaves before another
/// comes to it has no such window. Where threads come back in turns, each staying for long before the
/// next one comes, they hold a lock, or work moves between them; where they share a core or a CPU, no
/// line passes. The touches of one line come in time order.
pub fn meetings(touches: &[Touch], cores: &Cores) -> Meetings {
    let samples: Vec<Sample> =
        touches.chunk_by(|a, b| a.position == b.position).map(Sample::of).collect();
    let mut meetings = Meetings::default();
    for on_cpus in samples.chunk_by(|a, b| window_of(a.time) == window_of(b.time)) {
        let window = Window {
            number: window_of(on_cpus[0].time),
            samples: on_cpus.len() as u64,
            writes: on_cpus.iter().filter(|sample| sample.writes).count() as u64,
        };
        let place = |of: &dyn Fn(&Sample, Cpu) -> Cpu| -> Vec<Sample> {
            let at = |it: &Sample| Sample { cpu: it.cpu.map(|cpu| of(it, cpu)), ..*it };
            on_cpus.iter().map(at).collect()
        };
        let on_cores = place(&|_, cpu| cores.first_of(cpu));
        // Whoever comes back after another was there has met it, in turns if not at once.
        if has_met(&on_cores, LONG_GAP) {
            meetings.contended.push(window);
        } else if cores.have_siblings() && has_met(on_cpus, LONG_GAP) {
            meetings.on_one_core.push(window);
        } else if has_met(&on_cores, u64::MAX) {
            meetings.in_turns.push(window);
        } else if has_met(&place(&|sample, _| Cpu(sample.thread)), u64::MAX) {
            meetings.on_one_cpu.push(window);
        }
    }
    meetings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{CodeAddress, DataAddress, Direction};
    use crate::lines::timed::Role;
    use crate::perf_data::SamplePosition;
    use crate::process::{Pid, Tid};

    /// A touch by a thread on a CPU at a time in ms, each by a sample of its own.
    fn touch(tid: u32, cpu: u32, ms: u64, direction: Direction) -> Touch {
        let mut position = SamplePosition::default();
        position.ordinal = ms;
        Touch {
            line: 0,
            position,
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
            is_wanted: true,
            weight: 1,
        }
    }

    /// Every CPU is a core.
    fn apart(touches: &[Touch]) -> Meetings {
        meetings(touches, &Cores::default())
    }

    fn contended(touches: &[(u32, u32, u64, Direction)]) -> Vec<u64> {
        let touches: Vec<_> =
            touches.iter().map(|&(tid, cpu, ms, what)| touch(tid, cpu, ms, what)).collect();
        apart(&touches).contended.iter().map(|window| window.number).collect()
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
        let moved = [(1, 0, 10, Store), (1, 1, 20, Store), (1, 0, 30, Store)];
        assert!(contended(&moved).is_empty(), "one thread on two CPUs");
        let third = [(1, 0, 10, Load), (3, 1, 15, Store), (2, 0, 20, Load), (1, 0, 30, Load)];
        assert_eq!(contended(&third), [0]);
    }

    #[test]
    fn touches_without_a_cpu_prove_nothing() {
        let mut touches = [(1, 10), (2, 20), (1, 30), (2, 40)]
            .map(|(tid, ms)| touch(tid, tid, ms, Direction::Store));
        assert_eq!(apart(&touches).contended.len(), 1);
        touches.iter_mut().for_each(|touch| touch.cpu = None);
        assert_eq!(apart(&touches), Meetings::default());
    }

    #[test]
    fn several_accesses_of_one_sample_count_once() {
        let mut touches = [(1, 10), (2, 20), (1, 30)]
            .map(|(tid, ms)| touch(tid, tid, ms, Direction::Store))
            .to_vec();
        touches.insert(2, touches[1]);
        let window = Window { number: 0, samples: 3, writes: 3 };
        assert_eq!(apart(&touches).contended, [window]);
    }

    /// Two threads, each busy for so many ms, then the other.
    fn turns(length: u64) -> Vec<Touch> {
        (0..400)
            .map(|ms| {
                let thread = (ms / length % 2) as u32;
                touch(thread, thread, ms, Direction::ReadModifyWrite)
            })
            .collect()
    }

    #[test]
    fn turns_are_no_contention() {
        for length in [4, 5, 20] {
            let meetings = apart(&turns(length));
            assert!(meetings.contended.is_empty(), "turns of {length} ms");
            assert_eq!(meetings.in_turns.len(), 4, "turns of {length} ms");
        }
        assert_eq!(apart(&turns(1)).contended.len(), 4, "as fast as samples come");
        // Each is there for half of the time, and both for a quarter.
        let halves: Vec<Touch> = (0..400)
            .flat_map(|ms| {
                let is_there = [ms / 10 % 2 == 0, ms / 20 % 2 == 0];
                [0, 1].map(|thread| (is_there[thread as usize], thread, ms))
            })
            .filter(|(is_there, ..)| *is_there)
            .map(|(_, thread, ms)| {
                let mut touch = touch(thread, thread, ms, Direction::ReadModifyWrite);
                touch.position.ordinal = ms * 2 + u64::from(thread);
                touch
            })
            .collect();
        assert_eq!(apart(&halves).contended.len(), 4);
    }

    /// A thread that is seldom seen stays for longer than one that always is.
    #[test]
    fn seldom_is_not_in_turns() {
        let reader = (0..100).map(|ms| touch(1, 0, ms, Direction::Load));
        let writer = [7, 31, 38, 77].map(|ms| {
            let mut touch = touch(2, 1, ms, Direction::Store);
            touch.position.ordinal += 1000;
            touch
        });
        let mut touches: Vec<Touch> = reader.chain(writer).collect();
        touches.sort_by_key(|touch| touch.time);
        assert_eq!(apart(&touches).contended.len(), 1);
    }

    #[test]
    fn threads_of_one_core_or_one_cpu_pass_no_line() {
        let both = |second: u32| -> Vec<Touch> {
            let of = |ms: u64| {
                let (thread, cpu) = if ms.is_multiple_of(2) { (1, 0) } else { (2, second) };
                touch(thread, cpu, ms, Direction::ReadModifyWrite)
            };
            (0..90).map(of).collect()
        };
        let cores = Cores::new([vec![0, 4], vec![1, 5]]);
        let lengths = |touches: &[Touch]| {
            let found = meetings(touches, &cores);
            [found.contended, found.on_one_core, found.in_turns, found.on_one_cpu]
                .map(|of| of.len())
        };
        assert_eq!(lengths(&both(5)), [1, 0, 0, 0]);
        assert_eq!(lengths(&both(4)), [0, 1, 0, 0]);
        assert_eq!(lengths(&both(0)), [0, 0, 0, 1]);
        // What the machine does not tell is not assumed.
        assert_eq!(apart(&both(4)).contended.len(), 1);
    }
}
