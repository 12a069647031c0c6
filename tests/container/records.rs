//! Records other than samples: what is encoded is decoded, and the sample id behind it is found.

use std::io::Cursor as File;

use hitm::perf_data::{
    Aux, AuxOutputHardwareId, AuxTrace, AuxTraceInfo, BpfEvent, BuildIdRecord, ByteOrder,
    CapturedCode, Cgroup, Comm, CpuMap, Cursor, Encoder, EventAttr, EventChange, EventSpec,
    EventUpdate, Features, HeaderAttr, IdIndex, IdIndexEntry, Input, ItraceStart, Ksymbol, Lost,
    LostSamples, MISC_BUILD_ID_SIZE, MISC_MMAP_BUILD_ID, MISC_MMAP_DATA, MappedObject, Mmap,
    Namespaces, RecordType, Recording, SampleId, SampleType, ShortRead, SwitchCpuWide, Task,
    TextPoke, ThreadBase, ThreadMap, Throttle, TimeConversion, TimeScale, Words, Writer,
    WriterOptions,
};
use proptest::prelude::*;

use super::owned_sample::random_attr;
use crate::support::random::Random;

const ORDERS: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

/// What is encoded is decoded; and from a body that is cut off anywhere less or nothing is read,
/// without panic.
macro_rules! assert_round_trips {
    ($order:expr, $value:expr, $decode:expr) => {
        assert_round_trips!($order, $value, encode, $decode)
    };
    ($order:expr, $value:expr, $encode:ident, $decode:expr) => {
        let (order, value): (ByteOrder, _) = ($order, $value);
        let mut encoder = Encoder::new(order);
        value.$encode(&mut encoder);
        let bytes = encoder.into_bytes();
        assert_eq!($decode(&mut Cursor::new(&bytes, order)).as_ref(), Ok(&value));
        for length in 0..bytes.len() {
            let _ = $decode(&mut Cursor::new(&bytes[..length], order));
        }
    };
}

#[test]
fn records_of_the_kernel_round_trip() {
    let mut random = Random::new(1);
    for round in 0..200 {
        let order = ORDERS[round % 2];
        let (a, b, c) = (random.next(), random.next(), random.next());
        let (x, y, z, w) = (a as u32, b as u32, c as u32, (c >> 32) as u32);
        let name = text(&mut random);
        let old: Vec<u8> = (0..random.index(20)).map(|_| random.next() as u8).collect();
        let new: Vec<u8> = (0..random.index(20)).map(|_| random.next() as u8).collect();
        assert_round_trips!(
            order,
            Task { pid: x, ppid: y, tid: z, ptid: w, time: a },
            Task::decode
        );
        assert_round_trips!(order, Lost { id: a, lost: b }, Lost::decode);
        assert_round_trips!(order, LostSamples { lost: a }, LostSamples::decode);
        assert_round_trips!(order, Throttle { time: a, id: b, stream_id: c }, Throttle::decode);
        assert_round_trips!(order, Aux { aux_offset: a, aux_size: b, flags: c }, Aux::decode);
        assert_round_trips!(order, ItraceStart { pid: x, tid: y }, ItraceStart::decode);
        assert_round_trips!(order, SwitchCpuWide { pid: x, tid: y }, SwitchCpuWide::decode);
        let hardware = AuxOutputHardwareId { hardware_id: a };
        assert_round_trips!(order, hardware, AuxOutputHardwareId::decode);
        assert_round_trips!(order, Comm { pid: x, tid: y, name: &name }, Comm::decode);
        let symbol =
            Ksymbol { address: a, length: x, kind: y as u16, flags: z as u16, name: &name };
        assert_round_trips!(order, symbol, Ksymbol::decode);
        let program = BpfEvent { kind: x as u16, flags: y as u16, id: z, tag: b.to_be_bytes() };
        assert_round_trips!(order, program, BpfEvent::decode);
        assert_round_trips!(order, Cgroup { id: a, path: &name }, Cgroup::decode);
        assert_round_trips!(order, TextPoke { address: a, old: &old, new: &new }, TextPoke::decode);
        let links = (0..random.index(9)).map(|_| (random.next(), random.next())).collect();
        assert_round_trips!(order, Namespaces { pid: x, tid: y, links }, Namespaces::decode);
    }
}

#[test]
fn mappings_round_trip() {
    let mut random = Random::new(2);
    for round in 0..200 {
        let order = ORDERS[round % 2];
        let name = text(&mut random);
        let unknown = mapping(&mut random, MappedObject::Unknown, &name);
        assert_round_trips!(order, Mmap { protection: 0, flags: 0, ..unknown }, Mmap::decode);
        let inode = MappedObject::Inode {
            major: random.next() as u32,
            minor: random.next() as u32,
            inode: random.next(),
            generation: random.next(),
        };
        let build_id: Vec<u8> = (0..random.index(21)).map(|_| random.next() as u8).collect();
        for (object, misc) in [(inode, 0), (MappedObject::BuildId(&build_id), MISC_MMAP_BUILD_ID)] {
            assert_round_trips!(
                order,
                mapping(&mut random, object, &name),
                encode2,
                |cursor: &mut _| Mmap::decode2(cursor, misc)
            );
        }
    }
}

