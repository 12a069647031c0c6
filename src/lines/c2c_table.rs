//! perf c2c's tables: its lines, its rows, its thresholds and orders.
//!
//! `--format c2c` prints this model; the rules are those of `perf c2c report`.

use std::collections::BTreeSet;
use std::str::FromStr;

use rustc_hash::FxHashMap;

use super::gather::LineAccess;
use super::line::{Identity, LineAddress, LineOffset, LineSize};
use crate::access::{C2cStats, CodeAddress, PerfVersion};
use crate::perf_data::{CpuMode, MemoryTopology, SamplePosition};
use crate::process::{Cpu, Node, Pid, Tid};

/// Lines and rows below this share of the metric are hidden.
const DISPLAY_LIMIT: f64 = 0.001;

/// What lines are ranked by (`-d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// All HITMs.
    Tot,
    /// HITMs of this node.
    Lcl,
    /// HITMs of other nodes.
    Rmt,
    /// Peer snoops.
    Peer,
}

impl Display {
    /// The counter it ranks by.
    pub fn metric(self, stats: &C2cStats) -> u64 {
        match self {
            Self::Tot => stats.tot_hitm,
            Self::Lcl => stats.lcl_hitm,
            Self::Rmt => stats.rmt_hitm,
            Self::Peer => stats.tot_peer,
        }
    }

    fn second_metric(self, stats: &C2cStats) -> u64 {
        match self {
            Self::Lcl => stats.rmt_hitm,
            Self::Rmt => stats.lcl_hitm,
            Self::Tot | Self::Peer => 0,
        }
    }
}

impl FromStr for Display {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tot" => Ok(Self::Tot),
            "lcl" => Ok(Self::Lcl),
            "rmt" => Ok(Self::Rmt),
            "peer" => Ok(Self::Peer),
            other => Err(format!("\"{other}\" is not one of tot, lcl, rmt, peer")),
        }
    }
}

/// What tells rows of one offset apart (`-c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coalesce {
    /// Process.
    Pid,
    /// Thread.
    Tid,
    /// Code address.
    Iaddr,
    /// Image of the code.
    Dso,
}

impl FromStr for Coalesce {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "pid" => Ok(Self::Pid),
            "tid" => Ok(Self::Tid),
            "iaddr" => Ok(Self::Iaddr),
            "dso" => Ok(Self::Dso),
            other => Err(format!("\"{other}\" is not one of pid, tid, iaddr, dso")),
        }
    }
}

/// How the tables are made.
#[derive(Debug, Clone)]
pub struct C2cOptions {
    /// What lines are ranked by.
    pub display: Display,
    /// What tells rows apart.
    pub coalesce: Vec<Coalesce>,
    /// Whether lines below the threshold are shown too.
    pub show_all: bool,
    /// Line size.
    pub line_size: LineSize,
    /// Whose rules the counters follow.
    pub version: PerfVersion,
}

/// A mean as perf keeps it: updated with each sample, so that even its last digit is the same.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RunningMean {
    count: f64,
    mean: f64,
}

impl RunningMean {
    fn add(&mut self, value: u64) {
        self.count += 1.0;
        self.mean += (value as f64 - self.mean) / self.count;
    }

    /// The mean; 0 of nothing.
    pub fn mean(&self) -> f64 {
        self.mean
    }
}

/// Memory nodes and physical addresses that were met.
#[derive(Debug, Clone, Default)]
pub struct PhysicalPlace {
    /// Memory nodes.
    pub nodes: BTreeSet<u64>,
    /// How often the physical address differed from the one before ("PA cnt").
    pub changes: u64,
    last: u64,
}

impl PhysicalPlace {
    fn add(&mut self, physical: u64, topology: Option<&MemoryTopology>) {
        let node = (physical != 0).then(|| topology?.node_of(physical)).flatten();
        if let Some(node) = node {
            self.nodes.insert(node);
            if self.last != physical {
                self.changes += 1;
                self.last = physical;
            }
        }
    }
}

/// What one node's CPUs contributed to a row.
#[derive(Debug, Clone, Default)]
pub struct NodeShare {
    /// Its CPUs that did.
    pub cpus: BTreeSet<Cpu>,
    /// Their counters.
    pub stats: C2cStats,
}

