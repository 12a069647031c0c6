//! Threads and address spaces over time, from the records of forks, execs, names and mappings.
//!
//! Everything is kept with the time from which it holds, so that samples can be looked up in any
//! order, and in parallel.

mod address_space;
mod cores;
pub mod heap;
mod ids;
mod mapping;
mod overlay;
mod processes;
mod thread_bases;

pub use cores::Cores;
pub use ids::{Cpu, Node, Pid, Tid, Time};
pub use mapping::{Mapping, MemoryKind, ObjectId};
pub use processes::{Processes, SpaceId};
pub use thread_bases::ThreadBases;
