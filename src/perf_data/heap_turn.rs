//! When allocations were traced: our own kind of EVENT_UPDATE, which perf passes over.

use super::cursor::{Cursor, ShortRead};
use super::encoder::Encoder;
use super::kernel_records::fixed_body;

fixed_body! {
    /// A stretch of time in which allocations were traced. It is written when it begins, without an end,
    /// and again when it ends.
    HeapTurn {
        /// Since when, ns of the recording's clock; 0 from the target's start, or the recording's.
        from: u64,
        /// Until when, ns; [`HeapTurn::UNENDED`] while it lasts, and when it lasted to the end.
        to: u64,
        /// Entries and returns that were traced.
        samples: u64,
        /// Those that found no room.
        lost: u64,
    }
}

impl HeapTurn {
    /// It has no end, or none that was written.
    pub const UNENDED: u64 = u64::MAX;
}
