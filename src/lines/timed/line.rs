//! A line that clock samples show to be contended.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::blame::Blame;
use super::touches::Touch;
use super::windows::{Window, contended_windows};
use crate::access::{CodeAddress, Direction};
use crate::lines::{CodeKey, Identity, LineAddress, LineOffset, SortKey, Threads};
use crate::perf_data::SamplePosition;
use crate::process::{Cpu, Pid, Tid, Time};

/// What a claim of contention rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Threads on different CPUs were there at once, and time was spent waiting there.
    Waiting,
    /// Threads on different CPUs were there at once, but little was seen of waiting or of writes.
    Presence,
    /// Threads on different CPUs were there at once if their code took a certain path: the only
    /// accesses that make it so lie on one of several.
    Path,
}

/// One instruction at one offset of a line.
#[derive(Debug, Clone)]
pub struct TimedSite {
    /// Offset in the line.
    pub offset: LineOffset,
    /// Bytes it touches in the line.
    pub size: u32,
    /// What it does.
    pub direction: Direction,
    /// Its address, as its first sample had it.
    pub code: CodeAddress,
    /// The mapping of that address.
    pub mapping: Option<u32>,
    /// Samples in which it was recovered.
    pub samples: u64,
    /// Samples that waited for it.
    pub waited: f64,
    /// Samples by thread.
    pub threads: BTreeMap<(Pid, Tid), u64>,
    /// CPUs it ran on.
    pub cpus: BTreeSet<Cpu>,
    /// The last sample's time, for names of threads.
    pub last_time: Time,
    /// Its samples, for their call chains; filled when asked for.
    pub positions: Vec<SamplePosition>,
}

/// A line and who touched it.
#[derive(Debug, Clone)]
pub struct TimedLine {
    /// Address, as its first touch had it.
    pub address: LineAddress,
    /// The process of its first touch.
    pub pid: Pid,
    /// Whether touches come from several processes.
    pub is_between_processes: bool,
    /// The mapping of the data of its first touch.
    pub data_mapping: Option<u32>,
    /// Samples with an access to it.
    pub samples: u64,
    /// Samples that write it.
    pub writes: u64,
    /// The stretches of time with contention.
    pub windows: Vec<Window>,
    /// Samples that waited for it while it was contended.
    pub waited: f64,
    /// The time they stand for.
    pub waited_weight: f64,
    /// The time of samples that may have waited for stores to it while it was contended.
    pub buffered_weight: f64,
    /// Whether its contention rests on accesses that may not have been made.
    pub rests_on_paths: bool,
    /// Who does what where: by offset, then the busiest first.
    pub sites: Vec<TimedSite>,
}

/// So many touches while contended make a suspicion. Fewer are seen by chance, such as a thread that
/// was just created and its creator.
const MIN_TOUCHES: u64 = 6;
/// So many samples that waited make a finding.
const MIN_WAITED: f64 = 5.0;
/// So many writes while contended make a finding, and at least this share of the touches.
const MIN_WRITES: u64 = 5;
const MIN_WRITE_SHARE: f64 = 0.01;

/// The touches of a line that count, and its contended windows: those that were certainly made where
/// they show contention, and otherwise, if that would, those that may have been made too. Says also
/// whether the latter is so.
pub fn counting_touches(touches: &[Touch]) -> (Vec<Touch>, Vec<Window>, bool) {
    let certain: Vec<Touch> = touches.iter().copied().filter(|touch| touch.is_certain).collect();
    let windows = contended_windows(&certain);
    if has_enough(&windows) || certain.len() == touches.len() {
        return (certain, windows, false);
    }
    let possible = contended_windows(touches);
    match has_enough(&possible) {
        true => (touches.to_vec(), possible, true),
        false => (certain, windows, false),
    }
}

fn has_enough(windows: &[Window]) -> bool {
    windows.iter().map(|window| window.touches).sum::<u64>() >= MIN_TOUCHES
}

