//! What a debug register costs the thread that hits it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::statistics::{median, quantile};
use crate::kernel::{PerfEvent, Placement, RingBuffer};
use crate::perf_data::{ATTR_SIZE_DEFAULT, AttrFlags, ByteOrder, Encoder, EventAttr, SampleType};

/// `PERF_TYPE_BREAKPOINT`.
const BREAKPOINT: u32 = 5;
/// `HW_BREAKPOINT_W`.
const BREAKPOINT_WRITE: u32 = 2;
/// Hits of one batch: few enough for the kernel's limit of samples a tick.
const HITS: u64 = 100;
/// Batches.
const BATCHES: usize = 21;
/// Pages of the ring for samples; it is emptied after each batch.
const PAGES: usize = 16;

/// Hits of a debug register by the thread itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trap {
    /// What one costs, µs, the median of all batches.
    pub microseconds: f64,
    /// A quarter of the batches are below.
    pub microseconds_low: f64,
    /// A quarter of the batches are above.
    pub microseconds_high: f64,
    /// Writes to the watched word.
    pub writes: u64,
    /// How many of them the kernel counted.
    pub counted: u64,
    /// How many left a sample; `None` where none was asked for.
    pub sampled: Option<u64>,
}

/// Both ways to watch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traps {
    /// Hits are only counted.
    pub counting: Option<Trap>,
    /// Each hit leaves a sample.
    pub sampling: Option<Trap>,
    /// Why one is missing.
    pub reason: Option<String>,
}

impl Traps {
    /// Watches a word of this process and writes to it.
    pub(super) fn measure() -> Self {
        let mut reason = None;
        let mut measured = |is_sampling| {
            let answer = trap(is_sampling);
            answer
                .map_err(|error| {
                    reason.get_or_insert(format!("a breakpoint event does not open: {error}"));
                })
                .ok()
        };
        let (counting, sampling) = (measured(false), measured(true));
        Self { counting, sampling, reason }
    }
}

fn trap(is_sampling: bool) -> io::Result<Trap> {
    #[repr(align(128))]
    struct Watched(AtomicU64);
    let watched = Box::new(Watched(AtomicU64::new(0)));
    let event = open(&watched.0, is_sampling)?;
    let mut ring = is_sampling.then(|| RingBuffer::map(&event, PAGES)).transpose()?;
    let write = || {
        let start = Instant::now();
        for value in 0..HITS {
            watched.0.store(value, Ordering::Relaxed);
        }
        start.elapsed().as_secs_f64() * 1e6 / HITS as f64
    };
    let (mut costs, mut sampled) = (Vec::new(), 0);
    for _ in 0..BATCHES {
        let without = write();
        event.enable()?;
        let with = write();
        event.disable()?;
        costs.push(with - without);
        if let Some(ring) = &mut ring {
            ring.read(|one, two| {
                sampled += samples(&[one, two].concat());
                Ok::<_, io::Error>(())
            })?;
        }
    }
    Ok(Trap {
        microseconds: median(&costs).unwrap_or_default(),
        microseconds_low: quantile(&costs, 0.25).unwrap_or_default(),
        microseconds_high: quantile(&costs, 0.75).unwrap_or_default(),
        writes: HITS * BATCHES as u64,
        counted: event.count()?.value,
        sampled: is_sampling.then_some(sampled),
    })
}

fn open(word: &AtomicU64, is_sampling: bool) -> io::Result<PerfEvent> {
    let attr = EventAttr {
        kind: BREAKPOINT,
        size: ATTR_SIZE_DEFAULT as u32,
        bp_type: BREAKPOINT_WRITE,
        config1: std::ptr::from_ref(word).addr() as u64,
        config2: 8,
        sample_period: u64::from(is_sampling),
        sample_type: SampleType::IP | SampleType::TID | SampleType::TIME,
        flags: AttrFlags::DISABLED | AttrFlags::EXCLUDE_KERNEL | AttrFlags::EXCLUDE_HV,
        ..EventAttr::default()
    };
    let mut encoder = Encoder::new(ByteOrder::NATIVE);
    attr.encode(&mut encoder);
    let here = Placement { thread: Some(0), cpu: None, cgroup: None, leader: None };
    PerfEvent::open(encoder.as_slice(), here)
}

/// Counts the samples among records.
fn samples(mut records: &[u8]) -> u64 {
    /// `PERF_RECORD_SAMPLE`.
    const SAMPLE: u32 = 9;
    let mut count = 0;
    while let Some((header, _)) = records.split_at_checked(8) {
        let kind = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
        let size = usize::from(u16::from_ne_bytes([header[6], header[7]])).max(8);
        count += u64::from(kind == SAMPLE);
        records = records.get(size..).unwrap_or_default();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_told_from_other_records() {
        let record = |kind: u32, size: u16| {
            let mut bytes = vec![0; usize::from(size)];
            bytes[..4].copy_from_slice(&kind.to_ne_bytes());
            bytes[6..8].copy_from_slice(&size.to_ne_bytes());
            bytes
        };
        let records = [record(9, 40), record(5, 32), record(9, 40)].concat();
        assert_eq!(samples(&records), 2);
        assert_eq!(samples(&records[..60]), 1);
        assert_eq!(samples(&[0; 16]), 0, "a record of no size does not hold the reader up");
    }
}
