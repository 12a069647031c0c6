//! The report: every answer, as plain data. Its JSON form is a contract; names stay, new ones are
//! added.

use serde::Serialize;

use super::heap::HeapFacts;
use super::warning::Warning;
use crate::access::{C2cStats, Source};

/// Name and version of the JSON form.
pub(super) const SCHEMA: (&str, u32) = ("hitm-report", 1);

/// An address in JSON: `0x…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex(pub u64);

impl std::fmt::Display for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// All that is said about one recording.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Always `hitm-report`.
    pub schema: &'static str,
    /// Version of the schema.
    pub version: u32,
    /// What was recorded, where.
    pub recording: RecordingFacts,
    /// perf's counters over all samples; `None` without data sources.
    pub c2c: Option<C2cStats>,
    /// Loads by where they were served from, each counted once; sources without loads are left out.
    pub sources: Vec<SourceCount>,
    /// perf's counters over the lines that perf calls shared; `None` without data sources.
    pub shared: Option<SharedLines>,
    /// The contended lines, best first.
    pub lines: Vec<Line>,
    /// What is not in `lines`.
    pub other_lines: OtherLines,
    /// Samples that are neither load nor store.
    pub unparsable: Unparsable,
    /// The same findings summed over all instances.
    pub groups: Vec<Group>,
    /// The answer in numbers.
    pub summary: Summary,
    /// Accesses without an address, by reason.
    pub unresolved: Unresolved,
    /// What to keep in mind.
    pub warnings: Vec<Warning>,
}

/// What was recorded, where.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RecordingFacts {
    /// Machine, as `uname -m` says it.
    pub arch: Option<String>,
    /// CPU model.
    pub cpu: Option<String>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// CPUs that were online.
    pub cpus: Option<u32>,
    /// NUMA nodes.
    pub nodes: Option<u32>,
    /// How it was sampled.
    pub samplers: Vec<&'static str>,
    /// Events.
    pub events: Vec<EventFacts>,
    /// Samples, without accesses that debug registers saw, and without traced allocations.
    pub samples: u64,
    /// Accesses that debug registers saw while it was recorded.
    pub watch_hits: u64,
    /// Entries and returns of allocation functions that were traced while it was recorded; left out
    /// where there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub heap_samples: u64,
    /// Samples that were lost while recording.
    pub lost: u64,
    /// From the first to the last sample, ns; `None` without times.
    pub duration_ns: Option<u64>,
    /// Version of the recorder.
    pub recorder: Option<String>,
    /// The recorder's command line.
    pub command_line: Vec<String>,
    /// Bytes of a cache line in this report.
    pub line_size: u64,
    /// Samples that the filter let pass; the same as `samples` without one.
    pub accepted: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An event of the recording.
#[derive(Debug, Clone, Serialize)]
pub struct EventFacts {
    /// Name.
    pub name: String,
    /// Samples that the filter let pass.
    pub samples: u64,
    /// Loads and stores among them; of a clock those with an access near.
    pub accesses: u64,
}

/// Loads from one source.
#[derive(Debug, Clone, Serialize)]
pub struct SourceCount {
    /// Where they were served from.
    pub source: Source,
    /// How many.
    pub loads: u64,
}

/// Lines that perf calls shared, and their counters.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SharedLines {
    /// How many.
    pub shared_lines: u64,
    /// Their counters.
    #[serde(flatten)]
    pub stats: C2cStats,
}

/// What is known about the truth of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// The hardware saw it.
    Measured,
    /// Debug registers saw threads come to it in between each other.
    Watched,
    /// Threads spent time at accesses to it, while others wrote it.
    Timed,
}

