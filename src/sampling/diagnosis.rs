//! What a machine can sample, in sentences: a pure function of what it says and of what was tried.

use super::probe::{SamplerTrial, Trial, Trials};
use super::ptrace;
use super::refusal::{Asked, Refusal, explain, name};
use super::resources::{Demand, Shortage, default_data_pages};
use super::sampler::SamplerKind;
use super::sampler_error::SamplerError;
use crate::system::{Capability, Machine};

/// A sampler or another thing that sampling needs: its state here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    /// What.
    pub name: String,
    /// Whether it works.
    pub works: bool,
    /// Why, or why not.
    pub why: String,
    /// What makes it work, where it does not.
    pub remedy: Option<String>,
}

/// The state of everything that sampling needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Diagnosis {
    /// The sampler that `auto` takes; none where nothing opens.
    pub best: Option<SamplerKind>,
    /// Samplers, best first.
    pub samplers: Vec<Verdict>,
    /// Everything else.
    pub checks: Vec<Verdict>,
}

/// Descriptors that are open beside the events': streams, the file, signals.
const OTHER_DESCRIPTORS: u64 = 32;

/// Judges a machine by what it says and what was tried on it.
pub fn diagnose(machine: &Machine, trials: &Trials) -> Diagnosis {
    let best = trials
        .samplers
        .iter()
        .find_map(|(kind, trial)| matches!(trial, SamplerTrial::Opens(_)).then_some(*kind));
    let samplers =
        trials.samplers.iter().map(|(kind, trial)| sampler(*kind, trial, machine)).collect();
    let tried = |name: &str, trial: Trial, asked, why: &str| match trial {
        Ok(()) => works(name, why),
        Err(errno) => fails(name, explain(errno, asked, machine)),
    };
    let mut checks = vec![
        tried("kernel samples", trials.kernel_samples, Asked::Kernel, "time in the kernel is seen"),
        match trials.other_process {
            Some((pid, trial)) => tried(
                "other processes",
                trial,
                Asked::OtherProcess,
                &format!("process {pid} can be sampled"),
            ),
            None => works("other processes", "there is no other process here to try"),
        },
        tried(
            "whole system",
            trials.whole_cpu,
            Asked::WholeCpu,
            "whole CPUs can be sampled (-a, -C)",
        ),
        tried(
            "breakpoints",
            trials.breakpoint,
            Asked::Breakpoint,
            "addresses can be watched by debug registers",
        ),
        match trials.tracepoint {
            Some(trial) => {
                tried("tracepoints", trial, Asked::Tracepoint, "tracepoints can be recorded")
            }
            None => fails_with(
                "tracepoints",
                "tracefs is not mounted",
                "mount -t tracefs tracefs /sys/kernel/tracing",
            ),
        },
        match trials.uprobe {
            Some(trial) => {
                tried("uprobes", trial, Asked::Uprobe, "functions of programs can be probed")
            }
            None => fails_with(
                "uprobes",
                "the kernel has no PMU uprobe",
                "boot a kernel with CONFIG_UPROBE_EVENTS",
            ),
        },
        heap_tracing(machine, trials),
    ];
    checks.extend(resources(machine, trials));
    checks.push(rate(machine));
    checks.push(kernel_symbols(machine, trials));
    checks.push(match trials.nodes {
        0 => fails_with(
            "NUMA topology",
            "sysfs has no nodes: a recording counts the machine as one",
            "boot a kernel with CONFIG_NUMA",
        ),
        1 => works("NUMA topology", "1 node"),
        nodes => works("NUMA topology", &format!("{nodes} nodes")),
    });
    checks.push(other_memory(machine, trials));
    checks.push(match &trials.cgroups {
        Some(point) => works("cgroups", &format!("groups are below {}", point.display())),
        None => fails_with(
            "cgroups",
            "no cgroup hierarchy with performance events is mounted",
            "mount -t cgroup2 none /sys/fs/cgroup",
        ),
    });
    Diagnosis { best, samplers, checks }
}

