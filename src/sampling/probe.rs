//! Trying: events are opened and closed again, so that what is said of a machine is what it does.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::attributes::SOFTWARE;
use super::choose::{hardware_sampler, plan};
use super::sampler::{Concession, PlannedEvent, Role, SamplerKind, SamplerPlan};
use super::sampler_error::SamplerError;
use super::sampler_options::SamplerOptions;
use crate::kernel::{PerfEvent, Placement};
use crate::perf_data::{ATTR_SIZE_DEFAULT, AttrFlags, ByteOrder, Encoder, EventAttr, SampleType};
use crate::system::{self, Machine};

/// `PERF_TYPE_TRACEPOINT`.
const TRACEPOINT: u32 = 2;
/// `PERF_TYPE_BREAKPOINT`.
const BREAKPOINT: u32 = 5;
/// `HW_BREAKPOINT_RW`: stops at loads and stores.
const BREAKPOINT_READ_WRITE: u32 = 3;
/// So many other processes are tried.
const MOST_PROCESSES: usize = 8;

/// Something that opens events; the kernel, or a stand-in for one.
pub trait OpenEvent {
    /// Opens an event for a thread (0: this one, -1: all) on a CPU (-1: any), in the group of
    /// another.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    fn open(
        &self,
        attr: &EventAttr,
        pid: i32,
        cpu: i32,
        group: Option<BorrowedFd<'_>>,
    ) -> io::Result<OwnedFd>;

    /// Whether this process may trace what it starts.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    fn may_trace(&self) -> io::Result<()>;

    /// Whether this process may define probes of functions; a stand-in may.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    fn may_define_probes(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The kernel of this machine.
#[derive(Debug, Clone, Copy)]
pub struct ThisKernel;

impl OpenEvent for ThisKernel {
    fn open(
        &self,
        attr: &EventAttr,
        pid: i32,
        cpu: i32,
        group: Option<BorrowedFd<'_>>,
    ) -> io::Result<OwnedFd> {
        let mut encoder = Encoder::new(ByteOrder::NATIVE);
        attr.encode(&mut encoder);
        let placement = Placement {
            thread: pid.try_into().ok(),
            cpu: cpu.try_into().ok(),
            cgroup: None,
            leader: group,
        };
        PerfEvent::open(encoder.as_slice(), placement).map(OwnedFd::from)
    }

    fn may_trace(&self) -> io::Result<()> {
        crate::kernel::ptrace::may_trace()
    }

    fn may_define_probes(&self) -> io::Result<()> {
        super::heap::heap_tracing_works()
    }
}

/// An answer of the kernel: it works, or an error number.
pub type Trial = Result<(), i32>;

/// The event of a plan that did not open, and the kernel's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unopened {
    /// Name of the event.
    pub event: String,
    /// Error number.
    pub errno: i32,
}

/// How a sampler fared.
#[derive(Debug, Clone, PartialEq)]
pub enum SamplerTrial {
    /// It cannot even be planned.
    Unplanned(SamplerError),
    /// The kernel refuses it.
    Refused(Unopened),
    /// It opens, as this plan.
    Opens(SamplerPlan),
}

/// The answers to everything that is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Trials {
    /// The sampler of this CPU's vendor, if it has one, the clock, and `ptrace`.
    pub samplers: Vec<(SamplerKind, SamplerTrial)>,
    /// Samples in the kernel.
    pub kernel_samples: Trial,
    /// Events of a process of another user, and which process; `None` where there is none to try.
    pub other_process: Option<(u32, Trial)>,
    /// Events of a whole CPU.
    pub whole_cpu: Trial,
    /// A breakpoint on a variable of this process.
    pub breakpoint: Trial,
    /// A tracepoint; `None` where tracefs is not mounted.
    pub tracepoint: Option<Trial>,
    /// A probe in user space; `None` where the kernel has no such PMU.
    pub uprobe: Option<Trial>,
    /// Probes of allocation functions; `None` where their arguments are not known.
    pub heap: Option<Trial>,
    /// The memory of that other process, opened for reading.
    pub other_memory: Option<(u32, Trial)>,
    /// Whether the kernel's symbols come with addresses; `None` where they cannot be read.
    pub kernel_addresses: Option<bool>,
    /// NUMA nodes in sysfs.
    pub nodes: usize,
    /// Where cgroups for events are mounted.
    pub cgroups: Option<std::path::PathBuf>,
    /// Bytes of a page.
    pub page_size: u64,
}