impl TimedLine {
    /// Makes a line from its touches in time order, their blames and its contended windows.
    pub fn of(
        touches: &[Touch],
        blames: &[Blame],
        (windows, rests_on_paths): (Vec<Window>, bool),
        identity: &Identity<'_>,
        keep_samples: bool,
    ) -> Option<Self> {
        let first = touches.first()?;
        let line_size = identity.line_size();
        let mut line = Self {
            address: line_size.line_of(first.data.0),
            pid: first.pid,
            is_between_processes: touches.iter().any(|it| it.pid != first.pid),
            data_mapping: first.data_mapping,
            samples: 0,
            writes: 0,
            windows,
            waited: 0.0,
            waited_weight: 0.0,
            buffered_weight: 0.0,
            rests_on_paths,
            sites: Vec::new(),
        };
        let mut index = FxHashMap::default();
        for sample in touches.chunk_by(|a, b| a.position == b.position) {
            line.samples += 1;
            line.writes += u64::from(sample.iter().any(|touch| touch.direction.writes()));
        }
        for (touch, blame) in touches.iter().zip(blames) {
            let weight = touch.weight as f64;
            line.waited += blame.waited;
            line.waited_weight += blame.waited * weight;
            line.buffered_weight += blame.buffered * weight;
            let offset = line_size.offset_of(touch.data.0);
            let code = CodeKey::of(identity, touch.code_mapping, touch.pid, touch.code);
            let key = (offset, touch.size, touch.direction, code);
            let at = *index.entry(key).or_insert_with(|| {
                line.sites.push(TimedSite::new(touch, offset));
                line.sites.len() - 1
            });
            line.sites[at].add(touch, blame, keep_samples);
        }
        line.sites.sort_by(|a, b| {
            let busiest = b.waited.total_cmp(&a.waited).then(b.samples.cmp(&a.samples));
            a.offset.cmp(&b.offset).then(busiest).then(a.code.cmp(&b.code))
        });
        Some(line)
    }

    /// What speaks for contention, if anything does.
    pub fn evidence(&self) -> Option<Evidence> {
        let sum = |of: fn(&Window) -> u64| self.windows.iter().map(of).sum::<u64>();
        let (touches, writes) = (sum(|window| window.touches), sum(|window| window.writes));
        if touches < MIN_TOUCHES {
            return None;
        }
        if self.rests_on_paths {
            return Some(Evidence::Path);
        }
        let has_writes = writes >= MIN_WRITES && writes as f64 >= touches as f64 * MIN_WRITE_SHARE;
        Some(match has_writes && self.waited >= MIN_WAITED {
            true => Evidence::Waiting,
            false => Evidence::Presence,
        })
    }

    /// The most time that its contention can have cost.
    pub fn weight_high(&self) -> f64 {
        self.waited_weight + self.buffered_weight
    }

    /// What `key` sorts by, largest first.
    pub fn rank(&self, key: SortKey) -> impl Ord + use<> {
        let most = std::cmp::Reverse;
        // Weights are below 2^63 ns, and no one ranks by fractions of a nanosecond.
        let cost = (self.waited_weight as u64, self.weight_high() as u64);
        let is_presence = self.evidence() != Some(Evidence::Waiting);
        let address = (self.address, self.pid);
        match key {
            SortKey::Cost => (is_presence, most((cost.0, cost.1, self.samples)), address),
            SortKey::Hitm => (false, most((cost.0, cost.1, self.samples)), address),
            SortKey::Samples => (false, most((self.samples, cost.0, 0)), address),
            SortKey::Stores => (false, most((self.writes, cost.0, self.samples)), address),
            SortKey::Address => (false, most((0, 0, 0)), address),
        }
    }

    /// Threads that read and threads that write.
    pub fn readers_and_writers(&self) -> (Threads, Threads) {
        let of = |is: fn(Direction) -> bool| {
            let sites = self.sites.iter().filter(move |site| is(site.direction));
            sites.flat_map(|site| site.threads.keys().copied()).collect()
        };
        (of(Direction::reads), of(Direction::writes))
    }
}

impl TimedSite {
    fn new(touch: &Touch, offset: LineOffset) -> Self {
        Self {
            offset,
            size: touch.size,
            direction: touch.direction,
            code: touch.code,
            mapping: touch.code_mapping,
            samples: 0,
            waited: 0.0,
            threads: BTreeMap::new(),
            cpus: BTreeSet::new(),
            last_time: touch.time,
            positions: Vec::new(),
        }
    }

    fn add(&mut self, touch: &Touch, blame: &Blame, keep_samples: bool) {
        self.samples += 1;
        self.waited += blame.waited;
        *self.threads.entry((touch.pid, touch.tid)).or_default() += 1;
        self.cpus.extend(touch.cpu);
        self.last_time = touch.time;
        if keep_samples {
            self.positions.push(touch.position);
        }
    }
}
