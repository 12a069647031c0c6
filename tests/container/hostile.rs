//! Bytes that want to do harm: malformed recordings, and good ones with mutations.
//!
//! Whatever a file holds, opening it and decoding every record of it must end, without panic, in
//! time and memory that the file's size bounds. The tests that could show otherwise by taking all
//! there is run in a process of their own, with limits (see [`limits`](super::limits)).

use hitm::perf_data::{
    Aux, AuxOutputHardwareId, AuxTrace, AuxTraceError, AuxTraceInfo, BpfEvent, BuildIdRecord,
    ByteOrder, Cgroup, Comm, CpuMap, EventUpdate, HeaderAttr, IdIndex, ItraceStart, Ksymbol, Lost,
    LostSamples, Mmap, Namespaces, RawRecord, RecordType, Recording, Sample, SampleType, Section,
    SwitchCpuWide, Task, TextPoke, ThreadMap, Throttle, TimeConversion,
};

use super::{limits, real_recordings};
use crate::support::random::Random;
use crate::support::synthetic::Synthetic;

/// Opens a recording and reads everything in it; returns what depends on every byte read, so that
/// nothing is optimised away.
pub fn read_everything(main: &[u8], parts: &[&[u8]]) -> u64 {
    let recording = match Recording::parse(main, parts) {
        Ok(recording) => recording,
        Err(error) => return error.to_string().len() as u64,
    };
    let mut sum: u64 =
        recording.damage().iter().map(|damage| damage.to_string().len() as u64).sum();
    for batch in recording.batches() {
        for (position, record) in recording.samples(batch) {
            sum = sum.wrapping_add(recording.sample_at(position).map_or(0, |record| record.offset));
            match recording.decode(&record) {
                Ok((event, sample)) => {
                    sum = sum.wrapping_add(event as u64).wrapping_add(sum_of(&sample))
                }
                Err(error) => sum += format!("{error:?}").len() as u64,
            }
        }
    }
    for (samples_before, record) in recording.other_records() {
        let id = recording.sample_id(&record);
        let time = id.time.unwrap_or(0);
        sum = sum.wrapping_add(samples_before).wrapping_add(time).wrapping_add(decode(&record));
    }
    sum
}

fn sum_of(sample: &Sample<'_>) -> u64 {
    let lists = [
        sample.read,
        sample.callchain,
        sample.branch_stack.map(|stack| stack.entries),
        sample.branch_stack.and_then(|stack| stack.counters),
        sample.regs_user.map(|registers| registers.values),
        sample.regs_intr.map(|registers| registers.values),
    ];
    let words = lists.into_iter().flatten().flat_map(|words| words.iter());
    let stack = sample.stack_user.map(|stack| stack.bytes);
    let bytes = [sample.raw, stack, sample.aux].into_iter().flatten().flatten();
    let bytes = bytes.fold(0_u64, |sum, byte| sum.wrapping_add(u64::from(*byte)));
    words.fold(bytes, u64::wrapping_add)
}

/// Decodes a record by its type, however its body is made.
fn decode(record: &RawRecord<'_>) -> u64 {
    let cursor = &mut record.cursor();
    let text = match record.kind {
        RecordType::MMAP => format!("{:?}", Mmap::decode(cursor)),
        RecordType::MMAP2 => format!("{:?}", Mmap::decode2(cursor, record.misc)),
        RecordType::LOST => format!("{:?}", Lost::decode(cursor)),
        RecordType::COMM => format!("{:?}", Comm::decode(cursor)),
        RecordType::FORK | RecordType::EXIT => format!("{:?}", Task::decode(cursor)),
        RecordType::THROTTLE | RecordType::UNTHROTTLE => format!("{:?}", Throttle::decode(cursor)),
        RecordType::AUX => format!("{:?}", Aux::decode(cursor)),
        RecordType::ITRACE_START => format!("{:?}", ItraceStart::decode(cursor)),
        RecordType::LOST_SAMPLES => format!("{:?}", LostSamples::decode(cursor)),
        RecordType::SWITCH_CPU_WIDE => format!("{:?}", SwitchCpuWide::decode(cursor)),
        RecordType::NAMESPACES => format!("{:?}", Namespaces::decode(cursor)),
        RecordType::KSYMBOL => format!("{:?}", Ksymbol::decode(cursor)),
        RecordType::BPF_EVENT => format!("{:?}", BpfEvent::decode(cursor)),
        RecordType::CGROUP => format!("{:?}", Cgroup::decode(cursor)),
        RecordType::TEXT_POKE => format!("{:?}", TextPoke::decode(cursor)),
        RecordType::AUX_OUTPUT_HW_ID => format!("{:?}", AuxOutputHardwareId::decode(cursor)),
        RecordType::HEADER_ATTR => format!("{:?}", HeaderAttr::decode(cursor)),
        RecordType::HEADER_BUILD_ID => format!("{:?}", BuildIdRecord::decode(cursor, record.misc)),
        RecordType::ID_INDEX => format!("{:?}", IdIndex::decode(cursor)),
        RecordType::AUXTRACE_INFO => format!("{:?}", AuxTraceInfo::decode(cursor)),
        RecordType::AUXTRACE => format!("{:?}", AuxTrace::decode(cursor)),
        RecordType::AUXTRACE_ERROR => format!("{:?}", AuxTraceError::decode(cursor)),
        RecordType::THREAD_MAP => format!("{:?}", ThreadMap::decode(cursor)),
        RecordType::CPU_MAP => CpuMap::decode(cursor).map_or(0, |map| map.cpus.len()).to_string(),
        RecordType::EVENT_UPDATE => format!("{:?}", EventUpdate::decode(cursor)),
        RecordType::TIME_CONV => {
            format!("{:?}", TimeConversion::decode(cursor).map(|time| time.time_of(record.offset)))
        }
        kind => kind.to_string(),
    };
    text.len() as u64
}

