//! System calls that end early because they are traced, and are made again.
//!
//! A stop wakes its thread from the system call that it sleeps in. Most calls go to sleep again by
//! themselves; some answer `EINTR` instead, as if a signal had come (signal(7), "Interruption of
//! system calls and library functions by stop signals"). A thread is stopped only while it runs, but it
//! may fall asleep just then. And a traced thread is woken for signals that it ignores, which it is not
//! otherwise. In both cases the call is made again, with the same arguments; only its timeout begins
//! anew.
//!
//! If a handler is run after all, before the thread has made its call again, it must see the call
//! end with `EINTR`: that is put back.

use std::io;

use crate::kernel::ptrace::{ThreadRegisters, registers, set_registers};
use crate::system::{SignalSets, signal_sets};

/// Calls that answer `EINTR` when they are woken without a signal, and do nothing by halves.
const REPEATABLE: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_io_getevents,
    libc::SYS_io_uring_enter,
    // Of inotify, and of sockets with a timeout.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_accept,
    libc::SYS_accept4,
];

fn is_to_repeat(registers: &ThreadRegisters) -> bool {
    let is_repeatable =
        |number| REPEATABLE.iter().any(|known| u64::try_from(*known).is_ok_and(|it| it == number));
    registers.result() == -i64::from(libc::EINTR)
        && !registers.is_32_bit()
        && registers.system_call().is_some_and(is_repeatable)
}

/// A call that is to be made again: the registers at its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeated(ThreadRegisters);

/// Sets a thread back before the call that it stands behind, if that only ended because it is traced.
/// It stands, and is about to go on without a signal.
pub(super) fn repeat(tid: u32, found: &ThreadRegisters) -> Option<Repeated> {
    if !is_to_repeat(found) {
        return None;
    }
    set_registers(tid, &found.before_system_call()).ok()?;
    Some(Repeated(*found))
}

/// What to do about the call of a thread that is about to get a signal: nothing in most cases.
pub(super) fn at_signal(
    tid: u32,
    signal: i32,
    repeated: Option<Repeated>,
) -> io::Result<Option<Repeated>> {
    let now = registers(tid)?;
    let is_set_back = |Repeated(end): &Repeated| {
        now.system_call().is_none() && now.is_same_state(&end.before_system_call())
    };
    let is_pending = repeated.filter(is_set_back);
    if is_pending.is_none() && !is_to_repeat(&now) {
        return Ok(None);
    }
    match (what_happens(signal, &signal_sets(tid)?), is_pending) {
        (Fate::Handled, Some(Repeated(end))) => set_registers(tid, &end).map(|()| None),
        (Fate::Ignored, None) => Ok(repeat(tid, &now)),
        (_, is_pending) => Ok(is_pending),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// A handler runs.
    Handled,
    /// Nothing: without a tracer the thread would not have been woken.
    Ignored,
    /// It stops or ends.
    Default,
}

fn what_happens(signal: i32, sets: &SignalSets) -> Fate {
    let is_in = |set: u64| (1..=64).contains(&signal) && set >> (signal - 1) & 1 == 1;
    let ignored_by_default = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
    if is_in(sets.caught) {
        Fate::Handled
    } else if is_in(sets.ignored) || ignored_by_default.contains(&signal) {
        Fate::Ignored
    } else {
        Fate::Default
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_handled_ignored_or_neither() {
        let bit = |signal: i32| 1_u64 << (signal - 1);
        let sets = SignalSets { caught: bit(libc::SIGCHLD), ignored: bit(libc::SIGHUP) };
        for (signal, fate) in [
            (libc::SIGCHLD, Fate::Handled),
            (libc::SIGHUP, Fate::Ignored),
            (libc::SIGWINCH, Fate::Ignored),
            (libc::SIGSTOP, Fate::Default),
            (libc::SIGTERM, Fate::Default),
        ] {
            assert_eq!(what_happens(signal, &sets), fate, "signal {signal}");
        }
    }
}
