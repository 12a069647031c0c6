use std::process::{Child, Command};
use std::time::Duration;

use super::*;

fn sleeper() -> Child {
    let child = Command::new("sleep").arg("300").spawn().expect("sleep runs");
    // The standard library does not wait until the program is there.
    let is_asleep = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id()));
        stat.is_ok_and(|stat| stat.contains("(sleep) S"))
    };
    for _ in 0..30_000 {
        if is_asleep() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

fn next(what: &str) -> (u32, Change) {
    for _ in 0..30_000 {
        if let Some(change) = next_change(true).expect("there are tracees") {
            return change;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("waited in vain for {what}");
}

#[test]
fn a_child_may_be_traced() {
    may_trace().expect("a child of one's own may be traced here");
}

#[test]
fn an_interrupted_sleeper_sleeps_on() {
    let mut child = sleeper();
    let tid = child.id();
    seize(tid).expect("it may be traced");
    interrupt(tid).expect("it runs");
    assert_eq!(next("the interrupt"), (tid, Change::Stopped(Stop::Interrupted)));
    let found = registers(tid).expect("it stands");
    assert!(found.instruction() != 0 && !found.is_32_bit());
    resume(tid, 0).expect("it stands");
    assert!(registers(tid).is_err(), "it does not stand any more");
    // A signal stops it before it is delivered, and is delivered.
    let pid = libc::pid_t::try_from(tid).expect("an id");
    // SAFETY: the child is ours and not yet waited for.
    unsafe { libc::kill(pid, libc::SIGTERM) };
    assert_eq!(next("the signal"), (tid, Change::Stopped(Stop::Signal(libc::SIGTERM))));
    assert_eq!(signal_information(tid).expect("it stands").0, libc::SIGTERM);
    resume(tid, libc::SIGTERM).expect("it stands");
    let (ended, change) = next("the end");
    let Change::Ended(status) = change else { panic!("{change:?}") };
    assert_eq!((ended, status.signal()), (tid, Some(libc::SIGTERM)));
    assert!(child.try_wait().is_err(), "its end was taken");
    assert!(seize(tid).is_err());
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_debug_register_sees_a_write() {
    use std::sync::atomic::{AtomicU64, Ordering};
    /// `TRAP_HWBKPT` of the kernel's header.
    const HARDWARE_BREAKPOINT: i32 = 4;
    /// Local enable of register 0; write access (1) of 8 bytes (2).
    const CONDITION: u64 = 1 | 0b01 << 16 | 0b10 << 18;
    static WATCHED: AtomicU64 = AtomicU64::new(0);
    // SAFETY: the child touches one word and makes system calls, and never returns.
    let child = unsafe { libc::fork() };
    if child == 0 {
        loop {
            WATCHED.fetch_add(1, Ordering::Relaxed);
            // SAFETY: the call takes nothing. The child ends with its parent's thread.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::sched_yield();
            }
        }
    }
    let tid = u32::try_from(child).expect("a child");
    seize(tid).expect("it may be traced");
    interrupt(tid).expect("it runs");
    assert_eq!(next("the interrupt"), (tid, Change::Stopped(Stop::Interrupted)));
    set_debug_register(tid, 0, WATCHED.as_ptr().addr() as u64).expect("an address");
    set_debug_register(tid, 7, CONDITION).expect("a condition");
    assert_eq!(debug_register(tid, 0).ok(), Some(WATCHED.as_ptr().addr() as u64));
    resume(tid, 0).expect("it stands");
    assert_eq!(next("the trap"), (tid, Change::Stopped(Stop::Signal(libc::SIGTRAP))));
    assert_eq!(signal_information(tid).ok(), Some((libc::SIGTRAP, HARDWARE_BREAKPOINT)));
    assert_eq!(debug_register(tid, 6).map(|hit| hit & 0xf).ok(), Some(1));
    assert!(debug_register(tid, 8).is_err());
    // SAFETY: the child is ours and not yet waited for.
    unsafe { libc::kill(child, libc::SIGKILL) };
    let (ended, change) = next("the end");
    assert!(ended == tid && matches!(change, Change::Ended(_)), "{change:?}");
}
