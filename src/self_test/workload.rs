//! What a sampled process is told to do, and what it tells of what it did.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::kernel::{KnownAccess, KnownCode, KnownLoop};

/// A program of known truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// A loop of which every access is known; one thread.
    Loop(KnownLoop),
    /// Two threads that count in two words of one line.
    SharedLine,
    /// The same, each word with lines to itself.
    PaddedLines,
    /// One thread that counts in a line of its own.
    Counting,
}

/// What a process is to do. Goes to it as JSON on its command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Which program.
    pub workload: Workload,
    /// For how long, ms; ignored where `rounds` are given.
    pub milliseconds: u64,
    /// So many rounds (only [`Workload::Counting`]).
    pub rounds: Option<u64>,
    /// The CPUs to which its threads are pinned, one each; none where there are too few.
    pub cpus: Vec<u32>,
    /// The file into which it writes what it did.
    pub told: PathBuf,
}

/// What a process did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Rounds of all threads together.
    pub rounds: u64,
    /// How long they took, ns.
    pub elapsed_ns: u64,
    /// Of these, how long its thread could have run and another one did, ns; 0 where the kernel does
    /// not tell.
    pub waiting_ns: u64,
    /// The loop's code.
    pub code: Option<KnownCode>,
    /// The loop's accesses.
    pub accesses: Vec<KnownAccess>,
    /// The words that two threads counted in.
    pub pair: Option<ToldPair>,
}

/// Two threads and their words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldPair {
    /// The address of each thread's word, 8 bytes that it reads and writes at once.
    pub words: [u64; 2],
    /// The threads.
    pub threads: [u32; 2],
}
