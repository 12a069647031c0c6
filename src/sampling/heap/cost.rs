//! What a traced call costs the thread that makes it.

use std::hint::black_box;
use std::io;
use std::time::Instant;

use super::rings::Rings;
use crate::kernel::{PerfEvent, Placement};
use crate::perf_data::{ByteOrder, Encoder, EventAttr};

/// What an entry or a return is taken to cost where it cannot be measured, ns: a third of 18 µs for
/// entry, return and `free`.
pub(super) const ASSUMED: u64 = 6_000;
/// So many allocations tell.
const TRIALS: u64 = 300;

/// Measures with the events of an allocation function and of `free` in our own C library what one entry
/// or return costs, ns: on average, as `malloc` and `free` make them. A few milliseconds.
pub(super) fn measure(attrs: &[EventAttr], rings: &mut Rings) -> io::Result<u64> {
    let mut events = Vec::new();
    for (cpu, owner) in rings.owners() {
        for attr in attrs {
            let mut bytes = Encoder::new(ByteOrder::NATIVE);
            attr.encode(&mut bytes);
            let placement =
                Placement { thread: Some(0), cpu: Some(cpu), cgroup: None, leader: None };
            let event = PerfEvent::open(bytes.as_slice(), placement)?;
            event.set_output(owner)?;
            events.push(event);
        }
    }
    events.iter().try_for_each(PerfEvent::enable)?;
    let started = Instant::now();
    for size in 0..TRIALS {
        black_box(Box::<[u64]>::from(black_box([size; 3])));
    }
    let taken = started.elapsed();
    events.iter().try_for_each(PerfEvent::disable)?;
    drop(events);
    // They are of no use to a recording.
    let drained = rings.drain(|_| Ok(()))?;
    match drained.samples + drained.lost {
        0 => Err(io::ErrorKind::Unsupported.into()),
        samples => Ok((taken.as_nanos() as u64 / samples).max(1)),
    }
}
