//! The debug registers of one thread, and the ring in which it leaves its hits.

use std::io;

use super::breakpoint::Watchpoint;
use crate::kernel::{PerfEvent, Placement, RingBuffer};
use crate::perf_data::{
    ATTR_SIZE_DEFAULT, AttrFlags, ByteOrder, Encoder, EventAttr, RecordType, SampleType,
};

/// A thread with watched words. Its events follow it over all CPUs: one event and one ring for each
/// thread, and not for each thread and CPU, so that arming costs the same on a large machine. Such
/// events cannot leave their hits in the rings of CPUs.
///
/// Every event stops by itself after the hits that it was granted, whatever becomes of us. To see
/// more it is opened anew: kernels since 6.16 let an event that has stopped this way trap again, but
/// never sample.
#[derive(Debug)]
pub(super) struct ArmedThread {
    pub(super) tid: u32,
    like: EventAttr,
    registers: Vec<Register>,
    ring: RingBuffer,
    /// An event that never counts owns the ring, so that the others come and go.
    owner: PerfEvent,
}

#[derive(Debug)]
struct Register {
    point: Watchpoint,
    /// `None` once its thread has ended.
    event: Option<PerfEvent>,
    id: u64,
    /// Hits that it may make.
    granted: u64,
    /// Hits that it has made.
    used: u64,
}

impl Register {
    fn is_used_up(&self) -> bool {
        self.used >= self.granted
    }
}

/// Bytes of a hit's record, more than most take.
const HIT_BYTES: usize = 512;

/// What came out of a thread's ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Drained {
    /// Hits.
    pub(super) hits: u64,
    /// Hits that found no room.
    pub(super) lost: u64,
}

impl ArmedThread {
    /// Opens an event for each point, all stopped.
    pub(super) fn open(
        tid: u32,
        points: &[Watchpoint],
        like: &EventAttr,
        pages: usize,
    ) -> io::Result<Self> {
        let owner = open_event(tid, &ring_owner(like))?;
        let ring = RingBuffer::map(&owner, pages)?;
        let mut registers: Vec<Register> = Vec::with_capacity(points.len());
        for &point in points {
            let (event, id) = open_register(tid, &point, like, &owner)?;
            registers.push(Register { point, event: Some(event), id, granted: 0, used: 0 });
        }
        Ok(Self { tid, like: *like, registers, ring, owner })
    }

    /// The present events: what each watches, and its id.
    pub(super) fn events(&self) -> impl Iterator<Item = (Watchpoint, u64)> {
        self.registers.iter().map(|register| (register.point, register.id))
    }

    /// How many registers have made all hits that they may.
    pub(super) fn used_up(&self) -> u64 {
        self.registers.iter().filter(|register| register.is_used_up()).count() as u64
    }

    /// Hits that may still be made.
    pub(super) fn outstanding(&self) -> u64 {
        self.registers.iter().map(|it| it.granted.saturating_sub(it.used)).sum()
    }

    /// Lets those registers that have had their hits make so many more, or as many as the ring holds;
    /// tells what each new event watches, and its id.
    pub(super) fn grant(
        &mut self,
        each: u64,
        mut opened: impl FnMut(Watchpoint, u64),
    ) -> io::Result<()> {
        let room = self.ring.size() / HIT_BYTES / self.registers.len().max(1);
        let each = each.min(room.max(1) as u64);
        if each == 0 {
            return Ok(());
        }
        for register in self.registers.iter_mut().filter(|register| register.is_used_up()) {
            if register.granted > 0 {
                // A thread has no debug register for the next one before this one is gone.
                register.event = None;
                let (event, id) =
                    open_register(self.tid, &register.point, &self.like, &self.owner)?;
                (register.event, register.id) = (Some(event), id);
                opened(register.point, id);
            }
            (register.granted, register.used) = (each, 0);
            if let Some(event) = &register.event {
                event.refresh(each as u32)?;
            }
        }
        Ok(())
    }

    /// Stops all of them.
    pub(super) fn stop(&self) {
        for event in self.registers.iter().filter_map(|register| register.event.as_ref()) {
            // The thread may have ended, and its registers with it.
            let _ = event.disable();
        }
    }

    /// Takes the hits that are there.
    pub(super) fn drain(&mut self, into: &mut Vec<u8>) -> Drained {
        let mut drained = Drained::default();
        let registers = &mut self.registers;
        let taken = self.ring.read(|one, two| {
            let mut joined = Vec::new();
            let mut rest = match two {
                [] => one,
                _ => {
                    joined.extend_from_slice(one);
                    joined.extend_from_slice(two);
                    &joined
                }
            };
            into.extend_from_slice(rest);
            while let Some((kind, body, next)) = split(rest) {
                rest = next;
                match kind {
                    RecordType::SAMPLE => {
                        drained.hits += 1;
                        let register = registers.iter_mut().find(|it| word(body, 0) == Some(it.id));
                        if let Some(register) = register {
                            register.used += 1;
                        }
                    }
                    // Id, then the number: these hits were made, too.
                    RecordType::LOST => {
                        let lost = word(body, 8).unwrap_or(0);
                        drained.lost += lost;
                        let register = registers.iter_mut().find(|it| word(body, 0) == Some(it.id));
                        if let Some(register) = register {
                            register.used += lost;
                        }
                    }
                    _ => {}
                }
            }
            Ok::<(), std::convert::Infallible>(())
        });
        match taken {
            Ok(_) => drained,
        }
    }
}

/// The event that owns a thread's ring: a dummy, which counts nothing.
fn ring_owner(like: &EventAttr) -> EventAttr {
    const SOFTWARE: u32 = 1;
    const DUMMY: u64 = 9;
    EventAttr {
        kind: SOFTWARE,
        size: ATTR_SIZE_DEFAULT as u32,
        config: DUMMY,
        sample_period: 1,
        sample_type: like.sample_type & (SampleType::IP | SampleType::IDENTIFIER),
        flags: AttrFlags::DISABLED | AttrFlags::EXCLUDE_KERNEL | AttrFlags::EXCLUDE_HV,
        ..EventAttr::default()
    }
}

fn open_event(tid: u32, attr: &EventAttr) -> io::Result<PerfEvent> {
    let mut bytes = Encoder::new(ByteOrder::NATIVE);
    attr.encode(&mut bytes);
    let placement = Placement { thread: Some(tid), cpu: None, cgroup: None, leader: None };
    PerfEvent::open(bytes.as_slice(), placement)
}

fn open_register(
    tid: u32,
    point: &Watchpoint,
    like: &EventAttr,
    owner: &PerfEvent,
) -> io::Result<(PerfEvent, u64)> {
    let event = open_event(tid, &point.attr(like))?;
    event.set_output(owner)?;
    let id = event.id()?;
    Ok((event, id))
}

/// Splits one record off: type, body and the rest.
fn split(bytes: &[u8]) -> Option<(RecordType, &[u8], &[u8])> {
    let kind = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    let size = usize::from(u16::from_ne_bytes(bytes.get(6..8)?.try_into().ok()?));
    let body = bytes.get(crate::perf_data::RECORD_HEADER_SIZE..size)?;
    Some((RecordType(kind), body, &bytes[size..]))
}

fn word(body: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(body.get(at..at + 8)?.try_into().ok()?))
}