#[test]
fn records_of_perf_round_trip() {
    let mut random = Random::new(3);
    for round in 0..200 {
        let order = ORDERS[round % 2];
        let (a, b, c) = (random.next(), random.next(), random.next());
        let name = text(&mut random);
        let mut words = Encoder::new(order);
        (0..random.index(9)).for_each(|_| words.u64(random.next()));
        let words = Words::new(words.as_slice(), order);
        let trace = AuxTrace {
            size: a,
            offset: b,
            reference: c,
            index: a as u32,
            tid: b as u32,
            cpu: c as u32,
            reserved: 0,
        };
        assert_round_trips!(order, trace, AuxTrace::decode);
        let scale = TimeScale { shift: a, multiplier: b, zero: c };
        assert_round_trips!(order, scale, TimeScale::decode);
        for short in [None, Some((b, c))] {
            let conversion = TimeConversion { scale, short, has_zero: round % 3 == 0 };
            assert_round_trips!(order, conversion, TimeConversion::decode);
        }
        let entry = |random: &mut Random| IdIndexEntry {
            id: random.next(),
            index: random.next(),
            cpu: random.next(),
            tid: random.next(),
        };
        assert_round_trips!(order, entry(&mut random), IdIndexEntry::decode);
        let entries = (0..random.index(9)).map(|_| entry(&mut random)).collect();
        assert_round_trips!(order, IdIndex { entries }, IdIndex::decode);
        let info = AuxTraceInfo { kind: a as u32, private: words };
        assert_round_trips!(order, info, AuxTraceInfo::decode);
        let sample_type = SampleType(random.below(1 << 25));
        let attr = random_attr(&mut random, sample_type);
        assert_round_trips!(order, HeaderAttr { attr, ids: words }, HeaderAttr::decode);
        let build_id: Vec<u8> = (0..random.index(21)).map(|_| random.next() as u8).collect();
        let build_id = BuildIdRecord { pid: a as i32, build_id: &build_id, name: &name };
        assert_round_trips!(order, build_id, |cursor: &mut _| BuildIdRecord::decode(
            cursor,
            MISC_BUILD_ID_SIZE
        ));
        let short = &name[..name.len().min(15)];
        let threads = (0..random.index(9)).map(|_| (random.next(), short)).collect();
        assert_round_trips!(order, ThreadMap { threads }, ThreadMap::decode);
        let cpus: Vec<i32> = (0..random.index(9)).map(|_| random.below(3000) as i32 - 1).collect();
        assert_round_trips!(order, CpuMap { cpus: cpus.clone() }, CpuMap::decode);
        for change in [
            EventChange::Unit(&name),
            EventChange::Scale(0.25),
            EventChange::Name(&name),
            EventChange::Cpus(CpuMap { cpus }),
            EventChange::ThreadBase(ThreadBase { pid: 1, tid: u32::MAX, time: 3, base: !7 }),
            EventChange::Code(CapturedCode { pid: 4, time: 5, address: 0x7000, bytes: &name }),
            EventChange::Other(77),
        ] {
            assert_round_trips!(order, EventUpdate { id: a, change }, EventUpdate::decode);
        }
    }
}

/// The three encodings of a CPU map say the same.
#[test]
fn cpu_maps_of_every_encoding_are_read() {
    for order in ORDERS {
        let read = |write: &dyn Fn(&mut Encoder)| {
            let mut encoder = Encoder::new(order);
            write(&mut encoder);
            CpuMap::decode(&mut Cursor::new(encoder.as_slice(), order)).map(|map| map.cpus)
        };
        let list =
            |encoder: &mut Encoder| [0, 3, 1, 2, 65].iter().for_each(|word| encoder.u16(*word));
        let wide = |encoder: &mut Encoder| {
            [1, 2, 8, 0].iter().for_each(|word| encoder.u16(*word));
            [0b110, 0b10].iter().for_each(|word| encoder.u64(*word));
        };
        let narrow = |encoder: &mut Encoder| {
            [1, 3, 4].iter().for_each(|word| encoder.u16(*word));
            [0b110, 0, 0b10].iter().for_each(|word| encoder.u32(*word));
        };
        let range = |encoder: &mut Encoder| {
            encoder.u16(2);
            encoder.bytes(&[1, 0]);
            [4, 6].iter().for_each(|word| encoder.u16(*word));
        };
        assert_eq!(read(&list), Ok(vec![1, 2, 65]));
        assert_eq!(read(&wide), Ok(vec![1, 2, 65]));
        assert_eq!(read(&narrow), Ok(vec![1, 2, 65]));
        assert_eq!(read(&range), Ok(vec![-1, 4, 5, 6]));
        assert_eq!(read(&|encoder| encoder.u16(3)), Err(ShortRead));
    }
}

