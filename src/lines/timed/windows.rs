//! The stretches of time in which threads on different CPUs interleaved on a line.

use rustc_hash::FxHashMap;

use super::touches::Touch;
use crate::process::{Cpu, Time};

/// How long a window is, ns. Hand-overs that are faster than the sampling period cannot be told from
/// simultaneity, so threads count as simultaneous when they meet in one window.
pub const WINDOW_NS: u64 = 100_000_000;

/// A thread stays at a line while its samples there follow each other within so many times their usual
/// distance.
const LONG_GAP: u64 = 3;

/// Threads are at a line at once if at least one of so many samples of one of them lies within a stay
/// of another.
const ONE_OF: u64 = 4;

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
/// once: samples of one lie within a stay of the other. A line that one thread leaves before another
/// comes to it has no such window, nor has one whose threads share a CPU. Where threads come back in
/// turns, each staying for long before the next one comes, they hold a lock, or work moves between
/// them. The touches of one line come in time order.
pub fn meetings(touches: &[Touch]) -> Meetings {
    let samples: Vec<Sample> =
        touches.chunk_by(|a, b| a.position == b.position).map(Sample::of).collect();
    let mut meetings = Meetings::default();
    for samples in samples.chunk_by(|a, b| window_of(a.time) == window_of(b.time)) {
        let window = Window {
            number: window_of(samples[0].time),
            samples: samples.len() as u64,
            writes: samples.iter().filter(|sample| sample.writes).count() as u64,
        };
        // Whoever comes back after another was there has met it, in turns if not at once.
        if has_met(samples, LONG_GAP) {
            meetings.contended.push(window);
        } else if has_met(samples, u64::MAX) {
            meetings.in_turns.push(window);
        }
    }
    meetings
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

/// A thread's stay at the line, from one of its samples to a later one.
#[derive(Debug, Clone, Copy)]
struct Stay {
    first: usize,
    last: usize,
    /// The one CPU it was on; `None` if it was on several.
    cpu: Option<Cpu>,
    /// Whether the thread writes, be it in another stay.
    writes: bool,
}

/// Whether enough samples of one thread lie within stays of others that were on other CPUs, and one of
/// the two writes.
fn has_met(samples: &[Sample], long_gap: u64) -> bool {
    // What is not known to have been elsewhere proves nothing.
    let mut of_thread: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
    for (index, sample) in samples.iter().enumerate().filter(|(_, sample)| sample.cpu.is_some()) {
        of_thread.entry(sample.thread).or_default().push(index);
    }
    if of_thread.len() < 2 {
        return false;
    }
    let mut stays: Vec<Option<Stay>> = vec![None; samples.len()];
    for own in of_thread.values() {
        for (stay, indices) in stays_of(samples, own, long_gap) {
            indices.iter().for_each(|index| stays[*index] = Some(stay));
        }
    }
    let mut inside: FxHashMap<u32, u64> = FxHashMap::default();
    let mut under_way = UnderWay::default();
    for (index, (sample, stay)) in samples.iter().zip(&stays).enumerate() {
        let (Some(cpu), Some(own)) = (sample.cpu, stay) else { continue };
        // A stay is under way between its ends, not at them.
        if own.first < index && index == own.last {
            under_way.change(own, -1);
        }
        let is_between = own.first < index && index < own.last;
        let others = under_way.elsewhere(cpu, is_between.then_some(own));
        if others.writers > 0 || own.writes && others.threads > 0 {
            *inside.entry(sample.thread).or_default() += 1;
        }
        if own.first == index && index < own.last {
            under_way.change(own, 1);
        }
    }
    inside.iter().any(|(thread, inside)| {
        of_thread.get(thread).is_some_and(|all| inside.saturating_mul(ONE_OF) >= all.len() as u64)
    })
}

/// Cuts the samples of one thread where they are far apart; each stay with its samples.
fn stays_of<'o>(samples: &[Sample], own: &'o [usize], long_gap: u64) -> Vec<(Stay, &'o [usize])> {
    let gap = |pair: &[usize]| samples[pair[1]].time.0.saturating_sub(samples[pair[0]].time.0);
    let mut gaps: Vec<u64> = own.windows(2).map(gap).collect();
    gaps.sort_unstable();
    let usual = gaps.get(gaps.len() / 2).copied().unwrap_or(0);
    let limit = usual.saturating_mul(long_gap);
    let writes = own.iter().any(|index| samples[*index].writes);
    own.chunk_by(|a, b| gap(&[*a, *b]) <= limit)
        .map(|indices| {
            let (first, last) = (indices[0], indices[indices.len() - 1]);
            let cpu = samples[first].cpu;
            let is_on_one = indices.iter().all(|index| samples[*index].cpu == cpu);
            (Stay { first, last, cpu: cpu.filter(|_| is_on_one), writes }, indices)
        })
        .collect()
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
        let window = Window { number: 0, samples: 3, writes: 3 };
        assert_eq!(meetings(&touches).contended, [window]);
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
            let meetings = meetings(&turns(length));
            assert!(meetings.contended.is_empty(), "turns of {length} ms");
            assert_eq!(meetings.in_turns.len(), 4, "turns of {length} ms");
        }
        assert_eq!(meetings(&turns(1)).contended.len(), 4, "as fast as samples come");
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
        assert_eq!(meetings(&halves).contended.len(), 4);
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
        assert_eq!(meetings(&touches).contended.len(), 1);
    }
}
