//! Why sampling does not start, or ends early.

use std::io;
use std::path::PathBuf;

/// What stands in the way of a recording. The sentences name the cause and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// There is no such process.
    #[error("there is no process {pid}: it may have ended")]
    NoProcess {
        /// Which.
        pid: u32,
    },
    /// There is no such thread.
    #[error("there is no thread {tid}: it may have ended")]
    NoThread {
        /// Which.
        tid: u32,
    },
    /// No CPU of the list is online.
    #[error("CPU {cpu} is not online; the online CPUs are {online}")]
    NoCpu {
        /// The first that is not.
        cpu: u32,
        /// Those that are.
        online: String,
    },
    /// A cgroup cannot be opened.
    #[error(
        "cgroup {} cannot be opened: {cause}; name one below the cgroup mount, such as \
         system.slice/ssh.service",
        path.display()
    )]
    Cgroup {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The frequency is none that the kernel takes.
    #[error("{0}")]
    Rate(String),
    /// An event does not open.
    #[error("the event {event} does not open on {place}: {cause}; {remedy}")]
    Open {
        /// Its name.
        event: String,
        /// Where.
        place: String,
        /// What the kernel says.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// A ring buffer cannot be mapped.
    #[error(
        "a ring buffer of {kib} KiB cannot be mapped: {cause}; this user may lock {allowed} in all \
         (kernel.perf_event_mlock_kb for each CPU, then ulimit -l): give --mmap-pages a smaller \
         number, or raise one of them"
    )]
    Map {
        /// Its size.
        kib: u64,
        /// How much is allowed.
        allowed: String,
        /// What the kernel says.
        cause: io::Error,
    },
    /// More files than may be open.
    #[error(
        "{needed} files would have to be open ({threads} threads on {cpus} CPUs), and {limit} may \
         be: raise the limit with ulimit -n, or record fewer threads or CPUs (-a needs one event \
         for each CPU only)"
    )]
    OpenFiles {
        /// How many are needed.
        needed: u64,
        /// Threads of the target.
        threads: u64,
        /// CPUs.
        cpus: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// A process may not be traced.
    #[error("process {pid} cannot be sampled with ptrace: {cause}; {remedy}")]
    Trace {
        /// Which.
        pid: u32,
        /// Why.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// Allocations cannot be traced.
    #[error(transparent)]
    Heap(#[from] super::heap::HeapError),
    /// The command cannot be run.
    #[error("{command} cannot be run: {cause}")]
    Command {
        /// Which.
        command: String,
        /// Why.
        cause: io::Error,
    },
    /// The recording cannot be begun.
    #[error("{what} cannot be written: {cause}")]
    Create {
        /// The file.
        what: String,
        /// Why.
        cause: io::Error,
    },
    /// The recording cannot be written.
    #[error("{what} cannot be written: {cause}; what was recorded until then can be read")]
    Write {
        /// The file.
        what: String,
        /// Why.
        cause: io::Error,
    },
    /// A call to the kernel failed that never should.
    #[error("{what}: {cause}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// What the kernel says.
        cause: io::Error,
    },
}
