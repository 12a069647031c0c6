//! Opening a plan's events on a target.

use std::io;
use std::os::fd::AsFd;

use super::clock::jittered_period;
use super::error::SamplingError;
use super::held_files::MAX_FILES;
use super::refusal::{Asked, explain};
use super::resources::{default_data_pages, lockable_bytes};
use super::sampler::{Concession, PlannedEvent, Role, SamplerKind, SamplerPlan};
use super::target::Found;
use crate::kernel::{AuxBuffer, PerfEvent, Placement, RingBuffer, page_size, set_open_file_limit};
use crate::perf_data::{AttrFlags, ByteOrder, Encoder, EventAttr};
use crate::system::Machine;

/// An open event.
#[derive(Debug)]
pub(super) struct OpenEvent {
    /// Index in the plan.
    pub(super) planned: usize,
    pub(super) event: PerfEvent,
    pub(super) id: u64,
    /// Whether it is enabled with its group's leader and not by itself.
    pub(super) is_member: bool,
}

/// The ring of one CPU.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) cpu: u32,
    pub(super) buffer: RingBuffer,
    /// Index of the event that owns it.
    pub(super) owner: usize,
    pub(super) aux: Option<AuxBuffer>,
}

/// Everything that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    /// The plan as it opened in the end.
    pub(super) plan: SamplerPlan,
    random: u64,
    pub(super) events: Vec<OpenEvent>,
    pub(super) rings: Vec<Ring>,
}

/// How to open.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenOptions {
    /// Pages of each ring, a power of two; as many as fit into the kernel's default when `None`.
    pub(super) pages: Option<usize>,
    /// Whether the events start when the command becomes its program.
    pub(super) enable_on_exec: bool,
}

const PERF_TYPE_SOFTWARE: u32 = 1;

/// Files that a recorder has open besides its events.
const OTHER_FILES: u64 = 64;

/// Opens a plan on a target: one event for each thread and CPU, since an event that threads inherit
/// must be of one CPU to have a ring; one ring for each CPU.
pub(super) fn open(
    plan: &SamplerPlan,
    found: &Found,
    machine: &Machine,
    options: &OpenOptions,
) -> Result<Opened, SamplingError> {
    let cpus = match found {
        Found::Cpus(cpus) => cpus.clone(),
        _ => machine.online_cpus.clone(),
    };
    let threads: Vec<Option<u32>> = match found {
        Found::Threads { threads, .. } => threads.iter().copied().map(Some).collect(),
        _ => vec![None],
    };
    check_open_files(plan, threads.len() as u64, cpus.len() as u64)?;
    let pages = options
        .pages
        .unwrap_or_else(|| default_data_pages(&machine.permissions, page_size() as u64) as usize);
    let mut opened = Opened {
        plan: for_target(plan, found, options),
        random: u64::from(std::process::id()) | 1 << 40,
        events: Vec::new(),
        rings: Vec::new(),
    };
    for &cpu in &cpus {
        // A hybrid CPU's PMUs are on some CPUs each.
        let here = |event: &PlannedEvent| event.cpus.as_ref().is_none_or(|it| it.contains(&cpu));
        let mut ring: Option<usize> = None;
        for &thread in &threads {
            let mut leader = None;
            for (planned, event) in plan.events.iter().enumerate().filter(|(_, it)| here(it)) {
                let group = leader.filter(|_| event.role == Role::GroupMember);
                let is_own = options.enable_on_exec;
                let placed = Placed { cpu, thread, found, is_own };
                let Some(index) =
                    opened.open_one(planned, &placed, group, threads.len(), machine)?
                else {
                    continue;
                };
                if event.role == Role::GroupLeader {
                    leader = Some(index);
                }
                match ring {
                    Some(owner) if event.aux_bytes.is_none() => opened.redirect(index, owner)?,
                    _ => {
                        opened.map(index, cpu, pages, event.aux_bytes, machine)?;
                        ring = ring.or(Some(index));
                    }
                }
            }
        }
    }
    Ok(opened)
}

/// Whether an event's period is a time.
fn is_clock(attr: &EventAttr) -> bool {
    attr.kind == PERF_TYPE_SOFTWARE
}

/// xorshift64* (Vigna 2016): nobody can foresee it who does not try to, which is all that is needed.
pub(super) fn next_random(mut state: u64) -> u64 {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1
}

