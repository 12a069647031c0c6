//! How many records a second the recorder drains without losing one: samples a tracepoint on all CPUs
//! with the recorder's own loop, for some seconds, while whoever started it makes it fire.
//!
//! `drain SECONDS PAGES FILE` prints samples, losses and seconds.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use hitm::perf_data::{ATTR_SIZE_DEFAULT, EventAttr, ReadFormat, SampleType};
use hitm::sampling::{
    PlannedEvent, RecordOptions, Recorder, Role, SamplerKind, SamplerPlan, Target,
};
use hitm::system::{Machine, mounts, tracefs};

const PERF_TYPE_TRACEPOINT: u32 = 2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let mut word = |default: &str| words.next().unwrap_or_else(|| default.to_owned());
    let (seconds, pages, file) = (word("10").parse()?, word("2048").parse()?, word("/dev/null"));
    let folder = tracefs(&mounts(Path::new("/"))).ok_or("tracefs is not mounted")?;
    let id = std::fs::read_to_string(folder.join("events/raw_syscalls/sys_enter/id"))?;
    let fields = SampleType::IDENTIFIER
        | SampleType::IP
        | SampleType::TID
        | SampleType::TIME
        | SampleType::CPU;
    let attr = EventAttr {
        kind: PERF_TYPE_TRACEPOINT,
        size: ATTR_SIZE_DEFAULT as u32,
        config: id.trim().parse()?,
        sample_period: 1,
        sample_type: fields,
        read_format: ReadFormat::ID | ReadFormat::LOST,
        flags: hitm::perf_data::AttrFlags::SAMPLE_ID_ALL,
        ..EventAttr::default()
    };
    let plan = SamplerPlan {
        kind: SamplerKind::Clock,
        events: vec![PlannedEvent {
            name: "raw_syscalls:sys_enter".to_owned(),
            attr,
            role: Role::Samples,
            cpus: None,
            aux_bytes: None,
            precise_fallback: Vec::new(),
        }],
        reason: "a benchmark".to_owned(),
        notes: Vec::new(),
    };
    let machine = Machine::read(Path::new("/"));
    let options = RecordOptions {
        watch: None,
        heap: None,
        target: Target::Cpus(Vec::new()),
        output: Some(file.into()),
        duration: Some(Duration::from_secs(seconds)),
        delay: None,
        ring_pages: Some(pages),
        max_size: None,
        compression_level: None,
        only_programs: Vec::new(),
        only_names: Vec::new(),
        command_line: std::env::args().collect(),
        kernel_build_id: None,
    };
    let (nobody_stops, _writer) = std::io::pipe()?;
    let recorder = Recorder::open(&machine, &plan, options)?;
    let start = Instant::now();
    let recorded = recorder.record(nobody_stops.as_fd())?;
    println!("{} {} {:.3}", recorded.samples, recorded.lost, start.elapsed().as_secs_f64());
    Ok(())
}
