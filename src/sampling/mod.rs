//! Sampling of what runs now: which events to open on this machine, on which threads and CPUs, and
//! the loop that drains their buffers into a recording.

mod sampler;

pub use sampler::{PlannedEvent, Role, SamplerKind, SamplerPlan};
