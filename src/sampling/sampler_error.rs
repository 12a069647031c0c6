//! Why a sampler cannot be planned, with what helps.

use super::sampler::SamplerKind;
use crate::system::FormatError;

/// Why a sampler cannot be planned: cause and remedy in one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SamplerError {
    /// `-F 0`.
    #[error("a frequency of 0 Hz samples nothing; give at least 1, such as -F 1000")]
    NoFrequency,
    /// `-c 0`.
    #[error(
        "a period of 0 is none; give the number of events (clock: nanoseconds) between two samples"
    )]
    NoPeriod,
    /// Above the kernel's limit.
    #[error(
        "{asked} Hz is more than the kernel allows: kernel.perf_event_max_sample_rate is {limit}; \
         ask for at most that, or raise it: sysctl kernel.perf_event_max_sample_rate={asked}"
    )]
    FrequencyLimit {
        /// Hz asked.
        asked: u64,
        /// Hz allowed.
        limit: u64,
    },
    /// The machine does not have it.
    #[error("the sampler {kind} does not work on this machine: {cause}; {remedy}")]
    NotHere {
        /// Which sampler.
        kind: SamplerKind,
        /// What is missing.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// A right is missing that this sampler cannot do without.
    #[error("the sampler {kind} may not be used: {cause}; {remedy}")]
    NotPermitted {
        /// Which sampler.
        kind: SamplerKind,
        /// What is missing.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// An option that the sampler does not have.
    #[error("{option} does not go with the sampler {kind}: {cause}; leave it out")]
    Option {
        /// Which sampler.
        kind: SamplerKind,
        /// The option as given.
        option: String,
        /// Why not.
        cause: String,
    },
    /// A setting of the PMU that sysfs describes otherwise.
    #[error(transparent)]
    Format(#[from] FormatError),
}
