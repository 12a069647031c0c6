//! A tracefs of our own, which no path leads to.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Mounts tracefs without a place in the tree of files: the answer is its folder. It goes with the
/// last descriptor.
///
/// # Errors
///
/// `EPERM` without CAP_SYS_ADMIN, `ENODEV` where the kernel has no tracefs, `ENOSYS` before Linux 5.2.
pub fn mount_hidden_tracefs() -> io::Result<OwnedFd> {
    const NAME: &CStr = c"tracefs";
    const CLOEXEC: libc::c_int = 1;
    const CREATE: libc::c_int = 6;
    let nothing = std::ptr::null::<libc::c_char>();
    // SAFETY: the name is a string that ends in NUL; the call gives a descriptor.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, NAME.as_ptr(), CLOEXEC) })?;
    // SAFETY: creating takes no key and no value.
    let created = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            CREATE,
            nothing,
            nothing,
            0 as libc::c_int,
        )
    };
    if created < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call takes numbers and gives a descriptor.
    owned(unsafe {
        libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOEXEC, 0 as libc::c_int)
    })
}

/// The descriptor that a call has answered.
fn owned(answer: libc::c_long) -> io::Result<OwnedFd> {
    match RawFd::try_from(answer) {
        // SAFETY: the kernel has just made this descriptor, and nothing else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
