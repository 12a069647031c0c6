//! What is put to the proof while a recording is made, and who names it.

use std::fmt;
use std::sync::Arc;

/// A cache line that threads of one process may contend for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Process.
    pub pid: u32,
    /// First address of the line.
    pub line: u64,
    /// Offsets of its words of 8 bytes, all of them, the most telling first: those that threads were
    /// seen to write, those that they were seen to read, the others.
    pub words: Vec<u16>,
    /// How many of the words, from the first, threads were seen at.
    pub known_words: usize,
    /// Threads that were seen there: the one that writes most, then the busiest first.
    pub threads: Vec<u32>,
}

/// Looks at a recording, in the form that goes through a pipe, for places worth watching; the most
/// important first.
pub type FindPlaces = Arc<dyn Fn(Vec<u8>) -> Vec<Place> + Send + Sync>;

/// Whether and how a recording watches its suspects.
#[derive(Clone)]
pub struct WatchPlan {
    /// Share of the target's CPU time that watching may take, above 0 (0.01: one in a hundred).
    pub share: f64,
    /// Names what to watch. Called on a thread of its own.
    pub find: FindPlaces,
}

impl fmt::Debug for WatchPlan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WatchPlan").field("share", &self.share).finish_non_exhaustive()
    }
}
