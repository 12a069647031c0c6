//! A process that keeps the kernel's probes while its parent lives, and removes them afterwards.
//!
//! When the last event of a probe is closed, the kernel waits until no CPU can be in the probe's
//! handler any more: some 80 ms for each of them, one after the other, and again when the probe is
//! removed. The keeper holds one event of each, so that its parent may close and open its own at will
//! and need not wait in the end; and it removes them also where the parent was killed.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

use perf_event_open_sys as sys;
use sys::bindings::perf_event_attr;

/// So many probes are kept at most.
pub const MAX_PROBES: usize = 512;
/// Bytes of a message: the probe's number, the length of its name, the name.
const MESSAGE: usize = 64;
/// Bytes that a probe's name may have.
const MAX_NAME: usize = MESSAGE - 5;

/// The keeping process.
#[derive(Debug)]
pub struct ProbeKeeper {
    pid: u32,
    /// It removes the probes when this closes.
    tell: PipeWriter,
    answers: PipeReader,
    kept: usize,
}

impl ProbeKeeper {
    /// Starts the process; `definitions` is tracefs' `uprobe_events`, open for appending.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn start(definitions: &File) -> io::Result<Self> {
        let (told, tell) = io::pipe()?;
        let (answers, answer) = io::pipe()?;
        let mut keeping = Keeping {
            told: told.as_raw_fd(),
            answer: answer.as_raw_fd(),
            definitions: definitions.as_raw_fd(),
            // Nothing may be allocated after the fork.
            messages: Vec::with_capacity(MAX_PROBES),
            events: Vec::with_capacity(MAX_PROBES),
        };
        let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // Handlers of this process must not run in the other one, and no signal of the terminal may
        // end it early. SAFETY: both sets are written before they are read.
        let pid = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            // SAFETY: the child makes system calls only, with memory that exists already, and never
            // returns.
            let pid = libc::fork();
            if pid == 0 {
                keeping.run();
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
            pid
        };
        match u32::try_from(pid) {
            Ok(pid) => Ok(Self { pid, tell, answers, kept: 0 }),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets it keep a probe, by the number of its tracepoint and by its name with that of its group:
    /// `group/name`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] when the name is too long or there are too many,
    /// [`io::ErrorKind::BrokenPipe`] or [`io::ErrorKind::UnexpectedEof`] when the process is gone.
    pub fn keep(&mut self, tracepoint: u32, name: &str) -> io::Result<()> {
        if name.len() > MAX_NAME || self.kept == MAX_PROBES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a probe too many"));
        }
        let mut message = [0; MESSAGE];
        message[..4].copy_from_slice(&tracepoint.to_ne_bytes());
        message[4] = name.len() as u8;
        message[5..5 + name.len()].copy_from_slice(name.as_bytes());
        self.tell.write_all(&message)?;
        self.kept += 1;
        self.answers.read_exact(&mut [0])
    }
}

/// What the child works with.
struct Keeping {
    told: RawFd,
    answer: RawFd,
    definitions: RawFd,
    messages: Vec<[u8; MESSAGE]>,
    events: Vec<RawFd>,
}

impl Keeping {
    /// The child's life. Nothing in it allocates, locks or panics.
    fn run(&mut self) -> ! {
        self.close_others();
        let mut message = [0_u8; MESSAGE];
        loop {
            // SAFETY: the buffer has so many bytes. Messages are shorter than what a pipe keeps whole.
            let read = unsafe { libc::read(self.told, message.as_mut_ptr().cast(), MESSAGE) };
            if read == MESSAGE as isize {
                self.keep(message);
                // SAFETY: one byte of an array that is there.
                unsafe { libc::write(self.answer, message.as_ptr().cast(), 1) };
            } else {
                break;
            }
        }
        for &event in &self.events {
            // SAFETY: an event that this process has opened and uses no more.
            unsafe { libc::close(event) };
        }
        for message in &self.messages {
            self.remove(message);
        }
        // SAFETY: ends the child and touches nothing.
        unsafe { libc::_exit(0) }
    }

    /// Leaves the terminal and what the parent has open: who waits for that to close does not wait for
    /// this process.
    fn close_others(&self) {
        let mut kept = [self.told, self.answer, self.definitions];
        kept.sort_unstable();
        let mut first = 0;
        // SAFETY: descriptors that nothing in this process uses.
        unsafe {
            libc::setsid();
            for fd in kept {
                if fd > first {
                    libc::syscall(libc::SYS_close_range, first, fd - 1, 0);
                }
                first = fd + 1;
            }
            libc::syscall(libc::SYS_close_range, first, libc::c_int::MAX, 0);
        }
    }

    fn keep(&mut self, message: [u8; MESSAGE]) {
        const TRACEPOINT: u32 = 2;
        if self.messages.len() == self.messages.capacity() {
            return;
        }
        self.messages.push(message);
        let mut attr = perf_event_attr {
            type_: TRACEPOINT,
            size: size_of::<perf_event_attr>() as u32,
            config: u64::from(u32::from_ne_bytes([message[0], message[1], message[2], message[3]])),
            ..Default::default()
        };
        attr.set_disabled(1);
        // It is of this process, which never calls what is probed. SAFETY: the attribute is valid.
        let event = unsafe {
            sys::perf_event_open(
                &raw mut attr,
                0,
                -1,
                -1,
                sys::bindings::PERF_FLAG_FD_CLOEXEC.into(),
            )
        };
        if event >= 0 {
            self.events.push(event);
        }
    }

    /// Removes a probe; while someone else still closes its events, the kernel says it is busy.
    fn remove(&self, message: &[u8; MESSAGE]) {
        let length = usize::from(message[4]).min(MAX_NAME);
        let mut line = [0_u8; MESSAGE];
        line[0] = b'-';
        line[1] = b':';
        line[2..2 + length].copy_from_slice(&message[5..5 + length]);
        for _ in 0..200 {
            // SAFETY: so many bytes of the array are filled; the pause is a structure that is there.
            unsafe {
                let written = libc::write(self.definitions, line.as_ptr().cast(), length + 2);
                if written >= 0 || *libc::__errno_location() != libc::EBUSY {
                    return;
                }
                let pause = libc::timespec { tv_sec: 0, tv_nsec: 50_000_000 };
                libc::nanosleep(&raw const pause, std::ptr::null_mut());
            }
        }
    }
}
