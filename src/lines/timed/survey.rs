//! The first pass over clock samples: how time was spent, what could be resolved, and a few bytes
//! for each line that was touched.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::plans::{PlannedCode, Plans};
use crate::access::{Bases, ClockSample, Loss, PlannedAccess};
use crate::lines::{CodeKey, Filter, Identity, LineKey};
use crate::perf_data::{CpuMode, Recording, SampleError};
use crate::process::{Cpu, Pid, ThreadBases, Tid, Time};

/// How to look at clock samples.
#[derive(Debug, Clone)]
pub struct TimedOptions {
    /// Which samples count.
    pub filter: Filter,
    /// Where the segments of threads begin.
    pub bases: ThreadBases,
}

/// What is kept of every touched line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedSummary {
    /// Samples with an access to it.
    pub samples: u32,
    first_thread: (Pid, Tid),
    first_cpu: Option<Cpu>,
    has_second_thread: bool,
    has_second_cpu: bool,
    is_written: bool,
}

impl TimedSummary {
    /// Whether several threads on several CPUs touch it and at least one writes: only then can there
    /// be contention.
    pub fn is_suspect(&self) -> bool {
        self.has_second_thread && self.has_second_cpu && self.is_written
    }

    fn of(sample: &ClockSample, writes: bool) -> Self {
        Self {
            samples: 1,
            first_thread: (sample.pid, sample.tid),
            first_cpu: sample.cpu,
            has_second_thread: false,
            has_second_cpu: false,
            is_written: writes,
        }
    }

    fn add(&mut self, other: &Self) {
        self.samples = self.samples.saturating_add(other.samples);
        self.is_written |= other.is_written;
        self.has_second_thread |=
            other.has_second_thread || self.first_thread != other.first_thread;
        self.has_second_cpu |= other.has_second_cpu
            || matches!((self.first_cpu, other.first_cpu), (Some(a), Some(b)) if a != b);
        self.first_cpu = self.first_cpu.or(other.first_cpu);
    }
}

/// What the first pass found. Weights are ns, or cycles where cycles were sampled.
#[derive(Debug, Default)]
pub struct TimedSurvey {
    /// Samples of each event that the filter let pass.
    pub event_samples: Vec<u64>,
    /// Samples of each event with at least one resolved access.
    pub event_accesses: Vec<u64>,
    /// Samples that the filter let pass, idle CPUs left out.
    pub accepted: u64,
    /// Samples of CPUs that had nothing to do.
    pub idle: u64,
    /// The time all accepted samples stand for.
    pub weight: u64,
    /// Samples in the kernel.
    pub in_kernel: u64,
    /// The time they stand for.
    pub kernel_weight: u64,
    /// User samples with at least one resolved access.
    pub resolved: u64,
    /// User samples without a memory operand within reach.
    pub no_operand: u64,
    /// User samples with an operand within reach and no resolved access, by reason.
    pub lost: [u64; Loss::ALL.len()],
    /// All touched lines.
    pub lines: FxHashMap<LineKey, TimedSummary>,
    /// First and last time.
    pub times: Option<(Time, Time)>,
    /// Samples that could not be decoded.
    pub malformed: u64,
    /// Samples whose event is unknown.
    pub unknown_event: u64,
    /// Samples without a CPU.
    pub without_cpu: u64,
    /// Samples of guests, which are not looked at.
    pub in_guest: u64,
    /// Samples of threads: how many threads there were.
    pub threads: FxHashMap<(Pid, Tid), u64>,
}