/// Where one event goes.
struct Placed<'f> {
    cpu: u32,
    thread: Option<u32>,
    found: &'f Found,
    /// Whether the thread is of a command that this process starts.
    is_own: bool,
}

impl Opened {
    /// Opens one event; `None` when its thread has ended meanwhile, and others remain.
    fn open_one(
        &mut self,
        planned: usize,
        placed: &Placed<'_>,
        leader: Option<usize>,
        threads: usize,
        machine: &Machine,
    ) -> Result<Option<usize>, SamplingError> {
        let mut precise = self.plan.events[planned].precise_fallback.clone().into_iter();
        let mut concessions = Concession::ALL.into_iter();
        loop {
            let mut attr = self.plan.events[planned].attr;
            if is_clock(&attr) && self.plan.events[planned].role == Role::Samples {
                // Threads that inherit an event keep its period for good, so each event has its own.
                self.random = next_random(self.random);
                attr.sample_period = jittered_period(attr.sample_period, self.random);
            }
            let mut bytes = Encoder::new(ByteOrder::NATIVE);
            attr.encode(&mut bytes);
            let cgroup = match placed.found {
                Found::Cgroup(folder) => Some(folder.as_fd()),
                _ => None,
            };
            let placement = Placement {
                thread: placed.thread,
                cpu: Some(placed.cpu),
                cgroup,
                leader: leader.map(|index| self.events[index].event.as_fd()),
            };
            match PerfEvent::open(bytes.as_slice(), placement) {
                Ok(opened) => {
                    let id = opened.id().map_err(|cause| SamplingError::System {
                        what: "an event has no id",
                        cause,
                    })?;
                    let is_member = leader.is_some();
                    self.events.push(OpenEvent { planned, event: opened, id, is_member });
                    return Ok(Some(self.events.len() - 1));
                }
                Err(error) => {
                    let errno = error.raw_os_error().unwrap_or(0);
                    if errno == libc::ESRCH && threads > 1 {
                        return Ok(None);
                    }
                    if errno == libc::EINVAL && self.concede(planned, &mut concessions) {
                        continue;
                    }
                    let known = &mut self.plan.events[planned].attr;
                    if let Some(level) = precise.next() {
                        known.flags = known.flags.with_precise_ip(level);
                        continue;
                    }
                    if matches!(errno, libc::EACCES | libc::EPERM)
                        && !known.flags.contains(AttrFlags::EXCLUDE_KERNEL)
                        && known.kind == PERF_TYPE_SOFTWARE
                    {
                        known.flags |=
                            AttrFlags::EXCLUDE_KERNEL | AttrFlags::EXCLUDE_CALLCHAIN_KERNEL;
                        continue;
                    }
                    let event = &self.plan.events[planned];
                    return Err(open_error((self.plan.kind, event), placed, machine, &error));
                }
            }
        }
    }

    /// Does without something that an older kernel does not know.
    fn concede(
        &mut self,
        planned: usize,
        concessions: &mut impl Iterator<Item = Concession>,
    ) -> bool {
        let flags = &mut self.plan.events[planned].attr.flags;
        if flags.contains(AttrFlags::BUILD_ID) {
            // Mappings with build-ids came with Linux 5.12.
            flags.0 &= !AttrFlags::BUILD_ID.0;
            return true;
        }
        let simpler = concessions.find_map(|concession| self.plan.conceding(concession));
        let has_simpler = simpler.is_some();
        self.plan = simpler.unwrap_or_else(|| self.plan.clone());
        has_simpler
    }

    fn redirect(&self, index: usize, owner: usize) -> Result<(), SamplingError> {
        self.events[index].event.set_output(&self.events[owner].event).map_err(|cause| {
            SamplingError::System { what: "an event cannot share its CPU's ring buffer", cause }
        })
    }

    fn map(
        &mut self,
        owner: usize,
        cpu: u32,
        pages: usize,
        aux_bytes: Option<u64>,
        machine: &Machine,
    ) -> Result<(), SamplingError> {
        let event = &self.events[owner].event;
        let failed = |cause, bytes: usize| SamplingError::Map {
            kib: bytes as u64 / 1024,
            allowed: allowed_memory(machine),
            cause,
        };
        let buffer =
            RingBuffer::map(event, pages).map_err(|cause| failed(cause, pages * page_size()))?;
        let aux = match aux_bytes {
            None => None,
            Some(bytes) => {
                let bytes = bytes as usize;
                let area = AuxBuffer::map(event, &buffer, bytes);
                Some(area.map_err(|cause| failed(cause, bytes))?)
            }
        };
        self.rings.push(Ring { cpu, buffer, owner, aux });
        Ok(())
    }

