//! What an error number of `perf_event_open` means here, and what to change.

use super::attributes::{level, raise_right};
use super::missing_pmu::{without_pmu_cause, without_pmu_remedy};
use super::sampler::SamplerKind;
use crate::system::{Lockdown, Machine, SeccompMode};

/// What was to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A sampler's event on a process of one's own.
    Sampler(SamplerKind),
    /// Samples in the kernel.
    Kernel,
    /// A process of another user.
    OtherProcess,
    /// A whole CPU.
    WholeCpu,
    /// A hardware breakpoint.
    Breakpoint,
    /// A tracepoint.
    Tracepoint,
    /// A probe in user space.
    Uprobe,
}

/// Why something does not work, and the one thing that makes it work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Cause: the start of a sentence without its full stop.
    pub why: String,
    /// Remedy: a command or a setting.
    pub remedy: String,
}

/// Levels of `perf_event_paranoid` above 2 are distributions' own (Debian 3, Ubuntu 4): they refuse
/// `perf_event_open` altogether.
const HIGHEST_UPSTREAM_LEVEL: i32 = 2;

/// Explains the kernel's answer to an open.
pub fn explain(errno: i32, asked: Asked, machine: &Machine) -> Refusal {
    let refusal = |why: String, remedy: String| Refusal { why, remedy };
    let permissions = &machine.permissions;
    let paranoid = permissions.paranoid.unwrap_or(2);
    let is_filtered = permissions.seccomp != SeccompMode::None;
    match errno {
        libc::ENOSYS | libc::EPERM if is_filtered => refusal(
            format!(
                "the system call filter (seccomp) of this {} refuses perf_event_open with {}",
                if machine.surroundings.container.is_some() { "container" } else { "process" },
                name(errno)
            ),
            "start the container with --cap-add PERFMON, or with --security-opt seccomp=FILE where the \
             profile in FILE allows perf_event_open"
                .to_owned(),
        ),
        libc::ENOSYS => refusal(
            "this kernel has no performance events (ENOSYS)".to_owned(),
            "boot a kernel with CONFIG_PERF_EVENTS".to_owned(),
        ),
        libc::EPERM if permissions.lockdown == Lockdown::Confidentiality => refusal(
            "the kernel is locked down (confidentiality), which keeps what it would show (EPERM)"
                .to_owned(),
            "boot without lockdown=confidentiality".to_owned(),
        ),
        libc::EPERM | libc::EACCES if permissions.is_perfmon_capable() => refusal(
            format!(
                "the kernel refuses ({}) although this process has the capability: a security module \
                 does",
                name(errno)
            ),
            "look into dmesg and the audit log".to_owned(),
        ),
        libc::EPERM | libc::EACCES => not_permitted(errno, asked, machine, paranoid),
        libc::EMFILE => refusal(
            format!(
                "this process has no file descriptor left (EMFILE; limit {})",
                limit(permissions.open_files_limit)
            ),
            "raise the limit: ulimit -n 65536".to_owned(),
        ),
        libc::ENFILE => refusal(
            "the system has no file descriptor left (ENFILE)".to_owned(),
            "raise the limit: sysctl fs.file-max=9223372036854775807".to_owned(),
        ),
        libc::ENOSPC if asked == Asked::Breakpoint => refusal(
            "all debug registers are in use (ENOSPC)".to_owned(),
            "end the debuggers and other users of hardware breakpoints".to_owned(),
        ),
        libc::ENOSPC => refusal(
            "the PMU has no room for another event (ENOSPC)".to_owned(),
            "end other profilers".to_owned(),
        ),
        libc::EBUSY => refusal(
            "another program has the PMU for itself (EBUSY)".to_owned(),
            "end other profilers, and switch the watchdog off: sysctl kernel.nmi_watchdog=0".to_owned(),
        ),
        libc::ENOMEM => refusal(
            "the kernel has no memory for the event (ENOMEM)".to_owned(),
            "free memory, or raise the limit of the cgroup".to_owned(),
        ),
        libc::E2BIG => refusal(
            "this kernel is older than the event's description (E2BIG)".to_owned(),
            "use a newer kernel".to_owned(),
        ),
        libc::ESRCH => refusal(
            "the process has ended (ESRCH)".to_owned(),
            "try again with one that runs".to_owned(),
        ),
        libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV | libc::ENXIO | libc::EINVAL => {
            unknown_event(errno, asked, machine)
        }
        _ => refusal(
            format!("the kernel answers: {}", std::io::Error::from_raw_os_error(errno)),
            "look into dmesg".to_owned(),
        ),
    }
}

