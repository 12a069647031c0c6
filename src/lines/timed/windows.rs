//! The stretches of time in which threads on different CPUs interleaved on a line.

use rustc_hash::FxHashMap;

use super::touches::Touch;
use crate::process::{Cpu, Time};

/// How long a window is, ns. Hand-overs that are faster than the sampling period cannot be told from
/// simultaneity, so threads count as simultaneous when they meet in one window.
pub const WINDOW_NS: u64 = 100_000_000;

/// So many hand-overs must be expected before too few of them mean anything.
const ENOUGH_EXPECTED: f64 = 8.0;

/// Threads whose samples follow each other at random hand a line over as often as expected, those
/// that are sampled in step up to twice as often. Below this share they take turns.
const SHARE_OF_TURNS: f64 = 0.5;

/// A stretch of time with contention on a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Its number: time divided by [`WINDOW_NS`].
    pub number: u64,
    /// Samples in it that touch the line.
    pub samples: u64,
    /// Samples in it that write.
    pub writes: u64,
    /// How often a sample followed one of another thread on another CPU.
    pub hand_overs: u64,
    /// How often that would be if the same samples came in any order.
    pub expected_hand_overs: f64,
}

/// Number of the window of a time.
pub fn window_of(time: Time) -> u64 {
    time.0 / WINDOW_NS
}

/// How threads meet at a line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Meetings {
    /// Windows in which threads were there at once.
    pub contended: Vec<Window>,
    /// Windows in which several were there, each for long before the next one came.
    pub in_turns: Vec<Window>,
}

impl Meetings {
    /// Samples in windows with contention.
    pub fn contended_samples(&self) -> u64 {
        self.contended.iter().map(|window| window.samples).sum()
    }
}

/// The windows in which a thread that writes and another one, on different CPUs, were at a line at
/// once: a sample of one lies between two of the other. A line that one thread leaves before another
/// comes to it has no such window, nor has one whose threads share a CPU. Where the line changes
/// hands far less often than the same samples in any order would make it, threads take turns: they
/// hold a lock, or work moves between them. The touches of one line come in time order.
pub fn meetings(touches: &[Touch]) -> Meetings {
    let samples: Vec<Sample> =
        touches.chunk_by(|a, b| a.position == b.position).map(Sample::of).collect();
    let windows = samples
        .chunk_by(|a, b| window_of(a.time) == window_of(b.time))
        .filter(|samples| is_interleaved(samples))
        .filter_map(Window::of);
    let (mut in_turns, mut contended): (Vec<_>, Vec<_>) = windows.partition(Window::is_in_turns);
    // Few samples in each may be enough in all.
    let sum = Window {
        hand_overs: contended.iter().map(|window| window.hand_overs).sum(),
        expected_hand_overs: contended.iter().map(|window| window.expected_hand_overs).sum(),
        ..Window::default()
    };
    if sum.is_in_turns() {
        in_turns.append(&mut contended);
        in_turns.sort_by_key(|window| window.number);
    }
    Meetings { contended, in_turns }
}

impl Default for Window {
    fn default() -> Self {
        Self { number: 0, samples: 0, writes: 0, hand_overs: 0, expected_hand_overs: 0.0 }
    }
}

/// One sample at the line, whatever it does there.
#[derive(Debug, Clone, Copy)]
struct Sample {
    time: Time,
    thread: u32,
    cpu: Option<Cpu>,
    writes: bool,
}

impl Sample {
    fn of(touches: &[Touch]) -> Self {
        let first = &touches[0];
        Self {
            time: first.time,
            thread: first.tid.0,
            cpu: first.cpu,
            writes: touches.iter().any(|touch| touch.direction.writes()),
        }
    }
}

impl Window {
    fn of(samples: &[Sample]) -> Option<Self> {
        let mut of_thread: FxHashMap<u32, f64> = FxHashMap::default();
        for sample in samples {
            *of_thread.entry(sample.thread).or_default() += 1.0;
        }
        let is_hand_over =
            |pair: &&[Sample]| pair[0].thread != pair[1].thread && pair[0].cpu != pair[1].cpu;
        // Of all orders, a pair of neighbours is of two threads in (n² - Σ nᵢ²) / n (n - 1) of them, and
        // there are n - 1 pairs.
        let all = samples.len() as f64;
        let same: f64 = of_thread.values().map(|count| count * count).sum();
        Some(Self {
            number: window_of(samples.first()?.time),
            samples: samples.len() as u64,
            writes: samples.iter().filter(|sample| sample.writes).count() as u64,
            hand_overs: samples.windows(2).filter(is_hand_over).count() as u64,
            expected_hand_overs: (all * all - same) / all,
        })
    }

    fn is_in_turns(&self) -> bool {
        self.expected_hand_overs >= ENOUGH_EXPECTED
            && (self.hand_overs as f64) < self.expected_hand_overs * SHARE_OF_TURNS
    }
}