impl TimedSurvey {
    /// Looks at every sample, in parallel; `progress` is told how many samples were done.
    pub fn of(
        recording: &Recording<'_>,
        identity: &Identity<'_>,
        plans: &Plans,
        options: &TimedOptions,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Self {
        let batches = recording.batches();
        let share = batches.len().div_ceil(rayon::current_num_threads()).max(1);
        batches
            .par_chunks(share)
            .map(|batches| {
                let mut survey = Self::empty(recording);
                for batch in batches {
                    for (position, record) in recording.samples(batch) {
                        match ClockSample::of(recording, position, &record) {
                            Ok(Some(sample)) => survey.add(&sample, identity, plans, options),
                            Ok(None) => {}
                            Err(SampleError::Malformed) => survey.malformed += 1,
                            Err(SampleError::UnknownEvent) => survey.unknown_event += 1,
                        }
                    }
                    progress(batch.samples);
                }
                survey
            })
            .reduce(|| Self::empty(recording), Self::merged)
    }

    fn empty(recording: &Recording<'_>) -> Self {
        let events = recording.events().len();
        Self { event_samples: vec![0; events], event_accesses: vec![0; events], ..Self::default() }
    }

    fn add(
        &mut self,
        sample: &ClockSample,
        identity: &Identity<'_>,
        plans: &Plans,
        options: &TimedOptions,
    ) {
        if !passes(sample, identity, &options.filter) {
            return;
        }
        self.event_samples[sample.event as usize] += 1;
        if sample.is_idle() {
            self.idle += 1;
            return;
        }
        self.accepted += 1;
        // Weights come from the file: 64 bits of each may be set.
        self.weight = self.weight.saturating_add(sample.weight);
        self.times = match self.times {
            None => Some((sample.time, sample.time)),
            Some((first, last)) => Some((first.min(sample.time), last.max(sample.time))),
        };
        self.without_cpu += u64::from(sample.cpu.is_none());
        *self.threads.entry((sample.pid, sample.tid)).or_default() += 1;
        match sample.mode {
            CpuMode::User => {}
            CpuMode::Kernel => {
                self.in_kernel += 1;
                self.kernel_weight = self.kernel_weight.saturating_add(sample.weight);
                return;
            }
            _ => {
                self.in_guest += 1;
                return;
            }
        }
        let Some((_, planned)) = find_plan(sample, identity, plans) else {
            self.lost[Loss::CodeMissing as usize] += 1;
            return;
        };
        let mut is_resolved = false;
        for_each_access(sample, planned, options, |index, access, address| {
            is_resolved = true;
            if !planned.counts[index] {
                return;
            }
            let mapping = identity.processes().find_user(sample.pid, address, sample.time);
            let new = TimedSummary::of(sample, access.direction.writes());
            for part in parts(identity, address, access.size) {
                let key = identity.user_key(sample.pid, sample.time, part.address, mapping);
                self.lines.entry(key).and_modify(|line| line.add(&new)).or_insert(new);
            }
        });
        self.event_accesses[sample.event as usize] += u64::from(is_resolved);
        match (is_resolved, planned.plan.loss) {
            (_, Some(loss)) => self.lost[loss as usize] += 1,
            (true, None) => self.resolved += 1,
            (false, None) => match missing(sample, planned) {
                None => self.no_operand += 1,
                Some(loss) => self.lost[loss as usize] += 1,
            },
        }
    }

    fn merged(mut self, mut other: Self) -> Self {
        if self.lines.len() < other.lines.len() {
            std::mem::swap(&mut self, &mut other);
        }
        let pairs = self.event_samples.iter_mut().zip(&other.event_samples);
        pairs
            .chain(self.event_accesses.iter_mut().zip(&other.event_accesses))
            .chain(self.lost.iter_mut().zip(&other.lost))
            .chain([
                (&mut self.accepted, &other.accepted),
                (&mut self.idle, &other.idle),
                (&mut self.weight, &other.weight),
                (&mut self.in_kernel, &other.in_kernel),
                (&mut self.kernel_weight, &other.kernel_weight),
                (&mut self.resolved, &other.resolved),
                (&mut self.no_operand, &other.no_operand),
                (&mut self.malformed, &other.malformed),
                (&mut self.unknown_event, &other.unknown_event),
                (&mut self.without_cpu, &other.without_cpu),
                (&mut self.in_guest, &other.in_guest),
            ])
            .for_each(|(a, b)| *a = a.saturating_add(*b));
        for (key, line) in other.lines {
            self.lines.entry(key).and_modify(|known| known.add(&line)).or_insert(line);
        }
        for (thread, samples) in other.threads {
            *self.threads.entry(thread).or_default() += samples;
        }
        self.times = match (self.times, other.times) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (a, b) => a.or(b),
        };
        self
    }

