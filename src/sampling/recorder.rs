//! From a target to a recording: open, tell what runs already, enable, drain, finish.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::calibration::calibrate;
use super::error::SamplingError;
use super::fact::{Fact, taken_since_start, write_facts};
use super::heap::{HeapPlan, HeapSummary, HeapTracer};
use super::machine_features::describe_machine;
use super::observer::{News, Observer};
use super::open::{OpenOptions, Opened, open};
use super::output::Output;
use super::program_filter::ProgramFilter;
use super::sampler::SamplerPlan;
use super::synthesis;
use super::target::{Found, Target, cgroup_path};
use super::watch::{Alongside, WatchPlan, WatchSummary};
use crate::kernel::{Command, PidFile, poll};
use crate::perf_data::{
    AttrFlags, AuxTrace, ByteOrder, EventAttr, EventSpec, Features, ImageBuildId, SampleFormat,
    SampleType, WriterOptions,
};
use crate::system::{Machine, TakenTimeReader, process_ids, status};

/// What to record, and how.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// What is sampled.
    pub target: Target,
    /// Where the recording goes; `None` for standard output, as a pipe.
    pub output: Option<PathBuf>,
    /// How long at most.
    pub duration: Option<Duration>,
    /// How long to wait before sampling begins.
    pub delay: Option<Duration>,
    /// Pages of each CPU's ring, a power of two; the kernel's default when `None`.
    pub ring_pages: Option<usize>,
    /// Ends the recording at about this size, bytes.
    pub max_size: Option<u64>,
    /// zstd level, or none.
    pub compression_level: Option<i32>,
    /// Programs whose samples stay, as patterns; all when empty.
    pub only_programs: Vec<String>,
    /// Names of threads whose samples stay, as patterns; all when empty.
    pub only_names: Vec<String>,
    /// The recorder's command line, for the recording.
    pub command_line: Vec<String>,
    /// The build-id of the running kernel.
    pub kernel_build_id: Option<Vec<u8>>,
    /// Whether suspects are watched meanwhile.
    pub watch: Option<WatchPlan>,
    /// Whether allocations are traced meanwhile.
    pub heap: Option<HeapPlan>,
}

/// What became of a recording.
#[derive(Debug)]
pub struct Recorded {
    /// Samples that were written.
    pub samples: u64,
    /// Samples of programs that were not wanted.
    pub dropped: u64,
    /// Records that found no room in a ring.
    pub lost: u64,
    /// How often the kernel throttled an event.
    pub throttled: u64,
    /// Bytes of the recording.
    pub size: u64,
    /// Why it ended.
    pub end: End,
    /// Whether the kernel was left out though it was wanted.
    pub is_without_kernel: bool,
    /// The command, if one was recorded and still runs.
    pub command: Option<Child>,
    /// How the command ended.
    pub status: Option<ExitStatus>,
    /// Sentences for the user: what was not sampled, and why.
    pub notes: Vec<String>,
    /// What watching suspects came to, if they were watched.
    pub watched: Option<WatchSummary>,
    /// What tracing allocations came to, if they were traced.
    pub heap: Option<HeapSummary>,
}

/// Why a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The target has ended.
    TargetEnded,
    /// The wanted time is over.
    Duration,
    /// The wanted size is reached.
    Size,
    /// The user has asked for it.
    Asked,
}

/// So long a wait lasts at most: rings are drained, facts collected and periods changed at least so
/// often.
const TICK: Duration = Duration::from_millis(200);
/// So often what was written is handed to the system, so that it is there if the recorder is killed.
const FLUSH: Duration = Duration::from_millis(500);

/// An opened sampler that is ready to record.
#[derive(Debug)]
pub struct Recorder<'m> {
    machine: &'m Machine,
    options: RecordOptions,
    opened: Opened,
    found: Found,
    command: Option<Command>,
    taken: TakenTimeReader,
    wants_kernel: bool,
    watcher: Option<Alongside>,
    heap: Option<HeapTracer>,
}