/// A thread's stay at the line, from its first to its last sample.
struct Stay {
    first: usize,
    last: usize,
    /// The one CPU it was on; `None` if it was on several.
    cpu: Option<Cpu>,
    writes: bool,
}

/// Whether a sample lies within the stay of another thread that was on another CPU, and one of the two
/// writes.
fn is_interleaved(samples: &[Sample]) -> bool {
    let mut stays: FxHashMap<u32, Stay> = FxHashMap::default();
    for (index, sample) in samples.iter().enumerate() {
        // What is not known to have been elsewhere proves nothing.
        let Some(cpu) = sample.cpu else { continue };
        stays
            .entry(sample.thread)
            .and_modify(|stay| {
                stay.last = index;
                stay.writes |= sample.writes;
                stay.cpu = stay.cpu.filter(|known| *known == cpu);
            })
            .or_insert(Stay { first: index, last: index, cpu: Some(cpu), writes: sample.writes });
    }
    let mut under_way = UnderWay::default();
    for (index, sample) in samples.iter().enumerate() {
        let (Some(cpu), Some(own)) = (sample.cpu, stays.get(&sample.thread)) else { continue };
        // A stay is under way between its ends, not at them.
        if own.first < index && index == own.last {
            under_way.change(own, -1);
        }
        let is_inside = own.first < index && index < own.last;
        let others = under_way.elsewhere(cpu, is_inside.then_some(own));
        if others.writers > 0 || own.writes && others.threads > 0 {
            return true;
        }
        if own.first == index && index < own.last {
            under_way.change(own, 1);
        }
    }
    false
}

/// The stays that are under way: all, and those on one CPU alone.
#[derive(Default)]
struct UnderWay {
    all: Count,
    on_cpu: FxHashMap<Cpu, Count>,
}

/// Stays, and those of threads that write.
#[derive(Clone, Copy, Default)]
struct Count {
    threads: i64,
    writers: i64,
}

impl UnderWay {
    fn change(&mut self, stay: &Stay, by: i64) {
        self.all.add(stay, by);
        if let Some(cpu) = stay.cpu {
            self.on_cpu.entry(cpu).or_default().add(stay, by);
        }
    }

    /// Those that were on another CPU than this one, without the sample's own.
    fn elsewhere(&self, cpu: Cpu, own: Option<&Stay>) -> Count {
        let here = self.on_cpu.get(&cpu).copied().unwrap_or_default();
        let mut count = Count {
            threads: self.all.threads - here.threads,
            writers: self.all.writers - here.writers,
        };
        if let Some(own) = own.filter(|own| own.cpu != Some(cpu)) {
            count.add(own, -1);
        }
        count
    }
}

impl Count {
    fn add(&mut self, stay: &Stay, by: i64) {
        self.threads += by;
        self.writers += if stay.writes { by } else { 0 };
    }
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

    fn contended(touches: &[(u32, u32, u64, Direction)]) -> Vec<u64> {
        let touches: Vec<_> =
            touches.iter().map(|&(tid, cpu, ms, what)| touch(tid, cpu, ms, what)).collect();
        meetings(&touches).contended.iter().map(|window| window.number).collect()
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
        assert_eq!(meetings(&touches).contended.len(), 1);
        touches.iter_mut().for_each(|touch| touch.cpu = None);
        assert_eq!(meetings(&touches), Meetings::default());
    }

    #[test]
    fn several_accesses_of_one_sample_count_once() {
        let mut touches = [(1, 10), (2, 20), (1, 30)]
            .map(|(tid, ms)| touch(tid, tid, ms, Direction::Store))
            .to_vec();
        touches.insert(2, touches[1]);
        let window = meetings(&touches).contended[0];
        assert_eq!((window.samples, window.writes, window.hand_overs), (3, 3, 2));
        // (3² - 2² - 1²) / 3
        assert!((window.expected_hand_overs - 4.0 / 3.0).abs() < 1e-9);
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
        for length in [5, 20] {
            let meetings = meetings(&turns(length));
            assert!(meetings.contended.is_empty(), "turns of {length} ms");
            assert_eq!(meetings.in_turns.len(), 4, "turns of {length} ms");
        }
        assert_eq!(meetings(&turns(1)).contended.len(), 4, "as fast as samples come");
    }

    /// Windows with a few samples each say together what none says alone.
    #[test]
    fn rare_turns_add_up() {
        let threads = [1, 1, 1, 1, 2, 2, 2, 2, 1];
        let touches = |windows: u64| -> Vec<Touch> {
            let of_window = |window| {
                let times = (0..).map(move |number| window * 100 + number * 10);
                threads.iter().zip(times).map(|(tid, ms)| touch(*tid, *tid, ms, Direction::Store))
            };
            (0..windows).flat_map(of_window).collect()
        };
        // 2 hand-overs, and (9² - 5² - 4²) / 9 = 4.4 are expected.
        assert_eq!(meetings(&touches(1)).contended.len(), 1, "that may be chance");
        let many = meetings(&touches(20));
        assert_eq!((many.contended.len(), many.in_turns.len()), (0, 20));
    }
}
