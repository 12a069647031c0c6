//! Who touched the bytes that debug registers watched, in order.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::callers::call_chains;
use super::code_source::ImageCodeSource;
use super::model::{Hex, SourceLine};
use super::session::{ReportOptions, Session};
use crate::access::Direction;
use crate::lines::watched::{PlacedHit, hits};
use crate::perf_data::Recording;
use crate::process::ThreadBases;

/// Name and version of the JSON form.
const SCHEMA: (&str, u32) = ("hitm-watch", 1);

/// What was seen of some bytes.
#[derive(Debug, Clone, Serialize)]
pub struct WatchReport {
    /// Always `hitm-watch`.
    pub schema: &'static str,
    /// Version of the schema.
    pub version: u32,
    /// Process.
    pub pid: u32,
    /// The first watched byte.
    pub address: Hex,
    /// How many are watched.
    pub length: u64,
    /// The variable that was asked for.
    pub variable: Option<String>,
    /// Bytes of a cache line.
    pub line_size: u64,
    /// Threads that were watched.
    pub threads: u64,
    /// Threads that could not be watched.
    pub unwatched: u64,
    /// How long, ns.
    pub duration_ns: u64,
    /// Accesses that found no room.
    pub lost: u64,
    /// Every access, by time.
    pub accesses: Vec<WatchedAccess>,
    /// What each thread did with each instruction, the most frequent first.
    pub summary: Vec<WatchedSum>,
    /// How often a thread came to the bytes right after another one, where at least one of the two
    /// writes.
    pub handovers: u64,
}

/// Where code is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WatchedCode {
    /// Address of the instruction that made the access, or where that is not known of the next one.
    pub code_address: Hex,
    /// Whether it is that instruction.
    pub is_exact: bool,
    /// The function, else the image and the offset in its file, else the address.
    pub label: String,
    /// Source line.
    pub source: Option<SourceLine>,
}

/// One access.
#[derive(Debug, Clone, Serialize)]
pub struct WatchedAccess {
    /// Since the first access, ns.
    pub time_ns: u64,
    /// Time in the recording, ns.
    pub recorded_ns: u64,
    /// Thread.
    pub tid: u32,
    /// Its name.
    pub comm: Option<String>,
    /// CPU.
    pub cpu: Option<u32>,
    /// `load`, `store` or `rmw`; `None` where the instruction does not tell.
    pub kind: Option<&'static str>,
    /// The first byte it touched.
    pub address: Hex,
    /// The same in its cache line.
    pub offset: u64,
    /// Bytes it touched.
    pub size: Option<u32>,
    /// The instruction.
    #[serde(flatten)]
    pub code: WatchedCode,
    /// Functions that called, innermost first.
    pub callers: Vec<String>,
}

/// What one thread did with one instruction.
#[derive(Debug, Clone, Serialize)]
pub struct WatchedSum {
    /// Thread.
    pub tid: u32,
    /// Its name.
    pub comm: Option<String>,
    /// CPUs it was on.
    pub cpus: Vec<u32>,
    /// `load`, `store` or `rmw`; `None` where the instruction does not tell.
    pub kind: Option<&'static str>,
    /// Offset in the cache line.
    pub offset: u64,
    /// Bytes.
    pub size: Option<u32>,
    /// The instruction.
    #[serde(flatten)]
    pub code: WatchedCode,
    /// How often.
    pub accesses: u64,
}

/// What was asked for, and how it went.
#[derive(Debug, Clone)]
pub struct WatchFacts {
    /// Process.
    pub pid: u32,
    /// The first watched byte.
    pub address: u64,
    /// How many are watched.
    pub length: u64,
    /// The variable that was asked for.
    pub variable: Option<String>,
    /// Threads that were watched.
    pub threads: u64,
    /// Threads that could not be watched.
    pub unwatched: u64,
    /// How long, ns.
    pub duration_ns: u64,
    /// Accesses that found no room.
    pub lost: u64,
}

/// Makes the report of a recording whose samples are accesses to watched bytes.
pub fn watch_report(
    recording: &Recording<'_>,
    options: &ReportOptions,
    facts: WatchFacts,
) -> WatchReport {
    let session = Session::new(recording, options);
    let identity = session.identity();
    let mut names = session.names();
    let mut source = ImageCodeSource::new(recording, &session.processes, &mut names);
    let placed = hits(recording, &identity, &mut source, &ThreadBases::of(recording));
    let first = placed.first().map_or(0, |placed| placed.hit.time.0);
    let mut accesses = Vec::with_capacity(placed.len());
    for one in &placed {
        let name = names.code(one.mapping, one.code, one.hit.pid);
        let chains = call_chains(recording, &session.processes, &mut names, &[one.hit.position]);
        accesses.push(WatchedAccess {
            time_ns: one.hit.time.0 - first,
            recorded_ns: one.hit.time.0,
            tid: one.hit.tid.0,
            comm: session.processes.name(one.hit.tid, one.hit.time).map(|name| name.to_string()),
            cpu: one.hit.cpu.map(|cpu| cpu.0),
            kind: one.direction.map(kind),
            address: Hex(one.address),
            offset: u64::from(session.line_size.offset_of(one.address).0),
            size: one.size,
            code: WatchedCode {
                code_address: Hex(one.code.0),
                is_exact: one.direction.is_some(),
                label: name.label(one.code),
                source: name
                    .source
                    .as_ref()
                    .map(|(file, line)| SourceLine { file: file.clone(), line: *line }),
            },
            callers: chains.into_iter().flat_map(|chain| chain.frames).collect(),
        });
    }
    WatchReport {
        schema: SCHEMA.0,
        version: SCHEMA.1,
        pid: facts.pid,
        address: Hex(facts.address),
        length: facts.length,
        variable: facts.variable,
        line_size: session.line_size.bytes(),
        threads: facts.threads,
        unwatched: facts.unwatched,
        duration_ns: facts.duration_ns,
        lost: facts.lost,
        summary: summary(&accesses),
        handovers: handovers(&placed),
        accesses,
    }
}

fn kind(direction: Direction) -> &'static str {
    match direction {
        Direction::Load => "load",
        Direction::Store => "store",
        Direction::ReadModifyWrite => "rmw",
    }
}

fn handovers(placed: &[PlacedHit]) -> u64 {
    let is_handover = |pair: &&[PlacedHit]| {
        pair[0].hit.tid != pair[1].hit.tid && (pair[0].writes() || pair[1].writes())
    };
    placed.windows(2).filter(is_handover).count() as u64
}

fn summary(accesses: &[WatchedAccess]) -> Vec<WatchedSum> {
    let mut sums: BTreeMap<_, (WatchedSum, BTreeSet<u32>)> = BTreeMap::new();
    for access in accesses {
        let key = (access.tid, access.code.code_address, access.offset, access.kind, access.size);
        let (sum, cpus) = sums.entry(key).or_insert_with(|| {
            let sum = WatchedSum {
                tid: access.tid,
                comm: access.comm.clone(),
                cpus: Vec::new(),
                kind: access.kind,
                offset: access.offset,
                size: access.size,
                code: access.code.clone(),
                accesses: 0,
            };
            (sum, BTreeSet::new())
        });
        sum.accesses += 1;
        cpus.extend(access.cpu);
    }
    let mut sums: Vec<WatchedSum> = sums
        .into_values()
        .map(|(sum, cpus)| WatchedSum { cpus: cpus.into_iter().collect(), ..sum })
        .collect();
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.accesses));
    sums
}
