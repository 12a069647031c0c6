//! Events, rings and commands of the running kernel: what is handed out whole, what is lost and
//! counted, what waits.

mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use hitm::kernel::{Command, PerfEvent, PidFile, Placement, RingBuffer, page_size, poll};
use hitm::perf_data::{
    AttrFlags, ByteOrder, Encoder, EventAttr, Lost, RawRecord, ReadFormat, RecordType,
    SampleFormat, SampleType,
};
use support::skipped::skipped;

const PERF_TYPE_SOFTWARE: u32 = 1;
const PAGE_FAULTS: u64 = 2;
const MINOR_FAULTS: u64 = 5;

/// Each page fault of this thread in user code is a sample.
fn page_faults() -> EventAttr {
    EventAttr {
        kind: PERF_TYPE_SOFTWARE,
        size: 128,
        config: PAGE_FAULTS,
        sample_period: 1,
        sample_type: SampleType::IDENTIFIER | SampleType::TID | SampleType::ADDR,
        read_format: ReadFormat::ID | ReadFormat::LOST,
        flags: AttrFlags::EXCLUDE_KERNEL | AttrFlags::SAMPLE_ID_ALL,
        ..EventAttr::default()
    }
}

/// Opens an event on this thread; `None`, said aloud, where the kernel lets nothing open.
fn open(attr: &EventAttr) -> Option<PerfEvent> {
    let mut bytes = Encoder::new(ByteOrder::NATIVE);
    attr.encode(&mut bytes);
    let here = Placement { thread: Some(0), cpu: None, cgroup: None, leader: None };
    match PerfEvent::open(bytes.as_slice(), here) {
        Ok(event) => Some(event),
        Err(error) => {
            skipped(&format!("no event opens here: {error}"));
            None
        }
    }
}

/// Touches so many pages for the first time.
fn fault(pages: usize) {
    let mut memory = memmap2::MmapMut::map_anon(pages * page_size()).expect("memory");
    memory.advise(memmap2::Advice::NoHugePage).expect("small pages");
    memory.iter_mut().step_by(page_size()).for_each(|byte| *byte = 1);
}

/// What a ring held: samples by event id, and records that were lost before it was read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    samples: BTreeMap<u64, u64>,
    lost: u64,
    bytes: usize,
}

fn read(ring: &mut RingBuffer, attr: &EventAttr) -> Read {
    let mut found = Read::default();
    found.bytes = ring
        .read(|one, two| {
            let bytes = [one, two].concat();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let size = usize::from(u16::from_ne_bytes([rest[6], rest[7]]));
                let kind = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]);
                let record = RawRecord {
                    kind: RecordType(kind),
                    misc: 0,
                    body: &rest[8..size],
                    payload: &[],
                    offset: 0,
                    order: ByteOrder::NATIVE,
                };
                match record.kind {
                    RecordType::SAMPLE => {
                        let sample = SampleFormat::from(attr).decode(record.cursor());
                        let id = sample.expect("a sample").identifier.expect("an id");
                        *found.samples.entry(id).or_default() += 1;
                    }
                    RecordType::LOST => {
                        found.lost += Lost::decode(&mut record.cursor()).expect("lost").lost;
                    }
                    other => panic!("a record of type {other:?}"),
                }
                rest = &rest[size..];
            }
            Ok::<(), ()>(())
        })
        .expect("taken");
    found
}

#[test]
fn a_ring_that_is_read_in_time_loses_nothing_however_often_it_wraps() {
    let attr = page_faults();
    let Some(event) = open(&attr) else { return };
    let mut ring = RingBuffer::map(&event, 1).expect("a page is allowed");
    let id = event.id().expect("an id");
    event.enable().expect("enabled");
    let mut samples = 0;
    let mut bytes = 0;
    for _ in 0..60 {
        fault(20);
        let found = read(&mut ring, &attr);
        assert_eq!(found.lost, 0);
        samples += found.samples.get(&id).copied().unwrap_or(0);
        bytes += found.bytes;
    }
    event.disable().expect("disabled");
    samples += read(&mut ring, &attr).samples.get(&id).copied().unwrap_or(0);
    let count = event.count().expect("a count");
    assert_eq!(samples, count.value, "each page fault is a sample");
    assert!(samples >= 60 * 20 && bytes > 5 * ring.size(), "{samples} samples, {bytes} bytes");
    assert_eq!(count.lost.unwrap_or(0), 0);
}

