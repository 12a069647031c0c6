//! A line that clock samples show to be contended.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rustc_hash::FxHashMap;

use super::plans::SampledCode;
use super::touches::{Role, Touch};
use super::windows::{Meetings, WINDOW_NS, Window, meetings, samples_in};
use crate::access::{CodeAddress, Direction};
use crate::lines::watched::{Suspicion, WatchOutcome, WatchedLine};
use crate::lines::{
    ByteUse, CodeKey, Identity, LineAddress, LineOffset, Sharing, SortKey, Threads,
};
use crate::perf_data::SamplePosition;
use crate::process::{Cores, Cpu, Pid, Tid, Time};

/// What a claim about a line rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Threads on different CPUs were there at once, and time was spent waiting there.
    Waiting,
    /// Threads on different CPUs were there at once, but it takes more to call it contention.
    Presence(Lack),
    /// Threads on different CPUs were there at once if their code took a certain path: the only
    /// accesses that make it so lie on one of several.
    Path,
    /// Threads on different CPUs were there, each for long before the next one came: no contention.
    Turns,
    /// Threads were there at once on hardware threads of one core, which share its caches.
    OneCore,
    /// Threads that used it shared a CPU.
    OneCpu,
    /// What was a suspicion is one no more: debug registers saw threads on different CPUs interleave
    /// there, and one of them write.
    Watched,
    /// What was a suspicion is none: debug registers saw all its words, and no such threads.
    Refuted,
}

/// What a suspicion lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lack {
    /// All that was seen there are stores, which wait in the store buffer and not where they are made.
    Loads,
    /// Hardly anyone was seen to write.
    Writes,
    /// Hardly anyone was seen to wait.
    Waiting,
    /// Mostly they use it in turns; moments in which that was not seen may be chance.
    Simultaneity,
}

impl Evidence {
    /// Whether it makes a finding or a suspect.
    pub fn is_claim(self) -> bool {
        self.is_finding() || self.is_suspicion()
    }

    /// Whether it makes a finding.
    pub fn is_finding(self) -> bool {
        matches!(self, Self::Waiting | Self::Watched)
    }

    /// Whether it makes a suspect: more would have to be seen to call the line contended.
    pub fn is_suspicion(self) -> bool {
        matches!(self, Self::Presence(_) | Self::Path)
    }
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
    /// Those of them that were taken while the line was contended.
    pub while_contended: BTreeMap<(Pid, Tid), u64>,
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
    /// Its number among the picked lines.
    pub number: u32,
    /// Address, as its first touch had it.
    pub address: LineAddress,
    /// The process of its first touch.
    pub pid: Pid,
    /// Whether touches come from several processes.
    pub is_between_processes: bool,
    /// The mapping of the data of its first touch.
    pub data_mapping: Option<u32>,
    /// Samples with an access to it, of those that the filter let pass.
    pub samples: u64,
    /// Those of them that write it.
    pub writes: u64,
    /// When threads were there at once, and when in turns.
    pub meetings: Meetings,
    /// Samples that waited for it while it was contended.
    pub waited: f64,
    /// The time they stand for.
    pub waited_weight: f64,
    /// The time of all samples that may have waited for it while it was contended: those with an access
    /// to it on a path near, that did not wait for something else.
    pub near_weight: f64,
    /// Whether its contention rests on accesses that may not have been made.
    pub rests_on_paths: bool,
    /// Who does what where: by offset, then the busiest first.
    pub sites: Vec<TimedSite>,
    /// From its first touch to behind its last.
    pub touched: Range<Time>,
    /// What debug registers have seen of it.
    watched: Option<WatchedLine>,
    /// What that comes to.
    watch_outcome: WatchOutcome,
    /// Words of 8 bytes in a line.
    words: u64,
}

/// So many samples while contended make a suspicion. Fewer are seen by chance, such as a thread that
/// was just created and its creator.
const MIN_SAMPLES: u64 = 6;
/// So many samples that waited make a finding.
const MIN_WAITED: f64 = 5.0;
/// So many samples that write while contended make a finding, and at least this share of all there.
const MIN_WRITES: u64 = 5;
const MIN_WRITE_SHARE: f64 = 0.01;

