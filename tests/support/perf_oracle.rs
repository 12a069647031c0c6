//! What the installed perf reads in a recording, as the judge of what we read.
//!
//! `perf report -D` prints every sample as it was decoded:
//! `7 5000000001899 0xa040 [0x58]: PERF_RECORD_SAMPLE(IP, 0x4002): 1000/1004: 0x5555 period: 1 addr: 0x7f50`,
//! with CPU and time only where the event has them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::skipped::skipped;
use hitm::perf_data::{Input, Recording};

/// The installed perf.
#[derive(Debug)]
pub struct Perf(());

/// The installed perf, or `None`, said aloud, where there is none.
pub fn perf() -> Option<Perf> {
    let status = Command::new("perf").arg("--version").stdout(Stdio::null()).status();
    if !status.is_ok_and(|status| status.success()) {
        skipped("no perf is installed to compare with");
        return None;
    }
    Some(Perf(()))
}

/// A sample as perf prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dumped {
    /// When, ns.
    pub time: Option<u64>,
    /// CPU.
    pub cpu: Option<u32>,
    /// Process and thread, -1 where the event has none.
    pub thread: (i32, i32),
    /// The record's flags.
    pub misc: u16,
    /// Instruction pointer, 0 where the event has none.
    pub ip: u64,
    /// Period; the event's own where samples have none.
    pub period: u64,
    /// Data address, 0 where the event has none.
    pub addr: u64,
}

impl Perf {
    /// All samples of a recording, in the order in which perf delivers them.
    pub fn dump(&self, path: &Path) -> Vec<Dumped> {
        let mut child = Command::new("perf")
            .args(["report", "-D", "-i"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("perf was there a moment ago");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut dumped = Vec::new();
        // Names in other records may be anything but UTF-8.
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).expect("perf's output") > 0 {
            dumped.extend(parse(&String::from_utf8_lossy(&line)));
            line.clear();
        }
        child.wait().expect("perf ends");
        dumped
    }
}

fn parse(line: &str) -> Option<Dumped> {
    let (before, after) = line.split_once(": PERF_RECORD_SAMPLE(IP, ")?;
    // Before: [cpu] [time] offset [size].
    let mut before: Vec<&str> = before.split_whitespace().collect();
    before.truncate(before.len().saturating_sub(2));
    let (cpu, time) = match before[..] {
        [] => (None, None),
        [time] => (None, Some(time)),
        [cpu, time] => (Some(cpu), Some(time)),
        _ => panic!("perf prints samples in another way: {line}"),
    };
    let (misc, after) = after.split_once("): ")?;
    let mut after = after.split_whitespace();
    let mut next = || after.next().expect("a longer line");
    let (pid, tid) = next().trim_end_matches(':').split_once('/').expect("pid/tid");
    let ip = hexadecimal(next());
    assert_eq!(next(), "period:");
    let period = next().parse().expect("a period");
    assert_eq!(next(), "addr:");
    Some(Dumped {
        time: time.map(|time| time.parse().expect("a time")),
        cpu: cpu.map(|cpu| cpu.parse().expect("a CPU")),
        thread: (pid.parse().expect("a pid"), tid.parse().expect("a tid")),
        misc: hexadecimal(misc) as u16,
        ip,
        period,
        addr: hexadecimal(next()),
    })
}

fn hexadecimal(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a hexadecimal number")
}

/// All samples as we read them, in perf's words.
fn read(path: &Path) -> Vec<Dumped> {
    let input = Input::open(path).expect("a recording");
    let recording = Recording::open(&input).expect("a recording");
    let mut samples = Vec::new();
    for batch in recording.batches() {
        for (_, record) in recording.samples(batch) {
            let (event, sample) = recording.decode(&record).expect("perf reads it too");
            let (pid, tid) = sample.thread.unwrap_or((u32::MAX, u32::MAX));
            samples.push(Dumped {
                time: sample.time,
                cpu: sample.cpu,
                thread: (pid as i32, tid as i32),
                misc: record.misc,
                ip: sample.ip.unwrap_or(0),
                period: sample.period.unwrap_or(recording.events()[event].attr.sample_period),
                addr: sample.addr.unwrap_or(0),
            });
        }
    }
    samples
}

/// Asserts that perf and we read the same samples, and returns how many.
pub fn assert_agrees(perf: &Perf, path: &Path) -> usize {
    let (mut theirs, mut ours) = (perf.dump(path), read(path));
    // perf delivers in the order of time, we in the order of the file.
    theirs.sort();
    ours.sort();
    assert_eq!(ours.len(), theirs.len(), "number of samples in {}", path.display());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "in {}", path.display());
    }
    ours.len()
}