/// Probes are defined in tracefs, which is the administrator's.
fn heap_tracing(machine: &Machine, trials: &Trials) -> Verdict {
    let title = "heap tracing";
    let number = match trials.heap {
        Some(Ok(())) => return works(title, "allocations can be traced (--heap)"),
        Some(Err(number)) => number,
        None => {
            let why = format!("arguments of functions of {} are not known here", machine.arch);
            return fails_with(title, &why, "trace allocations on x86-64");
        }
    };
    match number {
        libc::ENODEV | libc::ENOENT | libc::ENOSYS => fails_with(
            title,
            &format!("this kernel defines no probes of functions ({})", name(number)),
            "boot a kernel with CONFIG_UPROBE_EVENTS, 5.2 or later",
        ),
        _ => fails_with(
            title,
            &format!("this process may not define probes in tracefs ({})", name(number)),
            "run as root, a container with --privileged",
        ),
    }
}

fn works(name: &str, why: &str) -> Verdict {
    Verdict { name: name.to_owned(), works: true, why: why.to_owned(), remedy: None }
}

fn fails(name: &str, refusal: Refusal) -> Verdict {
    let Refusal { why, remedy } = refusal;
    Verdict { name: name.to_owned(), works: false, why, remedy: Some(remedy) }
}

fn fails_with(name: &str, why: &str, remedy: &str) -> Verdict {
    fails(name, Refusal { why: why.to_owned(), remedy: remedy.to_owned() })
}

fn sampler(kind: SamplerKind, trial: &SamplerTrial, machine: &Machine) -> Verdict {
    match trial {
        SamplerTrial::Opens(_) if kind == SamplerKind::Ptrace => works(
            kind.name(),
            "programs that hitm starts can be stopped for a moment and looked at",
        ),
        SamplerTrial::Refused(unopened) if kind == SamplerKind::Ptrace => {
            let error = std::io::Error::from_raw_os_error(unopened.errno);
            fails(kind.name(), ptrace::explain(machine, &error, false))
        }
        SamplerTrial::Opens(plan) => {
            let names: Vec<&str> = plan.events.iter().map(|event| event.name.as_str()).collect();
            works(kind.name(), &format!("{} opened", names.join(", ")))
        }
        SamplerTrial::Refused(unopened) => {
            let refusal = explain(unopened.errno, Asked::Sampler(kind), machine);
            let why = format!("{} does not open: {}", unopened.event, refusal.why);
            fails(kind.name(), Refusal { why, ..refusal })
        }
        SamplerTrial::Unplanned(
            SamplerError::NotHere { cause, remedy, .. }
            | SamplerError::NotPermitted { cause, remedy, .. },
        ) => fails_with(kind.name(), cause, remedy),
        SamplerTrial::Unplanned(error) => {
            fails_with(kind.name(), &error.to_string(), "use --sampler clock")
        }
    }
}

/// Ring buffers and descriptors of a recording of the whole system with the best sampler.
fn resources(machine: &Machine, trials: &Trials) -> [Verdict; 2] {
    let opened = trials.samplers.iter().find_map(|(kind, trial)| match trial {
        SamplerTrial::Opens(plan) if *kind != SamplerKind::Ptrace => Some(plan),
        _ => None,
    });
    let online = machine.online_cpus.len() as u32;
    let permissions = &machine.permissions;
    let demand = Demand {
        cpus: online,
        threads: 1,
        events: opened.map_or(2, |plan| plan.events.len() as u32),
        data_pages: default_data_pages(permissions, trials.page_size),
        aux_bytes: opened
            .and_then(|plan| plan.events.iter().find_map(|event| event.aux_bytes))
            .unwrap_or(0),
        page_size: trials.page_size,
        other_descriptors: OTHER_DESCRIPTORS,
    };
    let needed = demand.resources();
    let mut memory = works(
        "ring buffer memory",
        &format!("{} KiB for {} buffers are allowed", needed.locked_bytes >> 10, needed.buffers),
    );
    let mut descriptors = works(
        "file descriptors",
        &format!(
            "{} for {} events on {online} CPUs are allowed",
            needed.descriptors, demand.events
        ),
    );
    for shortage in demand.shortages(permissions, online) {
        let text = shortage.to_string();
        let (verdict, remedy) = match shortage {
            Shortage::Descriptors { remedy, .. } => (&mut descriptors, remedy),
            Shortage::LockedMemory { remedy, .. } => (&mut memory, remedy),
        };
        // The sentence ends in its remedy, which has a column of its own here.
        let why = text.strip_suffix(&remedy).unwrap_or(&text).trim_end_matches([';', ' ']);
        *verdict = fails_with(&verdict.name, why, &remedy);
    }
    [memory, descriptors]
}

