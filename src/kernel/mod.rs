//! The only module with `unsafe`: what the kernel hands out by address or by number.
//!
//! [`PerfEvent`] and [`RingBuffer`] are events and the memory in which the kernel leaves their
//! records, [`AuxBuffer`] the memory of an event that brings its own data, [`Command`] a program that
//! waits for its recorder before it runs. The rest are single system calls that the standard library
//! does not have.

#![allow(unsafe_code)]

mod affinity;
mod aux_buffer;
mod child_signals;
mod command;
mod hypervisor;
mod known_accesses;
mod mapped_file;
mod perf_event;
mod pid_file;
mod poll;
mod probe_keeper;
mod process_memory;
pub mod ptrace;
mod ring_buffer;
mod system;
mod this_thread;
mod tracefs;

pub use affinity::{allowed_cpus, pin_this_thread};
pub use aux_buffer::AuxBuffer;
pub use child_signals::ChildSignals;
pub use command::Command;
pub use hypervisor::hypervisor_signature;
pub use known_accesses::{KnownAccess, KnownCode, KnownLoop, KnownProgram};
pub use mapped_file::MappedFile;
pub use perf_event::{EventCount, PerfEvent, Placement};
pub use pid_file::{PidFile, send_signal};
pub use poll::{Readiness, poll};
pub use probe_keeper::{MAX_PROBES, ProbeKeeper};
pub use process_memory::{read_process_memory, robust_list_of};
pub use ring_buffer::RingBuffer;
pub use system::{page_size, set_open_file_limit};
pub use this_thread::{AllowedCpus, current_cpu, monotonic_time};
pub use tracefs::mount_hidden_tracefs;
