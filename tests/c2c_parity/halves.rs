//! Shares that lie exactly between two printed numbers: the order of multiplying and dividing
//! decides where they are rounded to, and perf has both.

use std::io::Cursor;

use hitm::perf_data::{Sample, SampleType, Writer, WriterOptions};

use crate::support::machine;

/// A load that hit a modified line in the third level.
const LOCAL_HITM: u64 = 2 | (2 | 0x40) << 5 | 0x10 << 19;
/// A load from this node's memory.
const LOCAL_MEMORY: u64 = 2 | (2 | 0x80) << 5 | 2 << 19;
/// A load that hit a line in another node's cache.
const REMOTE_HIT: u64 = 2 | (2 | 0x400) << 5 | 4 << 19;

/// So many samples that are all alike: count, code address, data address, CPU, data source.
type Group = (u64, u64, u64, u32, u64);

/// Parts of a whole of which binary fractions come out differently either way.
const PARTS: [(u64, u64); 6] = [(23, 160), (49, 160), (51, 160), (49, 80), (23, 80), (109, 800)];

/// Recordings, one for each part and kind of share.
pub fn recordings() -> Vec<Vec<u8>> {
    let (line, other_line) = (0x10_0000, 0x20_0000);
    let (code, other_code) = (0x40_0000, 0x40_0010);
    let mut recordings = Vec::new();
    for (part, whole) in PARTS {
        let rest = whole - part;
        // Rows of one line.
        recordings
            .push(vec![(part, code, line, 0, LOCAL_HITM), (rest, other_code, line, 0, LOCAL_HITM)]);
        // Lines.
        recordings
            .push(vec![(part, code, line, 0, LOCAL_HITM), (rest, code, other_line, 0, LOCAL_HITM)]);
        // Nodes of one row.
        recordings.push(vec![(part, code, line, 0, LOCAL_HITM), (rest, code, line, 9, LOCAL_HITM)]);
        // Misses of the last level.
        recordings
            .push(vec![(part, code, line, 0, LOCAL_MEMORY), (rest, code, line, 0, REMOTE_HIT)]);
    }
    recordings.iter().map(|groups| recording(groups)).collect()
}

fn recording(groups: &[Group]) -> Vec<u8> {
    let events = machine::events(SampleType::WEIGHT, false, false);
    let file = Cursor::new(Vec::new());
    let mut writer = Writer::file(file, events, WriterOptions::default()).expect("in memory");
    let mut time = 1000;
    for &(count, ip, addr, cpu, data_src) in groups {
        for _ in 0..count {
            time += 1;
            let sample = Sample {
                ip: Some(ip),
                thread: Some((7, 7)),
                time: Some(time),
                addr: Some(addr),
                cpu: Some(cpu),
                period: Some(1),
                weight: Some(50),
                data_src: Some(data_src),
                ..Sample::default()
            };
            writer.sample(0, 2, &sample).expect("in memory");
        }
    }
    writer.finish(&machine::features()).expect("in memory").into_inner()
}
