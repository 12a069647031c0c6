//! A sampler: a set of events to open together, worked out before anything is opened.

use crate::perf_data::{AttrFlags, EventAttr, ReadFormat, SampleType};

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
    /// Threads that are stopped by `ptrace` for a moment, where the kernel refuses its clock.
    Ptrace,
}

impl SamplerKind {
    /// Its name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pebs => "pebs",
            Self::Ibs => "ibs",
            Self::Spe => "spe",
            Self::Clock => "clock",
            Self::Ptrace => "ptrace",
        }
    }
}

impl std::fmt::Display for SamplerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
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
    /// Sentences for the user: what this plan does without, and what gives it.
    pub notes: Vec<String>,
}

/// Something that a plan can do without when the kernel refuses its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concession {
    /// One latency in place of three (`WEIGHT_STRUCT` came with Linux 5.12).
    PlainWeight,
    /// No count of lost samples at the end (`PERF_FORMAT_LOST` came with Linux 6.0).
    NoLostCount,
    /// Guests are not left out (PMUs that cannot tell them apart refuse `exclude_guest`).
    WithGuests,
}

impl Concession {
    /// In the order in which they are tried, each on top of those before it.
    pub const ALL: [Self; 3] = [Self::NoLostCount, Self::PlainWeight, Self::WithGuests];
}

impl SamplerPlan {
    /// The plan without something, for kernels that refuse it with `EINVAL`; `None` when it has no
    /// such thing.
    #[must_use]
    pub fn conceding(&self, concession: Concession) -> Option<Self> {
        let mut plan = self.clone();
        for event in &mut plan.events {
            let attr = &mut event.attr;
            match concession {
                Concession::PlainWeight if attr.sample_type.contains(SampleType::WEIGHT_STRUCT) => {
                    attr.sample_type.0 &= !SampleType::WEIGHT_STRUCT.0;
                    attr.sample_type |= SampleType::WEIGHT;
                }
                Concession::NoLostCount => attr.read_format.0 &= !ReadFormat::LOST.0,
                Concession::WithGuests => attr.flags.0 &= !AttrFlags::EXCLUDE_GUEST.0,
                Concession::PlainWeight => {}
            }
        }
        (plan.events != self.events).then_some(plan)
    }
}