fn not_permitted(errno: i32, asked: Asked, machine: &Machine, paranoid: i32) -> Refusal {
    let permissions = &machine.permissions;
    let number = match permissions.in_user_namespace {
        true => format!("{}; root of a user namespace is nobody outside it", name(errno)),
        false => name(errno).to_owned(),
    };
    let at = level(permissions);
    if paranoid > HIGHEST_UPSTREAM_LEVEL {
        return Refusal {
            why: format!(
                "kernel.perf_event_paranoid is {at}, with which this kernel keeps performance events \
                 from everyone without privileges ({number})"
            ),
            remedy: raise_right(2),
        };
    }
    let (what, needed) = match asked {
        Asked::Kernel => ("samples in the kernel", 1),
        Asked::WholeCpu => ("events of whole CPUs", 0),
        Asked::Tracepoint => ("tracepoints", -1),
        Asked::Uprobe => {
            return Refusal {
                why: format!("probes in user space need a capability at any level ({number})"),
                remedy: "run as root or with CAP_PERFMON".to_owned(),
            };
        }
        Asked::OtherProcess => {
            return Refusal {
                why: format!("it belongs to another user or may not be traced ({number})"),
                remedy: "run as that user, as root, or with CAP_PERFMON".to_owned(),
            };
        }
        Asked::Sampler(_) | Asked::Breakpoint => ("this event", 1),
    };
    if paranoid <= needed {
        return Refusal {
            why: format!(
                "the kernel refuses ({number}) although kernel.perf_event_paranoid {at} would allow \
                 it: a security module does"
            ),
            remedy: "look into dmesg and the audit log".to_owned(),
        };
    }
    Refusal {
        why: format!(
            "kernel.perf_event_paranoid is {at}, which keeps {what} from this user ({number})"
        ),
        remedy: raise_right(needed),
    }
}

fn unknown_event(errno: i32, asked: Asked, machine: &Machine) -> Refusal {
    let number = name(errno);
    match asked {
        Asked::Sampler(SamplerKind::Clock)
        | Asked::Kernel
        | Asked::OtherProcess
        | Asked::WholeCpu => Refusal {
            why: format!("this kernel does not know the clock event as it is asked for ({number})"),
            remedy: "use a newer kernel".to_owned(),
        },
        Asked::Sampler(kind) if errno == libc::EINVAL => Refusal {
            why: format!("this kernel does not know a setting of the {kind} event ({number})"),
            remedy: "use a newer kernel, or --sampler clock".to_owned(),
        },
        Asked::Sampler(_) => Refusal {
            why: format!("{} ({number})", without_pmu_cause(machine)),
            remedy: without_pmu_remedy(machine),
        },
        Asked::Breakpoint => Refusal {
            why: format!("this machine has no debug registers for breakpoints ({number})"),
            remedy: "use a machine without a hypervisor".to_owned(),
        },
        Asked::Tracepoint => Refusal {
            why: format!(
                "this kernel does not have the tracepoint raw_syscalls:sys_enter ({number})"
            ),
            remedy: "boot a kernel with CONFIG_FTRACE_SYSCALLS".to_owned(),
        },
        Asked::Uprobe => Refusal {
            why: format!("this kernel does not take the probe ({number})"),
            remedy: "boot a kernel with CONFIG_UPROBE_EVENTS".to_owned(),
        },
    }
}

fn limit(limit: Option<u64>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}

/// The name of an error number.
pub(super) fn name(errno: i32) -> &'static str {
    match errno {
        libc::EPERM => "EPERM",
        libc::EACCES => "EACCES",
        libc::ENOSYS => "ENOSYS",
        libc::EMFILE => "EMFILE",
        libc::ENFILE => "ENFILE",
        libc::ENOSPC => "ENOSPC",
        libc::EINVAL => "EINVAL",
        libc::ENOENT => "ENOENT",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::ENODEV => "ENODEV",
        libc::ENXIO => "ENXIO",
        libc::ESRCH => "ESRCH",
        libc::EBUSY => "EBUSY",
        libc::ENOMEM => "ENOMEM",
        libc::E2BIG => "E2BIG",
        _ => "an error",
    }
}
