//! The rings that traced calls are left in: apart from those of the clock, so that a burst of
//! allocations costs no sample and no mapping.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::kernel::{PerfEvent, Placement, RingBuffer, page_size};
use crate::perf_data::{
    ATTR_SIZE_DEFAULT, AttrFlags, ByteOrder, Encoder, EventAttr, RECORD_HEADER_SIZE, RecordType,
};

/// Bytes of each CPU's ring.
const RING: usize = 2 << 20;

/// One ring for each CPU, of an event that counts nothing.
#[derive(Debug)]
pub(super) struct Rings {
    rings: Vec<Ring>,
}

#[derive(Debug)]
struct Ring {
    cpu: u32,
    owner: PerfEvent,
    buffer: RingBuffer,
}

/// What came out of rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Drained {
    /// Traced entries and returns.
    pub(super) samples: u64,
    /// Those that found no room.
    pub(super) lost: u64,
    /// The time of the last one, ns of the recording's clock.
    pub(super) latest: u64,
}

impl Rings {
    pub(super) fn open(cpus: &[u32]) -> io::Result<Self> {
        const SOFTWARE: u32 = 1;
        const DUMMY: u64 = 9;
        let attr = EventAttr {
            kind: SOFTWARE,
            size: ATTR_SIZE_DEFAULT as u32,
            config: DUMMY,
            flags: AttrFlags::DISABLED | AttrFlags::EXCLUDE_KERNEL | AttrFlags::EXCLUDE_HV,
            ..EventAttr::default()
        };
        let mut bytes = Encoder::new(ByteOrder::NATIVE);
        attr.encode(&mut bytes);
        let ring = |&cpu: &u32| {
            let placement = Placement { thread: None, cpu: Some(cpu), cgroup: None, leader: None };
            let owner = PerfEvent::open(bytes.as_slice(), placement)?;
            let buffer = RingBuffer::map(&owner, RING / page_size())?;
            Ok(Ring { cpu, owner, buffer })
        };
        Ok(Self { rings: cpus.iter().map(ring).collect::<io::Result<_>>()? })
    }

    /// The CPUs, each with the event that owns its ring.
    pub(super) fn owners(&self) -> impl Iterator<Item = (u32, &PerfEvent)> {
        self.rings.iter().map(|ring| (ring.cpu, &ring.owner))
    }

    /// What becomes readable when a ring is half full.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.rings.iter().map(|ring| ring.owner.as_fd())
    }

    /// Takes what is there.
    pub(super) fn drain(
        &mut self,
        mut put: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Drained> {
        let mut drained = Drained::default();
        let mut joined = Vec::new();
        for ring in &mut self.rings {
            ring.buffer.read(|one, two| {
                let bytes = match two {
                    [] => one,
                    _ => {
                        joined.clear();
                        joined.extend_from_slice(one);
                        joined.extend_from_slice(two);
                        &joined
                    }
                };
                count(bytes, &mut drained);
                put(bytes)
            })?;
        }
        Ok(drained)
    }
}

fn count(mut rest: &[u8], drained: &mut Drained) {
    // Of a sample's body: identifier, instruction pointer, process and thread, time.
    const TIME: usize = 24;
    while let Some(header) = rest.first_chunk::<RECORD_HEADER_SIZE>() {
        let kind = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
        let size = usize::from(u16::from_ne_bytes([header[6], header[7]]));
        let Some(body) = rest.get(RECORD_HEADER_SIZE..size) else {
            return;
        };
        let word = |at: usize| {
            body.get(at..).and_then(|it| it.first_chunk()).map_or(0, |it| u64::from_ne_bytes(*it))
        };
        match RecordType(kind) {
            RecordType::SAMPLE => {
                drained.samples += 1;
                drained.latest = drained.latest.max(word(TIME));
            }
            RecordType::LOST => drained.lost += word(8),
            _ => {}
        }
        rest = &rest[size..];
    }
}
