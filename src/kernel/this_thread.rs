//! Where this thread runs.

/// The CPU that this thread runs on now.
pub fn current_cpu() -> Option<u32> {
    // SAFETY: the call takes nothing and gives a number.
    u32::try_from(unsafe { libc::sched_getcpu() }).ok()
}

/// The CPUs that this thread may run on, so that it can be given them back.
#[derive(Debug, Clone, Copy)]
pub struct AllowedCpus(libc::cpu_set_t);

impl AllowedCpus {
    /// Those of this thread; `None` where the kernel does not tell (more CPUs than the set holds).
    pub fn of_this_thread() -> Option<Self> {
        // SAFETY: the set is plain numbers, and the kernel writes at most its size.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            let answer = libc::sched_getaffinity(0, size_of_val(&set), &raw mut set);
            (answer == 0).then_some(Self(set))
        }
    }

    /// Lets this thread run on these CPUs; whether the kernel took that.
    pub fn apply(&self) -> bool {
        // SAFETY: the set is as long as is stated.
        unsafe { libc::sched_setaffinity(0, size_of_val(&self.0), &raw const self.0) == 0 }
    }

    /// Only this CPU, if it is one of them.
    pub fn only(&self, cpu: u32) -> Option<Self> {
        let cpu = usize::try_from(cpu).ok().filter(|cpu| *cpu < libc::CPU_SETSIZE as usize)?;
        // SAFETY: the number lies within the set, as was checked.
        unsafe {
            if !libc::CPU_ISSET(cpu, &self.0) {
                return None;
            }
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu, &mut set);
            Some(Self(set))
        }
    }
}

/// Nanoseconds of the monotonic clock.
pub fn monotonic_time() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one such structure; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
