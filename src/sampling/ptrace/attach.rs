//! Seizing processes that run already, or wait to begin.

use std::io;
use std::path::Path;

use super::own_tracing::OwnTracing;
use crate::kernel::ptrace::seize;
use crate::sampling::error::SamplingError;
use crate::sampling::recorder::with_children;
use crate::sampling::refusal::Refusal;
use crate::system::{Machine, status, thread_ids};

/// Listings of threads that show new ones are repeated so often at most; what a seized thread starts
/// is seized by the kernel.
const MOST_LISTINGS: usize = 64;

/// Seizes processes, and all their children that may be traced, each with its threads.
pub(super) fn seize_all(
    machine: &Machine,
    roots: &[u32],
) -> Result<Vec<(u32, Vec<u32>)>, SamplingError> {
    let mut own_tracing = OwnTracing::default();
    let mut seized = Vec::new();
    for pid in with_children(Path::new("/"), roots) {
        let is_root = roots.contains(&pid);
        // A command is still this program, before its own begins.
        if own_tracing.of_process(pid) && !is_own_child(pid) {
            if is_root {
                let cause = "it uses ptrace itself, and what it traces has one tracer".to_owned();
                let remedy = "use --sampler clock".to_owned();
                return Err(SamplingError::Trace { pid, cause, remedy });
            }
            continue;
        }
        match seize_process(machine, pid) {
            Ok(threads) => seized.push((pid, threads)),
            Err(error) if is_root => return Err(error),
            // A child that may not be traced is as if it were not there.
            Err(_) => {}
        }
    }
    Ok(seized)
}

fn is_own_child(pid: u32) -> bool {
    status(Path::new("/"), pid).is_ok_and(|status| status.parent == std::process::id())
}

/// Seizes all threads of a process; those that end meanwhile are left out.
pub(super) fn seize_process(machine: &Machine, pid: u32) -> Result<Vec<u32>, SamplingError> {
    let mut seized: Vec<u32> = Vec::new();
    for _ in 0..MOST_LISTINGS {
        let threads =
            thread_ids(Path::new("/"), pid).map_err(|_| SamplingError::NoProcess { pid })?;
        let mut new: Vec<u32> = threads.into_iter().filter(|tid| !seized.contains(tid)).collect();
        if new.is_empty() {
            break;
        }
        for &tid in &new {
            match seize(tid) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                // Started by a thread that was seized before it, and so seized with it.
                Err(_) if tracer_of(tid) == Some(std::process::id()) => {}
                Err(error) => return Err(refused(machine, pid, &error)),
            }
        }
        seized.append(&mut new);
    }
    Ok(seized)
}

/// The process that traces a thread.
fn tracer_of(tid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
    // That of the very thread; its process is what is asked for.
    let tracer: u32 = tracer.trim().parse().ok().filter(|tracer| *tracer != 0)?;
    let status = std::fs::read_to_string(format!("/proc/{tracer}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

fn refused(machine: &Machine, pid: u32, error: &io::Error) -> SamplingError {
    let refusal = match tracer_of(pid) {
        Some(tracer) => Refusal {
            why: format!("process {tracer} traces it already, and a process has one tracer"),
            remedy: "end that one, or record with --sampler clock".to_owned(),
        },
        None => explain(machine, error, true),
    };
    SamplingError::Trace { pid, cause: refusal.why, remedy: refusal.remedy }
}

/// Why `ptrace` is refused, and what helps; of a process that is not our own child if it is a
/// stranger.
pub(in crate::sampling) fn explain(
    machine: &Machine,
    error: &io::Error,
    is_stranger: bool,
) -> Refusal {
    let is_refused = error.raw_os_error() == Some(libc::EPERM);
    let (why, remedy) = match machine.permissions.ptrace_scope {
        Some(3) if is_refused => (
            "kernel.yama.ptrace_scope is 3, with which nobody traces until reboot".to_owned(),
            "boot without kernel.yama.ptrace_scope=3",
        ),
        Some(scope) if is_refused && (scope == 2 || scope == 1 && is_stranger) => (
            format!("kernel.yama.ptrace_scope is {scope}, which keeps it from this user"),
            "run as root, with CAP_SYS_PTRACE, or after: sysctl kernel.yama.ptrace_scope=0",
        ),
        _ if is_refused && is_stranger => (
            "it belongs to another user, or has rights that this process has not (EPERM)"
                .to_owned(),
            "run as that user, as root, or with CAP_SYS_PTRACE",
        ),
        _ => (
            format!("the kernel or a system call filter refuses ptrace ({error})"),
            "start the container with --cap-add SYS_PTRACE, or with a seccomp profile that allows \
             ptrace",
        ),
    };
    Refusal { why, remedy: remedy.to_owned() }
}
