//! What watching may cost, and what it costs.

use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::armed::ArmedThread;
use super::breakpoint::{WatchKind, Watchpoint};
use crate::perf_data::EventAttr;

/// So many hits tell what one costs.
const TRIALS: u32 = 200;

/// Measures what one hit costs the thread that makes it, ns, on a word of our own. A few milliseconds.
///
/// # Errors
///
/// What the kernel answers: this machine, or this process, has no debug registers to arm.
pub fn trap_cost(like: &EventAttr) -> io::Result<u64> {
    // On a line of its own: nothing else may trap.
    let words = vec![0_u64; 16].into_boxed_slice();
    let words: Box<[AtomicU64]> = words.iter().map(|_| AtomicU64::new(0)).collect();
    let word = words.iter().find(|word| (std::ptr::from_ref(*word).addr()).is_multiple_of(64));
    let word = word.unwrap_or(&words[0]);
    let address = std::ptr::from_ref(word).addr() as u64;
    let point = Watchpoint { address, length: 8, kind: WatchKind::Writes };
    let mut own = ArmedThread::open(0, &[point], like, 32)?;
    own.grant(u64::from(TRIALS), |_, _| ())?;
    let started = Instant::now();
    for value in 0..u64::from(TRIALS) {
        black_box(word).store(value, Ordering::Relaxed);
    }
    let taken = started.elapsed();
    own.stop();
    let mut hits = Vec::new();
    if own.drain(&mut hits).hits == 0 {
        // Some hypervisors take the register and never trap.
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok((taken.as_nanos() as u64 / u64::from(TRIALS)).max(1))
}

/// A share of the target's CPU time that hits may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    share: f64,
    cost: u64,
    spent: u64,
}

impl Budget {
    /// `share` of the target's time (0.01: one in a hundred), at `cost` ns for each hit.
    pub fn new(share: f64, cost: u64) -> Self {
        Self { share, cost, spent: 0 }
    }

    /// Whether so many hits more are within it, when the target has used `cpu_time` ns so far.
    pub fn allows(&self, hits: u64, cpu_time: u64) -> bool {
        let after = self.spent.saturating_add(hits.saturating_mul(self.cost));
        after as f64 <= cpu_time as f64 * self.share
    }

    /// So many hits were made.
    pub fn spend(&mut self, hits: u64) {
        self.spent = self.spent.saturating_add(hits.saturating_mul(self.cost));
    }

    /// What the hits so far have cost, ns.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// What one hit costs, ns.
    pub fn cost(&self) -> u64 {
        self.cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_grows_with_the_time_that_the_target_has_used() {
        let mut budget = Budget::new(0.01, 13_000);
        assert!(!budget.allows(1, 1_000_000));
        assert!(budget.allows(1, 1_300_000));
        assert!(budget.allows(100, 130_000_000));
        assert!(!budget.allows(101, 130_000_000));
        budget.spend(100);
        assert_eq!(budget.spent(), 1_300_000);
        assert!(!budget.allows(1, 130_000_000));
        assert!(budget.allows(1, 131_300_000));
        assert!(!budget.allows(u64::MAX, u64::MAX / 4));
    }
}
