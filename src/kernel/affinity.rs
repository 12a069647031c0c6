//! On which CPUs this thread may run.

use std::io;

/// Words of a set of CPUs: as many as the largest kernel can have (`CONFIG_NR_CPUS` is at most 8192
/// on x86-64), and more.
const WORDS: usize = 1024;

/// The CPUs on which this thread may run, in ascending order.
///
/// # Errors
///
/// What `sched_getaffinity(2)` answers.
pub fn allowed_cpus() -> io::Result<Vec<u32>> {
    let mut set = [0u64; WORDS];
    // SAFETY: the kernel writes at most as many bytes as are stated, and words may have any value.
    let answer = unsafe {
        libc::sched_getaffinity(0, size_of_val(&set), set.as_mut_ptr().cast::<libc::cpu_set_t>())
    };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    let is_in = |cpu: &u32| set[*cpu as usize / 64] >> (cpu % 64) & 1 == 1;
    Ok((0..WORDS as u32 * 64).filter(is_in).collect())
}

/// Keeps this thread, and no other, on one CPU from now on. Threads that it starts inherit that.
///
/// # Errors
///
/// What `sched_setaffinity(2)` answers: `EINVAL` when the CPU is not there, or not for this process.
pub fn pin_this_thread(cpu: u32) -> io::Result<()> {
    let mut set = [0u64; WORDS];
    let word = set.get_mut(cpu as usize / 64);
    *word.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))? = 1 << (cpu % 64);
    // SAFETY: the kernel reads as many bytes as are stated, all of which are there.
    let answer = unsafe {
        libc::sched_setaffinity(0, size_of_val(&set), set.as_ptr().cast::<libc::cpu_set_t>())
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_may_run_on_its_cpu_alone() {
        let allowed = allowed_cpus().expect("the kernel tells");
        let own = std::thread::spawn(|| {
            let last = *allowed_cpus().expect("the kernel tells").last().expect("one at least");
            pin_this_thread(last).expect("it is allowed");
            (last, allowed_cpus().expect("the kernel tells"))
        });
        let (last, own) = own.join().expect("the thread ends");
        assert_eq!(own, [last]);
        assert_eq!(allowed_cpus().expect("the kernel tells"), allowed);
        for none in [65_535, 65_536, u32::MAX] {
            let error = pin_this_thread(none).expect_err("there is no such CPU");
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        }
    }
}