/// A contended line.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Place in the ranking, from 1.
    pub rank: u64,
    /// First address.
    pub address: Hex,
    /// Bytes.
    pub line_size: u64,
    /// The process whose memory it is; `None` for the kernel's and for memory of several.
    pub pid: Option<u32>,
    /// What is known about it.
    pub grade: Grade,
    /// `false` or `true` or `mixed` sharing, `possible` (a suspect), `migrating` (used in turns), `none`,
    /// or not decided yet.
    pub verdict: Option<&'static str>,
    /// Why.
    pub reason: Option<String>,
    /// How sure that is, 0 to 1: how likely it is that what was seen is on average at least half as much,
    /// for a suspect half of that, less what no sample shows. `None` where nothing is claimed.
    pub confidence: Option<f64>,
    /// Loads and stores.
    pub samples: u64,
    /// Loads that another cache served (HITM or peer), each counted once.
    pub contended_loads: u64,
    /// Cycles of those loads; `None` without latencies.
    pub contended_cycles: Option<u64>,
    /// Its share of all contended loads, 0 to 1.
    pub contended_share: f64,
    /// Samples that waited for it while it was contended; parts of a sample where several lines may
    /// have been waited for. `None` where the hardware saw the loads.
    pub waited: Option<f64>,
    /// What it costs.
    pub cost: Cost,
    /// perf's counters.
    pub c2c: Option<C2cStats>,
    /// What lies there.
    pub objects: Vec<Object>,
    /// Fields.
    pub fields: Vec<Field>,
    /// Its bytes by the threads that use them; empty where nothing is claimed.
    pub parts: Vec<SharedPart>,
    /// Threads that read it and threads that write it.
    pub readers: u64,
    /// Threads that write it.
    pub writers: u64,
    /// Who does what where.
    pub accesses: Vec<Access>,
    /// Which writer fights with whom.
    pub pairs: Vec<Pair>,
    /// What to change.
    pub advice: Vec<Advice>,
    /// What that would gain.
    pub gain: Option<Gain>,
    /// What debug registers have seen of it, where they watched it.
    pub watched: Option<WatchedFacts>,
}

/// What debug registers have seen of a line.
#[derive(Debug, Clone, Serialize)]
pub struct WatchedFacts {
    /// Turns in which some of its words were watched.
    pub turns: u64,
    /// Accesses that were seen.
    pub hits: u64,
    /// Accesses that came between two of another thread on another CPU, within 2.5 ms, where one of
    /// the three writes.
    pub interleaved: u64,
    /// `confirmed`, `refuted` or `undecided`.
    pub outcome: &'static str,
    /// Threads that came in between each other; where none did, all that were seen.
    pub threads: u64,
    /// Those of them that were seen to write.
    pub writers: u64,
    /// CPUs that they were on.
    pub cpus: Vec<u32>,
    /// Threads that were there besides, such as one that sets up or reads a result.
    pub others: u64,
    /// Accesses of these, among all that were seen.
    pub others_hits: u64,
    /// Who does what where; `samples` are accesses that were seen, and `kind` may be `unknown`.
    pub accesses: Vec<Access>,
}

/// What a line costs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Cost {
    /// Share of the run, at least.
    pub share_low: Option<f64>,
    /// Share of the run that was seen to wait; what it costs may be less or more.
    pub share_waited: Option<f64>,
    /// Share of the run, at most: all time near it that did not wait for something else.
    pub share_high: Option<f64>,
    /// CPU time, at least, ns.
    pub cpu_ns_low: Option<u64>,
    /// CPU time, at most, ns.
    pub cpu_ns_high: Option<u64>,
    /// Cycles lost over what the same accesses cost when they hit.
    pub lost_cycles: Option<u64>,
}

/// An object in a line.
#[derive(Debug, Clone, Serialize)]
pub struct Object {
    /// `global`, `heap`, `stack`, `thread-local`, `shared`, `kernel` or `unknown`.
    pub kind: &'static str,
    /// Name.
    pub name: Option<String>,
    /// Type.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// First address.
    pub base: Option<Hex>,
    /// Bytes.
    pub size: Option<u64>,
    /// Where it was allocated.
    pub allocated_at: Vec<String>,
    /// When and by whom, where it is on the heap and allocations were traced; left out elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heap: Option<HeapFacts>,
}

/// Bytes of a line that the same threads use in the same ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharedPart {
    /// Offset in the line and bytes of each stretch.
    pub ranges: Vec<(u64, u64)>,
    /// The fields in them, as far as they are known.
    pub fields: Vec<String>,
    /// Threads that read them.
    pub readers: Vec<u32>,
    /// Threads that write them.
    pub writers: Vec<u32>,
    /// The functions that read them, the busiest first.
    pub read_in: Vec<String>,
    /// The functions that write them, the busiest first.
    pub written_in: Vec<String>,
    /// Whether a lock is among them.
    pub has_lock: bool,
}

