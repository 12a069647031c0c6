//! What is known of a process beyond the kernel's records.

use crate::perf_data::{CpusTaken, ThreadBase};

/// A fact that is written besides the kernel's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    Base(ThreadBase),
    CpusTaken(CpusTaken),
    Code { pid: u32, time: u64, address: u64, bytes: Vec<u8> },
}