/// The writer's own methods, through a whole file, with every combination of sample id fields.
#[test]
fn the_sample_id_behind_a_record_is_found() {
    let fields = [
        SampleType::TID,
        SampleType::TIME,
        SampleType::ID,
        SampleType::STREAM_ID,
        SampleType::CPU,
        SampleType::IDENTIFIER,
    ];
    for chosen in 0..64_usize {
        for order in ORDERS {
            let bits = fields.iter().enumerate().filter(|(index, _)| chosen >> index & 1 == 1);
            let sample_type = bits.fold(SampleType::IP, |all, (_, bit)| all | *bit);
            let has = |bit: SampleType| sample_type.contains(bit);
            let attr = random_attr(&mut Random::new(chosen as u64), sample_type);
            let event = EventSpec { attr, name: "event".into(), ids: vec![77] };
            let id = SampleId {
                thread: has(SampleType::TID).then_some((5, 6)),
                time: has(SampleType::TIME).then_some(1 << 40),
                id: has(SampleType::ID).then_some(77),
                stream_id: has(SampleType::STREAM_ID).then_some(78),
                cpu: has(SampleType::CPU).then_some(3),
                identifier: has(SampleType::IDENTIFIER).then_some(77),
            };
            let options = WriterOptions { order, compression_level: None };
            let mut writer =
                Writer::file(File::new(Vec::new()), vec![event], options).expect("in memory");
            let comm = Comm { pid: 5, tid: 6, name: b"eight888" };
            let task = Task { pid: 5, ppid: 1, tid: 6, ptid: 1, time: 9 };
            let inode = MappedObject::Inode { major: 8, minor: 1, inode: 5, generation: 0 };
            let build_id = [7; 20];
            let mappings = [MappedObject::Unknown, inode, MappedObject::BuildId(&build_id)]
                .map(|object| mapping(&mut Random::new(9), object, b"/a/file"));
            writer.comm(0, &comm, &id).expect("in memory");
            writer.task(RecordType::FORK, 0, &task, &id).expect("in memory");
            for mapping in &mappings {
                writer.mmap(MISC_MMAP_DATA, mapping, &id).expect("in memory");
            }
            let bytes = writer.finish(&Features::default()).expect("in memory").into_inner();

            let input = Input::from_bytes(bytes);
            let recording = Recording::open(&input).expect("what was written can be opened");
            assert_eq!(recording.damage(), []);
            let records: Vec<_> = recording.other_records().map(|(_, record)| record).collect();
            let kinds: Vec<_> = records.iter().map(|record| record.kind).collect();
            let (mmap, mmap2) = (RecordType::MMAP, RecordType::MMAP2);
            assert_eq!(kinds, [RecordType::COMM, RecordType::FORK, mmap, mmap2, mmap2]);
            for record in &records {
                assert_eq!(recording.sample_id(record), id, "{sample_type:?}");
            }
            assert_eq!(Comm::decode(&mut records[0].cursor()), Ok(comm));
            assert_eq!(Task::decode(&mut records[1].cursor()), Ok(task));
            let without_flags = Mmap { protection: 0, flags: 0, ..mappings[0] };
            assert_eq!(Mmap::decode(&mut records[2].cursor()), Ok(without_flags));
            for index in [3, 4] {
                let record = &records[index];
                let read = Mmap::decode2(&mut record.cursor(), record.misc);
                assert_eq!(read, Ok(mappings[index - 2]));
            }
        }
    }
}

/// A name of any length without NUL.
fn text(random: &mut Random) -> Vec<u8> {
    (0..random.index(40)).map(|_| 1 + random.below(255) as u8).collect()
}

fn mapping<'a>(random: &mut Random, object: MappedObject<'a>, name: &'a [u8]) -> Mmap<'a> {
    Mmap {
        pid: random.next() as u32,
        tid: random.next() as u32,
        start: random.next(),
        length: random.next(),
        page_offset: random.next(),
        object,
        protection: random.next() as u32,
        flags: random.next() as u32,
        name,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_attribute_round_trips(seed: u64, size in 8_u32..=18, big: bool) {
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let mut random = Random::new(seed);
        let sample_type = SampleType(random.next());
        let attr = EventAttr { size: size * 8, ..random_attr(&mut random, sample_type) };
        let mut encoder = Encoder::new(order);
        attr.encode(&mut encoder);
        let read = EventAttr::decode(encoder.as_slice(), order);
        // What the size leaves out reads as nothing.
        let kept = read.map_err(|_| TestCaseError::fail("not read"))?;
        prop_assert_eq!(kept.size, size * 8);
        prop_assert_eq!((kept.config, kept.sample_type), (attr.config, attr.sample_type));
        let mut again = Encoder::new(order);
        kept.encode(&mut again);
        prop_assert_eq!(again.as_slice(), encoder.as_slice());
    }
}