/// With so many times as many samples in turns as at once, threads take turns.
const MOSTLY: u64 = 3;

/// The touches of a line that count.
#[derive(Debug, Clone, PartialEq)]
pub struct Counting {
    /// They themselves, in order of time.
    pub touches: Vec<Touch>,
    /// When their threads met.
    pub meetings: Meetings,
    /// Whether some of them may not have been made, and contention rests on these.
    pub rests_on_paths: bool,
}

/// The touches of a line that count: those that were certainly made where they show contention, and
/// otherwise, if that would, those that may have been made too.
pub fn counting_touches(touches: &[Touch], cores: &Cores) -> Counting {
    let certain: Vec<Touch> = touches.iter().copied().filter(|touch| touch.is_certain).collect();
    let has_enough = |meetings: &Meetings| meetings.contended_samples() >= MIN_SAMPLES;
    let meetings_of_certain = meetings(&certain, cores);
    if !has_enough(&meetings_of_certain) && certain.len() < touches.len() {
        let meetings = meetings(touches, cores);
        if has_enough(&meetings) {
            return Counting { touches: touches.to_vec(), meetings, rests_on_paths: true };
        }
    }
    Counting { touches: certain, meetings: meetings_of_certain, rests_on_paths: false }
}

impl TimedLine {
    /// Makes a line from its touches in time order, their blames, when threads met there, and whether
    /// that rests on touches that may not have been made.
    pub fn of(
        touches: &[Touch],
        blames: &[f64],
        (meetings, rests_on_paths): (Meetings, bool),
        identity: &Identity<'_>,
        keep_samples: bool,
    ) -> Option<Self> {
        let first = touches.first()?;
        let line_size = identity.line_size();
        let mut line = Self {
            number: first.line,
            address: line_size.line_of(first.data.0),
            pid: first.pid,
            is_between_processes: touches.iter().any(|it| it.pid != first.pid),
            data_mapping: first.data_mapping,
            samples: 0,
            writes: 0,
            meetings,
            waited: 0.0,
            waited_weight: 0.0,
            near_weight: 0.0,
            rests_on_paths,
            sites: Vec::new(),
            touched: first.time..Time(touches.last()?.time.0.saturating_add(1)),
            watched: None,
            watch_outcome: WatchOutcome::Undecided,
            words: line_size.bytes() / 8,
        };
        let mut index = FxHashMap::default();
        let wanted = touches.chunk_by(|a, b| a.position == b.position);
        for sample in wanted.filter(|sample| sample[0].is_wanted) {
            line.samples += 1;
            line.writes += u64::from(sample.iter().any(|touch| touch.direction.writes()));
        }
        for (touch, waited) in touches.iter().zip(blames) {
            let weight = touch.weight as f64;
            line.waited += waited;
            line.waited_weight += waited * weight;
            let offset = line_size.offset_of(touch.data.0);
            let code = CodeKey::of(identity, touch.code_mapping, touch.pid, touch.code);
            let key = (offset, touch.size, touch.direction, code);
            let at = *index.entry(key).or_insert_with(|| {
                line.sites.push(TimedSite::new(touch, offset));
                line.sites.len() - 1
            });
            let is_contended = line.meetings.is_contended_at(touch.time);
            line.sites[at].add(touch, *waited, is_contended, keep_samples);
        }
        line.sites.sort_by(|a, b| {
            let busiest = b.waited.total_cmp(&a.waited).then(b.samples.cmp(&a.samples));
            a.offset.cmp(&b.offset).then(busiest).then(a.code.cmp(&b.code))
        });
        Some(line)
    }

    /// What is known of contention here, if anything is.
    pub fn evidence(&self) -> Option<Evidence> {
        let sampled = self.sampled_evidence()?;
        // Those that take turns most of the time do so whatever happens in between.
        let is_proven_by_order = sampled != Evidence::Presence(Lack::Simultaneity);
        Some(match self.watch_outcome {
            WatchOutcome::Confirmed if sampled.is_suspicion() && is_proven_by_order => {
                Evidence::Watched
            }
            WatchOutcome::Refuted if sampled.is_suspicion() => Evidence::Refuted,
            _ => sampled,
        })
    }