#[test]
fn a_ring_that_is_full_counts_what_it_loses() {
    let attr = page_faults();
    let Some(event) = open(&attr) else { return };
    let mut ring = RingBuffer::map(&event, 1).expect("a page is allowed");
    event.enable().expect("enabled");
    fault(1000);
    let first = read(&mut ring, &attr);
    assert!(first.bytes <= ring.size() && first.lost == 0, "{first:?}");
    // The next record that finds room is preceded by how many did not.
    fault(10);
    event.disable().expect("disabled");
    let second = read(&mut ring, &attr);
    let count = event.count().expect("a count");
    let sum = |read: &Read| read.samples.values().sum::<u64>();
    assert!(second.lost > 800, "{second:?}");
    assert_eq!(sum(&first) + sum(&second) + second.lost, count.value);
    if let Some(lost) = count.lost {
        assert_eq!(lost, second.lost, "the kernel counts the same by event");
    }
}

#[test]
fn events_share_a_ring_and_keep_their_ids() {
    let attr = page_faults();
    // Two of one kind would not do: Linux gives both the id of the first (seen with 6.18).
    let minor = EventAttr { config: MINOR_FAULTS, ..attr };
    let (Some(owner), Some(guest)) = (open(&attr), open(&minor)) else { return };
    let mut ring = RingBuffer::map(&owner, 8).expect("pages are allowed");
    guest.set_output(&owner).expect("shared");
    let ids = [owner.id().expect("an id"), guest.id().expect("an id")];
    assert_ne!(ids[0], ids[1]);
    owner.enable().expect("enabled");
    guest.enable().expect("enabled");
    fault(30);
    owner.disable().expect("disabled");
    fault(30);
    guest.disable().expect("disabled");
    let found = read(&mut ring, &attr);
    let samples = ids.map(|id| found.samples.get(&id).copied().unwrap_or(0));
    assert_eq!(samples[0], owner.count().expect("a count").value);
    assert_eq!(samples[1], guest.count().expect("a count").value);
    assert!(samples[0] >= 30 && samples[1] >= samples[0] + 30, "{samples:?}");
}

#[test]
fn what_was_not_taken_stays() {
    let attr = page_faults();
    let Some(event) = open(&attr) else { return };
    let mut ring = RingBuffer::map(&event, 8).expect("pages are allowed");
    event.enable().expect("enabled");
    fault(5);
    event.disable().expect("disabled");
    assert_eq!(ring.read(|_, _| Err("full")), Err("full"));
    assert_eq!(
        read(&mut ring, &attr).samples.values().sum::<u64>(),
        event.count().expect("it").value
    );
    assert_eq!(read(&mut ring, &attr), Read::default());
}

#[test]
fn a_ring_has_a_power_of_two_of_pages() {
    let Some(event) = open(&page_faults()) else { return };
    for wrong in [0, 3, usize::MAX] {
        let error = RingBuffer::map(&event, wrong).expect_err("refused");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn a_command_waits_for_its_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let words: Vec<OsString> = ["sh", "-c", &format!("echo ran > {}; exit 7", trace.display())]
        .into_iter()
        .map(OsString::from)
        .collect();
    let command = Command::prepare(&words).expect("prepared");
    let end = PidFile::open(command.pid()).expect("it is there");
    let is_over =
        |time| poll(&[std::os::fd::AsFd::as_fd(&end)], time).expect("waited")[0].is_readable;
    assert!(!is_over(Duration::from_millis(100)) && !trace.exists(), "it ran before its start");
    let mut child = command.start().expect("started");
    assert_eq!(child.wait().expect("it ends").code(), Some(7));
    assert!(trace.exists());
    assert!(is_over(Duration::from_secs(60)));

    // One that is given up is never run.
    std::fs::remove_file(&trace).expect("removed");
    let command = Command::prepare(&words).expect("prepared");
    let end = PidFile::open(command.pid()).expect("it is there");
    drop(command);
    let over = poll(&[std::os::fd::AsFd::as_fd(&end)], Duration::from_secs(60)).expect("waited");
    assert!(over[0].is_readable && !trace.exists());
    let missing = Command::prepare(&["/no/such/program".into()]).expect("prepared");
    let error = missing.start().expect_err("there is no such program");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
