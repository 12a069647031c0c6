//! The first pass over all samples: totals, and a few bytes for each line, enough to know which
//! lines deserve the second.

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::filter::Filter;
use super::line::{Identity, LineAddress, LineKey};
use crate::access::{C2cStats, DataSource, MemoryAccess, PerfVersion, Source};
use crate::perf_data::{Batch, CpuMode, Recording, SampleError};
use crate::process::Time;
use crate::process::heap::traces_heap;

/// How to look at samples.
#[derive(Debug, Clone)]
pub struct SurveyOptions {
    /// Which samples count.
    pub filter: Filter,
    /// Whose rules perf's counters follow.
    pub version: PerfVersion,
    /// Whether to keep the lines by our own identity.
    pub own_lines: bool,
    /// Whether to keep every line by perf's identity, and not only the shared ones.
    pub all_perf_lines: bool,
}

/// What is kept of every line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSummary {
    /// Loads and stores.
    pub samples: u32,
    /// Loads that another cache served (HITM or peer).
    pub contended: u32,
    /// Physical line, where other processes may share it unknown to the mappings.
    physical: Option<LineAddress>,
    first_writer: Option<u32>,
    has_second_writer: bool,
}

impl LineSummary {
    /// Whether the line is worth a closer look: another cache served a load of it, or several
    /// threads wrote to it (stores carry no HITM, so two writers without a reader show only so).
    pub fn is_suspect(&self) -> bool {
        self.contended > 0 || self.has_second_writer
    }

    fn of(access: &MemoryAccess, physical: Option<LineAddress>) -> Self {
        let is_store = access.source.is_store();
        Self {
            samples: 1,
            contended: u32::from(
                access.source.is_load() && Source::of(access.source).is_contended(),
            ),
            physical,
            first_writer: is_store.then_some(access.tid.0),
            has_second_writer: false,
        }
    }

    fn add(&mut self, other: &Self) {
        self.samples = self.samples.saturating_add(other.samples);
        self.contended = self.contended.saturating_add(other.contended);
        // The smallest, so that the result does not depend on the order of the batches.
        self.physical = match (self.physical, other.physical) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.has_second_writer |= other.has_second_writer
            || matches!((self.first_writer, other.first_writer), (Some(a), Some(b)) if a != b);
        self.first_writer = self.first_writer.or(other.first_writer);
    }
}

/// What the first pass found.
#[derive(Debug, Default)]
pub struct Survey {
    /// Counters of all samples.
    pub totals: C2cStats,
    /// Counters of the samples that are neither load nor store.
    pub unparsable: C2cStats,
    /// Loads by their one source, in the order of [`Source::ALL`].
    pub sources: [u64; Source::ALL.len()],
    /// Samples of each event that the filter let pass.
    pub event_samples: Vec<u64>,
    /// Loads and stores of each event.
    pub event_accesses: Vec<u64>,
    /// Lines that perf calls shared (or all, when asked for).
    pub perf_lines: FxHashSet<LineKey>,
    /// All lines by our own identity.
    pub lines: FxHashMap<LineKey, LineSummary>,
    /// First and last time.
    pub times: Option<(Time, Time)>,
    /// Samples that the filter let pass.
    pub accepted: u64,
    /// Samples that could not be decoded.
    pub malformed: u64,
    /// Samples whose event is unknown.
    pub unknown_event: u64,
    /// Accesses without a CPU.
    pub without_cpu: u64,
    /// Accesses with a latency.
    pub with_latency: u64,
    /// Accesses made in the kernel.
    pub in_kernel: u64,
    /// Accesses of user code to user memory without a recorded mapping (own lines only).
    pub unmapped: u64,
}