/// Good recordings, as different as they get.
fn good_recordings() -> Vec<Vec<u8>> {
    let base = Synthetic { samples: 60, contended_lines: 8, ..Synthetic::default() };
    let mut recordings = Vec::new();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for compression_level in [None, Some(1)] {
            for weight in [SampleType::WEIGHT, SampleType::WEIGHT_STRUCT] {
                let callchains = weight == SampleType::WEIGHT;
                let one =
                    Synthetic { order, compression_level, weight, callchains, ..base.clone() };
                recordings.push(one.file().expect("in memory"));
                recordings.push(one.pipe().expect("in memory"));
            }
        }
    }
    recordings
}

/// Changes a few bytes, or where things are, or how long they are.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    // Numbers that sizes, counts and offsets go wrong with.
    const NUMBERS: [u64; 12] = [
        0,
        1,
        7,
        8,
        16,
        63,
        0xffff,
        0x7fff_ffff,
        0xffff_ffff,
        0x7fff_ffff_ffff_ffff,
        u64::MAX - 7,
        u64::MAX,
    ];
    for _ in 0..1 + random.below(3) {
        if bytes.len() < 16 {
            return;
        }
        // Half of the changes hit the header and what comes soon after it.
        let reach = if random.chance(50) { bytes.len().min(700) } else { bytes.len() };
        let at = random.index(reach - 8);
        let length = 1 + random.index(64.min(bytes.len() - at));
        match random.below(9) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => {
                let number = random.pick(&NUMBERS).to_ne_bytes();
                bytes[at & !7..][..8].copy_from_slice(&number);
            }
            3 => {
                let number = (*random.pick(&NUMBERS) as u32).to_ne_bytes();
                bytes[at & !3..][..4].copy_from_slice(&number);
            }
            // The size of a record, if one starts here.
            4 => bytes[(at & !7) + 6..][..2].copy_from_slice(&(random.next() as u16).to_ne_bytes()),
            5 => bytes.truncate(at),
            6 => {
                let piece = bytes[at..at + length].to_vec();
                bytes.splice(at..at, piece);
            }
            7 => drop(bytes.drain(at..at + length)),
            // Another type of record with the same body.
            _ => bytes[at & !7] = random.below(90) as u8,
        }
    }
}

#[test]
fn malformed_recordings_are_read_as_far_as_they_go() {
    let Some(folder) = real_recordings::folder() else {
        return;
    };
    let mut random = Random::new(11);
    let mut read = 0;
    for entry in std::fs::read_dir(folder.join("malformed")).expect("the folder is there") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        read_everything(&bytes, &[]);
        read_everything(&bytes, &[&bytes]);
        for _ in 0..100 {
            let mut mutated = bytes.clone();
            mutate(&mut mutated, &mut random);
            read_everything(&mutated, &[]);
        }
        read += 1;
    }
    assert!(read > 10, "only {read} malformed recordings were found");
}

#[test]
fn a_recording_cut_off_anywhere_is_read_up_to_there() {
    let synthetic = Synthetic { samples: 10, contended_lines: 4, ..Synthetic::default() };
    for bytes in [synthetic.file().unwrap(), synthetic.pipe().unwrap()] {
        for length in (0..bytes.len()).step_by(3) {
            read_everything(&bytes[..length], &[]);
        }
    }
}

