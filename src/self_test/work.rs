//! The sampled side: runs one workload and writes down what it did.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::bench::SelfTestError;
use super::workload::{Assignment, Told, ToldPair, Workload};
use crate::kernel::{KnownLoop, KnownProgram, pin_this_thread};

/// Rounds between two looks at the clock: a millisecond or so.
const LOOP_ROUNDS: u64 = 20_000;
/// Rounds between two looks at the stop flag.
const STEPS: u64 = 1000;

/// Does what an [`Assignment`], in JSON, says.
///
/// # Errors
///
/// The text is no assignment, this architecture has no such loop, or what was done cannot be written.
pub fn work(assignment: &str) -> Result<(), SelfTestError> {
    let assignment: Assignment = serde_json::from_str(assignment)
        .map_err(|cause| SelfTestError::NotUnderstood { what: "an assignment", cause })?;
    let time = Duration::from_millis(assignment.milliseconds);
    let told = match assignment.workload {
        Workload::Loop(kind) => known_loop(kind, time).ok_or(SelfTestError::NoKnownCode)?,
        Workload::SharedLine => {
            let shared = Box::<SharedLine>::default();
            count_in(&[&shared.first, &shared.second], &assignment.cpus, time)?
        }
        Workload::PaddedLines => {
            let padded = Box::<(Padded, Padded)>::default();
            count_in(&[&padded.0.0, &padded.1.0], &assignment.cpus, time)?
        }
        Workload::Counting => counting(assignment.rounds, time),
    };
    write(&assignment.told, &told)
}

fn write(path: &Path, told: &Told) -> Result<(), SelfTestError> {
    let text = serde_json::to_vec(told)
        .map_err(|cause| SelfTestError::NotUnderstood { what: "what was done", cause })?;
    std::fs::write(path, text).map_err(|cause| SelfTestError::System {
        what: "what a workload did cannot be written down",
        cause,
    })
}

fn known_loop(kind: KnownLoop, time: Duration) -> Option<Told> {
    let mut program = KnownProgram::new(kind)?;
    let code = program.run(1);
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < time {
        program.run(LOOP_ROUNDS);
        rounds += LOOP_ROUNDS;
    }
    Some(Told {
        rounds,
        elapsed_ns: nanoseconds(start.elapsed()),
        code: Some(code),
        accesses: program.accesses(),
        ..Told::default()
    })
}

/// Two counters in one line.
#[derive(Debug, Default)]
#[repr(C, align(128))]
struct SharedLine {
    first: AtomicU64,
    second: AtomicU64,
}

/// A counter with two lines to itself: prefetchers fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

/// On lines of its own: all threads read it, and it is written once.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stop(AtomicBool);

/// One thread for each word counts in it, on a CPU of its own if there are enough.
fn count_in(words: &[&AtomicU64; 2], cpus: &[u32], time: Duration) -> Result<Told, SelfTestError> {
    let stop = &Stop::default();
    let start = Instant::now();
    let threads: Vec<io::Result<u32>> = std::thread::scope(|scope| {
        let started: Vec<_> = words
            .iter()
            .enumerate()
            .map(|(index, word)| {
                let cpu = cpus.get(index).filter(|_| cpus.len() >= words.len()).copied();
                scope.spawn(move || worker(word, stop, cpu))
            })
            .collect();
        std::thread::sleep(time);
        stop.0.store(true, Ordering::Relaxed);
        let joined = started.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread ended early")))
        });
        joined.collect()
    });
    let failed = |cause| SelfTestError::System { what: "a thread cannot be pinned", cause };
    let threads: Vec<u32> = threads.into_iter().collect::<io::Result<_>>().map_err(failed)?;
    let address = |word: &AtomicU64| std::ptr::from_ref(word).addr() as u64;
    Ok(Told {
        rounds: words.iter().map(|word| word.load(Ordering::Relaxed)).sum(),
        elapsed_ns: nanoseconds(start.elapsed()),
        pair: Some(ToldPair { words: words.map(address), threads: [threads[0], threads[1]] }),
        ..Told::default()
    })
}

/// Returns its thread's id. Kept a function of its own, so that nothing else is in its loop.
#[inline(never)]
fn worker(word: &AtomicU64, stop: &Stop, cpu: Option<u32>) -> io::Result<u32> {
    let thread = this_thread()?;
    cpu.map_or(Ok(()), pin_this_thread)?;
    while !stop.0.load(Ordering::Relaxed) {
        for _ in 0..STEPS {
            word.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(thread)
}

/// The id of the thread that asks, which `/proc` alone tells without a system call of our own.
fn this_thread() -> io::Result<u32> {
    let link = std::fs::read_link("/proc/thread-self")?;
    let name = link.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok())
        .ok_or_else(|| io::Error::other("/proc/thread-self is not understood"))
}

fn counting(rounds: Option<u64>, time: Duration) -> Told {
    let word = Padded::default();
    let waited = waited();
    let start = Instant::now();
    let is_over = |done: u64| match rounds {
        Some(rounds) => done >= rounds,
        None => start.elapsed() >= time,
    };
    let mut done = 0;
    while !is_over(done) {
        for _ in 0..STEPS {
            word.0.fetch_add(1, Ordering::Relaxed);
        }
        done += STEPS;
    }
    let elapsed_ns = nanoseconds(start.elapsed());
    let waiting_ns = self::waited().saturating_sub(waited);
    Told { rounds: done, elapsed_ns, waiting_ns, ..Told::default() }
}

/// How long this thread has waited for a CPU since it began, ns: the second number of its scheduler
/// statistics; 0 where the kernel keeps none.
fn waited() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|waited| waited.parse().ok()).unwrap_or(0)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(workload: Workload, rounds: Option<u64>) -> Told {
        let folder = tempfile::tempdir().expect("a directory");
        let told = folder.path().join("told");
        let assignment =
            Assignment { workload, milliseconds: 3, rounds, cpus: Vec::new(), told: told.clone() };
        work(&serde_json::to_string(&assignment).expect("JSON")).expect("it works");
        serde_json::from_slice(&std::fs::read(told).expect("written")).expect("JSON")
    }

    #[test]
    fn workloads_tell_what_they_did() {
        assert_eq!(told(Workload::Counting, Some(5000)).rounds, 5000);
        let shared = told(Workload::SharedLine, None).pair.expect("a pair");
        assert_eq!(shared.words[0] / 64, shared.words[1] / 64, "one line");
        assert_ne!(shared.threads[0], shared.threads[1]);
        let padded = told(Workload::PaddedLines, None).pair.expect("a pair");
        assert!(padded.words[0].abs_diff(padded.words[1]) >= 128);
        if cfg!(target_arch = "x86_64") {
            let told = told(Workload::Loop(KnownLoop::PlainStore), None);
            let code = told.code.expect("a loop has code");
            assert!(
                told.accesses.iter().all(|access| access.instruction < code.instructions.len())
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(work("{}"), Err(SelfTestError::NotUnderstood { .. })));
    }
}
