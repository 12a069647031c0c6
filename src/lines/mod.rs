//! The cache-line table: which accesses meet on which line, in two accountings.
//!
//! Two passes over the samples: [`Survey`] keeps a few bytes for each line, [`Gathered`] collects the
//! accesses to the lines that matter. From these, [`C2cTable`] is perf c2c's table to the last
//! counter, and [`ContendedLine`] our own, where every load has one source and memory is told apart
//! by whose it is.

mod c2c_table;
mod code_key;
mod decoded_code;
mod filter;
mod gather;
mod line;
mod line_table;
mod rearrange;
mod sharing;
mod survey;
pub mod timed;
mod turns;
pub mod watched;

pub use c2c_table::{
    C2cLine, C2cMachine, C2cOptions, C2cRow, C2cTable, Coalesce, CodePlace, Display, NodeShare,
    PhysicalPlace, RowCycles, RunningMean,
};
pub use code_key::CodeKey;
pub use decoded_code::{DecodedCode, PlacedFunction, PlacedFunctions};
pub use filter::{Filter, SampledAt};
pub use gather::{Gathered, LineAccess, LineIdentity};
pub use line::{Identity, LineAddress, LineKey, LineOffset, LineSize};
pub use line_table::{AccessKind, AccessSite, ContendedLine, LatencySum, SortKey, Threads};
pub use rearrange::{Arrangement, PlacedMember, apart};
pub use sharing::{ByteUse, SharedBytes, Sharing, Thread, Verdict};
pub use survey::{LineSummary, Survey, SurveyOptions};
