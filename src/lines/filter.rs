//! Which samples a report is about.

use crate::access::{ClockSample, MemoryAccess};
use crate::process::{Cpu, Pid, Processes, Tid, Time};

/// Conditions that a sample must meet; an empty one is met by all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Processes.
    pub pids: Vec<Pid>,
    /// Threads.
    pub tids: Vec<Tid>,
    /// Names of threads.
    pub comms: Vec<String>,
    /// CPUs.
    pub cpus: Vec<Cpu>,
    /// File names of images with the accessing code: whole paths or last components.
    pub objects: Vec<String>,
    /// From when on.
    pub from: Option<Time>,
    /// Until when, inclusive.
    pub to: Option<Time>,
}

/// Whose sample it is, taken where and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampledAt {
    /// Process.
    pub pid: Pid,
    /// Thread.
    pub tid: Tid,
    /// CPU, if recorded.
    pub cpu: Option<Cpu>,
    /// When.
    pub time: Time,
}

impl From<&MemoryAccess> for SampledAt {
    fn from(access: &MemoryAccess) -> Self {
        Self { pid: access.pid, tid: access.tid, cpu: access.cpu, time: access.time }
    }
}

impl From<&ClockSample> for SampledAt {
    fn from(sample: &ClockSample) -> Self {
        Self { pid: sample.pid, tid: sample.tid, cpu: sample.cpu, time: sample.time }
    }
}

impl Filter {
    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a sample passes; `code_object` names the image with its code.
    pub fn accepts(
        &self,
        access: impl Into<SampledAt>,
        processes: &Processes,
        code_object: impl FnOnce() -> Option<std::sync::Arc<str>>,
    ) -> bool {
        let access = access.into();
        let among = |found: bool, is_empty: bool| is_empty || found;
        among(self.pids.contains(&access.pid), self.pids.is_empty())
            && among(self.tids.contains(&access.tid), self.tids.is_empty())
            && among(access.cpu.is_some_and(|cpu| self.cpus.contains(&cpu)), self.cpus.is_empty())
            && self.covers(access.time)
            && (self.comms.is_empty()
                || processes
                    .name(access.tid, access.time)
                    .is_some_and(|name| self.comms.iter().any(|comm| **comm == **name)))
            && (self.objects.is_empty() || code_object().is_some_and(|name| self.names(&name)))
    }

    /// Whether a time is one that the report is about.
    pub fn covers(&self, time: Time) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time <= to)
    }

    fn names(&self, object: &str) -> bool {
        let last = object.rsplit('/').next().unwrap_or(object);
        self.objects.iter().any(|wanted| wanted == object || wanted == last)
    }
}
