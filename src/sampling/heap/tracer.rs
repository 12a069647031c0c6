//! Tracing the allocations of a target while it is recorded.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustc_hash::FxHashSet;

use super::budget::{Budget, TargetTime};
use super::cost;
use super::error::HeapError;
use super::functions::{ProbedFunction, functions_of};
use super::images::{MappedImage, images_of_command, images_of_process};
use super::probes::Probes;
use super::rings::{Drained, Rings};
use crate::kernel::{MappedFile, PerfEvent, Placement, set_open_file_limit};
use crate::perf_data::{
    ATTR_SIZE_DEFAULT, AttrFlags, ByteOrder, Encoder, EventAttr, EventSpec, HeapTurn, ReadFormat,
    SampleType,
};
use crate::process::heap::{AllocationFunction, Shape};
use crate::sampling::target::{Found, Target};
use crate::system::{Machine, thread_ids};

/// How to trace allocations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeapPlan {
    /// Share of the target's CPU time that it may take: 0.1 is one tenth.
    pub share: f64,
}

/// What tracing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeapSummary {
    /// Functions that were traced.
    pub functions: u64,
    /// Entries and returns that were traced.
    pub samples: u64,
    /// Those that found no room.
    pub lost: u64,
    /// What they cost the target, ns.
    pub cost: u64,
    /// How often tracing stopped to keep its budget.
    pub pauses: u64,
    /// Whether it could not go on after a pause, for want of open files.
    pub has_given_up: bool,
}

/// So long the recorder may wait while calls are traced, and while they are not.
const PATIENCE: Duration = Duration::from_millis(10);
const PAUSED_PATIENCE: Duration = Duration::from_millis(40);
/// Bytes of the stack that tell callers.
const CALLERS: u32 = 512;
/// Bytes of the stack in which an address may be left.
const STORED: u32 = 1024;
/// `PERF_REG_X86_*`: bx, cx, dx, si, di, bp, sp, ip and r12 to r15.
const ENTRY: u64 = 0x00f0_01fe;
/// ax, di, sp and ip.
const WORDS: u64 = 0x01a1;
/// Files that a recorder has open besides.
const OTHER_FILES: u64 = 256;

/// A probe of a function's entry or return.
#[derive(Debug)]
struct Probe {
    name: String,
    /// As the recording has it.
    attr: EventAttr,
    /// As it is opened.
    opened: EventAttr,
}

/// The tracer of one recording.
#[derive(Debug)]
pub(in crate::sampling) struct HeapTracer {
    /// These go before the probes do: then they need not wait for each other.
    open: Vec<PerfEvent>,
    probes: Probes,
    rings: Rings,
    planned: Vec<Probe>,
    known_images: FxHashSet<(u64, u64)>,
    new_events: Vec<EventSpec>,
    budget: Budget,
    time: TargetTime,
    /// Single threads, where not all of their processes are meant.
    only_threads: Vec<u32>,
    turn: Option<HeapTurn>,
    latest: u64,
    summary: HeapSummary,
}

impl HeapTracer {
    /// Defines the probes of a target; nothing is traced yet.
    pub(in crate::sampling) fn new(
        plan: &HeapPlan,
        target: &Target,
        found: &Found,
        machine: &Machine,
    ) -> Result<Self, HeapError> {
        if machine.arch != "x86_64" {
            return Err(HeapError::Architecture(machine.arch.clone()));
        }
        let (processes, only_threads) = match found {
            Found::Threads { processes, with_children: true, .. } => (processes, Vec::new()),
            Found::Threads { processes, threads, .. } => (processes, threads.clone()),
            Found::Cpus(_) => return Err(HeapError::Target("-a and -C")),
            Found::Cgroup(_) => return Err(HeapError::Target("-G")),
        };
        let cause = |what| move |cause| HeapError::Probes { what, cause };
        let rings = Rings::open(&machine.online_cpus).map_err(cause("the rings do not open"))?;
        let is_command = matches!(target, Target::Command(_));
        let mut tracer = Self {
            probes: Probes::new()?,
            rings,
            planned: Vec::new(),
            known_images: FxHashSet::default(),
            open: Vec::new(),
            new_events: Vec::new(),
            budget: Budget::new(plan.share, cost::ASSUMED),
            time: TargetTime::new(processes, is_command),
            only_threads,
            turn: None,
            latest: 0,
            summary: HeapSummary::default(),
        };
        let files: Vec<File> = match target {
            Target::Command(program) => {
                let images = images_of_command(program);
                images.iter().filter_map(|path| File::open(path).ok()).collect()
            }
            _ => {
                let images = processes.iter().flat_map(|pid| images_of_process(*pid));
                images.filter_map(|image| image.open()).collect()
            }
        };
        // What one image does not take costs only that image.
        let errors: Vec<_> = files.iter().filter_map(|file| tracer.add_image(file).err()).collect();
        if tracer.planned.is_empty() {
            let refused = errors.into_iter().next().map(cause("a probe cannot be defined"));
            return Err(refused.unwrap_or(HeapError::NoFunction));
        }
        tracer.measure_cost();
        Ok(tracer)
    }

