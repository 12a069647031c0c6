//! Sampling of what runs now: which events to open on this machine, on which threads and CPUs, and
//! the loop that drains their buffers into a recording.

mod attributes;
mod calibration;
mod choose;
mod clock;
mod diagnosis;
mod error;
mod fact;
pub mod heap;
mod held_files;
mod ibs;
mod machine_features;
mod missing_pmu;
mod observer;
mod open;
mod output;
mod pebs;
mod probe;
mod program_filter;
mod ptrace;
mod record;
mod recorder;
mod refusal;
mod resources;
mod sampler;
mod sampler_error;
mod sampler_options;
mod select;
mod spe;
mod synthesis;
mod target;
pub mod watch;

pub use choose::{SamplerChoice, choose, hardware_sampler, plan};
pub use clock::{
    ARM64_REGISTERS, DEFAULT_PERIOD, SHORTEST_PERIOD, X86_64_REGISTERS, jittered_period,
};
pub use diagnosis::{Diagnosis, Verdict, diagnose};
pub use error::SamplingError;
pub use machine_features::describe_machine;
pub use probe::{OpenEvent, SamplerTrial, ThisKernel, Trial, Trials, Unopened, probe, settle};
pub use ptrace::cannot_follow;
pub use record::record;
pub use recorder::{End, RecordOptions, Recorded, Recorder};
pub use refusal::{Asked, Refusal, explain};
pub use resources::{Demand, Resources, Shortage, default_data_pages, lockable_bytes};
pub use sampler::{Concession, PlannedEvent, Role, SamplerKind, SamplerPlan};
pub use sampler_error::SamplerError;
pub use sampler_options::{Privilege, Rate, SamplerOptions};
pub use select::{NothingOpens, first_that_opens};
pub use target::Target;
