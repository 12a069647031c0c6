//! A plan becomes a recording.

use std::os::fd::BorrowedFd;

use super::error::SamplingError;
use super::ptrace;
use super::recorder::{RecordOptions, Recorded, Recorder};
use super::sampler::{SamplerKind, SamplerPlan};
use crate::system::Machine;

/// Records as a plan says, until the target ends, the time is over or `stop` becomes readable.
///
/// # Errors
///
/// [`SamplingError`]: what stands in the way, and what to do.
pub fn record(
    machine: &Machine,
    plan: &SamplerPlan,
    options: RecordOptions,
    stop: BorrowedFd<'_>,
) -> Result<Recorded, SamplingError> {
    match plan.kind {
        SamplerKind::Ptrace => ptrace::record(machine, plan, options, stop),
        _ => Recorder::open(machine, plan, options)?.record(stop),
    }
}
