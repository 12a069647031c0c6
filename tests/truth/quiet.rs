//! Whether two threads can really run at once.

use std::time::{Duration, Instant};

/// So long it is waited for that at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// So long it is tried.
const TRIAL: Duration = Duration::from_millis(150);
/// So much of the time both have to run.
const ENOUGH: f64 = 0.9;

/// Waits until two busy threads get two CPUs to themselves, or until patience is over. What is claimed of
/// contention takes two CPUs; on a machine that others share there are moments without.
pub fn wait_for_two_cpus() {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let other = std::thread::spawn(share_of_a_cpu);
        let own = share_of_a_cpu();
        let other = other.join().expect("it only counts");
        if own.min(other) >= ENOUGH {
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// How much of the time a busy thread runs, less what was stolen from the machine meanwhile.
fn share_of_a_cpu() -> f64 {
    let (ran, stolen, begin) = (ran_ns(), stolen_ns(), Instant::now());
    while begin.elapsed() < TRIAL {
        std::hint::spin_loop();
    }
    let ran = (ran_ns() - ran) - (stolen_ns() - stolen);
    ran / begin.elapsed().as_nanos() as f64
}

/// What this thread has run, ns.
fn ran_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|ran| ran.parse().ok()).unwrap_or(0.0)
}

/// What the hypervisor gave to others, ns.
fn stolen_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = text.lines().next().and_then(|line| line.split_whitespace().nth(8)?.parse().ok());
    ticks.unwrap_or(0.0) * 1e7
}
