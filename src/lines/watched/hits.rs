//! Hits, each with the instruction that made it.

use crate::access::{Bases, CodeAddress, Direction, Trap, WatchHit};
use crate::lines::timed::{CodeSource, SampledCode};
use crate::lines::{DecodedCode, Identity};
use crate::perf_data::Recording;
use crate::process::ThreadBases;

/// A hit, and what the code says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlacedHit {
    /// The hit.
    pub hit: WatchHit,
    /// The instruction that made the access; the next one where it is not known.
    pub code: CodeAddress,
    /// Its mapping.
    pub mapping: Option<u32>,
    /// What it did with the bytes; `None` where that is not known: something, and where only writes
    /// are watched a write.
    pub direction: Option<Direction>,
    /// The first byte it touched, as far as that is known, else the first that was watched.
    pub address: u64,
    /// Bytes it touched; `None` where that is not known.
    pub size: Option<u32>,
}

impl PlacedHit {
    /// Whether it was a write for sure.
    pub fn writes(&self) -> bool {
        self.hit.writes_only || self.direction.is_some_and(Direction::writes)
    }
}

/// All hits of a recording, by time.
pub fn hits(
    recording: &Recording<'_>,
    identity: &Identity<'_>,
    source: &mut dyn CodeSource,
    bases: &ThreadBases,
) -> Vec<PlacedHit> {
    let mut functions = DecodedCode::new(source);
    let mut placed = Vec::new();
    if !recording.events().iter().any(crate::access::watches_memory) {
        return placed;
    }
    for batch in recording.batches() {
        for (position, record) in recording.samples(batch) {
            if let Ok(Some(hit)) = WatchHit::of(recording, position, &record) {
                placed.push(place(hit, identity, bases, &mut functions));
            }
        }
    }
    placed.sort_by_key(|placed| (placed.hit.time, placed.hit.position));
    placed
}

fn place(
    hit: WatchHit,
    identity: &Identity<'_>,
    bases: &ThreadBases,
    functions: &mut DecodedCode<'_>,
) -> PlacedHit {
    // The byte before the next instruction is one of the instruction that was caught, unless that is
    // a jump, or repeats itself: then it is in the same function at least.
    let last = hit.next.0.saturating_sub(1);
    let mapping = identity.processes().find_user(hit.pid, last, hit.time);
    let sampled = SampledCode { mapping, pid: hit.pid, code: CodeAddress(last), time: hit.time };
    let culprit = functions.function(&sampled).and_then(|function| {
        let trap = Trap {
            next: hit.next.0.wrapping_sub(function.load_bias),
            registers: hit.registers.as_ref(),
            bases: Bases {
                load_bias: function.load_bias,
                thread: bases.find(hit.pid, hit.tid, hit.time),
            },
            address: hit.address,
            length: hit.length,
            writes_only: hit.writes_only,
        };
        Some((function.decoded.culprit(&trap)?, function.load_bias))
    });
    match culprit {
        Some((culprit, bias)) => PlacedHit {
            hit,
            code: CodeAddress(culprit.code.wrapping_add(bias)),
            mapping,
            direction: Some(culprit.direction),
            address: culprit.address.unwrap_or(hit.address),
            size: Some(culprit.size),
        },
        None => PlacedHit {
            hit,
            code: hit.next,
            mapping,
            direction: None,
            address: hit.address,
            size: None,
        },
    }
}

#[cfg(test)]
pub(in crate::lines::watched) mod tests {
    use super::*;
    use crate::perf_data::SamplePosition;
    use crate::process::{Cpu, Pid, Tid, Time};

    /// A hit of a thread on a CPU at a time in µs.
    pub(in crate::lines::watched) fn hit(
        tid: u32,
        cpu: u32,
        us: u64,
        direction: Direction,
    ) -> PlacedHit {
        PlacedHit {
            hit: WatchHit {
                id: 1,
                pid: Pid(1),
                tid: Tid(tid),
                cpu: Some(Cpu(cpu)),
                time: Time(us * 1000),
                next: CodeAddress(0x10),
                address: 0x1000,
                length: 8,
                writes_only: false,
                registers: None,
                position: SamplePosition::default(),
            },
            code: CodeAddress(0xc),
            mapping: None,
            direction: Some(direction),
            address: 0x1008,
            size: Some(8),
        }
    }
}
