//! The recordings of others: what their index says of them, and what perf reads in them.
//!
//! They are not part of the project and lie beside it; without them these tests say so and pass.

use std::path::{Path, PathBuf};

use hitm::perf_data::{Input, Recording};

use crate::support::perf_oracle;
use crate::support::skipped::skipped;

/// The folder with the recordings, or `None`, said aloud.
pub fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    if !folder.join("INDEX.md").is_file() {
        skipped(&format!("there is no {}", folder.display()));
        return None;
    }
    Some(folder)
}

/// What the index says of one recording.
#[derive(Debug)]
struct Entry {
    path: PathBuf,
    /// Samples of the first events, in order.
    samples_by_event: Vec<u64>,
    /// Events beyond those.
    more_events: usize,
    samples: u64,
    perf_reads_it: bool,
}

fn entries(folder: &Path) -> Vec<Entry> {
    let index = std::fs::read_to_string(folder.join("INDEX.md")).expect("the index is text");
    let mut section = "";
    let mut entries = Vec::new();
    for line in index.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.split_whitespace().next().unwrap_or_default();
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        // | file | bytes | sha256 | from | licence | what | perf 6.1 |
        let [name, _, _, _, _, what, perf] = cells[..] else {
            continue;
        };
        let Some(samples) = number_after(what, ". samples ").or(number_after(what, " samples "))
        else {
            continue;
        };
        let path = folder.join(section).join(name.trim_start_matches("| "));
        let counts = what.match_indices(" n=");
        entries.push(Entry {
            path,
            samples_by_event: counts
                .map(|(at, found)| digits(&what[at + found.len()..]).expect("a count"))
                .collect(),
            more_events: number_after(what, "; +").unwrap_or(0) as usize,
            samples,
            perf_reads_it: perf.starts_with("yes"),
        });
    }
    entries
}

fn number_after(text: &str, before: &str) -> Option<u64> {
    digits(text.split_once(before)?.1)
}

fn digits(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[test]
fn every_recording_has_the_samples_that_its_index_says() {
    let Some(folder) = folder() else {
        return;
    };
    let entries = entries(&folder);
    assert!(entries.len() > 40, "only {} entries were found in the index", entries.len());
    for entry in entries {
        let name = entry.path.display();
        let input = Input::open(&entry.path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let recording = Recording::open(&input).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut samples = vec![0; recording.events().len()];
        let mut undecoded = 0;
        for batch in recording.batches() {
            for (_, record) in recording.samples(batch) {
                match recording.decode(&record) {
                    Ok((event, _)) => samples[event] += 1,
                    Err(_) => undecoded += 1,
                }
            }
        }
        assert_eq!(undecoded, 0, "{name}");
        assert_eq!(recording.sample_count(), entry.samples, "{name}");
        assert_eq!(samples.iter().sum::<u64>(), entry.samples, "{name}");
        assert_eq!(samples.len(), entry.samples_by_event.len() + entry.more_events, "{name}");
        assert_eq!(samples[..entry.samples_by_event.len()], entry.samples_by_event, "{name}");
    }
}

#[test]
fn perf_reads_the_same_samples() {
    let (Some(folder), Some(perf)) = (folder(), perf_oracle::perf()) else {
        return;
    };
    let mut compared = 0;
    for entry in entries(&folder).iter().filter(|entry| entry.perf_reads_it) {
        assert_eq!(
            perf_oracle::assert_agrees(&perf, &entry.path) as u64,
            entry.samples,
            "{}",
            entry.path.display()
        );
        compared += 1;
    }
    assert!(compared > 30, "only {compared} recordings were compared");
}