    /// Lets tracing begin when a command that stands at its barrier becomes its program.
    pub(in crate::sampling) fn begin_on_exec(&mut self, pid: u32) -> Result<(), HeapError> {
        self.begin(&[pid], AttrFlags::ENABLE_ON_EXEC, 0)
    }

    /// Begins to trace what runs already.
    pub(in crate::sampling) fn begin_now(&mut self) -> Result<(), HeapError> {
        let threads = self.threads();
        self.begin(&threads, AttrFlags(0), 0)?;
        self.enable();
        Ok(())
    }

    fn begin(&mut self, threads: &[u32], flags: AttrFlags, from: u64) -> Result<(), HeapError> {
        self.open_all(threads, 0, flags)?;
        self.turn = Some(HeapTurn { from, to: HeapTurn::UNENDED, samples: 0, lost: 0 });
        Ok(())
    }

    /// Events that were opened and that the recording does not know yet.
    pub(in crate::sampling) fn new_events(&mut self) -> Vec<EventSpec> {
        std::mem::take(&mut self.new_events)
    }

    /// How long the recorder may wait before the next [`step`](Self::step).
    pub(in crate::sampling) fn patience(&self) -> Duration {
        if self.turn.is_some() { PATIENCE } else { PAUSED_PATIENCE }
    }

    /// What becomes readable when a ring is half full.
    pub(in crate::sampling) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.rings.descriptors()
    }

    /// Takes the calls that were traced.
    pub(in crate::sampling) fn drain(
        &mut self,
        put: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<bool> {
        let Drained { samples, lost, latest } = self.rings.drain(put)?;
        self.summary.samples += samples;
        self.summary.lost += lost;
        self.latest = self.latest.max(latest);
        self.budget.spend(samples + lost);
        if let Some(turn) = &mut self.turn {
            turn.samples += samples;
            turn.lost += lost;
        }
        Ok(samples > 0)
    }

    /// A process has begun that belongs to the target.
    pub(in crate::sampling) fn add_process(&mut self, pid: u32) {
        self.time.add(pid);
    }

    /// The target has mapped a file.
    pub(in crate::sampling) fn add_mapping(&mut self, image: &MappedImage) {
        let Some(file) = image.open() else {
            return;
        };
        let before = self.planned.len();
        // One that cannot be probed is left out: its allocations have no site.
        let _ = self.add_image(&file);
        if self.planned.len() > before && self.turn.is_some() {
            let threads = self.threads();
            let opened = self.open.len();
            if self.open_all(&threads, before, AttrFlags(0)).is_ok() {
                self.open[opened..].iter().for_each(|event| drop(event.enable()));
            }
        }
    }

    /// Stops or goes on as the budget says; `latest` is the time of the last record of any event. The
    /// answer is what to write.
    pub(in crate::sampling) fn step(&mut self, latest: u64) -> Option<HeapTurn> {
        let latest = latest.max(self.latest);
        self.budget.update(self.time.used());
        match &mut self.turn {
            Some(turn) if self.budget.is_overdrawn() => {
                turn.to = latest;
                self.open.clear();
                self.summary.pauses += 1;
                self.turn.take()
            }
            None if self.budget.may_go_on() && !self.summary.has_given_up => {
                let threads = self.threads();
                if threads.is_empty() {
                    return None;
                }
                match self.begin(&threads, AttrFlags(0), latest) {
                    Ok(()) => {
                        self.enable();
                        self.turn
                    }
                    Err(_) => {
                        self.open.clear();
                        self.summary.has_given_up = true;
                        None
                    }
                }
            }
            _ => None,
        }
    }

    /// Stops; the rest is still to be drained.
    pub(in crate::sampling) fn stop(&mut self) {
        self.open.iter().for_each(|event| drop(event.disable()));
    }

    /// What it came to, and the last turn.
    pub(in crate::sampling) fn finish(mut self) -> (HeapSummary, Option<HeapTurn>) {
        self.summary.cost = self.budget.spent();
        (self.summary, self.turn)
    }

    fn enable(&self) {
        // Those whose thread has ended need none.
        self.open.iter().for_each(|event| drop(event.enable()));
    }

    fn threads(&mut self) -> Vec<u32> {
        if !self.only_threads.is_empty() {
            return self.only_threads.clone();
        }
        let root = Path::new("/");
        self.time
            .alive()
            .iter()
            .flat_map(|pid| thread_ids(root, *pid).unwrap_or_default())
            .collect()
    }

    /// Defines the probes of an image's functions, once.
    fn add_image(&mut self, file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        if !metadata.is_file() || !self.known_images.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        let data = MappedFile::from_file(file)?;
        for ProbedFunction { function, offset } in functions_of(&data) {
            self.add_probe(file, &function, offset, false)?;
            if function.shape != Shape::Free {
                self.add_probe(file, &function, offset, true)?;
            }
            self.summary.functions += 1;
        }
        Ok(())
    }

    fn add_probe(
        &mut self,
        file: &File,
        function: &AllocationFunction,
        offset: u64,
        is_return: bool,
    ) -> io::Result<()> {
        const TRACEPOINT: u32 = 2;
        let number = self.probes.define(file, offset, is_return)?;
        let attr = attr(function, offset, is_return);
        let opened = EventAttr { kind: TRACEPOINT, config: u64::from(number), config2: 0, ..attr };
        self.planned.push(Probe { name: function.event_name(is_return), attr, opened });
        Ok(())
    }

    /// Opens probes from number `first` on in threads, each on every CPU.
    fn open_all(
        &mut self,
        threads: &[u32],
        first: usize,
        flags: AttrFlags,
    ) -> Result<(), HeapError> {
        let planned = &self.planned[first..];
        let cpus = self.rings.owners().count();
        let needed = (self.open.len() + planned.len() * cpus * threads.len()) as u64 + OTHER_FILES;
        let limit = set_open_file_limit(needed).unwrap_or(0);
        if limit < needed {
            return Err(HeapError::OpenFiles { needed, limit, threads: threads.len() });
        }
        let inherit = if self.only_threads.is_empty() { AttrFlags::INHERIT } else { AttrFlags(0) };
        for probe in planned {
            let mut ids = Vec::new();
            let mut opened = probe.opened;
            opened.flags |= flags | inherit;
            let mut bytes = Encoder::new(ByteOrder::NATIVE);
            opened.encode(&mut bytes);
            for &thread in threads {
                for (cpu, owner) in self.rings.owners() {
                    let placement = Placement {
                        thread: Some(thread),
                        cpu: Some(cpu),
                        cgroup: None,
                        leader: None,
                    };
                    let failed = |cause| HeapError::Open { event: probe.name.clone(), cause };
                    let event = match PerfEvent::open(bytes.as_slice(), placement) {
                        Ok(event) => event,
                        // The thread has ended.
                        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => break,
                        Err(error) => return Err(failed(error)),
                    };
                    event.set_output(owner).map_err(failed)?;
                    ids.push(event.id().map_err(failed)?);
                    self.open.push(event);
                }
            }
            self.new_events.push(EventSpec { attr: probe.attr, name: probe.name.clone(), ids });
        }
        Ok(())
    }

    /// Measures what a call costs where the target uses our own C library; else it is assumed.
    fn measure_cost(&mut self) {
        let of = |name: &str| self.planned.iter().find(|it| it.name == name).map(|it| it.opened);
        let names = ["hitm_heap:malloc", "hitm_heap:malloc_return", "hitm_heap:free"];
        let attrs: Vec<EventAttr> = names.iter().filter_map(|name| of(name)).collect();
        if attrs.len() == names.len()
            && let Ok(cost) = cost::measure(&attrs, &mut self.rings)
        {
            self.budget = Budget::new(self.budget.share(), cost);
        }
    }
}