impl<'m> Recorder<'m> {
    /// Opens a plan on a target; a command then stands before its first instruction.
    ///
    /// # Errors
    ///
    /// [`SamplingError`]: what stands in the way, and what to do.
    pub fn open(
        machine: &'m Machine,
        plan: &SamplerPlan,
        options: RecordOptions,
    ) -> Result<Self, SamplingError> {
        let root = Path::new("/");
        let command = match &options.target {
            Target::Command(program) => Some(prepare(program)?),
            _ => None,
        };
        let found = options.target.find(root, command.as_ref(), &machine.online_cpus)?;
        let taken = taken_from(root, &options.target, &found);
        let open_options = OpenOptions {
            pages: options.ring_pages,
            enable_on_exec: command.is_some() && options.delay.is_none(),
        };
        let opened = open(plan, &found, machine, &open_options)?;
        let heap = match &options.heap {
            Some(heap) => Some(HeapTracer::new(heap, &options.target, &found, machine)?),
            None => None,
        };
        let wants_kernel = plan.events.iter().any(|event| !excludes_kernel(&event.attr));
        let watcher = None;
        Ok(Self { machine, opened, found, command, taken, options, wants_kernel, watcher, heap })
    }

    /// Records until the target ends, the time is over or `stop` becomes readable.
    ///
    /// # Errors
    ///
    /// [`SamplingError`]: the command cannot be run, or the recording not written.
    pub fn record(mut self, stop: BorrowedFd<'_>) -> Result<Recorded, SamplingError> {
        let mut features = features(self.machine, &self.options);
        let has_physical = |attr: &EventAttr| attr.sample_type.contains(SampleType::PHYS_ADDR);
        if !self.attrs().any(|attr| has_physical(&attr)) {
            features.memory_topology = None;
        }
        if let (Some(heap), Some(command), None) =
            (&mut self.heap, &self.command, self.options.delay)
        {
            heap.begin_on_exec(command.pid())?;
        }
        let mut specs = self.specs();
        specs.extend(self.heap.iter_mut().flat_map(HeapTracer::new_events));
        let writer_options = WriterOptions {
            order: ByteOrder::NATIVE,
            compression_level: self.options.compression_level,
        };
        let path = self.options.output.as_deref();
        let mut output = Output::create(path, specs, &features, writer_options)?;
        let formats = self.formats();
        let filter = ProgramFilter::new(&self.options.only_programs, &self.options.only_names);
        let mut observer = Observer::new(&self.opened.plan.events[0].attr, formats, filter);

        observer.news = self.heap.is_some().then(News::default);
        let event_id = self.opened.events.first().map_or(0, |event| event.id);
        output.write(|writer| synthesis::kernel(Path::new("/"), writer, event_id))?;
        if self.options.watch.is_some() {
            output.keep_copy();
        }
        let mut child = None;
        let started = Instant::now();
        let mut enabled = started;
        match self.options.delay {
            None => {
                // A command has nothing yet that it will keep: the kernel tells of all that is to come.
                if let Some(command) = self.command.take() {
                    output.flush()?;
                    child = Some(self.start(command)?);
                } else {
                    self.synthesise(&mut output, &mut observer, 0)?;
                    output.flush()?;
                    self.opened.enable()?;
                    self.begin_heap()?;
                }
            }
            Some(delay) => {
                if let Some(command) = self.command.take() {
                    child = Some(self.start(command)?);
                }
                wait(stop, delay)?;
                self.opened.enable()?;
                self.begin_heap()?;
                enabled = Instant::now();
                self.synthesise(&mut output, &mut observer, 0)?;
            }
        }
        self.watcher = self.watcher()?;
        let recorded = self
            .drain_until_end(&mut output, &mut observer, (&features, stop), enabled)
            .and_then(|end| self.opened.disable().map(|()| end))
            .inspect(|_| self.heap.iter_mut().for_each(HeapTracer::stop))
            .and_then(|end| self.drain(&mut output, &mut observer).map(|()| end))
            .and_then(|end| Ok((end, self.end_watching(&mut output, &observer)?)));
        let recorded = recorded.and_then(|it| Ok((it, self.end_heap(&mut output)?)));
        let ((end, watched), heap) = match recorded {
            Ok(recorded) => recorded,
            Err(error) => {
                // What was sampled cannot be written, but the command is not at fault: let it finish.
                drop(self.opened);
                if let Some(mut child) = child {
                    let _ = child.wait();
                }
                return Err(error);
            }
        };
        self.write(&mut output, &observer.code_of_gone_files())?;
        let speed = Fact::Calibration(calibrate());
        self.write(&mut output, &[taken_since_start(&self.taken), speed])?;
        let lost = self.write_lost(&mut output)?;
        features.sample_time = observer.times;
        let size = output.finish(&features)?;
        let status = match (&mut child, end) {
            (Some(child), End::TargetEnded) => child.wait().ok(),
            _ => None,
        };
        Ok(Recorded {
            samples: observer.samples,
            dropped: observer.dropped,
            lost: lost.max(observer.lost),
            throttled: observer.throttled,
            size,
            end,
            is_without_kernel: self.wants_kernel && self.attrs().all(|attr| excludes_kernel(&attr)),
            command: child.filter(|_| status.is_none()),
            status,
            notes: Vec::new(),
            watched,
            heap,
        })
    }