#[test]
fn mutated_synthetic_recordings_are_read_within_limits() {
    limits::run("hostile::inner_mutated_synthetic_recordings");
}

#[test]
fn mutated_real_recordings_are_read_within_limits() {
    limits::run("hostile::inner_mutated_real_recordings");
}

#[test]
#[ignore = "another test runs it within limits"]
fn inner_mutated_synthetic_recordings() {
    let mut random = Random::new(12);
    for good in good_recordings() {
        assert!(read_everything(&good, &[]) > 0);
        for _ in 0..500 {
            let mut mutated = good.clone();
            mutate(&mut mutated, &mut random);
            read_everything(&mutated, &[]);
        }
    }
}

#[test]
#[ignore = "another test runs it within limits"]
fn inner_mutated_real_recordings() {
    let Some(folder) = real_recordings::folder() else {
        return;
    };
    let mut random = Random::new(13);
    for group in ["memory", "na-data-source", "without-data-source", "containers"] {
        for entry in std::fs::read_dir(folder.join(group)).expect("the folder is there") {
            let good = std::fs::read(entry.expect("an entry").path()).expect("a file");
            // So many that each file costs about the same time.
            let count = (800_000 / (good.len() + 1)).clamp(2, 80);
            for _ in 0..count {
                let mut mutated = good.clone();
                mutate(&mut mutated, &mut random);
                read_everything(&mutated, &[]);
            }
        }
    }
}

/// A header whose attribute entries all claim the whole file as their ids.
#[test]
#[ignore = "another test runs it within limits"]
fn inner_ids_that_many_events_share() {
    let mut bytes = vec![0; 1 << 20];
    let length = bytes.len() as u64;
    let entry = 80_usize;
    let header = hitm::perf_data::Header::File {
        order: ByteOrder::Little,
        attr_entry_size: entry as u64,
        attrs: Section { offset: 104, size: (length - 104) / 80 * 80 },
        data: Section { offset: 104, size: 8 },
        features: Default::default(),
    };
    let mut encoder = hitm::perf_data::Encoder::new(ByteOrder::Little);
    header.encode(&mut encoder);
    bytes[..104].copy_from_slice(encoder.as_slice());
    for entry in bytes[104..].chunks_exact_mut(entry) {
        entry[4] = 64;
        entry[72..80].copy_from_slice(&length.to_le_bytes());
    }
    read_everything(&bytes, &[]);
}

#[test]
fn ids_that_many_events_share_are_read_within_limits() {
    limits::run("hostile::inner_ids_that_many_events_share");
}

/// CPU lists in a feature: each part is small and believable.
#[test]
#[ignore = "another test runs it within limits"]
fn inner_cpu_lists_without_end() {
    let mut features = hitm::perf_data::Features::default();
    let list = "0-65535,".repeat(100_000);
    let mut encoder = hitm::perf_data::Encoder::new(ByteOrder::Little);
    encoder.u32(1);
    encoder.u32(0);
    encoder.u64(0);
    encoder.u64(0);
    encoder.u32(list.len() as u32);
    encoder.bytes(list.as_bytes());
    let id = hitm::perf_data::FeatureId::NUMA_TOPOLOGY;
    let _ = features.decode(id, encoder.as_slice(), ByteOrder::Little);
}

#[test]
fn cpu_lists_without_end_are_read_within_limits() {
    limits::run("hostile::inner_cpu_lists_without_end");
}

/// Compressed records that hold next to nothing, or very much.
#[test]
#[ignore = "another test runs it within limits"]
fn inner_compressed_records_that_lie() {
    let synthetic = Synthetic { samples: 1, contended_lines: 1, ..Synthetic::default() };
    let start = synthetic.pipe().expect("in memory");
    let record = |body: &[u8]| {
        let mut encoder = hitm::perf_data::Encoder::new(ByteOrder::Little);
        encoder.u32(RecordType::COMPRESSED.0);
        encoder.u16(0);
        encoder.u16(body.len() as u16 + 8);
        encoder.bytes(body);
        encoder.into_bytes()
    };
    let mut many = start.clone();
    (0..100_000).for_each(|_| many.extend(record(&[])));
    read_everything(&many, &[]);

    // Zeros compress to next to nothing; 1 GiB of them is 32 kB.
    let zeros = vec![0; 8 << 20];
    let bomb = zstd::bulk::compress(&zeros, 19).expect("in memory");
    let mut bombs = start;
    (0..200).for_each(|_| bombs.extend(record(&bomb)));
    read_everything(&bombs, &[]);
}

#[test]
fn compressed_records_that_lie_are_read_within_limits() {
    limits::run("hostile::inner_compressed_records_that_lie");
}
