//! Sampling of what runs now: which events to open on this machine, on which threads and CPUs, and
//! the loop that drains their buffers into a recording.

mod clock;
mod error;
mod machine_features;
mod observer;
mod open;
mod output;
mod program_filter;
mod recorder;
mod sampler;
mod synthesis;
mod target;

pub use clock::{
    DEFAULT_CLOCK_HZ, Modes, Rate, SamplerOptions, X86_64_REGISTERS, clock_plan, jittered,
};
pub use error::SamplingError;
pub use open::remedy;
pub use recorder::{End, RecordOptions, Recorded, Recorder};
pub use sampler::{PlannedEvent, Role, SamplerKind, SamplerPlan};
pub use target::Target;
