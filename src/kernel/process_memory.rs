//! Reading another process's memory.

use std::io;

/// Reads memory of a process from an address on, as many bytes as are there; at most `buffer`'s
/// length. Returns how many.
///
/// # Errors
///
/// What `process_vm_readv(2)` answers: `EPERM` without the right to trace the process, `EFAULT` when
/// nothing is mapped there, `ESRCH` when it has ended.
pub fn read_process_memory(pid: u32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let pid = libc::pid_t::try_from(pid)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "no process has this id"))?;
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address as usize),
        iov_len: buffer.len(),
    };
    // SAFETY: the local range is the buffer, which may be written; the remote one is in the other
    // process, and the kernel checks it.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Where a thread's list of robust locks begins: with glibc, inside the structure that the thread's
/// segment base points to.
///
/// # Errors
///
/// `EPERM` without the right to trace the thread, `ESRCH` when it has ended.
pub fn robust_list_of(thread: u32) -> io::Result<u64> {
    let mut head: *mut libc::c_void = std::ptr::null_mut();
    let mut length: libc::size_t = 0;
    // SAFETY: the kernel writes one word to each address, which are those of words.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_get_robust_list,
            libc::c_long::from(thread),
            &raw mut head,
            &raw mut length,
        )
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(head.addr() as u64) }
}