    /// Starts all events; members start with their leaders.
    pub(super) fn enable(&self) -> Result<(), SamplingError> {
        self.each(PerfEvent::enable, "an event cannot be enabled")
    }

    /// Stops all events.
    pub(super) fn disable(&self) -> Result<(), SamplingError> {
        self.each(PerfEvent::disable, "an event cannot be disabled")
    }

    fn each(
        &self,
        act: impl Fn(&PerfEvent) -> io::Result<()>,
        what: &'static str,
    ) -> Result<(), SamplingError> {
        let leaders = self.events.iter().filter(|event| !event.is_member);
        leaders.into_iter().try_for_each(|event| {
            act(&event.event).map_err(|cause| SamplingError::System { what, cause })
        })
    }

    /// Changes the periods of events that sample the clock, so that they cannot keep step with a
    /// program that does something at a fixed rate.
    pub(super) fn change_periods(&mut self) {
        for event in &self.events {
            let planned = &self.plan.events[event.planned];
            if planned.role == Role::Samples && is_clock(&planned.attr) {
                self.random = next_random(self.random);
                let period = jittered_period(planned.attr.sample_period, self.random);
                // An event whose thread has ended takes no period, and needs none.
                let _ = event.event.set_period(period);
            }
        }
    }

    /// The ids of each planned event.
    pub(super) fn ids(&self, planned: usize) -> Vec<u64> {
        let events = self.events.iter().filter(|event| event.planned == planned);
        events.map(|event| event.id).collect()
    }
}

/// The plan, with the flags that depend on the target.
fn for_target(plan: &SamplerPlan, found: &Found, options: &OpenOptions) -> SamplerPlan {
    let mut plan = plan.clone();
    for event in &mut plan.events {
        let flags = &mut event.attr.flags;
        // The kernel reads the build-id when a file is mapped, and so of the very file.
        if flags.contains(AttrFlags::MMAP2) {
            *flags |= AttrFlags::BUILD_ID;
        }
        // Members of a group start with their leader.
        if event.role != Role::GroupMember {
            *flags |= AttrFlags::DISABLED;
            if options.enable_on_exec {
                *flags |= AttrFlags::ENABLE_ON_EXEC;
            }
        }
        if matches!(found, Found::Threads { with_children: true, .. }) {
            *flags |= AttrFlags::INHERIT;
        }
    }
    plan
}

fn check_open_files(plan: &SamplerPlan, threads: u64, cpus: u64) -> Result<(), SamplingError> {
    let needed = plan.events.len() as u64 * threads * cpus + OTHER_FILES;
    let limit = set_open_file_limit(needed + MAX_FILES as u64)
        .map_err(|cause| SamplingError::System { what: "the limit of open files", cause })?;
    if limit < needed {
        return Err(SamplingError::OpenFiles { needed, threads, cpus, limit });
    }
    Ok(())
}

fn allowed_memory(machine: &Machine) -> String {
    match lockable_bytes(&machine.permissions, machine.online_cpus.len() as u32) {
        Some(bytes) => format!("{} KiB", bytes / 1024),
        None => "any amount".to_owned(),
    }
}

fn open_error(
    (kind, event): (SamplerKind, &PlannedEvent),
    placed: &Placed<'_>,
    machine: &Machine,
    error: &io::Error,
) -> SamplingError {
    let place = match (placed.found, placed.thread) {
        (Found::Cgroup(_), _) => format!("CPU {} in the cgroup", placed.cpu),
        (_, Some(thread)) => format!("thread {thread}, CPU {}", placed.cpu),
        (_, None) => format!("CPU {}", placed.cpu),
    };
    let errno = error.raw_os_error().unwrap_or(0);
    let asked = match placed.found {
        Found::Threads { .. } if placed.is_own => Asked::Sampler(kind),
        Found::Threads { .. } => Asked::OtherProcess,
        Found::Cpus(_) | Found::Cgroup(_) => Asked::WholeCpu,
    };
    let refusal = explain(errno, asked, machine);
    SamplingError::Open {
        event: event.name.clone(),
        place,
        cause: refusal.why,
        remedy: refusal.remedy,
    }
}
