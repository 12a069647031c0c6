//! Why nothing can be watched.

use std::io;

/// What stands in the way of debug registers. The sentences name the cause and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// There is no such process.
    #[error("there is no process {pid}: it may have ended")]
    NoProcess {
        /// Which.
        pid: u32,
    },
    /// The process may not be traced.
    #[error("process {pid} cannot be watched: {cause}; {remedy}")]
    Refused {
        /// Which.
        pid: u32,
        /// What the kernel says.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// Somebody else has the registers.
    #[error(
        "thread {tid} has too few debug registers left for {wanted}: another tool holds them (a \
         debugger, perf record -e mem:…, another hitm watch); end that tool, or watch fewer bytes"
    )]
    NoRegisters {
        /// Which thread.
        tid: u32,
        /// How many were wanted.
        wanted: usize,
    },
    /// The process has nothing there.
    #[error(
        "process {pid} has no memory at {address:#x}: give an address that it has mapped (see \
         /proc/{pid}/maps), or the name of a variable"
    )]
    Unmapped {
        /// Which process.
        pid: u32,
        /// The first address that is not mapped.
        address: u64,
    },
    /// More bytes than registers cover.
    #[error(
        "{length} bytes from {address:#x} on take more than the four debug registers that a thread \
         has, of up to 8 aligned bytes each: watch at most 32 of them at a time"
    )]
    TooLong {
        /// The first address.
        address: u64,
        /// How many.
        length: u64,
    },
    /// The registers of this machine's samples are not known.
    #[error("{0}")]
    Machine(String),
    /// A call to the kernel failed that never should.
    #[error("{what}: {cause}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// What the kernel says.
        cause: io::Error,
    },
}