/// Tries everything on a machine whose trees are below `root`. Nothing stays open, and nothing is
/// recorded: every event is opened disabled.
pub fn probe(root: &Path, machine: &Machine, kernel: &dyn OpenEvent) -> Trials {
    let options = SamplerOptions::default();
    let kinds =
        hardware_sampler(machine).into_iter().chain([SamplerKind::Clock, SamplerKind::Ptrace]);
    let samplers = kinds.map(|kind| {
        let trial = match plan(kind, machine, &options) {
            Err(error) => SamplerTrial::Unplanned(error),
            Ok(plan) if kind == SamplerKind::Ptrace => match errno_of(kernel.may_trace()) {
                Ok(()) => SamplerTrial::Opens(plan),
                Err(errno) => SamplerTrial::Refused(Unopened { event: kind.to_string(), errno }),
            },
            Ok(plan) => match settle(&plan, machine, kernel) {
                Ok(plan) => SamplerTrial::Opens(plan),
                Err(unopened) => SamplerTrial::Refused(unopened),
            },
        };
        (kind, trial)
    });
    let mounts = system::mounts(root);
    let others = other_processes(root);
    let cpu = machine.online_cpus.first().map_or(0, |&cpu| cpu as i32);
    let tracefs = system::tracefs(&mounts);
    Trials {
        samplers: samplers.collect(),
        kernel_samples: open(kernel, &clock(AttrFlags(0)), 0, -1),
        other_process: first_that_works(&others, |pid| open(kernel, &user_clock(), pid as i32, -1)),
        whole_cpu: open(kernel, &user_clock(), -1, cpu),
        breakpoint: breakpoint(kernel),
        tracepoint: tracefs.map(|point| tracepoint(root, &point, kernel)),
        heap: (machine.arch == "x86_64").then(|| errno_of(kernel.may_define_probes())),
        uprobe: machine.pmu("uprobe").map(|pmu| uprobe(pmu.kind, kernel)),
        other_memory: first_that_works(&others, |pid| {
            errno_of(std::fs::File::open(root.join(format!("proc/{pid}/mem")))).map(|_| ())
        }),
        kernel_addresses: kernel_addresses(root),
        nodes: system::nodes(root).len(),
        cgroups: system::cgroup_for_perf(&mounts).map(|mount| mount.point),
        page_size: page_size(),
    }
}

/// The plan in the form in which all its events open, each once on a CPU of its own: with lower
/// precise levels and without what older kernels do not know, where they refuse the rest.
///
/// # Errors
///
/// The event that opens in no form, with the kernel's answer to the plan as it was.
pub fn settle(
    plan: &SamplerPlan,
    machine: &Machine,
    kernel: &dyn OpenEvent,
) -> Result<SamplerPlan, Unopened> {
    let first = match open_all(plan, machine, kernel) {
        Ok(plan) => return Ok(plan),
        Err(unopened) => unopened,
    };
    // Only these say that a setting is unknown; nothing given up helps against the rest.
    if ![libc::EINVAL, libc::EOPNOTSUPP].contains(&first.errno) {
        return Err(first);
    }
    let mut weaker = plan.clone();
    for concession in Concession::ALL {
        let Some(conceding) = weaker.conceding(concession) else {
            continue;
        };
        weaker = conceding;
        if let Ok(plan) = open_all(&weaker, machine, kernel) {
            return Ok(plan);
        }
    }
    Err(first)
}

fn open_all(
    plan: &SamplerPlan,
    machine: &Machine,
    kernel: &dyn OpenEvent,
) -> Result<SamplerPlan, Unopened> {
    let mut settled = plan.clone();
    let mut leader: Option<OwnedFd> = None;
    for event in &mut settled.events {
        let of_event = event.cpus.as_ref().and_then(|cpus| cpus.first());
        let cpu = of_event.or(machine.online_cpus.first()).map_or(0, |&cpu| cpu as i32);
        let group = leader.as_ref().filter(|_| event.role == Role::GroupMember);
        let opened = open_event(event, cpu, group.map(AsFd::as_fd), kernel)
            .map_err(|errno| Unopened { event: event.name.clone(), errno })?;
        if event.role == Role::GroupLeader {
            leader = Some(opened);
        }
    }
    Ok(settled)
}

/// Opens one event at the highest precise level that the kernel takes, which is then the event's.
fn open_event(
    event: &mut PlannedEvent,
    cpu: i32,
    group: Option<BorrowedFd<'_>>,
    kernel: &dyn OpenEvent,
) -> Result<OwnedFd, i32> {
    let levels = [event.attr.flags.precise_ip()].into_iter().chain(event.precise_fallback.clone());
    let mut first = libc::EINVAL;
    for (at, level) in levels.enumerate() {
        let mut attr = event.attr;
        attr.flags = attr.flags.with_precise_ip(level) | AttrFlags::DISABLED;
        match kernel.open(&attr, 0, cpu, group) {
            Ok(descriptor) => {
                event.attr.flags = event.attr.flags.with_precise_ip(level);
                event.precise_fallback.drain(..at);
                return Ok(descriptor);
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                if at == 0 {
                    first = errno;
                }
                if ![libc::EINVAL, libc::EOPNOTSUPP].contains(&errno) {
                    return Err(errno);
                }
            }
        }
    }
    Err(first)
}

