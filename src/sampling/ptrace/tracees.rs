//! The threads that are traced, and their processes.

use rustc_hash::FxHashMap;

use super::address_spaces::AddressSpace;
use super::proc_files::{ThreadFiles, ThreadState};
use super::repeat::Repeated;

/// A thread that was asked to stop for a sample.
#[derive(Debug)]
pub(super) struct Asked {
    /// When, ns.
    pub(super) time: u64,
    /// What it did then.
    pub(super) state: ThreadState,
}

/// A traced thread.
#[derive(Debug, Default)]
pub(super) struct Thread {
    pub(super) pid: u32,
    pub(super) asked: Option<Asked>,
    /// Whether it stands in a group stop.
    pub(super) is_listening: bool,
    pub(super) repeated: Option<Repeated>,
    /// Its segment's base, as last written.
    pub(super) base: Option<u64>,
    /// Its name, as last written.
    pub(super) name: Vec<u8>,
    pub(super) files: Option<ThreadFiles>,
    /// CPU time when last read, ns.
    pub(super) ran: u64,
    /// CPU time at its last sample; `None` for one that had run before it was traced, and was not
    /// looked at yet.
    pub(super) sampled: Option<u64>,
    /// When that was, ns.
    pub(super) sampled_at: u64,
    /// Looks in a row at which it had not run.
    pub(super) quiet: u32,
}

impl Thread {
    /// CPU time that no sample stands for yet, ns.
    pub(super) fn unsampled(&self) -> u64 {
        self.sampled.map_or(0, |sampled| self.ran.saturating_sub(sampled))
    }
}

/// A traced process.
#[derive(Debug)]
pub(super) struct Process {
    /// The process that started it.
    pub(super) parent: u32,
    pub(super) space: AddressSpace,
}

/// All that is traced.
#[derive(Debug, Default)]
pub(super) struct Tracees {
    pub(super) threads: FxHashMap<u32, Thread>,
    pub(super) processes: FxHashMap<u32, Process>,
}

impl Tracees {
    /// Forgets the threads of a process but one, whose id is that of the process: another program
    /// runs. Gives their ids.
    pub(super) fn keep_only_leader(&mut self, pid: u32) -> Vec<u32> {
        let others: Vec<u32> = self
            .threads
            .iter()
            .filter(|(tid, thread)| thread.pid == pid && **tid != pid)
            .map(|(tid, _)| *tid)
            .collect();
        for tid in &others {
            self.threads.remove(tid);
        }
        others
    }
}