/// A field in a line.
#[derive(Debug, Clone, Serialize)]
pub struct Field {
    /// Offset in the line, bytes.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Path from the object.
    pub path: String,
    /// Index of the object.
    pub object: usize,
}

/// A place in a source file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceLine {
    /// File, as the debug information names it.
    pub file: String,
    /// Line.
    pub line: u32,
}

/// A function that was inlined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inline {
    /// Name.
    pub symbol: Option<String>,
    /// Place within it.
    pub source: Option<SourceLine>,
}

/// One instruction at one offset.
#[derive(Debug, Clone, Serialize)]
pub struct Access {
    /// Offset in the line, bytes.
    pub offset: u64,
    /// Bytes it touches; `None` until the instruction is decoded.
    pub size: Option<u64>,
    /// `load`, `store` or `rmw`.
    pub kind: &'static str,
    /// Its address.
    pub code_address: Hex,
    /// Function.
    pub symbol: Option<String>,
    /// The function, else the image and the offset in its file, else the address.
    pub label: String,
    /// Image.
    pub object: Option<String>,
    /// Whether it ran in the kernel.
    pub in_kernel: bool,
    /// Source line.
    pub source: Option<SourceLine>,
    /// Frames from the innermost to the function that really exists.
    pub inlines: Vec<Inline>,
    /// Field.
    pub field: Option<String>,
    /// What it does to a lock, if it does: `take`, `draw` (a ticket), `wait`, or `use` where only the
    /// function's name tells.
    pub lock: Option<&'static str>,
    /// Who.
    pub threads: Vec<ThreadSamples>,
    /// CPUs.
    pub cpus: Vec<u32>,
    /// NUMA nodes of those CPUs.
    pub nodes: Vec<u32>,
    /// Callers, where call chains were recorded and asked for.
    pub callers: Vec<CallChain>,
    /// Samples.
    pub samples: u64,
    /// Loads that another cache served, each counted once.
    pub contended: u64,
    /// Samples that waited for it while the line was contended; `None` where the hardware saw the
    /// loads.
    pub waited: Option<f64>,
    /// perf's counters.
    pub c2c: Option<C2cStats>,
    /// Mean latencies.
    pub mean_cycles: Option<MeanCycles>,
}

/// A thread's samples.
#[derive(Debug, Clone, Serialize)]
pub struct ThreadSamples {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Name.
    pub comm: Option<String>,
    /// Samples.
    pub samples: u64,
}

/// A call chain, and how often it was seen.
#[derive(Debug, Clone, Serialize)]
pub struct CallChain {
    /// Functions, innermost caller first.
    pub frames: Vec<String>,
    /// Samples.
    pub samples: u64,
}

/// Mean latencies in cycles; `None` where no such load was sampled with a latency.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MeanCycles {
    /// Loads of lines modified on another node.
    pub rmt_hitm: Option<f64>,
    /// Loads of lines modified on this node.
    pub lcl_hitm: Option<f64>,
    /// Loads from peers on another node.
    pub rmt_peer: Option<f64>,
    /// Loads from peers on this node.
    pub lcl_peer: Option<f64>,
    /// All other loads.
    pub load: Option<f64>,
    /// All loads that another cache served: the four above together.
    pub contended: Option<f64>,
}

/// A writer and another access that fight.
#[derive(Debug, Clone, Serialize)]
pub struct Pair {
    /// Index of the writer's access.
    pub writer: usize,
    /// Index of the other access.
    pub other: usize,
    /// Samples.
    pub samples: u64,
}

/// A change to make.
#[derive(Debug, Clone, Serialize)]
pub struct Advice {
    /// Kind of change.
    pub kind: &'static str,
    /// In words.
    pub text: String,
    /// In code.
    pub code: Option<String>,
}

/// What a change would gain.
#[derive(Debug, Clone, Serialize)]
pub struct Gain {
    /// Factor, at least.
    pub low: Option<f64>,
    /// Factor, at most.
    pub high: Option<f64>,
    /// What it is derived from.
    pub basis: String,
}

