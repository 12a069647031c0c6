//! Limits on what a process may have.

use std::path::Path;

/// Soft limits of this process; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Open files.
    pub open_files: Option<u64>,
    /// The most that open files can be raised to.
    pub open_files_hard: Option<u64>,
    /// Locked memory, bytes.
    pub locked_memory: Option<u64>,
}

impl Limits {
    /// Reads `/proc/self/limits` below `root`.
    pub fn read(root: &Path) -> Self {
        Self::parse(&std::fs::read_to_string(root.join("proc/self/limits")).unwrap_or_default())
    }

    /// Reads a text of the form of `/proc/self/limits`.
    pub fn parse(text: &str) -> Self {
        let limit = |name: &str, column: usize| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().nth(column)?.parse().ok()
        };
        Self {
            open_files: limit("Max open files", 0),
            open_files_hard: limit("Max open files", 1),
            locked_memory: limit("Max locked memory", 0),
        }
    }
}
