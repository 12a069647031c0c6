//! Waiting for something to happen to children and tracees, or for a time.

use std::io;
use std::time::Duration;

/// While this lives, the thread that made it, and those that it starts, do not take `SIGCHLD` but
/// leave it to [`wait`](Self::wait).
#[derive(Debug)]
pub struct ChildSignals {
    mask: libc::sigset_t,
    action: libc::sigaction,
}

impl ChildSignals {
    /// Keeps the signal back. A program that is started from now on inherits that; prepare it before.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn keep_back() -> io::Result<Self> {
        // SAFETY: both structures are plain numbers, for which all zero is valid, and the calls write
        // to addresses of such structures. Nobody is told of an ignored signal, so it gets back its
        // default, which does nothing but tell.
        unsafe {
            let mut mask: libc::sigset_t = std::mem::zeroed();
            let mut action: libc::sigaction = std::mem::zeroed();
            let mut default: libc::sigaction = std::mem::zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            if libc::sigaction(libc::SIGCHLD, &raw const default, &raw mut action) < 0 {
                return Err(io::Error::last_os_error());
            }
            let error = libc::pthread_sigmask(libc::SIG_BLOCK, &child_signal(), &raw mut mask);
            if error != 0 {
                return Err(io::Error::from_raw_os_error(error));
            }
            Ok(Self { mask, action })
        }
    }

    /// Waits until the signal comes, or the time is over; may end early.
    pub fn wait(time: Duration) {
        let time = libc::timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        // SAFETY: the set and the time live to the end of the call; no information is asked for.
        unsafe {
            libc::sigtimedwait(&child_signal(), std::ptr::null_mut(), &raw const time);
        }
    }
}

fn child_signal() -> libc::sigset_t {
    // SAFETY: the structure is plain numbers, and the calls write to it.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        set
    }
}

impl Drop for ChildSignals {
    fn drop(&mut self) {
        // SAFETY: both were handed out by the kernel for this purpose.
        unsafe {
            libc::sigaction(libc::SIGCHLD, &raw const self.action, std::ptr::null_mut());
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.mask, std::ptr::null_mut());
        }
    }
}