/// The sums over what is not listed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OtherLines {
    /// Lines.
    pub lines: u64,
    /// Loads and stores on them, those without an address included; with the clock samples that touch
    /// them, each once for every line.
    pub samples: u64,
    /// perf's counters over them.
    pub c2c: Option<C2cStats>,
}

/// The samples that are neither load nor store.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Unparsable {
    /// How many.
    pub samples: u64,
    /// perf's counters over them.
    pub c2c: Option<C2cStats>,
}

/// Findings summed over all instances of something.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// What they have in common: `type`, `symbol`, `allocation`, `field`, `site`, or `line` where nothing
    /// is known.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The verdict that they share.
    pub verdict: Option<&'static str>,
    /// Ranks of the lines.
    pub lines: Vec<u64>,
    /// Loads and stores.
    pub samples: u64,
    /// Loads that another cache served.
    pub contended_loads: u64,
    /// Samples that waited.
    pub waited: Option<f64>,
    /// What they cost together.
    pub cost: Cost,
    /// What fixing all of them would gain.
    pub gain: Option<Gain>,
}

/// The answer in numbers.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Share of the run that contention costs, at least.
    pub contention_low: Option<f64>,
    /// Share of the run that was seen to wait for contended lines.
    pub contention_waited: Option<f64>,
    /// Share of the run that contention costs, at most, that at suspects included.
    pub contention_high: Option<f64>,
    /// The part of that which is at suspects.
    pub suspects_high: Option<f64>,
    /// The smallest share that would have been seen in 95 of 100 runs: of the sampled time that waiting
    /// for one line took, or of the sampled loads that another cache served.
    pub detection_floor: Option<f64>,
    /// Samples that are loads or stores with an address; with the clock those with at least one access
    /// near, of which all that they may have waited for are known.
    pub resolved: u64,
    /// Samples that access no memory; with the clock those without any access near that is sure to be
    /// made.
    pub no_operand: u64,
    /// Samples that say nothing: with the clock those whose operand could not be determined, else those
    /// that found no room while recording.
    pub lost: u64,
    /// Loads and stores made in the kernel; with the clock all samples there, which are not decoded.
    pub in_kernel: u64,
    /// Loads that another cache served (HITM or peer), each counted once.
    pub contended_loads: u64,
    /// Lines with such loads, or, from clock samples, with waiting.
    pub contended_lines: u64,
    /// Lines that threads were seen at at once, from clock samples, of which that does not tell whether
    /// they are contended.
    pub suspects: u64,
    /// Lines that threads use in turns, from clock samples.
    pub in_turns: u64,
    /// Lines that hardware threads of one core use at once, from clock samples.
    pub on_one_core: u64,
    /// Suspects that debug registers have cleared: they are no suspects any more.
    pub refuted: u64,
}

/// Accesses that could not be placed, by reason.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Unresolved {
    /// The address was recorded as 0.
    pub no_address: u64,
    /// The sample could not be decoded.
    pub malformed: u64,
    /// The sample belongs to no known event.
    pub unknown_event: u64,
    /// Clock samples with an operand within reach and no resolved access, by reason.
    #[serde(flatten)]
    pub timed: UnresolvedTimed,
}

/// Why no operand near a clock sample was determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct UnresolvedTimed {
    /// The registers of its address were overwritten.
    pub overwritten: u64,
    /// It lies on one of several paths.
    pub ambiguous: u64,
    /// Its address has a vector as index, and vector registers cannot be sampled with a clock.
    pub vector_index: u64,
    /// Its address is relative to a segment whose base is not known.
    pub segment_base: u64,
    /// The code is not at hand.
    pub code_missing: u64,
    /// The code is in no file and was not captured.
    pub not_captured: u64,
    /// The code could not be decoded.
    pub undecodable: u64,
    /// The sample has no user registers.
    pub registers_missing: u64,
    /// Code of an architecture that is not decoded.
    pub architecture: u64,
    /// Samples of virtual machines, whose memory is not known.
    pub in_guest: u64,
}
