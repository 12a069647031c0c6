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

impl AsFd for PidFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
