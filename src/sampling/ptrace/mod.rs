//! Sampling by `ptrace`, where the kernel refuses its own clock: threads of a command are stopped for
//! a moment at jittered times, their registers are read, and they go on.
//!
//! The samples are those of the clock in every respect: the same records, the same fields. What
//! differs is who takes them. One thread of ours ([`driver`]) is the tracer of all threads that the
//! command starts; it passes signals on, honours stops, and tells of new threads, programs and
//! mappings as the kernel would. It ends with the recording, and the kernel then lets go of whatever
//! is still traced. So it is if the recorder is killed.
//!
//! Only threads that run are ever stopped. A thread that sleeps in a system call costs nothing and
//! sees nothing; one that falls asleep just as it is stopped has its call repeated ([`repeat`]).
//! The time that a sample stands for is what its thread has run since its last sample.

mod address_spaces;
mod attach;
mod driver;
mod follower;
mod own_tracing;
mod plan;
mod proc_files;
mod record;
mod records;
mod repeat;
mod schedule;
mod tracees;

pub(super) use attach::explain;
pub use plan::cannot_follow;
pub(super) use plan::plan;
pub(super) use record::record;
