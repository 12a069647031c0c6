//! Where the segments of threads begin.

use rustc_hash::FxHashMap;

use super::ids::{Pid, Tid, Time};
use crate::perf_data::{EventChange, EventUpdate, RecordType, Recording};

/// The segment bases that a recording tells (`fs` on x86-64): verified by the recorder, since they
/// cannot be sampled.
#[derive(Debug, Clone, Default)]
pub struct ThreadBases {
    bases: FxHashMap<(Pid, Tid), Vec<(Time, u64)>>,
}

impl ThreadBases {
    /// Collects them.
    pub fn of(recording: &Recording<'_>) -> Self {
        let mut bases: FxHashMap<_, Vec<_>> = FxHashMap::default();
        let updates = recording
            .other_records()
            .filter(|(_, record)| record.kind == RecordType::EVENT_UPDATE)
            .filter_map(|(_, record)| EventUpdate::decode(&mut record.cursor()).ok());
        for update in updates {
            if let EventChange::ThreadBase(thread) = update.change {
                let known = bases.entry((Pid(thread.pid), Tid(thread.tid))).or_default();
                known.push((Time(thread.time), thread.base));
            }
        }
        bases.values_mut().for_each(|known| known.sort_unstable());
        Self { bases }
    }

    /// The threads of a process whose bases are known, each with its last one, ascending.
    pub fn of_process(&self, pid: Pid) -> Vec<(Tid, u64)> {
        let own = self.bases.iter().filter(|((owner, _), _)| *owner == pid);
        let mut threads: Vec<(Tid, u64)> =
            own.filter_map(|((_, tid), known)| Some((*tid, known.last()?.1))).collect();
        threads.sort_unstable();
        threads
    }

    /// The base of a thread at a time. A thread sets its base once, before anything else, so one that
    /// was read later holds for what came before; a thread id that was used again is told apart by
    /// time.
    pub fn find(&self, pid: Pid, tid: Tid, time: Time) -> Option<u64> {
        let known = self.bases.get(&(pid, tid))?;
        let since = known.partition_point(|(from, _)| *from <= time);
        known.get(since.saturating_sub(1)).map(|(_, base)| *base)
    }
}