impl Survey {
    /// Looks at every sample, in parallel; `progress` is told how many samples were done.
    pub fn of(
        recording: &Recording<'_>,
        identity: &Identity<'_>,
        options: &SurveyOptions,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Self {
        let batches = recording.batches();
        let share = batches.len().div_ceil(rayon::current_num_threads()).max(1);
        let mut survey = batches
            .par_chunks(share)
            .map(|batches| {
                let mut survey = Self::empty(recording);
                for batch in batches {
                    survey.add_batch(recording, identity, options, batch);
                    progress(batch.samples);
                }
                survey
            })
            .reduce(|| Self::empty(recording), Self::merged);
        if options.own_lines {
            survey.join_physical_lines();
        }
        survey
    }

    fn empty(recording: &Recording<'_>) -> Self {
        let events = recording.events().len();
        Self { event_samples: vec![0; events], event_accesses: vec![0; events], ..Self::default() }
    }

    fn add_batch(
        &mut self,
        recording: &Recording<'_>,
        identity: &Identity<'_>,
        options: &SurveyOptions,
        batch: &Batch,
    ) {
        // perf counts every sample.
        let passes_over: Vec<bool> =
            recording.events().iter().map(|it| options.own_lines && traces_heap(it)).collect();
        for (position, record) in recording.samples(batch) {
            match MemoryAccess::of(recording, position, &record) {
                Ok(access) if passes_over[access.event as usize] => {}
                Ok(access) => self.add(&access, identity, options),
                Err(SampleError::Malformed) => self.malformed += 1,
                Err(SampleError::UnknownEvent) => self.unknown_event += 1,
            }
        }
    }

    fn add(&mut self, access: &MemoryAccess, identity: &Identity<'_>, options: &SurveyOptions) {
        if !passes(access, identity, &options.filter) {
            return;
        }
        self.accepted += 1;
        self.event_samples[access.event as usize] += 1;
        self.times = match self.times {
            None => Some((access.time, access.time)),
            Some((first, last)) => Some((first.min(access.time), last.max(access.time))),
        };
        let perf_mapping = identity.perf_data_mapping(access);
        let stats = identity.perf_stats(access, perf_mapping, options.version);
        self.totals += stats;
        if options.all_perf_lines || stats.is_shared() {
            self.perf_lines.insert(identity.perf_key(access, perf_mapping));
        }
        if !is_access(access.source) {
            self.unparsable += stats;
            return;
        }
        self.event_accesses[access.event as usize] += 1;
        self.without_cpu += u64::from(access.cpu.is_none());
        self.with_latency += u64::from(access.latency.data.0 > 0);
        self.in_kernel += u64::from(access.mode == CpuMode::Kernel);
        if access.source.is_load() {
            self.sources[Source::of(access.source) as usize] += 1;
        }
        if options.own_lines && access.data.0 != 0 {
            let mapping = identity.data_mapping(access);
            let is_user = access.mode == CpuMode::User;
            self.unmapped += u64::from(is_user && mapping.is_none());
            let (key, is_doubtful) = identity.key(access, mapping);
            let physical = (is_doubtful && access.physical.0 != 0)
                .then(|| identity.line_size().line_of(access.physical.0));
            let new = LineSummary::of(access, physical);
            self.lines.entry(key).and_modify(|line| line.add(&new)).or_insert(new);
        }
    }

    fn merged(mut self, mut other: Self) -> Self {
        if self.lines.len() < other.lines.len() {
            std::mem::swap(&mut self, &mut other);
        }
        self.totals += other.totals;
        self.unparsable += other.unparsable;
        let pairs = self.event_samples.iter_mut().zip(&other.event_samples);
        pairs
            .chain(self.event_accesses.iter_mut().zip(&other.event_accesses))
            .for_each(|(a, b)| *a += b);
        self.sources.iter_mut().zip(&other.sources).for_each(|(a, b)| *a += b);
        self.perf_lines.extend(other.perf_lines);
        for (key, line) in other.lines {
            self.lines.entry(key).and_modify(|known| known.add(&line)).or_insert(line);
        }
        self.times = match (self.times, other.times) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (a, b) => a.or(b),
        };
        self.accepted += other.accepted;
        self.malformed += other.malformed;
        self.unknown_event += other.unknown_event;
        self.without_cpu += other.without_cpu;
        self.with_latency += other.with_latency;
        self.in_kernel += other.in_kernel;
        self.unmapped += other.unmapped;
        self
    }

    /// Joins lines that are the same physical one, seen by several processes through mappings that
    /// do not tell so. The joined line is found under each of its keys.
    fn join_physical_lines(&mut self) {
        let mut by_physical: FxHashMap<LineAddress, LineSummary> = FxHashMap::default();
        let doubtful = self.lines.values().filter_map(|line| Some((line.physical?, line)));
        for (physical, line) in doubtful {
            by_physical.entry(physical).and_modify(|known| known.add(line)).or_insert(*line);
        }
        for line in self.lines.values_mut() {
            if let Some(joined) = line.physical.and_then(|physical| by_physical.get(&physical)) {
                line.has_second_writer |= joined.has_second_writer;
                line.contended = line.contended.max(joined.contended.min(1));
            }
        }
    }

    /// Loads of one source.
    pub fn loads_from(&self, source: Source) -> u64 {
        self.sources[source as usize]
    }

    /// How many different lines there are.
    pub fn line_count(&self) -> u64 {
        let physical = self.lines.values().filter_map(|line| line.physical);
        let joined = physical.clone().count() - physical.collect::<FxHashSet<_>>().len();
        (self.lines.len() - joined) as u64
    }

    /// The suspect lines, each key with the number of its line: keys of one physical line have one
    /// number. Numbers count from 0 in the order of the keys.
    pub fn suspects(&self) -> FxHashMap<LineKey, u32> {
        let mut keys: Vec<_> = self
            .lines
            .iter()
            .filter(|(_, line)| line.is_suspect())
            .map(|(key, line)| (*key, line.physical))
            .collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        numbered(keys)
    }

    /// Every line, numbered as [`suspects`](Self::suspects) are.
    pub fn all_lines(&self) -> FxHashMap<LineKey, u32> {
        let mut keys: Vec<_> = self.lines.iter().map(|(key, line)| (*key, line.physical)).collect();
        keys.sort_unstable_by_key(|(key, _)| *key);
        numbered(keys)
    }
}

fn numbered(keys: Vec<(LineKey, Option<LineAddress>)>) -> FxHashMap<LineKey, u32> {
    let mut by_physical = FxHashMap::default();
    let mut next = 0;
    let mut number = || {
        next += 1;
        next - 1
    };
    keys.into_iter()
        .map(|(key, physical)| {
            let number = match physical {
                Some(physical) => *by_physical.entry(physical).or_insert_with(&mut number),
                None => number(),
            };
            (key, number)
        })
        .collect()
}

/// Whether a data source word is one of a load or store.
#[inline]
pub(super) fn is_access(source: DataSource) -> bool {
    source.is_load() || source.is_store()
}

/// Whether a sample passes the filter.
#[inline]
pub(super) fn passes(access: &MemoryAccess, identity: &Identity<'_>, filter: &Filter) -> bool {
    let code_object =
        || identity.mapping(identity.code_mapping(access)).map(|mapping| mapping.name.clone());
    filter.is_empty() || filter.accepts(access, identity.processes(), code_object)
}
