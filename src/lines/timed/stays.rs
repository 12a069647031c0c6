//! Threads' stays at a line, and whether they overlap.

use rustc_hash::FxHashMap;

use super::touches::Touch;
use crate::process::{Cpu, Time};

/// A thread stays at a line while its samples there follow each other within so many times their usual
/// distance.
pub(super) const LONG_GAP: u64 = 3;

/// Threads are at a line at once if at least one of so many samples of one of them lies within a stay
/// of another.
const ONE_OF: u64 = 4;

/// One sample at the line, whatever it does there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) time: Time,
    pub(super) thread: u32,
    pub(super) cpu: Option<Cpu>,
    pub(super) writes: bool,
}

impl Sample {
    pub(super) fn of(touches: &[Touch]) -> Self {
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
pub(super) fn has_met(samples: &[Sample], long_gap: u64) -> bool {
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