/// The clock's default rate against the kernel's limit.
fn rate(machine: &Machine) -> Verdict {
    let name = "sampling rate";
    match machine.permissions.max_sample_rate {
        Some(limit) if limit < 1000 => fails_with(
            name,
            &format!("the kernel throttles events above {limit} Hz"),
            "sysctl kernel.perf_event_max_sample_rate=100000",
        ),
        Some(limit) => works(name, &format!("up to {limit} Hz")),
        None => works(name, "the kernel shows no limit"),
    }
}

fn kernel_symbols(machine: &Machine, trials: &Trials) -> Verdict {
    let title = "kernel symbols";
    match (trials.kernel_addresses, machine.permissions.kptr_restrict) {
        (Some(true), _) => works(title, "/proc/kallsyms has addresses"),
        (Some(false), Some(level @ 1..)) => fails_with(
            title,
            &format!("/proc/kallsyms has no addresses: kernel.kptr_restrict is {level}"),
            if level == 1 {
                "run as root, or after: sysctl kernel.kptr_restrict=0"
            } else {
                "sysctl kernel.kptr_restrict=0"
            },
        ),
        (Some(false), _) => fails_with(
            title,
            "/proc/kallsyms has no addresses for this user",
            "run as root, with CAP_SYSLOG, or after: sysctl kernel.perf_event_paranoid=1",
        ),
        (None, _) => {
            fails_with(title, "/proc/kallsyms cannot be read", "boot a kernel with CONFIG_KALLSYMS")
        }
    }
}

/// Reading a process's memory is the right to trace it.
fn other_memory(machine: &Machine, trials: &Trials) -> Verdict {
    let title = "other processes' memory";
    let (pid, errno) = match trials.other_memory {
        None => return works(title, "there is no other process here to try"),
        Some((pid, Ok(()))) => {
            return works(title, &format!("code of process {pid} that is in no file can be read"));
        }
        Some((pid, Err(errno))) => (pid, errno),
    };
    let number = name(errno);
    if machine.permissions.has(Capability::SysPtrace) {
        return fails_with(
            title,
            &format!(
                "process {pid} may not be traced ({number}) although this process has CAP_SYS_PTRACE: \
                 a security module refuses"
            ),
            "look into dmesg and the audit log",
        );
    }
    match machine.permissions.ptrace_scope {
        Some(scope @ 1..=2) => fails_with(
            title,
            &format!(
                "process {pid} may not be traced ({number}): kernel.yama.ptrace_scope is {scope}"
            ),
            "run as root, with CAP_SYS_PTRACE, or after: sysctl kernel.yama.ptrace_scope=0",
        ),
        Some(3) => fails_with(
            title,
            &format!(
                "no process may be traced ({number}): kernel.yama.ptrace_scope is 3 until reboot"
            ),
            "boot without kernel.yama.ptrace_scope=3",
        ),
        _ => fails_with(
            title,
            &format!("process {pid} belongs to another user or may not be traced ({number})"),
            "run as that user, as root, or with CAP_SYS_PTRACE",
        ),
    }
}
