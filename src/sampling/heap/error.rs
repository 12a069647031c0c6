//! Why the heap cannot be traced.

use std::io;

/// What stands in the way of tracing allocations. The sentences name the cause and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeapError {
    /// Arguments are in registers that are not known here.
    #[error("--heap is only known for x86-64, and this machine is {0}: record without it")]
    Architecture(String),
    /// The target is no set of threads.
    #[error(
        "--heap takes a command, -p or -t: with {0} every process of the machine would pay for each \
         allocation"
    )]
    Target(&'static str),
    /// The sampler does not use the kernel's events.
    #[error("--heap takes the kernel's events, and threads are sampled with ptrace: {0}")]
    Sampler(String),
    /// The kernel lets this user define no probes.
    #[error(
        "--heap cannot define probes: {what} ({cause}); run as root, in a container with \
         --privileged, on a kernel with CONFIG_UPROBE_EVENTS"
    )]
    Probes {
        /// What was tried.
        what: &'static str,
        /// What the kernel says.
        cause: io::Error,
    },
    /// No image of the target has such a function.
    #[error(
        "--heap found no allocation function in the program and its libraries: its allocator is linked \
         in and stripped of its symbols; record without --heap, or an unstripped build"
    )]
    NoFunction,
    /// More files than may be open.
    #[error(
        "--heap needs {needed} open files for {threads} threads, and {limit} are allowed: raise the \
         limit with ulimit -n"
    )]
    OpenFiles {
        /// How many are needed.
        needed: u64,
        /// How many are allowed.
        limit: u64,
        /// Threads of the target.
        threads: usize,
    },
    /// An event does not open.
    #[error("--heap cannot open the event {event}: {cause}; run as root")]
    Open {
        /// Its name.
        event: String,
        /// What the kernel says.
        cause: io::Error,
    },
}
