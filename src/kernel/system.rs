//! Small questions to the kernel.

use std::io;

/// Bytes of a page.
pub fn page_size() -> usize {
    // SAFETY: `sysconf` reads a number and touches no memory of ours.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // It cannot fail for this name; 4 KiB is what every architecture can map.
    usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
}

/// Raises the limit of open files to `wanted`, or as near as this user may. Returns the limit that
/// holds now.
///
/// # Errors
///
/// What the kernel answers.
pub fn set_open_file_limit(wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes the structure, which lives to the end of the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur >= wanted {
        return Ok(limit.rlim_cur);
    }
    let raised = libc::rlimit { rlim_cur: wanted, rlim_max: limit.rlim_max.max(wanted) };
    let within = libc::rlimit { rlim_cur: wanted.min(limit.rlim_max), ..limit };
    for new in [raised, within] {
        // SAFETY: the kernel reads the structure, which lives to the end of the call.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const new) } == 0 {
            return Ok(new.rlim_cur);
        }
    }
    Ok(limit.rlim_cur)
}