    fn start(&self, command: Command) -> Result<Child, SamplingError> {
        let Target::Command(program) = &self.options.target else {
            return Err(SamplingError::System {
                what: "a command without a program",
                cause: io::ErrorKind::InvalidInput.into(),
            });
        };
        command.start().map_err(|cause| command_error(program, cause))
    }

    fn attrs(&self) -> impl Iterator<Item = EventAttr> {
        self.opened.plan.events.iter().map(|event| event.attr)
    }

    fn specs(&self) -> Vec<EventSpec> {
        let events = self.opened.plan.events.iter().enumerate();
        events
            .map(|(index, event)| EventSpec {
                attr: event.attr,
                name: event.name.clone(),
                ids: self.opened.ids(index),
            })
            .collect()
    }

    fn formats(&self) -> FxHashMap<u64, SampleFormat> {
        let events = &self.opened.plan.events;
        if events.len() == 1 {
            return FxHashMap::from_iter([(0, SampleFormat::from(&events[0].attr))]);
        }
        let opened = self.opened.events.iter();
        opened.map(|it| (it.id, SampleFormat::from(&events[it.planned].attr))).collect()
    }

    /// Writes what runs already.
    fn synthesise(
        &self,
        output: &mut Output,
        observer: &mut Observer,
        time: u64,
    ) -> Result<(), SamplingError> {
        let root = Path::new("/");
        let event_id = self.opened.events.first().map_or(0, |event| event.id);
        let pids = match &self.found {
            Found::Threads { processes, .. } => with_children(root, processes),
            _ => process_ids(root).unwrap_or_default(),
        };
        let mut build_ids = synthesis::BuildIds::default();
        for pid in pids {
            let mut written = synthesis::Written::default();
            output.write(|writer| {
                written = synthesis::process(root, pid, time, writer, event_id, &mut build_ids)?;
                Ok(())
            })?;
            observer.add_process(pid, &written);
        }
        self.write_facts(output, observer)
    }

