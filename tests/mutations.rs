//! Damaged recordings through the whole report: whatever a file says, there is a report or an error,
//! and the counted samples are no more than there were.

mod support;

use std::path::Path;

use hitm::lines::SortKey;
use hitm::perf_data::{Input, Recording};
use hitm::report::{NameOptions, ReportOptions, c2c_report, report};
use support::random::Random;
use support::skipped::skipped;
use support::synthetic::Synthetic;

/// Mutations of each recording; `ROUNDS=1000` makes more of them.
fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(25)
}
/// Larger recordings are cut to this size first, so that the test stays short in debug builds.
const LARGEST: usize = 128 << 10;

/// One to four changes of the kinds that disks, networks and attackers make.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        if bytes.len() < 64 {
            return;
        }
        let at = random.index(bytes.len() - 16);
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at),
            // A size or count that lies.
            2 => bytes[at..at + 8].fill(0xff),
            3 => bytes[at..at + 8].fill(0),
            // A piece repeated, a piece taken out.
            4 => {
                let length = (8 + random.index(4096)).min(bytes.len() - at);
                let piece = bytes[at..at + length].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let length = (8 + random.index(64)).min(bytes.len() - at);
                bytes.drain(at..at + length);
            }
        }
    }
    // Most of what is read before the records lies in the first bytes.
    if random.chance(30) && bytes.len() > 256 {
        let at = random.index(256);
        bytes[at] = random.below(256) as u8;
    }
}

/// The report and perf's tables, if the recording can be opened.
fn examine(bytes: Vec<u8>) {
    let length = bytes.len() as u64;
    let input = Input::from_bytes(bytes);
    let Ok(recording) = Recording::open(&input) else { return };
    // The images of the recordings in testdata, so that code is decoded too.
    let symfs = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/two_counters/root");
    let names = NameOptions { symfs: Some(symfs), ..NameOptions::default() };
    let options = ReportOptions { call_graph: true, names, ..ReportOptions::default() };
    if let Ok(made) = report(&recording, &options, SortKey::Cost, None, &|_| {}) {
        // No sample is smaller than a record's header; compression cannot make a hundred of one.
        assert!(made.recording.samples <= length * 100 / 8, "{}", made.recording.samples);
        // A recording of the clock has no data sources to count.
        if let Some(stats) = made.c2c {
            assert_eq!(hitm::report::sum_of_parts(&made), stats);
        }
        hitm::render::text(&made, &Default::default(), &mut Vec::new()).expect("rendered");
        hitm::render::json(&made, &mut Vec::new()).expect("rendered");
    }
    if let Ok(made) = c2c_report(&recording, &options, None, &[], None, &|_| {}) {
        hitm::render::c2c(&made, &Default::default(), &mut Vec::new()).expect("rendered");
    }
}

fn examine_mutations(name: &str, mut bytes: Vec<u8>, seed: u64) {
    bytes.truncate(LARGEST);
    let mut random = Random::new(seed);
    for round in 0..rounds() {
        let mut mutated = bytes.clone();
        mutate(&mut mutated, &mut random);
        let result = std::panic::catch_unwind(|| examine(mutated));
        assert!(result.is_ok(), "{name} panicked in round {round} of seed {seed}");
    }
}

#[test]
fn written_recordings() {
    let small = Synthetic { samples: 500, callchains: true, ..Synthetic::default() };
    let compressed = Synthetic { compression_level: Some(1), ..small.clone() };
    for (seed, (name, bytes)) in [
        ("file", small.file()),
        ("pipe", small.pipe()),
        ("compressed", compressed.file()),
        ("compressed pipe", compressed.pipe()),
        ("counters", support::counters::recording()),
        ("watched", support::watched::recording()),
    ]
    .into_iter()
    .enumerate()
    {
        examine_mutations(name, bytes.expect("written"), seed as u64 + 1);
    }
}

#[test]
fn the_watched_recording_is_whole() {
    let input = Input::from_bytes(support::watched::recording().expect("written"));
    let recording = Recording::open(&input).expect("a recording");
    let made = report(&recording, &ReportOptions::default(), SortKey::Cost, None, &|_| {});
    let facts = made.expect("a report").recording;
    assert_eq!((facts.samples, facts.watch_hits), (12 * 4, 12 * 4 * 8));
}

#[test]
fn a_recording_of_the_clock() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/two_counters/two_counters.data");
    let bytes = std::fs::read(path).expect("it is there");
    for seed in 20..24 {
        examine_mutations("two_counters", bytes.clone(), seed);
    }
}

#[test]
fn real_recordings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    if !root.is_dir() {
        skipped(&format!("there is no {}", root.display()));
        return;
    }
    for folder in ["memory", "without-data-source", "na-data-source", "containers", "malformed"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            let bytes = std::fs::read(&path).expect("read");
            examine_mutations(&path.display().to_string(), bytes, 7);
        }
    }
}