    /// Takes what debug registers have seen of it.
    pub fn take_watched(&mut self, watched: WatchedLine) {
        self.watch_outcome = watched.outcome(&self.suspicion());
        self.watched = Some(watched);
    }

    /// What debug registers have seen of it.
    pub fn watched(&self) -> Option<&WatchedLine> {
        self.watched.as_ref()
    }

    /// What debug registers have shown of it.
    pub fn watch_outcome(&self) -> WatchOutcome {
        self.watch_outcome
    }

    /// What makes it suspect. Where threads take turns most of the time, and a few windows look
    /// otherwise, all of them are meant: such windows come by chance.
    fn suspicion(&self) -> Suspicion {
        let mostly_in_turns = self.is_mostly_in_turns();
        let in_turns = self.meetings.in_turns.iter().filter(|_| mostly_in_turns);
        let range = |window: &Window| {
            let start = |number: u64| Time(number.saturating_mul(WINDOW_NS));
            start(window.number)..start(window.number.saturating_add(1))
        };
        let contended = &self.meetings.contended;
        let mut threads: BTreeMap<(Pid, Tid), (u64, bool)> = BTreeMap::new();
        let mut words = 0;
        for site in &self.sites {
            let first = u32::from(site.offset.0);
            let last = first.saturating_add(site.size.saturating_sub(1));
            (first / 8..=last / 8).for_each(|word| words |= 1 << word.min(63));
            for (thread, samples) in &site.threads {
                let (of_thread, writes) = threads.entry(*thread).or_default();
                *of_thread += samples;
                *writes |= site.direction.writes();
            }
        }
        let threads = threads.into_iter();
        Suspicion {
            times: contended.iter().chain(in_turns).map(range).collect(),
            at_once: contended.iter().map(|window| (range(window), window.samples)).collect(),
            least_samples: MIN_SAMPLES,
            threads: threads.map(|(thread, (samples, is))| (thread, samples, is)).collect(),
            words,
            line_words: self.words,
        }
    }

    /// When it was contended, or, where it never was, when it was touched: windows that follow each
    /// other in one piece, and no time before its first touch or after its last.
    pub fn contended_times(&self) -> Vec<Range<Time>> {
        let start = |number: u64| Time(number.saturating_mul(WINDOW_NS));
        let windows = &self.meetings.contended;
        let pieces = windows.chunk_by(|a, b| a.number.saturating_add(1) == b.number);
        let times: Vec<Range<Time>> = pieces
            .filter_map(|piece| Some((piece.first()?.number, piece.last()?.number)))
            .map(|(first, last)| {
                let (from, to) = (start(first), start(last.saturating_add(1)));
                from.max(self.touched.start)..to.min(self.touched.end)
            })
            .collect();
        if times.is_empty() { vec![self.touched.clone()] } else { times }
    }

    fn is_mostly_in_turns(&self) -> bool {
        let samples = self.meetings.contended_samples();
        samples_in(&self.meetings.in_turns) > samples.saturating_mul(MOSTLY)
    }

    /// What samples alone tell of contention here.
    fn sampled_evidence(&self) -> Option<Evidence> {
        let samples = self.meetings.contended_samples();
        if samples < MIN_SAMPLES {
            let others = [
                (&self.meetings.on_one_core, Evidence::OneCore),
                (&self.meetings.in_turns, Evidence::Turns),
                (&self.meetings.on_one_cpu, Evidence::OneCpu),
            ];
            let enough = others.into_iter().find(|other| samples_in(other.0) >= MIN_SAMPLES);
            return enough.map(|other| other.1);
        }
        if self.rests_on_paths {
            return Some(Evidence::Path);
        }
        let writes = self.contended_writes();
        let has_writes = writes >= MIN_WRITES && writes as f64 >= samples as f64 * MIN_WRITE_SHARE;
        let has_loads = self.sites.iter().any(|site| site.direction.reads());
        if self.is_mostly_in_turns() {
            return Some(Evidence::Presence(Lack::Simultaneity));
        }
        Some(match (has_writes, self.waited >= MIN_WAITED) {
            (true, true) => Evidence::Waiting,
            (true, false) if !has_loads => Evidence::Presence(Lack::Loads),
            (true, false) => Evidence::Presence(Lack::Waiting),
            (false, _) => Evidence::Presence(Lack::Writes),
        })
    }

