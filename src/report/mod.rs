//! The report: a plain, serialisable model of every answer, and how a recording becomes one.

mod advice;
mod blame;
mod build;
mod c2c;
mod callers;
mod code_source;
mod confidence;
mod describe;
mod error;
mod explain;
mod gain;
mod measured;
pub mod model;
mod names;
mod objects;
mod pairs;
mod session;
mod sharing;
mod site_code;
mod taken;
mod timed;
mod timed_analysis;
mod warning;
mod watch;
mod watch_places;
mod watched;

pub use build::{report, sum_of_parts};
pub use c2c::{C2cReport, NamedLine, NamedRow, c2c_report};
pub use error::ReportError;
pub use model::Report;
pub use names::{CodeName, InlinedFrame, NameOptions, Names};
pub use session::{Progress, ReportOptions};
pub use warning::Warning;
pub use watch::{WatchFacts, WatchReport, WatchedAccess, WatchedCode, WatchedSum, watch_report};
pub use watch_places::{WatchPlace, watch_places};
