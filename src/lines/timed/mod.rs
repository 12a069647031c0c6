//! Lines from clock samples: who touches which line when, and whose time went there.
//!
//! [`Plans`] says once for each sampled code address what a sample there determines. [`TimedSurvey`]
//! evaluates them and keeps a few bytes for each line; [`Touches`] collects what happened on the
//! lines that several threads touch and one writes. [`TimedLine`] then finds the stretches of time in
//! which threads on different CPUs interleaved there, and [`blame`] gives each sample's time to the
//! line it waited for.

mod blame;
mod contended;
mod line;
mod pace;
mod plans;
mod stays;
mod survey;
mod touches;
mod windows;

pub use blame::blame;
pub use contended::{time_near, timed_lines};
pub use line::{Counting, Evidence, Lack, TimedLine, TimedSite, counting_touches};
pub use pace::{Pace, PaceSample, pace};
pub use plans::{CodeSource, LoadedFunction, PlannedCode, Plans, SampledCode};
pub use survey::{TimedOptions, TimedSummary, TimedSurvey};
pub use touches::{Role, Touch, Touches};
pub use windows::{Meetings, WINDOW_NS, Window, meetings, samples_in};
