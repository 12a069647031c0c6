//! `ptrace(2)`: following the threads of other processes, and stopping them for a moment.
//!
//! A tracee belongs to the thread that seized it: every function here but [`may_trace`] must be
//! called by that thread. When it ends, the kernel lets all its tracees go on, wherever they stand
//! (a signal that is about to be delivered is delivered), and does not touch those that sleep.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;

#[cfg_attr(target_arch = "x86_64", path = "thread_registers_x86_64.rs")]
#[cfg_attr(not(target_arch = "x86_64"), path = "thread_registers_elsewhere.rs")]
mod thread_registers;

pub use thread_registers::{
    ThreadRegisters, debug_register, registers, set_debug_register, set_registers,
};

/// Threads and children that a tracee starts are traced too, and it stops behind `exec`. Not
/// `PTRACE_O_EXITKILL`: if the tracer dies, its tracees go on.
const FOLLOW: libc::c_int = libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE;

/// Why a tracee stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// This signal is about to be delivered.
    Signal(i32),
    /// It was interrupted, has just been started by another tracee, or goes on after a group stop.
    Interrupted,
    /// Its process is stopped, by this signal.
    Group,
    /// It has started a thread or process; [`event_message`] is the id.
    Started,
    /// It runs another program; [`event_message`] is the thread id that it had before.
    Exec,
    /// Anything else, of no interest here.
    Other,
}

/// What has become of a tracee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It stands until it is resumed.
    Stopped(Stop),
    /// It has ended, and its id may mean another thread from now on.
    Ended(ExitStatus),
}

/// Seizes a thread: it goes on, and all that it starts is seized too.
///
/// # Errors
///
/// `EPERM` when it may not be traced or another tracer has it, `ESRCH` when it has ended.
pub fn seize(tid: u32) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    let options = libc::c_long::from(FOLLOW);
    // SAFETY: the request takes numbers and touches no memory of ours.
    check(unsafe { libc::ptrace(libc::PTRACE_SEIZE, id(tid)?, nothing, options) })
}

/// Asks a running tracee to stop. A sleeping one is woken from its system call for that.
///
/// # Errors
///
/// `ESRCH` when it has ended.
pub fn interrupt(tid: u32) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the request takes numbers and touches no memory of ours.
    check(unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, id(tid)?, nothing, nothing) })
}

/// Lets a stopped tracee go on, with a signal or with 0 for none. The signal that it stopped for comes
/// with everything that its sender said.
///
/// # Errors
///
/// `ESRCH` when it does not stand (any more): it was killed.
pub fn resume(tid: u32, signal: i32) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    let signal = libc::c_long::from(signal);
    // SAFETY: the request takes numbers and touches no memory of ours.
    check(unsafe { libc::ptrace(libc::PTRACE_CONT, id(tid)?, nothing, signal) })
}

/// Leaves a tracee in its group stop, from which `SIGCONT` takes it.
///
/// # Errors
///
/// As [`resume`].
pub fn listen(tid: u32) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the request takes numbers and touches no memory of ours.
    check(unsafe { libc::ptrace(libc::PTRACE_LISTEN, id(tid)?, nothing, nothing) })
}

/// Lets a stopped tracee go on for good, with a signal or with 0 for none.
///
/// # Errors
///
/// As [`resume`].
pub fn detach(tid: u32, signal: i32) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    let signal = libc::c_long::from(signal);
    // SAFETY: the request takes numbers and touches no memory of ours.
    check(unsafe { libc::ptrace(libc::PTRACE_DETACH, id(tid)?, nothing, signal) })
}

/// The number that goes with a [`Stop::Started`] or [`Stop::Exec`].
///
/// # Errors
///
/// As [`resume`].
pub fn event_message(tid: u32) -> io::Result<u64> {
    let nothing = ptr::null_mut::<libc::c_void>();
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one word to the address, which is that of a word.
    check(unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, id(tid)?, nothing, &raw mut message) })?;
    Ok(message)
}

/// Number and code of the signal that a tracee stopped for.
///
/// # Errors
///
/// As [`resume`]; `EINVAL` when it stopped for none.
pub fn signal_information(tid: u32) -> io::Result<(i32, i32)> {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the structure is plain numbers, for which all zero is valid.
    let mut information: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one such structure to the address.
    check(unsafe {
        libc::ptrace(libc::PTRACE_GETSIGINFO, id(tid)?, nothing, &raw mut information)
    })?;
    Ok((information.si_signo, information.si_code))
}

/// What has become of a tracee of this thread, if anything has; without waiting. Ends are taken only
/// if asked for: whoever else waits for the process gets them otherwise.
///
/// # Errors
///
/// `ECHILD` when this thread has no tracees.
pub fn next_change(with_ends: bool) -> io::Result<Option<(u32, Change)>> {
    let mut options = libc::WSTOPPED | libc::WNOHANG | libc::__WALL | libc::__WNOTHREAD;
    if with_ends {
        options |= libc::WEXITED;
    }
    // SAFETY: the structure is plain numbers, for which all zero is valid.
    let mut found: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one such structure to the address.
    if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut found, options) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `waitid` fills in these fields, or leaves them zero when there was nothing.
    let (pid, status) = unsafe { (found.si_pid(), found.si_status()) };
    let Some(tid) = u32::try_from(pid).ok().filter(|tid| *tid != 0) else {
        return Ok(None);
    };
    let change = match found.si_code {
        libc::CLD_EXITED => Change::Ended(ExitStatus::from_raw((status & 0xff) << 8)),
        libc::CLD_KILLED => Change::Ended(ExitStatus::from_raw(status & 0x7f)),
        libc::CLD_DUMPED => Change::Ended(ExitStatus::from_raw(status & 0x7f | 0x80)),
        _ => Change::Stopped(stop(status & 0xff, status >> 8)),
    };
    Ok(Some((tid, change)))
}

fn stop(signal: i32, event: i32) -> Stop {
    match event {
        0 => Stop::Signal(signal),
        libc::PTRACE_EVENT_STOP if signal == libc::SIGTRAP => Stop::Interrupted,
        libc::PTRACE_EVENT_STOP => Stop::Group,
        libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
            Stop::Started
        }
        libc::PTRACE_EVENT_EXEC => Stop::Exec,
        _ => Stop::Other,
    }
}

/// Whether a thread is one of a process; `false` also when it has ended.
pub fn is_thread_of(pid: u32, tid: u32) -> bool {
    let (Ok(pid), Ok(tid)) = (id(pid), id(tid)) else {
        return false;
    };
    // SAFETY: the call takes three numbers; signal 0 is none.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, 0) };
    // The kernel asks for permission only once it has found the thread in the process.
    answer == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// Whether this process may trace what it starts: tried on a child that does nothing else.
///
/// # Errors
///
/// What the kernel answers: `EPERM` or `ENOSYS` from a system call filter or Yama.
pub fn may_trace() -> io::Result<()> {
    // SAFETY: the child makes two system calls that touch no memory, and never returns.
    let child = unsafe { libc::fork() };
    match child {
        -1 => Err(io::Error::last_os_error()),
        0 => loop {
            // SAFETY: waits for a signal. It must not outlive a parent that is killed.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::pause();
            }
        },
        child => {
            let answer = seize(child as u32);
            let mut status = 0;
            // SAFETY: the child is ours and not yet waited for; the kernel writes one number.
            unsafe {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, &raw mut status, libc::__WALL);
            }
            answer
        }
    }
}

fn id(tid: u32) -> io::Result<libc::pid_t> {
    libc::pid_t::try_from(tid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))
}

fn check(answer: libc::c_long) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
