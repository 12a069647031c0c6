//! Our own table: the contended lines, and who does what where on each.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use rustc_hash::{FxHashMap, FxHashSet};

use super::code_key::CodeKey;
use super::gather::LineAccess;
use super::line::{Identity, LineAddress, LineOffset};
use super::timed::{SampledCode, WINDOW_NS};
use super::turns::are_in_turns;
use crate::access::{C2cStats, CodeAddress, MemoryAccess, PerfVersion, Source};
use crate::perf_data::{CpuMode, SamplePosition};
use crate::process::{Cpu, Pid, Tid, Time};

/// What an access does to the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessKind {
    /// Reads.
    Load,
    /// Writes.
    Store,
}

/// Count and sum of latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LatencySum {
    /// Loads with a latency.
    pub count: u64,
    /// Their cycles.
    pub cycles: u64,
}

impl LatencySum {
    fn add(&mut self, cycles: u64) {
        self.count += u64::from(cycles > 0);
        // Latencies come from the file: 64 bits of each may be set.
        self.cycles = self.cycles.saturating_add(cycles);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.cycles = self.cycles.saturating_add(other.cycles);
    }

    /// The mean, where there is one.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.cycles as f64 / self.count as f64)
    }
}

/// One instruction at one offset of a line.
#[derive(Debug, Clone)]
pub struct AccessSite {
    /// Offset in the line.
    pub offset: LineOffset,
    /// What it does.
    pub kind: AccessKind,
    /// Its address, as its first sample had it.
    pub code: CodeAddress,
    /// The mapping of that address.
    pub mapping: Option<u32>,
    /// Whether kernel or user code.
    pub mode: CpuMode,
    /// Samples.
    pub samples: u64,
    /// Loads that another cache served.
    pub contended: u64,
    /// perf's counters.
    pub stats: C2cStats,
    /// Samples by thread.
    pub threads: BTreeMap<(Pid, Tid), u64>,
    /// Those of them from stretches of time with a contended load of the line.
    pub while_contended: BTreeMap<(Pid, Tid), u64>,
    /// CPUs it ran on.
    pub cpus: BTreeSet<Cpu>,
    /// Latencies of its loads, by source.
    pub latencies: BTreeMap<Source, LatencySum>,
    /// The last sample's time, for names of threads.
    pub last_time: Time,
    /// Its samples, for their call chains; filled when asked for.
    pub positions: Vec<SamplePosition>,
}

/// A contended line.
#[derive(Debug, Clone)]
pub struct ContendedLine {
    /// Address, as its first sample had it.
    pub address: LineAddress,
    /// The process of its first sample.
    pub pid: Pid,
    /// Whether accesses come from several processes.
    pub is_between_processes: bool,
    /// The mapping of the data of its first sample.
    pub data_mapping: Option<u32>,
    /// Loads and stores.
    pub samples: u64,
    /// Loads that another cache served.
    pub contended: u64,
    /// Cycles that those loads took.
    pub contended_cycles: u64,
    /// Whether the threads use it one after another.
    pub is_in_turns: bool,
    /// perf's counters, over this line's accesses.
    pub stats: C2cStats,
    /// Who does what where: by offset, then the busiest first.
    pub sites: Vec<AccessSite>,
}

/// Which key decides the order of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// Cycles of contended loads, or their number where nothing has latencies.
    Cost,
    /// Contended loads.
    Hitm,
    /// All samples.
    Samples,
    /// Stores.
    Stores,
    /// Address.
    Address,
}

impl FromStr for SortKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cost" => Ok(Self::Cost),
            "hitm" => Ok(Self::Hitm),
            "samples" => Ok(Self::Samples),
            "stores" => Ok(Self::Stores),
            "address" => Ok(Self::Address),
            other => Err(format!("\"{other}\" is not one of cost, hitm, samples, stores, address")),
        }
    }
}

/// Threads, by process and thread id.
pub type Threads = BTreeSet<(Pid, Tid)>;

