//! A sampler: a set of events to open together, worked out before anything is opened.

use crate::perf_data::EventAttr;

/// The ways to sample memory accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerKind {
    /// Intel's precise events: load latency and stores.
    Pebs,
    /// AMD's instruction-based sampling.
    Ibs,
    /// Arm's statistical profiling extension.
    Spe,
    /// The kernel's CPU clock with user registers.
    Clock,
}

/// What an event is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Its samples are the recording's subject.
    Samples,
    /// It leads a group so that the next event may open (Intel's `mem-loads-aux`).
    GroupLeader,
    /// Member of the group of the leader just before it.
    GroupMember,
    /// A dummy that carries mappings, names, forks and exits.
    Tracking,
}

/// One event to open on every CPU of its PMU.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedEvent {
    /// Its name, as perf writes it.
    pub name: String,
    /// What is opened. Without target-dependent flags (`inherit`, `enable_on_exec`, `disabled`).
    pub attr: EventAttr,
    /// What it is for.
    pub role: Role,
    /// The CPUs that its PMU has; every one when `None`.
    pub cpus: Option<Vec<u32>>,
    /// Bytes of the AUX buffer that each CPU's event needs (Arm SPE), a power of two.
    pub aux_bytes: Option<u64>,
    /// Lower `precise_ip` levels to try, in order, when the kernel refuses the attribute's.
    pub precise_fallback: Vec<u8>,
}

/// What a sampler opens, and why it was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerPlan {
    /// Which.
    pub kind: SamplerKind,
    /// Its events, in the order in which they are opened.
    pub events: Vec<PlannedEvent>,
    /// One sentence for the user: why this one.
    pub reason: String,
}
