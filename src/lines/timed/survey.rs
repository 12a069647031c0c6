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
    /// Samples with an access to it that the filter let pass.
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
        self.samples > 0 && self.has_second_thread && self.has_second_cpu && self.is_written
    }

    fn of(sample: &ClockSample, is_wanted: bool, writes: bool) -> Self {
        Self {
            samples: u32::from(is_wanted),
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
    /// The time all accepted samples stand for. Weights come from the file: each may be any 64 bits.
    pub weight: u128,
    /// That time by thread.
    pub threads: FxHashMap<(Pid, Tid), u64>,
    /// Samples in the kernel.
    pub in_kernel: u64,
    /// Samples of guests, which are not looked at.
    pub in_guest: u64,
    /// User samples with at least one resolved access, and none missing that they waited for.
    pub resolved: u64,
    /// User samples without a memory operand within reach.
    pub no_operand: u64,
    /// User samples with an operand within reach that is not resolved, by reason.
    pub lost: [u64; Loss::ALL.len()],
    /// All touched lines, also by samples that the filter did not let pass: these may contend with the
    /// others.
    pub lines: FxHashMap<LineKey, TimedSummary>,
    /// First and last time.
    pub times: Option<(Time, Time)>,
    /// Samples that could not be decoded.
    pub malformed: u64,
    /// Samples whose event is unknown.
    pub unknown_event: u64,
    /// Samples without a CPU.
    pub without_cpu: u64,
    /// Lines of the sample at hand.
    own: Vec<LineKey>,
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
        let is_wanted = passes(sample, identity, &options.filter);
        if is_wanted {
            self.event_samples[sample.event as usize] += 1;
        }
        if sample.is_idle() || !options.filter.covers(sample.time) {
            return;
        }
        let planned = match sample.mode {
            CpuMode::User => find_plan(sample, identity, plans),
            _ => None,
        };
        let has_access = planned.is_some_and(|(_, planned)| {
            self.add_accesses(sample, identity, planned, options, is_wanted)
        });
        if is_wanted {
            self.count(sample, planned.map(|(_, planned)| planned), has_access);
        }
    }

    /// Notes the lines of a sample's accesses; says whether there are any.
    fn add_accesses(
        &mut self,
        sample: &ClockSample,
        identity: &Identity<'_>,
        planned: &PlannedCode,
        options: &TimedOptions,
        is_wanted: bool,
    ) -> bool {
        let mut has_access = false;
        let mut own = std::mem::take(&mut self.own);
        own.clear();
        for_each_access(sample, planned, options, |index, access, address| {
            if !planned.counts[index] {
                return;
            }
            has_access = true;
            let mapping = identity.processes().find_user(sample.pid, address, sample.time);
            for part in parts(identity, address, access.size) {
                let key = identity.user_key(sample.pid, sample.time, part.address, mapping);
                // One sample counts once for a line, however often it touches it.
                let is_wanted = is_wanted && !own.contains(&key);
                own.push(key);
                let new = TimedSummary::of(sample, is_wanted, access.direction.writes());
                self.lines.entry(key).and_modify(|line| line.add(&new)).or_insert(new);
            }
        });
        self.own = own;
        has_access
    }

    /// Counts a sample that passed the filter under one of the things that may become of it.
    fn count(&mut self, sample: &ClockSample, planned: Option<&PlannedCode>, has_access: bool) {
        self.accepted += 1;
        self.weight += u128::from(sample.weight);
        let of_thread = self.threads.entry((sample.pid, sample.tid)).or_default();
        *of_thread = of_thread.saturating_add(sample.weight);
        self.times = match self.times {
            None => Some((sample.time, sample.time)),
            Some((first, last)) => Some((first.min(sample.time), last.max(sample.time))),
        };
        self.without_cpu += u64::from(sample.cpu.is_none());
        self.event_accesses[sample.event as usize] += u64::from(has_access);
        let loss = match (sample.mode, planned) {
            (CpuMode::Kernel, _) => {
                self.in_kernel += 1;
                return;
            }
            (CpuMode::User, None) => Some(Loss::CodeMissing),
            (CpuMode::User, Some(planned)) => {
                planned.plan.loss.or_else(|| missing(sample, planned).filter(|_| !has_access))
            }
            _ => {
                self.in_guest += 1;
                return;
            }
        };
        match loss {
            Some(loss) => self.lost[loss as usize] += 1,
            None if has_access => self.resolved += 1,
            None => self.no_operand += 1,
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
                (&mut self.in_kernel, &other.in_kernel),
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
        self.weight += other.weight;
        for (thread, weight) in other.threads {
            let of_thread = self.threads.entry(thread).or_default();
            *of_thread = of_thread.saturating_add(weight);
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
    Some((mapping, plans.find(&key)?))
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

/// Why no access of a sample was resolved; `None` when none was within reach that is sure to be made.
fn missing(sample: &ClockSample, planned: &PlannedCode) -> Option<Loss> {
    let counted = planned.plan.accesses.iter().zip(&planned.counts);
    let mut counted = counted.filter(|(_, counts)| **counts).map(|(access, _)| access).peekable();
    counted.peek()?;
    let needs_thread = |access: &PlannedAccess| access.address.is_thread_relative;
    Some(match sample.registers.is_some() && counted.all(needs_thread) {
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
