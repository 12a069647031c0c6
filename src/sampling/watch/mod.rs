//! Debug registers on a few words of other processes: who touches them, in order.
//!
//! A clock sample tells where a thread was; a hit of a debug register proves that it touched these
//! bytes at this instruction. Hits cost the thread that makes them (see [`budget`]), so they are
//! counted before they are made.

mod alongside;
mod armed;
mod breakpoint;
pub mod budget;
mod by_hand;
mod error;
mod place;
mod schedule;
mod turn;

pub(super) use alongside::Alongside;
pub use alongside::WatchSummary;
pub use breakpoint::{REGISTER_BYTES, REGISTERS, WatchKind, Watchpoint, covering};
pub use by_hand::{WatchEnd, WatchOptions, Watched, watch};
pub use error::WatchError;
pub use place::{FindPlaces, Place, WatchPlan};