/// The event of a function's entry or return as the recording has it: as the PMU `uprobe` would.
fn attr(function: &AllocationFunction, offset: u64, is_return: bool) -> EventAttr {
    let stack = match (function.shape, is_return) {
        (Shape::Free, _) => 0,
        (_, false) => CALLERS,
        (Shape::AllocateInto { .. }, true) => STORED,
        (_, true) => 0,
    };
    let mut fields = SampleType::IP
        | SampleType::TID
        | SampleType::TIME
        | SampleType::CPU
        | SampleType::PERIOD
        | SampleType::IDENTIFIER
        | SampleType::REGS_USER;
    if stack > 0 {
        fields |= SampleType::STACK_USER;
    }
    // Callers are found from the registers that functions leave as they are; a result is one word.
    let registers = if is_return || function.shape == Shape::Free { WORDS } else { ENTRY };
    EventAttr {
        kind: uprobe_pmu(),
        size: ATTR_SIZE_DEFAULT as u32,
        config: u64::from(is_return),
        config2: offset,
        sample_period: 1,
        sample_type: fields,
        sample_regs_user: registers,
        sample_stack_user: stack,
        read_format: ReadFormat::ID,
        flags: AttrFlags::DISABLED | AttrFlags::SAMPLE_ID_ALL,
        ..EventAttr::default()
    }
}

/// The number of the PMU `uprobe` on this machine; that of tracepoints could not be read without their
/// descriptions.
fn uprobe_pmu() -> u32 {
    const USUAL: u32 = 8;
    let number = std::fs::read_to_string("/sys/bus/event_source/devices/uprobe/type");
    number.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL)
}
