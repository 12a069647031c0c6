//! From one sample to a memory access: data source, latency, perf's counters and our own.

mod c2c_stats;
pub mod data_source;
mod memory_access;
mod source;
mod weight;

pub use c2c_stats::{C2cStats, PerfVersion};
pub use data_source::DataSource;
pub use memory_access::{CodeAddress, DataAddress, MemoryAccess, PhysicalAddress};
pub use source::Source;
pub use weight::{Cycles, Latency};
