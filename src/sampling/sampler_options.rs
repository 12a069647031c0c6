//! What the user may ask of a sampler.

use super::sampler_error::SamplerError;
use crate::system::Permissions;

/// How often to sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rate {
    /// As often as the sampler does by itself: 1 000 Hz for the clock, 4 000 Hz for PEBS and IBS,
    /// the hardware's own interval for SPE.
    #[default]
    Default,
    /// So many samples a second and CPU.
    Frequency(u64),
    /// One sample after so many events; nanoseconds for the clock.
    Period(u64),
}

/// Which side of the system is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Privilege {
    /// User space, and the kernel where that is permitted.
    #[default]
    Any,
    /// User space only.
    User,
    /// The kernel only.
    Kernel,
}

/// What the user asks of a sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SamplerOptions {
    /// Least latency of sampled loads, cycles; the sampler's own when `None`.
    pub ldlat: Option<u32>,
    /// How often.
    pub rate: Rate,
    /// Which side.
    pub privilege: Privilege,
    /// With call chains.
    pub call_graph: bool,
    /// Without physical addresses, even where they are permitted.
    pub no_physical_addresses: bool,
    /// IBS: counts dispatched operations in place of cycles.
    pub ibs_count_operations: bool,
    /// IBS: only what missed the last-level cache.
    pub ibs_l3_miss_only: bool,
}

impl SamplerOptions {
    /// Refuses rates that no sampler has here.
    ///
    /// # Errors
    ///
    /// A frequency or period of 0, a frequency above the kernel's limit.
    pub fn check(&self, permissions: &Permissions) -> Result<(), SamplerError> {
        match self.rate {
            Rate::Frequency(0) => Err(SamplerError::NoFrequency),
            Rate::Period(0) => Err(SamplerError::NoPeriod),
            Rate::Frequency(asked) => match permissions.max_sample_rate {
                Some(limit) if asked > limit => Err(SamplerError::FrequencyLimit { asked, limit }),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
