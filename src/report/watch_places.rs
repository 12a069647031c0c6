//! Which lines of a recording are worth watching while it is still being made.

use std::collections::BTreeMap;

use super::session::{ReportOptions, Session};
use super::timed_analysis::TimedAnalysis;
use crate::access::samples_the_clock;
use crate::lines::timed::{Evidence, TimedLine};
use crate::perf_data::{Input, Recording};

/// A line of one process that may be contended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchPlace {
    /// Process.
    pub pid: u32,
    /// First address of the line.
    pub line: u64,
    /// Offsets of its words of 8 bytes, all of them: those that threads were seen to write, those that
    /// they were seen to read, the others.
    pub words: Vec<u16>,
    /// How many of the words, from the first, threads were seen at.
    pub known_words: usize,
    /// Threads that were seen there: the one that writes most, then the busiest first.
    pub threads: Vec<u32>,
}

/// The suspects among the lines of a recording, the most important first: those that want a proof,
/// then those that are found anyway, of which only the bytes are to be shown. None where the clock did
/// not sample. Shared memory, which has another address in each process, is left out.
pub fn watch_places(recording: Vec<u8>, options: &ReportOptions) -> Vec<WatchPlace> {
    let input = Input::from_bytes(recording);
    let Ok(recording) = Recording::open(&input) else {
        return Vec::new();
    };
    if !recording.events().iter().any(samples_the_clock) {
        return Vec::new();
    }
    let session = Session::new(&recording, options);
    let identity = session.identity();
    let mut names = session.names();
    let Ok(analysis) = TimedAnalysis::of(&session, &identity, &mut names, &|_| ()) else {
        return Vec::new();
    };
    let mut suspects: Vec<(u8, &TimedLine)> = analysis
        .lines
        .iter()
        .filter(|line| !line.is_between_processes)
        .filter_map(|line| match line.evidence()? {
            Evidence::Presence(_) | Evidence::Path => Some((0, line)),
            Evidence::Waiting => Some((1, line)),
            _ => None,
        })
        .collect();
    suspects.sort_by_key(|(class, line)| {
        let samples = line.meetings.contended_samples();
        (*class, std::cmp::Reverse(samples), line.address)
    });
    let line_bytes = session.line_size.bytes();
    suspects.into_iter().map(|(_, line)| place(line, line_bytes)).collect()
}

fn place(line: &TimedLine, line_bytes: u64) -> WatchPlace {
    // Words by how often they are written, then by how often they are read.
    let mut seen: BTreeMap<u16, (u64, u64)> = BTreeMap::new();
    // Samples, and those that write.
    let mut threads: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for site in &line.sites {
        let last = (u32::from(site.offset.0) + site.size.max(1) - 1).min(line_bytes as u32 - 1);
        for word in u32::from(site.offset.0) / 8..=last / 8 {
            let counts = seen.entry((word * 8) as u16).or_default();
            match site.direction.writes() {
                true => counts.0 += site.samples,
                false => counts.1 += site.samples,
            }
        }
        for ((_, tid), samples) in &site.threads {
            let of_thread = threads.entry(tid.0).or_default();
            of_thread.0 += samples;
            of_thread.1 += if site.direction.writes() { *samples } else { 0 };
        }
    }
    let mut words: Vec<u16> = (0..line_bytes as u16).step_by(8).collect();
    words.sort_by_key(|word| std::cmp::Reverse(seen.get(word).copied().unwrap_or_default()));
    // Without a writer no two threads tell anything, however busy they are.
    let writer =
        threads.iter().max_by_key(|(tid, (_, writes))| (*writes, std::cmp::Reverse(**tid)));
    let writer = writer.map(|(tid, _)| *tid);
    let mut threads: Vec<(u32, u64)> =
        threads.into_iter().map(|(tid, (samples, _))| (tid, samples)).collect();
    threads.sort_by_key(|(tid, samples)| (Some(*tid) != writer, std::cmp::Reverse(*samples), *tid));
    WatchPlace {
        pid: line.pid.0,
        line: line.address.0,
        words,
        known_words: seen.len(),
        threads: threads.into_iter().map(|(tid, _)| tid).collect(),
    }
}