/// Mean latencies of a row, each sample in the first class that fits.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowCycles {
    /// Remote HITM.
    pub rmt_hitm: RunningMean,
    /// Local HITM.
    pub lcl_hitm: RunningMean,
    /// Remote peer.
    pub rmt_peer: RunningMean,
    /// Local peer.
    pub lcl_peer: RunningMean,
    /// Other loads.
    pub load: RunningMean,
}

/// Where the code of a row's first sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePlace {
    /// Address.
    pub address: CodeAddress,
    /// Mapping.
    pub mapping: Option<u32>,
    /// Whether it ran in the kernel.
    pub mode: CpuMode,
}

/// A row of the pareto.
#[derive(Debug, Clone)]
pub struct C2cRow {
    /// Offset in the line.
    pub offset: LineOffset,
    /// Process of its first sample.
    pub pid: Pid,
    /// Thread of its first sample.
    pub tid: Tid,
    /// Code of its first sample.
    pub code: CodePlace,
    /// Counters.
    pub stats: C2cStats,
    /// Mean latencies.
    pub cycles: RowCycles,
    /// Memory nodes.
    pub place: PhysicalPlace,
    /// Distinct CPUs.
    pub cpus: BTreeSet<Cpu>,
    /// By node of the CPU.
    pub nodes: Vec<(Node, NodeShare)>,
    /// Its samples, for their call chains; filled when asked for.
    pub samples: Vec<SamplePosition>,
}

/// A line of the table.
#[derive(Debug, Clone)]
pub struct C2cLine {
    /// Address, as its first sample had it.
    pub address: LineAddress,
    /// Counters.
    pub stats: C2cStats,
    /// Memory nodes.
    pub place: PhysicalPlace,
    /// The rows that are shown, by offset and then by the metric.
    pub rows: Vec<C2cRow>,
}

/// What the tables need to know about the machine.
#[derive(Debug, Clone, Copy)]
pub struct C2cMachine<'m> {
    /// Node of each CPU.
    pub node_of_cpu: &'m FxHashMap<Cpu, Node>,
    /// Physical memory.
    pub memory: Option<&'m MemoryTopology>,
}

/// The tables.
#[derive(Debug, Clone, Default)]
pub struct C2cTable {
    /// Lines that perf calls shared.
    pub shared_lines: u64,
    /// Their counters.
    pub shared: C2cStats,
    /// The lines that are shown, best first.
    pub lines: Vec<C2cLine>,
}

/// The key of a row besides its offset: each part is 0 when it does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct RowKey {
    offset: LineOffset,
    pid: u32,
    tid: u32,
    code: u64,
    object: u64,
}

