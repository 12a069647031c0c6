//! Waiting for descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// What a wait found of one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness {
    /// There is something to read.
    pub is_readable: bool,
    /// Nothing will come any more: for an event, all its threads have ended.
    pub is_over: bool,
}

/// Waits until one of the descriptors has something to say or the time is over. An interrupted wait
/// ends early, with nothing found.
///
/// # Errors
///
/// What the kernel answers.
pub fn poll(descriptors: &[BorrowedFd<'_>], time: Duration) -> io::Result<Vec<Readiness>> {
    let mut polled: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let milliseconds = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the array is as long as is stated, and the descriptors are open, as their borrows say.
    let answer =
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, milliseconds) };
    if answer < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
        polled.iter_mut().for_each(|it| it.revents = 0);
    }
    Ok(polled
        .iter()
        .map(|it| Readiness {
            is_readable: it.revents & libc::POLLIN != 0,
            is_over: it.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0,
        })
        .collect())
}
