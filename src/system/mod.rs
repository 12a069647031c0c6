//! Safe readers of `/proc` and `/sys`. The root of both is a parameter, so that a tree of files can
//! stand for a machine that is not there.

mod cpu_model;
mod cpus;
mod host;
mod limits;
mod machine;
mod mappings;
mod memory;
mod permissions;
mod pmu;
mod threads;

pub use cpu_model::CpuModel;
pub use cpus::{CpuCache, CpuPlace, Cpus, parse_list};
pub use host::Host;
pub use limits::Limits;
pub use machine::Machine;
pub use mappings::{MapsLine, mappings_of, parse_maps};
pub use memory::NodeMemory;
pub use permissions::{Capability, Permissions};
pub use pmu::{BitRange, Field, Pmu, Word};
pub use threads::{all_processes, children_of, name_of, process_of, threads_of};
