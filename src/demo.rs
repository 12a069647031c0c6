//! A small program with false sharing, and its padded twin: what `hitm demo` samples.
//!
//! Each thread counts in a field of its own. No thread ever reads another's field, and yet they wait
//! for each other, because the fields share a cache line.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// The most threads, and fields: all fit into one cache line.
pub const MAX_THREADS: usize = 4;

/// Steps between two looks at the stop flag.
const STEPS: u64 = 1000;

/// What the threads are called; each field has its thread's name.
const NAMES: [&str; MAX_THREADS] = ["requests", "bytes", "errors", "retries"];

/// Four counters in one cache line.
#[derive(Debug)]
#[repr(C, align(128))]
struct Statistics {
    requests: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
    retries: AtomicU64,
}

impl Statistics {
    fn fields(&self) -> [&AtomicU64; MAX_THREADS] {
        [&self.requests, &self.bytes, &self.errors, &self.retries]
    }
}

/// A counter with two lines to itself: prefetchers fetch lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Padded(AtomicU64);

/// The same counters, padded.
#[derive(Debug)]
#[repr(C)]
struct PaddedStatistics {
    requests: Padded,
    bytes: Padded,
    errors: Padded,
    retries: Padded,
}

impl PaddedStatistics {
    fn fields(&self) -> [&AtomicU64; MAX_THREADS] {
        [&self.requests.0, &self.bytes.0, &self.errors.0, &self.retries.0]
    }
}

/// Static, so that reports can name it.
static STATISTICS: Statistics = Statistics {
    requests: AtomicU64::new(0),
    bytes: AtomicU64::new(0),
    errors: AtomicU64::new(0),
    retries: AtomicU64::new(0),
};

static PADDED_STATISTICS: PaddedStatistics = PaddedStatistics {
    requests: Padded(AtomicU64::new(0)),
    bytes: Padded(AtomicU64::new(0)),
    errors: Padded(AtomicU64::new(0)),
    retries: Padded(AtomicU64::new(0)),
};

/// On lines of its own: all threads read it, and it is written once.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stop(AtomicBool);

/// How many threads the workload has here: one for each CPU, at most [`MAX_THREADS`], at least two.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(2, |cpus| cpus.get().clamp(2, MAX_THREADS))
}

/// Counts in fields that share a cache line. Returns the steps of all threads together.
pub fn run_contended(duration: Duration) -> u64 {
    run(STATISTICS.fields(), duration)
}

/// Counts in fields that are cache lines apart. Returns the steps of all threads together.
pub fn run_padded(duration: Duration) -> u64 {
    run(PADDED_STATISTICS.fields(), duration)
}

fn run(fields: [&AtomicU64; MAX_THREADS], duration: Duration) -> u64 {
    let stop = &Stop::default();
    thread::scope(|scope| {
        let workers = fields.into_iter().zip(NAMES).take(threads()).filter_map(|(field, name)| {
            let builder = thread::Builder::new().name(name.to_owned());
            // Fewer threads, if it comes to that, are fewer to wait for; steps are counted, not assumed.
            builder.spawn_scoped(scope, || worker(field, stop)).ok()
        });
        let workers: Vec<_> = workers.collect();
        thread::sleep(duration);
        stop.0.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().unwrap_or_default()).sum()
    })
}

/// Kept a function of its own, so that reports name it. Returns its steps.
#[inline(never)]
fn worker(field: &AtomicU64, stop: &Stop) -> u64 {
    let mut steps = 0;
    while !stop.0.load(Ordering::Relaxed) {
        for _ in 0..STEPS {
            field.fetch_add(1, Ordering::Relaxed);
        }
        steps += STEPS;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(fields: [&AtomicU64; MAX_THREADS], line: usize) -> Vec<usize> {
        let mut lines: Vec<usize> =
            fields.iter().map(|field| std::ptr::from_ref(*field).addr() / line).collect();
        lines.dedup();
        lines
    }

    #[test]
    fn fields_share_a_line_and_the_twins_fields_do_not() {
        assert_eq!(lines(STATISTICS.fields(), 64).len(), 1);
        assert_eq!(lines(PADDED_STATISTICS.fields(), 128).len(), MAX_THREADS);
    }

    #[test]
    fn all_steps_are_counted() {
        for run in [run_contended, run_padded] {
            let steps = run(Duration::from_millis(5));
            assert_eq!(steps % STEPS, 0, "whole rounds only");
        }
    }
}