    /// Samples that write it while it was contended.
    pub fn contended_writes(&self) -> u64 {
        self.meetings.contended.iter().map(|window| window.writes).sum()
    }

    /// Whether a touch's sample may have waited for this line while it was contended.
    pub fn may_have_waited(&self, touch: &Touch) -> bool {
        touch.is_wanted && touch.role <= Role::Present && self.meetings.is_contended_at(touch.time)
    }

    /// Takes the time of all samples that may have waited from the line's touches, those that may not
    /// have been made included.
    pub fn take_time_near(&mut self, touches: &[Touch]) {
        let samples = touches.chunk_by(|a, b| a.position == b.position);
        let near = samples.filter(|sample| sample.iter().any(|touch| self.may_have_waited(touch)));
        let weight: u128 = near.map(|sample| u128::from(sample[0].weight)).sum();
        self.near_weight = weight as f64;
    }

    /// The most time that its contention can have cost.
    pub fn weight_high(&self) -> f64 {
        self.near_weight.max(self.waited_weight)
    }

    /// What `key` sorts by, largest first.
    pub fn rank(&self, key: SortKey) -> impl Ord + use<> {
        let most = std::cmp::Reverse;
        // Weights are below 2^63 ns, and no one ranks by fractions of a nanosecond.
        let cost = (self.waited_weight as u64, self.weight_high() as u64);
        let class = match self.evidence() {
            Some(Evidence::Waiting | Evidence::Watched) => 0,
            Some(Evidence::Presence(_) | Evidence::Path) => 1,
            Some(Evidence::Turns | Evidence::OneCore | Evidence::OneCpu) => 2,
            Some(Evidence::Refuted) | None => 3,
        };
        let address = (self.address, self.pid);
        match key {
            SortKey::Cost => (class, most((cost.0, cost.1, self.samples)), address),
            SortKey::Hitm => (0, most((cost.0, cost.1, self.samples)), address),
            SortKey::Samples => (0, most((self.samples, cost.0, 0)), address),
            SortKey::Stores => (0, most((self.writes, cost.0, self.samples)), address),
            SortKey::Address => (0, most((0, 0, 0)), address),
        }
    }

    /// How threads shared it while it was contended, given which sites are a lock's own.
    pub fn sharing(&self, mut is_of_lock: impl FnMut(&TimedSite) -> bool) -> Option<Sharing> {
        let uses: Vec<ByteUse> = self
            .sites
            .iter()
            .filter(|site| !site.while_contended.is_empty())
            .map(|site| ByteUse {
                offset: u32::from(site.offset.0),
                size: site.size,
                direction: site.direction,
                is_of_lock: is_of_lock(site),
                threads: site.while_contended.clone(),
            })
            .collect();
        Sharing::of(&uses)
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
    /// Where its code is.
    pub fn sampled_code(&self) -> SampledCode {
        let pid = self.threads.keys().next().map_or(Pid(u32::MAX), |(pid, _)| *pid);
        SampledCode { mapping: self.mapping, pid, code: self.code, time: self.last_time }
    }

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
            while_contended: BTreeMap::new(),
            cpus: BTreeSet::new(),
            last_time: touch.time,
            positions: Vec::new(),
        }
    }

    fn add(&mut self, touch: &Touch, waited: f64, is_contended: bool, keep_samples: bool) {
        let thread = (touch.pid, touch.tid);
        self.samples += 1;
        self.waited += waited;
        *self.threads.entry(thread).or_default() += 1;
        if is_contended {
            *self.while_contended.entry(thread).or_default() += 1;
        }
        self.cpus.extend(touch.cpu);
        self.last_time = touch.time;
        if keep_samples {
            self.positions.push(touch.position);
        }
    }
}