fn open(kernel: &dyn OpenEvent, attr: &EventAttr, pid: i32, cpu: i32) -> Trial {
    errno_of(kernel.open(attr, pid, cpu, None)).map(|_| ())
}

fn clock(flags: AttrFlags) -> EventAttr {
    EventAttr {
        kind: SOFTWARE,
        size: ATTR_SIZE_DEFAULT as u32,
        sample_period: super::clock::DEFAULT_PERIOD,
        sample_type: SampleType::IP | SampleType::TID,
        flags: AttrFlags::DISABLED | flags,
        ..EventAttr::default()
    }
}

fn user_clock() -> EventAttr {
    clock(AttrFlags::EXCLUDE_KERNEL)
}

fn breakpoint(kernel: &dyn OpenEvent) -> Trial {
    static WATCHED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let attr = EventAttr {
        kind: BREAKPOINT,
        bp_type: BREAKPOINT_READ_WRITE,
        config1: (&raw const WATCHED).addr() as u64,
        config2: 8,
        sample_period: 1,
        ..user_clock()
    };
    open(kernel, &attr, 0, -1)
}

fn tracepoint(root: &Path, tracefs: &Path, kernel: &dyn OpenEvent) -> Trial {
    let below = tracefs.strip_prefix("/").unwrap_or(tracefs);
    let path = root.join(below).join("events/raw_syscalls/sys_enter/id");
    let text = errno_of(std::fs::read_to_string(path))?;
    let config = text.trim().parse().map_err(|_| libc::EINVAL)?;
    // Tracepoints are the kernel's, so leaving it out would leave out everything.
    let attr = EventAttr { kind: TRACEPOINT, config, sample_period: 1, ..clock(AttrFlags(0)) };
    open(kernel, &attr, 0, -1)
}

/// A probe at the start of this program's file, where no code is.
fn uprobe(kind: u32, kernel: &dyn OpenEvent) -> Trial {
    let path = errno_of(std::env::current_exe())?;
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| libc::EINVAL)?;
    let attr = EventAttr {
        kind,
        config1: path.as_ptr().addr() as u64,
        config2: 0,
        sample_period: 1,
        ..clock(AttrFlags(0))
    };
    open(kernel, &attr, 0, -1)
}

fn errno_of<T>(result: io::Result<T>) -> Result<T, i32> {
    result.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
}

/// Processes to try, the first one of another user; where there are none, any but this one and its
/// parent. The first process of a system comes last: containers keep it apart.
fn other_processes(root: &Path) -> Vec<u32> {
    let own = std::process::id();
    let own_status = system::status(root, own).unwrap_or_default();
    let (mut of_others, mut of_own) = (Vec::new(), Vec::new());
    for pid in system::process_ids(root).unwrap_or_default() {
        let Ok(status) = system::status(root, pid) else {
            continue;
        };
        if status.is_kernel_thread || pid == own || pid == own_status.parent {
            continue;
        }
        if status.user == own_status.user { &mut of_own } else { &mut of_others }.push(pid);
    }
    let mut found = if of_others.is_empty() { of_own } else { of_others };
    found.sort_by_key(|&pid| (pid == 1, pid));
    found.truncate(MOST_PROCESSES);
    found
}

/// The first process with which it works, else the first one with the answer.
fn first_that_works(pids: &[u32], trial: impl Fn(u32) -> Trial) -> Option<(u32, Trial)> {
    let mut first = None;
    for &pid in pids {
        let answer = trial(pid);
        if answer.is_ok() {
            return Some((pid, answer));
        }
        first.get_or_insert((pid, answer));
    }
    first
}

/// Whether the first symbols of the kernel come with addresses.
fn kernel_addresses(root: &Path) -> Option<bool> {
    use std::io::Read;
    let mut start = Vec::new();
    let file = std::fs::File::open(root.join("proc/kallsyms")).ok()?;
    file.take(4096).read_to_end(&mut start).ok()?;
    let text = String::from_utf8_lossy(&start);
    let mut addresses = text.lines().filter_map(|line| line.split_once(' ')).peekable();
    addresses.peek()?;
    // Per-CPU symbols begin at 0 in older kernels: one address is enough.
    Some(addresses.any(|(address, _)| address.bytes().any(|digit| digit != b'0')))
}

/// Bytes of a page, as the kernel states it for this process's own mappings; 4096 where it does not.
fn page_size() -> u64 {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let line = smaps.lines().find_map(|line| line.strip_prefix("KernelPageSize:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or(4096, |kib| kib << 10)
}
