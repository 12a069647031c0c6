//! A process that is held by a descriptor, so that its id cannot come to mean another.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// A descriptor of a process; it becomes readable when the process ends.
#[derive(Debug)]
pub struct PidFile {
    fd: OwnedFd,
}

impl PidFile {
    /// Takes hold of a process.
    ///
    /// # Errors
    ///
    /// `ESRCH` when there is none, `ENOSYS` before Linux 5.3.
    pub fn open(pid: u32) -> io::Result<Self> {
        // SAFETY: the call takes two numbers and gives a descriptor.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::c_long::from(pid), 0) };
        let fd = RawFd::try_from(fd).map_err(|_| io::Error::last_os_error())?;
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor, and nothing else knows it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }
}

/// Sends a signal to a process that this one has started and not yet waited for, so that its id still
/// means it.
///
/// # Errors
///
/// `ESRCH` when it has ended and was waited for.
pub fn send_signal(child: &std::process::Child, signal: i32) -> io::Result<()> {
    let pid =
        libc::pid_t::try_from(child.id()).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    // SAFETY: the call takes two numbers and touches no memory.
    if unsafe { libc::kill(pid, signal) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl AsFd for PidFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
