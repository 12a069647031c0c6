//! What tracing may cost, and what it costs.

use std::path::Path;

use rustc_hash::FxHashMap;

use crate::system::process_cpu_time;

/// What a program may spend at its start without having earned it, ns: what it allocates there mostly
/// stays.
const AT_FIRST: f64 = 200e6;
/// What must have been earned before tracing goes on after a pause, ns.
const TO_GO_ON: f64 = 50e6;

/// A share of the target's CPU time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Budget {
    share: f64,
    /// Of one entry or return, ns.
    cost: u64,
    spent: u64,
    earned: f64,
}

impl Budget {
    pub(super) fn new(share: f64, cost: u64) -> Self {
        Self { share, cost, spent: 0, earned: AT_FIRST }
    }

    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// So many entries and returns were traced.
    pub(super) fn spend(&mut self, samples: u64) {
        self.spent = self.spent.saturating_add(samples.saturating_mul(self.cost));
    }

    /// The target has used so much CPU time by now, ns.
    pub(super) fn update(&mut self, cpu_time: u64) {
        self.earned = AT_FIRST + cpu_time as f64 * self.share;
    }

    /// What was spent, ns.
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    pub(super) fn is_overdrawn(&self) -> bool {
        self.spent as f64 > self.earned
    }

    pub(super) fn may_go_on(&self) -> bool {
        self.spent as f64 + TO_GO_ON <= self.earned
    }
}

/// The CPU time that processes have used since the recording began.
#[derive(Debug, Default)]
pub(super) struct TargetTime {
    /// Of each process: before, and as it was last seen, ns.
    processes: FxHashMap<u32, (u64, u64)>,
    /// Of those that have ended, ns.
    of_ended: u64,
}

impl TargetTime {
    /// A command has all its time before it, others have used some.
    pub(super) fn new(processes: &[u32], is_command: bool) -> Self {
        let before = |&pid: &u32| {
            let before = if is_command { 0 } else { cpu_time(pid).unwrap_or(0) };
            (pid, (before, before))
        };
        Self { processes: processes.iter().map(before).collect(), of_ended: 0 }
    }

    pub(super) fn add(&mut self, pid: u32) {
        self.processes.entry(pid).or_default();
    }

    /// All of them together, those that have ended included as far as they were seen, ns.
    pub(super) fn used(&mut self) -> u64 {
        let (mut of_running, mut of_ended) = (0, self.of_ended);
        self.processes.retain(|&pid, (before, last)| match cpu_time(pid) {
            Some(time) => {
                *last = time.max(*last);
                of_running += last.saturating_sub(*before);
                true
            }
            None => {
                of_ended += last.saturating_sub(*before);
                false
            }
        });
        self.of_ended = of_ended;
        of_running + of_ended
    }

    /// Those that run.
    pub(super) fn alive(&self) -> Vec<u32> {
        let mut alive: Vec<u32> =
            self.processes.keys().copied().filter(|pid| cpu_time(*pid).is_some()).collect();
        alive.sort_unstable();
        alive
    }
}

fn cpu_time(pid: u32) -> Option<u64> {
    process_cpu_time(Path::new("/"), pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_must_be_earned() {
        let mut budget = Budget::new(0.1, 2_000);
        budget.spend(100_000);
        assert!(!budget.is_overdrawn());
        budget.spend(1);
        assert!(budget.is_overdrawn());
        budget.update(1_000_000_000);
        assert!(!budget.is_overdrawn() && budget.may_go_on());
        budget.spend(26_000);
        assert!(!budget.is_overdrawn() && !budget.may_go_on());
        assert_eq!(budget.spent(), 252_002_000);
        budget.spend(u64::MAX);
        assert!(budget.is_overdrawn());
    }
}
