//! A program that waits for its recorder before it runs.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::thread::JoinHandle;

/// A child process that stands just before it becomes the wanted program.
#[derive(Debug)]
pub struct Command {
    pid: u32,
    go: Option<PipeWriter>,
    spawning: JoinHandle<io::Result<Child>>,
}

impl Command {
    /// Makes the process, and returns when it stands.
    ///
    /// # Errors
    ///
    /// What the kernel answers; that the program cannot be run shows only in [`start`](Self::start).
    pub fn prepare(program: &[OsString]) -> io::Result<Self> {
        let Some((name, arguments)) = program.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no command was given"));
        };
        let (mut at, here) = io::pipe()?;
        let (wait, go) = io::pipe()?;
        let mut command = std::process::Command::new(name);
        command.args(arguments);
        // SAFETY: between fork and exec only system calls are made, with values that exist already;
        // the closure allocates nothing and takes no lock.
        unsafe { command.pre_exec(barrier(here, wait, go.as_raw_fd())) };
        // `spawn` returns after exec, so it waits in a thread of its own.
        let spawning = std::thread::spawn(move || command.spawn());
        let mut pid = [0; 4];
        match at.read_exact(&mut pid) {
            Ok(()) => Ok(Self { pid: u32::from_ne_bytes(pid), go: Some(go), spawning }),
            // The process could not be made: the thread knows why.
            Err(error) => match joined(spawning) {
                Err(reason) => Err(reason),
                Ok(_) => Err(error),
            },
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets it become the program.
    ///
    /// # Errors
    ///
    /// Why it could not: [`io::ErrorKind::NotFound`], [`io::ErrorKind::PermissionDenied`] and others.
    pub fn start(mut self) -> io::Result<Child> {
        self.let_go();
        joined(self.spawning)
    }

    /// Lets it become the program, without waiting for it: [`start`](Self::start) does not wait any
    /// more once [`has_started`](Self::has_started).
    pub fn let_go(&mut self) {
        if let Some(mut go) = self.go.take() {
            // A child that has died meanwhile does not read this; the thread tells why.
            let _ = go.write_all(&[1]);
        }
    }

    /// Whether it has become the program, or failed to.
    pub fn has_started(&self) -> bool {
        self.spawning.is_finished()
    }
}

fn joined(spawning: JoinHandle<io::Result<Child>>) -> io::Result<Child> {
    spawning.join().unwrap_or_else(|_| Err(io::Error::other("the starting thread ended early")))
}

/// Tells the process id and waits for a byte. If the recorder gives up, the other end closes, and the
/// program is not run; for that the child must not hold that end itself.
fn barrier(
    mut here: PipeWriter,
    mut wait: PipeReader,
    go: RawFd,
) -> impl FnMut() -> io::Result<()> {
    move || {
        // SAFETY: the child closes its own copy of a descriptor that it does not use.
        unsafe { libc::close(go) };
        here.write_all(&std::process::id().to_ne_bytes())?;
        let mut byte = [0];
        match wait.read(&mut byte) {
            Ok(1) => Ok(()),
            // Whoever would be told has given up. SAFETY: ends the child and touches nothing.
            _ => unsafe { libc::_exit(126) },
        }
    }
}