    fn drain_until_end(
        &mut self,
        output: &mut Output,
        observer: &mut Observer,
        (features, stop): (&Features, BorrowedFd<'_>),
        enabled: Instant,
    ) -> Result<End, SamplingError> {
        let ends: Vec<PidFile> = match &self.found {
            Found::Threads { processes, with_children: true, .. } => {
                processes.iter().filter_map(|pid| PidFile::open(*pid).ok()).collect()
            }
            _ => Vec::new(),
        };
        let mut has_ended = vec![false; ends.len()];
        let mut is_over = vec![false; self.opened.rings.len()];
        let (mut flushed, mut ticked) = (Instant::now(), Instant::now());
        loop {
            let left = self.options.duration.map(|time| time.saturating_sub(enabled.elapsed()));
            let time = left.map_or(TICK, |left| left.min(TICK));
            let time = self.watcher.as_ref().map_or(time, |watcher| time.min(watcher.patience()));
            let time = self.heap.as_ref().map_or(time, |heap| time.min(heap.patience()));
            let rings: Vec<usize> =
                (0..self.opened.rings.len()).filter(|index| !is_over[*index]).collect();
            let running: Vec<usize> = (0..ends.len()).filter(|index| !has_ended[*index]).collect();
            let mut polled = vec![stop];
            polled.extend(running.iter().map(|index| ends[*index].as_fd()));
            polled.extend(rings.iter().map(|index| {
                let owner = self.opened.rings[*index].owner;
                self.opened.events[owner].event.as_fd()
            }));
            polled.extend(self.heap.iter().flat_map(HeapTracer::descriptors));
            let ready = poll(&polled, time)
                .map_err(|cause| SamplingError::System { what: "waiting failed", cause })?;
            drop(polled);
            let (asked, ready) = ready.split_first().map_or((false, &ready[..]), |(stop, rest)| {
                (stop.is_readable || stop.is_over, rest)
            });
            let (of_ends, of_rings) = ready.split_at(running.len().min(ready.len()));
            for (index, ready) in running.iter().zip(of_ends) {
                has_ended[*index] |= ready.is_readable || ready.is_over;
            }
            for (index, ready) in rings.iter().zip(of_rings) {
                is_over[*index] |= ready.is_over;
            }
            self.drain(output, observer)?;
            self.watch(output, observer, features)?;
            self.trace_heap(output, observer)?;
            // A turn of watching or tracing is too short for these.
            if !(self.is_watching() || self.heap.is_some()) || ticked.elapsed() >= TICK {
                self.write_facts(output, observer)?;
                self.opened.change_periods();
                ticked = Instant::now();
            }
            if flushed.elapsed() >= FLUSH {
                output.flush()?;
                flushed = Instant::now();
            }
            if asked {
                return Ok(End::Asked);
            }
            if self.target_has_ended(&has_ended) {
                return Ok(End::TargetEnded);
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(End::Duration);
            }
            if self.options.max_size.is_some_and(|most| output.size() >= most) {
                return Ok(End::Size);
            }
        }
    }

    fn watcher(&self) -> Result<Option<Alongside>, SamplingError> {
        let Some(plan) = &self.options.watch else {
            return Ok(None);
        };
        let event_id = self.opened.events.first().map_or(0, |event| event.id);
        let processes = match &self.found {
            Found::Threads { processes, .. } => with_children(Path::new("/"), processes),
            _ => process_ids(Path::new("/")).unwrap_or_default(),
        };
        let has_command = matches!(self.options.target, Target::Command(_));
        let like = self.opened.plan.events[0].attr;
        Alongside::new(plan, like, event_id, &processes, has_command)
            .map(Some)
            .map_err(|cause| SamplingError::System { what: "a thread cannot be started", cause })
    }

    fn is_watching(&self) -> bool {
        self.watcher.as_ref().is_some_and(Alongside::is_watching)
    }

    /// Goes on with watching suspects.
    fn watch(
        &mut self,
        output: &mut Output,
        observer: &Observer,
        features: &Features,
    ) -> Result<(), SamplingError> {
        let Some(watcher) = &mut self.watcher else {
            return Ok(());
        };
        if watcher.wants_recording() {
            watcher.look_at(output.recent_copy(features)?);
        }
        output.write(|writer| watcher.step(writer, observer.latest()))
    }

    fn end_watching(
        &mut self,
        output: &mut Output,
        observer: &Observer,
    ) -> Result<Option<WatchSummary>, SamplingError> {
        let Some(watcher) = self.watcher.take() else {
            return Ok(None);
        };
        let mut summary = None;
        output.write(|writer| {
            summary = Some(watcher.finish(writer, observer.latest())?);
            Ok(())
        })?;
        Ok(summary)
    }

    fn begin_heap(&mut self) -> Result<(), SamplingError> {
        match &mut self.heap {
            Some(heap) => Ok(heap.begin_now()?),
            None => Ok(()),
        }
    }

    /// Goes on with tracing allocations.
    fn trace_heap(
        &mut self,
        output: &mut Output,
        observer: &mut Observer,
    ) -> Result<(), SamplingError> {
        let Some(heap) = &mut self.heap else {
            return Ok(());
        };
        let news = observer.news.as_mut().map(std::mem::take).unwrap_or_default();
        news.processes.into_iter().for_each(|pid| heap.add_process(pid));
        news.images.iter().for_each(|image| heap.add_mapping(image));
        let turn = heap.step(observer.latest());
        let events = heap.new_events();
        output.write(|writer| events.into_iter().try_for_each(|event| writer.add_event(event)))?;
        self.write(output, &turn.map(Fact::Heap).into_iter().collect::<Vec<_>>())
    }

    fn end_heap(&mut self, output: &mut Output) -> Result<Option<HeapSummary>, SamplingError> {
        let Some(heap) = self.heap.take() else {
            return Ok(None);
        };
        let (summary, turn) = heap.finish();
        self.write(output, &turn.map(Fact::Heap).into_iter().collect::<Vec<_>>())?;
        Ok(Some(summary))
    }

    fn target_has_ended(&self, has_ended: &[bool]) -> bool {
        match &self.found {
            Found::Threads { with_children: true, .. } if !has_ended.is_empty() => {
                has_ended.iter().all(|ended| *ended)
            }
            Found::Threads { threads, .. } => {
                !threads.iter().any(|tid| Path::new(&format!("/proc/{tid}")).exists())
            }
            _ => false,
        }
    }

    /// Takes what is new out of every ring.
    fn drain(&mut self, output: &mut Output, observer: &mut Observer) -> Result<(), SamplingError> {
        let mut has_written = false;
        for (index, ring) in self.opened.rings.iter_mut().enumerate() {
            let read = ring.buffer.read(|one, two| {
                output.write(|writer| {
                    observer.observe(one, two, |bytes| writer.encoded_records(bytes))
                })
            })?;
            has_written |= read > 0;
            if let Some(aux) = &mut ring.aux {
                aux.read(&ring.buffer, |offset, one, two| {
                    let header = AuxTrace {
                        size: (one.len() + two.len()) as u64,
                        offset,
                        reference: 0,
                        index: index as u32,
                        tid: u32::MAX,
                        cpu: ring.cpu,
                        reserved: 0,
                    };
                    output.write(|writer| writer.aux_trace(&header, one, two))
                })?;
            }
        }
        if let Some(heap) = &mut self.heap {
            // The recording knows the events of what follows.
            let events = heap.new_events();
            output.write(|writer| {
                events.into_iter().try_for_each(|event| writer.add_event(event))?;
                has_written |= heap.drain(|bytes| writer.later_records(bytes))?;
                Ok(())
            })?;
        }
        if has_written {
            output.write(|writer| writer.finished_round())?;
        }
        Ok(())
    }

    fn write_facts(
        &self,
        output: &mut Output,
        observer: &mut Observer,
    ) -> Result<(), SamplingError> {
        self.write(output, &observer.facts())
    }

    fn write(&self, output: &mut Output, facts: &[Fact]) -> Result<(), SamplingError> {
        let id = self.opened.events.first().map_or(0, |event| event.id);
        write_facts(output, facts, id)
    }

    /// Writes how many samples each event has lost.
    fn write_lost(&self, output: &mut Output) -> Result<u64, SamplingError> {
        let mut all = 0;
        for event in &self.opened.events {
            let lost = event.event.count().ok().and_then(|count| count.lost).unwrap_or(0);
            if lost > 0 {
                all += lost;
                let id = synthesis::sample_id(0, 0, 0, event.id);
                output.write(|writer| writer.lost_samples(lost, &id))?;
            }
        }
        Ok(all)
    }
}

/// What is taken from the CPUs that a target runs on.
fn taken_from(root: &Path, target: &Target, found: &Found) -> TakenTimeReader {
    match (target, found) {
        (Target::Cgroup(name), _) => TakenTimeReader::of_cgroup(root, &cgroup_path(root, name)),
        (_, Found::Threads { processes, .. }) => match processes.first() {
            Some(pid) => TakenTimeReader::of_process(root, *pid),
            None => TakenTimeReader::of_machine(root),
        },
        _ => TakenTimeReader::of_machine(root),
    }
}

/// What a recording says of its machine and of how it was made.
pub(super) fn features(machine: &Machine, options: &RecordOptions) -> Features {
    let mut features = Features {
        version: Some(format!("hitm {}", env!("CARGO_PKG_VERSION"))),
        command_line: options.command_line.clone(),
        ..Features::default()
    };
    describe_machine(Path::new("/"), machine, &mut features);
    if let Some(build_id) = options.kernel_build_id.clone() {
        features.build_ids.push(ImageBuildId {
            misc: 1,
            pid: -1,
            build_id,
            name: "[kernel.kallsyms]".to_owned(),
        });
    }
    features
}

/// Processes, their children, theirs and so on.
pub(super) fn with_children(root: &Path, processes: &[u32]) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = process_ids(root)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|pid| Some((pid, status(root, pid).ok()?.parent)))
        .collect();
    let mut family = processes.to_vec();
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        let children = parents.iter().filter(|(pid, of)| *of == parent && !family.contains(pid));
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        family.extend(children);
        next += 1;
    }
    family
}

fn excludes_kernel(attr: &EventAttr) -> bool {
    attr.flags.contains(AttrFlags::EXCLUDE_KERNEL)
}

/// Makes the process of a command, which waits.
pub(super) fn prepare(program: &[std::ffi::OsString]) -> Result<Command, SamplingError> {
    Command::prepare(program).map_err(|cause| command_error(program, cause))
}

pub(super) fn command_error(program: &[std::ffi::OsString], cause: io::Error) -> SamplingError {
    let name = program.first().map(|name| name.to_string_lossy().into_owned());
    SamplingError::Command { command: name.unwrap_or_default(), cause }
}

/// Waits, unless the user asks to stop.
fn wait(stop: BorrowedFd<'_>, time: Duration) -> Result<(), SamplingError> {
    poll(&[stop], time)
        .map(|_| ())
        .map_err(|cause| SamplingError::System { what: "waiting failed", cause })
}
