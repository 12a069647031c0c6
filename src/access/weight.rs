//! Latencies: what a sample's weight says.

use crate::perf_data::{SampleFormat, SampleType};

/// CPU cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cycles(pub u64);

/// The latencies of one access, in cycles; 0 where the hardware did not measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// From issue until the data was there.
    pub data: Cycles,
    /// From dispatch until the instruction retired (Golden Cove and newer; AMD tag-to-retire).
    pub instruction: Cycles,
    /// From the previous retirement to this one (where the CPU has it).
    pub retirement: Cycles,
}

impl Latency {
    /// Takes a sample's weight apart. With WEIGHT all 64 bits are the data latency, with
    /// WEIGHT_STRUCT the low 32, and 16 each for the other two.
    #[inline]
    pub fn from_weight(weight: u64, format: &SampleFormat) -> Self {
        if format.sample_type.contains(SampleType::WEIGHT_STRUCT) {
            Self {
                data: Cycles(weight & 0xffff_ffff),
                instruction: Cycles(weight >> 32 & 0xffff),
                retirement: Cycles(weight >> 48),
            }
        } else {
            Self { data: Cycles(weight), ..Self::default() }
        }
    }
}
