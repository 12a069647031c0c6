//! Samples of every layout, written and read back.

use std::io::{self, Cursor};

use hitm::perf_data::{
    ByteOrder, EventSpec, Features, Input, Recording, SampleType, Writer, WriterOptions,
};
use proptest::prelude::*;

use super::owned_sample::{OwnedSample, random_attr};
use crate::support::random::Random;

/// Bits of `sample_type` that exist.
const KNOWN_BITS: u64 = (1 << 25) - 1;

/// How a recording is written.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Form {
    order: ByteOrder,
    is_pipe: bool,
    is_compressed: bool,
}

const FORMS: [Form; 8] = {
    let mut forms = [Form { order: ByteOrder::Little, is_pipe: false, is_compressed: false }; 8];
    let mut index = 0;
    while index < 8 {
        forms[index] = Form {
            order: if index & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big },
            is_pipe: index & 2 != 0,
            is_compressed: index & 4 != 0,
        };
        index += 1;
    }
    forms
};

/// Writes `count` random samples of events with these sample types, and reads them back.
fn round_trip(types: &[SampleType], form: Form, seed: u64, count: usize) -> io::Result<()> {
    let mut random = Random::new(seed);
    let events: Vec<EventSpec> = types
        .iter()
        .enumerate()
        .map(|(index, sample_type)| EventSpec {
            attr: random_attr(&mut random, *sample_type),
            name: format!("event-{index}/config=0x1,\u{e9}/P"),
            ids: (0..1 + random.below(3)).map(|id| 1000 * (index as u64 + 1) + id).collect(),
        })
        .collect();
    let samples: Vec<(usize, u16, OwnedSample)> = (0..count)
        .map(|_| {
            let event = random.index(events.len());
            let id = *random.pick(&events[event].ids);
            let sample = OwnedSample::random(&mut random, &events[event].attr, id, form.order);
            (event, random.next() as u16, sample)
        })
        .collect();
    let compression_level = form.is_compressed.then_some(1);
    let options = WriterOptions { order: form.order, compression_level };
    let features = Features { hostname: Some("host".into()), ..Features::default() };
    let bytes = if form.is_pipe {
        let mut writer = Writer::pipe(Vec::new(), events.clone(), &features, options)?;
        for (event, misc, sample) in &samples {
            writer.sample(*event, *misc, &sample.sample())?;
        }
        writer.finish_pipe()?
    } else {
        let mut writer = Writer::file(Cursor::new(Vec::new()), events.clone(), options)?;
        for (event, misc, sample) in &samples {
            writer.sample(*event, *misc, &sample.sample())?;
        }
        writer.finish(&features)?.into_inner()
    };

    let input = Input::from_bytes(bytes);
    let recording = Recording::open(&input).expect("what was written can be opened");
    assert_eq!(recording.damage(), []);
    assert_eq!(recording.order(), form.order);
    assert_eq!(recording.is_pipe(), form.is_pipe);
    assert_eq!(recording.features().hostname.as_deref(), Some("host"));
    assert_eq!(recording.sample_count(), count as u64);
    let size = events.iter().map(|event| event.attr.size).max().unwrap_or(0);
    for (read, written) in recording.events().iter().zip(&events) {
        assert_eq!(read.name, written.name);
        assert_eq!(read.ids, written.ids);
        // A file's entries all have the size of the largest.
        let size = if form.is_pipe { written.attr.size } else { size };
        assert_eq!(read.attr, hitm::perf_data::EventAttr { size, ..written.attr });
    }
    let mut read = 0;
    for batch in recording.batches() {
        for (position, record) in recording.samples(batch) {
            let (event, misc, sample) = &samples[read];
            let (read_event, read_sample) = recording.decode(&record).expect("it was written");
            assert_eq!(position.ordinal, read as u64);
            assert_eq!((read_event, record.misc), (*event, *misc), "sample {read}");
            let mut expected = sample.sample();
            if expected.stack_user.is_some_and(|stack| stack.bytes.is_empty()) {
                expected.stack_user = Some(Default::default());
            }
            assert_eq!(read_sample, expected, "sample {read}");
            let again = recording.sample_at(position).expect("it was there before");
            assert_eq!((again.offset, again.body), (record.offset, record.body));
            read += 1;
        }
    }
    assert_eq!(read, count);
    Ok(())
}

#[test]
fn every_field_alone_round_trips() {
    for bit in 0..25 {
        for (index, form) in FORMS.into_iter().enumerate() {
            round_trip(&[SampleType(1 << bit)], form, bit * 8 + index as u64, 5).unwrap();
        }
    }
}

#[test]
fn every_field_at_once_round_trips() {
    for weight in [SampleType::WEIGHT, SampleType::WEIGHT_STRUCT] {
        for form in FORMS {
            round_trip(&[one_weight(SampleType(KNOWN_BITS), weight)], form, 3, 50).unwrap();
        }
    }
}

#[test]
fn events_without_identifier_round_trip_when_their_ids_are_at_one_place() {
    let first = SampleType::IP | SampleType::TIME | SampleType::ID | SampleType::ADDR;
    let second = first | SampleType::CPU | SampleType::RAW;
    for form in FORMS {
        round_trip(&[first, second], form, 4, 50).unwrap();
    }
}

#[test]
fn events_whose_ids_are_at_different_places_round_trip() {
    let first = SampleType::IP | SampleType::ID | SampleType::CPU | SampleType::PERIOD;
    let second = first | SampleType::TIME | SampleType::ADDR;
    for form in FORMS {
        round_trip(&[first, second], form, 5, 50).unwrap();
    }
}

/// Many more bytes than a batch, a compressed record or a decompressor's piece hold.
#[test]
fn many_large_samples_round_trip() {
    let types = [SampleType(KNOWN_BITS & !SampleType::WEIGHT.0); 3];
    for form in FORMS {
        round_trip(&types, form, 6, 3000).unwrap();
    }
}

/// The kernel has either weight and never both: they share a place in the record.
fn one_weight(sample_type: SampleType, weight: SampleType) -> SampleType {
    let both = SampleType::WEIGHT | SampleType::WEIGHT_STRUCT;
    match sample_type.contains(both) {
        true => SampleType(sample_type.0 & !both.0) | weight,
        false => sample_type,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_combination_of_fields_round_trips(
        bits in 0..=KNOWN_BITS,
        form in prop::sample::select(&FORMS[..]),
        seed: u64,
    ) {
        let sample_type = one_weight(SampleType(bits), SampleType::WEIGHT_STRUCT);
        round_trip(&[sample_type], form, seed, 20)?;
    }

    #[test]
    fn events_with_different_fields_round_trip(
        bits in prop::collection::vec(0..=KNOWN_BITS, 2..6),
        form in prop::sample::select(&FORMS[..]),
        seed: u64,
    ) {
        let types: Vec<SampleType> = bits
            .into_iter()
            .map(|bits| one_weight(SampleType(bits), SampleType::WEIGHT) | SampleType::IDENTIFIER)
            .collect();
        round_trip(&types, form, seed, 20)?;
    }
}