impl C2cTable {
    /// Makes the tables from the accesses of each line, which come in time order.
    pub fn of<'a>(
        lines: impl Iterator<Item = &'a [LineAccess]>,
        identity: &Identity<'_>,
        machine: C2cMachine<'_>,
        options: &C2cOptions,
        keep_samples: bool,
    ) -> Self {
        let mut table = Self::default();
        let mut chosen = Vec::new();
        for accesses in lines {
            let Some(first) = accesses.first() else {
                continue;
            };
            let mut line = C2cLine {
                address: options.line_size.line_of(first.access.data.0),
                stats: C2cStats::default(),
                place: PhysicalPlace::default(),
                rows: Vec::new(),
            };
            let mut index: FxHashMap<RowKey, usize> = FxHashMap::default();
            for item in accesses {
                let access = &item.access;
                let mapping = identity.perf_code_mapping(access);
                let stats = identity.perf_stats(access, item.data_mapping, options.version);
                line.stats += stats;
                line.place.add(access.physical.0, machine.memory);
                let has = |token| options.coalesce.contains(&token);
                let key = RowKey {
                    offset: options.line_size.offset_of(access.data.0),
                    pid: if has(Coalesce::Pid) { access.pid.0 } else { 0 },
                    tid: if has(Coalesce::Tid) { access.tid.0 } else { 0 },
                    code: if has(Coalesce::Iaddr) { access.code.0 } else { 0 },
                    object: if has(Coalesce::Dso) { identity.short_name_rank(mapping) } else { 0 },
                };
                let row = *index.entry(key).or_insert_with(|| {
                    line.rows.push(C2cRow {
                        offset: key.offset,
                        pid: access.pid,
                        tid: access.tid,
                        code: CodePlace { address: access.code, mapping, mode: access.mode },
                        stats: C2cStats::default(),
                        cycles: RowCycles::default(),
                        place: PhysicalPlace::default(),
                        cpus: BTreeSet::new(),
                        nodes: Vec::new(),
                        samples: Vec::new(),
                    });
                    line.rows.len() - 1
                });
                line.rows[row].add(item, &stats, machine, keep_samples);
            }
            if line.stats.is_shared() {
                table.shared_lines += 1;
                table.shared += line.stats;
            }
            let order = identity.perf_order(&first.access, first.data_mapping);
            chosen.push((order, line));
        }
        // Lines of equal weight come in the order of their keys.
        chosen.sort_by(|(a, _), (b, _)| a.cmp(b));
        table.lines = chosen.into_iter().map(|(_, line)| line).collect();
        table.choose(identity, options);
        table
    }

    /// Keeps what perf shows, in its order.
    fn choose(&mut self, identity: &Identity<'_>, options: &C2cOptions) {
        let metric = |stats: &C2cStats| options.display.metric(stats);
        let sum = metric(&self.shared);
        self.lines.retain(|line| {
            options.show_all || sum > 0 && metric(&line.stats) as f64 / sum as f64 >= DISPLAY_LIMIT
        });
        self.lines.sort_by_key(|line| std::cmp::Reverse(metric(&line.stats)));
        for line in &mut self.lines {
            line.rows.retain(|row| row.stats.store > 0 || metric(&row.stats) > 0);
            line.rows.sort_by(|a, b| {
                let rank = |row: &C2cRow| {
                    let by_metric = std::cmp::Reverse(metric(&row.stats));
                    let by_second = std::cmp::Reverse(options.display.second_metric(&row.stats));
                    (row.offset, by_metric, by_second)
                };
                let ties = options.coalesce.iter().map(|key| match key {
                    Coalesce::Iaddr => a.code.address.cmp(&b.code.address),
                    Coalesce::Tid => a.tid.cmp(&b.tid),
                    Coalesce::Pid => b.pid.cmp(&a.pid),
                    Coalesce::Dso => {
                        let rank = |row: &C2cRow| identity.short_name_rank(row.code.mapping);
                        rank(a).cmp(&rank(b))
                    }
                });
                ties.fold(rank(a).cmp(&rank(b)), std::cmp::Ordering::then)
            });
        }
    }
}

impl C2cRow {
    fn add(
        &mut self,
        item: &LineAccess,
        stats: &C2cStats,
        machine: C2cMachine<'_>,
        keep_samples: bool,
    ) {
        let access = &item.access;
        self.stats += *stats;
        self.place.add(access.physical.0, machine.memory);
        let cycles = match stats {
            C2cStats { rmt_hitm: 1.., .. } => Some(&mut self.cycles.rmt_hitm),
            C2cStats { lcl_hitm: 1.., .. } => Some(&mut self.cycles.lcl_hitm),
            C2cStats { rmt_peer: 1.., .. } => Some(&mut self.cycles.rmt_peer),
            C2cStats { lcl_peer: 1.., .. } => Some(&mut self.cycles.lcl_peer),
            C2cStats { load: 1.., .. } => Some(&mut self.cycles.load),
            _ => None,
        };
        if let Some(mean) = cycles {
            mean.add(access.latency.data.0);
        }
        if let Some(cpu) = access.cpu {
            self.cpus.insert(cpu);
        }
        // perf takes a sample without CPU for one of CPU 0 here.
        let cpu = access.cpu.unwrap_or(Cpu(0));
        if let Some(&node) = machine.node_of_cpu.get(&cpu) {
            let at = match self.nodes.binary_search_by_key(&node, |(node, _)| *node) {
                Ok(at) => at,
                Err(at) => {
                    self.nodes.insert(at, (node, NodeShare::default()));
                    at
                }
            };
            let share = &mut self.nodes[at].1;
            share.stats += *stats;
            if access.cpu.is_some() {
                share.cpus.insert(cpu);
            }
        }
        if keep_samples {
            self.samples.push(access.position);
        }
    }
}