impl ContendedLine {
    /// Makes a line from its accesses, which come in time order.
    pub fn of(
        accesses: &[LineAccess],
        identity: &Identity<'_>,
        version: PerfVersion,
        keep_samples: bool,
    ) -> Option<Self> {
        let first = accesses.first()?;
        let line_size = identity.line_size();
        let mut line = Self {
            address: line_size.line_of(first.access.data.0),
            pid: first.access.pid,
            is_between_processes: accesses.iter().any(|it| it.access.pid != first.access.pid),
            data_mapping: first.data_mapping,
            samples: accesses.len() as u64,
            contended: 0,
            contended_cycles: 0,
            is_in_turns: are_in_turns(
                accesses.iter().map(|item| (item.access.time, (item.access.pid, item.access.tid))),
            ),
            stats: C2cStats::default(),
            sites: Vec::new(),
        };
        let window = |access: &MemoryAccess| access.time.0 / WINDOW_NS;
        let contended: FxHashSet<u64> = accesses
            .iter()
            .filter(|item| is_contended(&item.access))
            .map(|item| window(&item.access))
            .collect();
        let mut index = FxHashMap::default();
        for item in accesses {
            let access = &item.access;
            let mapping = identity.code_mapping(access);
            let code = CodeKey::of(identity, mapping, access.pid, access.code);
            let kind = if access.source.is_store() { AccessKind::Store } else { AccessKind::Load };
            let offset = line_size.offset_of(access.data.0);
            let at = *index.entry((offset, kind, code, access.mode)).or_insert_with(|| {
                line.sites.push(AccessSite {
                    offset,
                    kind,
                    code: access.code,
                    mapping,
                    mode: access.mode,
                    samples: 0,
                    contended: 0,
                    stats: C2cStats::default(),
                    threads: BTreeMap::new(),
                    while_contended: BTreeMap::new(),
                    cpus: BTreeSet::new(),
                    latencies: BTreeMap::new(),
                    last_time: access.time,
                    positions: Vec::new(),
                });
                line.sites.len() - 1
            });
            let site = &mut line.sites[at];
            let perf_mapping = identity.perf_data_mapping(access);
            let stats = identity.perf_stats(access, perf_mapping, version);
            site.add(access, &stats, keep_samples);
            if contended.contains(&window(access)) {
                *site.while_contended.entry((access.pid, access.tid)).or_default() += 1;
            }
            line.stats += stats;
            if is_contended(access) {
                line.contended += 1;
                line.contended_cycles = line.contended_cycles.saturating_add(access.latency.data.0);
            }
        }
        line.sites.sort_by_key(|site| {
            (site.offset, std::cmp::Reverse((site.contended, site.samples)), site.code)
        });
        Some(line)
    }

    /// The value that `key` sorts by, largest first.
    pub fn rank(&self, key: SortKey) -> impl Ord + use<> {
        let most = std::cmp::Reverse;
        let address = (self.address, self.pid);
        match key {
            SortKey::Cost => (most((self.contended_cycles, self.contended, self.samples)), address),
            SortKey::Hitm => (most((self.contended, self.contended_cycles, self.samples)), address),
            SortKey::Samples => (most((self.samples, self.contended, 0)), address),
            SortKey::Stores => (most((self.stats.store, self.contended, self.samples)), address),
            SortKey::Address => (most((0, 0, 0)), address),
        }
    }

    /// Cycles that its loads lost to other caches: those of contended loads beyond what the same
    /// instructions took at this line when no other cache served them; where one never was, beyond what
    /// all others took then. `None` where no load without contention tells.
    pub fn lost_cycles(&self) -> Option<u64> {
        let mut quiet = LatencySum::default();
        for site in &self.sites {
            quiet.merge(&site.latency_of(|source| !source.is_contended()));
        }
        let usual = quiet.mean()?;
        let lost: f64 = self
            .sites
            .iter()
            .map(|site| {
                let contended = site.latency_of(Source::is_contended);
                let price = site.mean_uncontended_cycles().unwrap_or(usual);
                (contended.cycles as f64 - contended.count as f64 * price).max(0.0)
            })
            .sum();
        Some(lost as u64)
    }

    /// Threads with a load and threads with a store on this line.
    pub fn readers_and_writers(&self) -> (Threads, Threads) {
        let of = |kind| {
            let sites = self.sites.iter().filter(move |site| site.kind == kind);
            sites.flat_map(|site| site.threads.keys().copied()).collect()
        };
        (of(AccessKind::Load), of(AccessKind::Store))
    }
}

/// Whether another cache served it.
fn is_contended(access: &MemoryAccess) -> bool {
    !access.source.is_store() && Source::of(access.source).is_contended()
}

impl AccessSite {
    /// Where its code is.
    pub fn sampled_code(&self) -> SampledCode {
        let pid = self.threads.keys().next().map_or(Pid(u32::MAX), |(pid, _)| *pid);
        SampledCode { mapping: self.mapping, pid, code: self.code, time: self.last_time }
    }

    fn add(&mut self, access: &MemoryAccess, stats: &C2cStats, keep_samples: bool) {
        self.samples += 1;
        self.stats += *stats;
        *self.threads.entry((access.pid, access.tid)).or_default() += 1;
        self.cpus.extend(access.cpu);
        self.last_time = access.time;
        if self.kind == AccessKind::Load {
            let source = Source::of(access.source);
            self.contended += u64::from(source.is_contended());
            self.latencies.entry(source).or_default().add(access.latency.data.0);
        }
        if keep_samples {
            self.positions.push(access.position);
        }
    }

    /// Mean latency of its loads from one source, cycles.
    pub fn mean_cycles(&self, source: Source) -> Option<f64> {
        self.latencies.get(&source)?.mean()
    }

    /// Mean latency of its loads that another cache served, cycles.
    pub fn mean_contended_cycles(&self) -> Option<f64> {
        self.mean_of(Source::is_contended)
    }

    /// Mean latency of its loads that no other cache served, cycles.
    pub fn mean_uncontended_cycles(&self) -> Option<f64> {
        self.mean_of(|source| !source.is_contended())
    }

    fn mean_of(&self, counts: impl Fn(Source) -> bool) -> Option<f64> {
        self.latency_of(counts).mean()
    }

    fn latency_of(&self, counts: impl Fn(Source) -> bool) -> LatencySum {
        let chosen = self.latencies.iter().filter(|(source, _)| counts(**source));
        chosen.fold(LatencySum::default(), |mut sum, (_, latency)| {
            sum.merge(latency);
            sum
        })
    }
}
