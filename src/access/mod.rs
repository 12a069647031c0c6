//! From one sample to a memory access: data source, latency, perf's counters and our own.

mod c2c_stats;
mod clock_sample;
mod culprit;
pub mod data_source;
mod formula;
mod function_code;
mod loop_facts;
mod memory_access;
mod operand_facts;
mod plan;
mod source;
mod watch_hit;
mod weight;
mod x86;

pub use c2c_stats::{C2cStats, PerfVersion};
pub use clock_sample::{ClockSample, samples_the_clock};
pub use culprit::{Culprit, Trap};
pub use data_source::DataSource;
pub use formula::{AddressFormula, Bases, RegisterValues, Term, TermValue};
pub use function_code::{DecodedFunction, FunctionCode, Instructions};
pub use loop_facts::{LoopCounter, LoopFacts};
pub use memory_access::{CodeAddress, DataAddress, MemoryAccess, PhysicalAddress};
pub use operand_facts::{DwarfRegister, LockUse, OperandAddress, OperandFacts, ValueSource};
pub use plan::{Certainty, Direction, Loss, Place, Plan, PlannedAccess, Wait};
pub use source::Source;
pub use watch_hit::{WatchHit, watches_memory};
pub use weight::{Cycles, Latency};