    /// The suspect lines, numbered from 0 in the order of their keys.
    pub fn suspects(&self) -> FxHashMap<LineKey, u32> {
        self.numbered(TimedSummary::is_suspect)
    }

    /// Every line, numbered likewise.
    pub fn all_lines(&self) -> FxHashMap<LineKey, u32> {
        self.numbered(|_| true)
    }

    fn numbered(&self, is_picked: impl Fn(&TimedSummary) -> bool) -> FxHashMap<LineKey, u32> {
        let picked = self.lines.iter().filter(|(_, line)| is_picked(line));
        let mut keys: Vec<LineKey> = picked.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.into_iter().zip(0..).collect()
    }

    /// User samples with an operand within reach that could not be resolved.
    pub fn unresolved(&self) -> u64 {
        self.lost.iter().sum()
    }
}

/// Whether a sample passes the filter.
pub(super) fn passes(sample: &ClockSample, identity: &Identity<'_>, filter: &Filter) -> bool {
    let code_object = || {
        let mapping =
            identity.processes().find_code(sample.mode, sample.pid, sample.code.0, sample.time);
        identity.mapping(mapping).map(|mapping| mapping.name.clone())
    };
    filter.is_empty() || filter.accepts(sample, identity.processes(), code_object)
}

/// The plan of a sample's code, and the mapping of that code.
pub(super) fn find_plan<'p>(
    sample: &ClockSample,
    identity: &Identity<'_>,
    plans: &'p Plans,
) -> Option<(Option<u32>, &'p PlannedCode)> {
    let mapping = identity.processes().find_user(sample.pid, sample.code.0, sample.time);
    let key = CodeKey::of(identity, mapping, sample.pid, sample.code);
    let (_, planned) = plans.find(&key)?;
    Some((mapping, planned))
}

/// The default of `vm.mmap_min_addr`.
const LOWEST_ADDRESS: u64 = 1 << 16;

/// Every access of a sample whose address its registers tell.
pub(super) fn for_each_access<'p>(
    sample: &ClockSample,
    planned: &'p PlannedCode,
    options: &TimedOptions,
    mut take: impl FnMut(usize, &'p PlannedAccess, u64),
) {
    let Some(registers) = &sample.registers else {
        return;
    };
    let bases = Bases {
        load_bias: sample.code.0.wrapping_sub(planned.address),
        thread: options.bases.find(sample.pid, sample.tid, sample.time),
    };
    for (index, access) in planned.plan.accesses.iter().enumerate() {
        // Linux keeps the lowest addresses free (vm.mmap_min_addr): a path that goes there, through a
        // null pointer, is not the one that was taken.
        if let Some(address) = access.address.evaluate(registers, &bases)
            && address >= LOWEST_ADDRESS
        {
            take(index, access, address);
        }
    }
}

/// Why no access of a sample was resolved; `None` when none was within reach.
fn missing(sample: &ClockSample, planned: &PlannedCode) -> Option<Loss> {
    let plan = &planned.plan;
    if plan.accesses.is_empty() {
        return plan.loss;
    }
    if sample.registers.is_none() {
        return Some(Loss::RegistersMissing);
    }
    let needs_thread = |access: &PlannedAccess| access.address.is_thread_relative;
    Some(match plan.accesses.iter().all(needs_thread) {
        true => Loss::SegmentBase,
        false => Loss::RegistersMissing,
    })
}

/// A part of an access that lies in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) address: u64,
    pub(super) size: u32,
}

/// An access cut at the borders of lines; parts of a very large one (a state save area) beyond its
/// first lines are left out.
pub(super) fn parts(
    identity: &Identity<'_>,
    address: u64,
    size: u32,
) -> impl Iterator<Item = Part> + use<> {
    const MOST: usize = 8;
    let line_size = identity.line_size();
    let end = address.saturating_add(u64::from(size.max(1)));
    let mut next = address;
    std::iter::from_fn(move || {
        let line_end = line_size.line_of(next).0.checked_add(line_size.bytes())?;
        let size = end.min(line_end).checked_sub(next).filter(|size| *size > 0)?;
        let part = Part { address: next, size: size as u32 };
        next = line_end;
        Some(part)
    })
    .take(MOST)
}
