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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perf_data::{ByteOrder, EventChange, EventUpdate};

    #[test]
    fn a_turn_is_read_as_it_was_written() {
        let turn = HeapTurn { from: 1, to: HeapTurn::UNENDED, samples: 3, lost: 4 };
        let update = EventUpdate { id: 7, change: EventChange::Heap(turn) };
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let mut encoder = Encoder::new(order);
            update.encode(&mut encoder);
            let bytes = encoder.into_bytes();
            let read = EventUpdate::decode(&mut Cursor::new(&bytes, order));
            assert_eq!(read.as_ref(), Ok(&update));
            let cut = &bytes[..bytes.len() - 1];
            assert!(EventUpdate::decode(&mut Cursor::new(cut, order)).is_err());
        }
    }
}
