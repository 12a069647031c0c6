//! `perf_event_open` and what can be done with its answer.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use perf_event_open_sys as sys;
use sys::bindings::perf_event_attr;

// The sizes that the kernel's header states (`PERF_ATTR_SIZE_VER8` and up are what the crate has);
// bytes of an attribute are copied into the structure, so it must hold them.
const _: () = assert!(size_of::<perf_event_attr>() >= 128);
const _: () = assert!(align_of::<perf_event_attr>() == 8);

/// Where an event counts.
#[derive(Debug, Clone, Copy)]
pub struct Placement<'f> {
    /// A thread; 0 for this one, `None` for all (a CPU is then needed).
    pub thread: Option<u32>,
    /// A CPU; `None` for whichever the thread runs on.
    pub cpu: Option<u32>,
    /// A cgroup's directory instead of a thread.
    pub cgroup: Option<BorrowedFd<'f>>,
    /// The leader of the group that the event joins.
    pub leader: Option<BorrowedFd<'f>>,
}

/// What an event has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventCount {
    /// Occurrences.
    pub value: u64,
    /// Samples that found no room in the ring buffer; `None` where the kernel does not tell (before
    /// 6.0).
    pub lost: Option<u64>,
}

/// An open event.
#[derive(Debug)]
pub struct PerfEvent {
    fd: OwnedFd,
    read_format: u64,
}

impl PerfEvent {
    /// Opens an event. `attr` are the bytes of a `perf_event_attr` in native byte order, with its size
    /// in the second word.
    ///
    /// # Errors
    ///
    /// What the kernel answers, untouched: see `perf_event_open(2)`. `E2BIG` too when there are too few
    /// bytes, more than the kernel's structure has, or another number of them than the attribute
    /// states.
    pub fn open(attr: &[u8], placement: Placement<'_>) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "a number that is too large");
        let mut event = perf_event_attr::default();
        let stated = attr.get(4..8).and_then(|size| size.try_into().ok()).map(u32::from_ne_bytes);
        let is_whole = stated.is_some_and(|size| size as usize == attr.len());
        if !is_whole || attr.len() < 64 || attr.len() > size_of::<perf_event_attr>() {
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        // SAFETY: the structure is plain numbers and bit fields, for which every bit pattern is valid;
        // it holds at least `attr.len()` bytes, as was checked; the two do not overlap.
        unsafe {
            std::ptr::copy_nonoverlapping(attr.as_ptr(), (&raw mut event).cast::<u8>(), attr.len());
        }
        let mut flags = u64::from(sys::bindings::PERF_FLAG_FD_CLOEXEC);
        let pid = match (placement.cgroup, placement.thread) {
            (Some(cgroup), _) => {
                flags |= u64::from(sys::bindings::PERF_FLAG_PID_CGROUP);
                cgroup.as_raw_fd()
            }
            (None, Some(thread)) => i32::try_from(thread).map_err(|_| wrong())?,
            (None, None) => -1,
        };
        let cpu = placement.cpu.map_or(Ok(-1), i32::try_from).map_err(|_| wrong())?;
        let leader = placement.leader.map_or(-1, |leader| leader.as_raw_fd());
        // SAFETY: `event` is a valid attribute that outlives the call; the kernel copies it. The
        // descriptors are open, as their borrows say.
        let fd = unsafe { sys::perf_event_open(&raw mut event, pid, cpu, leader, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor, and nothing else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, read_format: event.read_format })
    }

    /// Starts counting, and the whole group with a leader.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn enable(&self) -> io::Result<()> {
        // SAFETY: the descriptor is an open event; the argument is a flag.
        check(unsafe { sys::ioctls::ENABLE(self.fd.as_raw_fd(), WHOLE_GROUP) })
    }

    /// Stops counting, and the whole group with a leader.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn disable(&self) -> io::Result<()> {
        // SAFETY: as for `enable`.
        check(unsafe { sys::ioctls::DISABLE(self.fd.as_raw_fd(), WHOLE_GROUP) })
    }

    /// Starts the event for so many more samples: after these it stops by itself. Not for events that
    /// threads inherit.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn refresh(&self, samples: u32) -> io::Result<()> {
        let samples = i32::try_from(samples).unwrap_or(i32::MAX);
        // SAFETY: the descriptor is an open event; the argument is a number.
        check(unsafe { sys::ioctls::REFRESH(self.fd.as_raw_fd(), samples) })
    }

    /// The id that the event's records carry.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn id(&self) -> io::Result<u64> {
        let mut id = 0;
        // SAFETY: the kernel writes one word to the address, which is that of a word.
        check(unsafe { sys::ioctls::ID(self.fd.as_raw_fd(), &raw mut id) })?;
        Ok(id)
    }

    /// Lets the event leave its records in another's ring buffer; both must be of one CPU.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn set_output(&self, owner: &Self) -> io::Result<()> {
        // SAFETY: both descriptors are open events.
        check(unsafe { sys::ioctls::SET_OUTPUT(self.fd.as_raw_fd(), owner.fd.as_raw_fd()) })
    }

    /// Changes the sampling period. Threads that have inherited the event keep theirs.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn set_period(&self, period: u64) -> io::Result<()> {
        // SAFETY: the kernel reads one word from the address, which is that of a word.
        check(unsafe { sys::ioctls::PERIOD(self.fd.as_raw_fd(), period) })
    }

    /// What was counted, threads that inherited the event included.
    ///
    /// # Errors
    ///
    /// What the kernel answers; [`io::ErrorKind::InvalidData`] when the answer is too short.
    pub fn count(&self) -> io::Result<EventCount> {
        let mut words = [0u64; 8];
        // SAFETY: the buffer is as long as is stated, and words may have any value.
        let read = unsafe {
            libc::read(self.fd.as_raw_fd(), words.as_mut_ptr().cast(), size_of_val(&words))
        };
        let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())? / 8;
        // Value, then the fields of the format in the order of their bits: times, id, lost.
        let format = |bit: u32| self.read_format & u64::from(bit) != 0;
        let times = [
            sys::bindings::PERF_FORMAT_TOTAL_TIME_ENABLED,
            sys::bindings::PERF_FORMAT_TOTAL_TIME_RUNNING,
            sys::bindings::PERF_FORMAT_ID,
        ];
        let before = 1 + times.into_iter().filter(|bit| format(*bit)).count();
        let lost = format(sys::bindings::PERF_FORMAT_LOST).then(|| words[before]);
        if read < before + usize::from(lost.is_some()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a count that is cut off"));
        }
        Ok(EventCount { value: words[0], lost })
    }
}

const WHOLE_GROUP: u32 = 1;

impl From<PerfEvent> for OwnedFd {
    fn from(event: PerfEvent) -> Self {
        event.fd
    }
}

impl AsFd for PerfEvent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn check(answer: i32) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_the_bytes_do_not_have_never_reaches_the_kernel() {
        let here = Placement { thread: Some(0), cpu: None, cgroup: None, leader: None };
        let mut attr = [0_u8; 64];
        attr[4] = 65;
        for wrong in [&attr[..], &attr[..8], &[0; 4096]] {
            let error = PerfEvent::open(wrong, here).expect_err("refused");
            assert_eq!(error.raw_os_error(), Some(libc::E2BIG));
        }
    }
}
