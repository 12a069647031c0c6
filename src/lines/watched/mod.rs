//! Lines that debug registers have watched: who really touched them, and in what order.
//!
//! [`hits`] finds the instruction behind each hit, [`WatchedLines`] what the hits of all turns say of
//! a line: that threads on different CPUs interleaved there, that they did not, or nothing.

mod hits;
mod interleaving;
mod line;
mod lines;
mod suspicion;

pub use hits::{PlacedHit, hits};
pub use line::{WatchOutcome, WatchedLine, WatchedSite, WatchedThread};
pub use lines::WatchedLines;
pub use suspicion::Suspicion;
