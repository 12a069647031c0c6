//! Safe readers of `/proc` and `/sys`.
//!
//! Everything takes the root of the two trees (`/` on a real machine), so that a tree of another
//! machine reads alike. What a file does not say is `None` or empty; nothing here is an error but a
//! process that cannot be looked at.

mod caches;
mod cpu_list;
mod cpu_model;
mod cpu_time;
mod host;
mod hypervisor;
mod machine;
mod mounts;
mod numa;
mod permissions;
mod pmu;
mod process;
mod taken_time;
mod topology;
mod tree;

pub use caches::{CacheLevel, caches};
pub use cpu_list::{CpuListError, parse_cpu_list};
pub use cpu_model::{CpuModel, Vendor};
pub use cpu_time::{process_cpu_time, thread_cpu_time};
pub use host::Host;
pub use hypervisor::{Surroundings, Virtualisation};
pub use machine::Machine;
pub use mounts::{CgroupMount, Mount, cgroup_for_perf, mounts, tracefs};
pub use numa::{MemoryBlocks, NodeMemory, memory_blocks, nodes};
pub use permissions::{Capability, Lockdown, Permissions, SeccompMode};
pub use pmu::{ConfigWord, EventWords, Format, FormatError, Pmu, pmus};
pub use process::{
    MapLine, ProcessStatus, SignalSets, executable, maps, process_ids, signal_sets, status,
    thread_ids,
};
pub use taken_time::{TakenTime, TakenTimeReader};
pub use topology::{CpuPlace, Topology, topology};
