//! Whether sampling tells the truth on this machine: programs whose every access is known are sampled
//! with each sampler that opens, and what the samples say is held against what the programs did.
//!
//! [`self_test`] runs everything and gives a [`SelfTest`], which is written as JSON (to be sent to the
//! authors: it names no user, host or path) or as [`text`]. [`work`] is the other side: it runs one
//! [`Workload`] in a process of its own, and says what it did.

mod bench;
mod claim;
mod contention;
mod cost;
mod exactness;
mod line_passing;
mod machine;
mod privacy;
mod reading;
mod run;
mod sampler;
mod skid;
mod statistics;
mod text;
mod trap;
mod work;
mod workload;

pub use bench::SelfTestError;
pub use claim::{Relation, contradictions};
pub use contention::{Contention, Side};
pub use cost::Cost;
pub use exactness::{Exactness, Judged};
pub use line_passing::{LinePassing, PassedLine, chosen_cpus};
pub use machine::{MachineFacts, PmuFacts};
pub use privacy::without_paths;
pub use reading::Reading;
pub use run::{SCHEMA, SelfTest, self_test};
pub use sampler::{SamplerResult, Unopened};
pub use skid::Skid;
pub use text::text;
pub use trap::{Trap, Traps};
pub use work::work;
pub use workload::{Assignment, Told, ToldPair, Workload};
