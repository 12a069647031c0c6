//! Which processes and threads there are.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// The threads of a process: listed again until nothing is new, since a thread that is being made
/// while the list is read may be missing in it.
///
/// # Errors
///
/// What reading `/proc/PID/task` below `root` answers: [`io::ErrorKind::NotFound`] when there is no
/// such process.
pub fn threads_of(root: &Path, pid: u32) -> io::Result<Vec<u32>> {
    /// A process that makes threads faster than they are listed is taken as it is.
    const ATTEMPTS: usize = 16;
    let folder = root.join(format!("proc/{pid}/task"));
    let mut known: BTreeSet<u32> = numbers_in(&folder)?;
    for _ in 0..ATTEMPTS {
        let now = numbers_in(&folder)?;
        let is_new = now.iter().any(|thread| !known.contains(thread));
        known.extend(now);
        if !is_new {
            break;
        }
    }
    Ok(known.into_iter().collect())
}

/// All processes.
pub fn all_processes(root: &Path) -> Vec<u32> {
    numbers_in(&root.join("proc")).unwrap_or_default().into_iter().collect()
}

/// The children of a process, theirs and so on; without the process itself.
pub fn children_of(root: &Path, pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = all_processes(root)
        .into_iter()
        .filter_map(|child| Some((child, number_in_status(root, child, "PPid")?)))
        .collect();
    let mut family = BTreeSet::from([pid]);
    // A child may have a smaller number than its parent: go round until nothing is new.
    while let Some((child, _)) =
        parents.iter().find(|(child, parent)| family.contains(parent) && !family.contains(child))
    {
        family.insert(*child);
    }
    family.remove(&pid);
    family.into_iter().collect()
}

/// The process that a thread belongs to, and the parent of that process.
pub fn process_of(root: &Path, thread: u32) -> Option<(u32, u32)> {
    let process = number_in_status(root, thread, "Tgid")?;
    Some((process, number_in_status(root, thread, "PPid").unwrap_or(0)))
}

/// The name of a thread of a process.
pub fn name_of(root: &Path, pid: u32, thread: u32) -> Option<Vec<u8>> {
    let name = std::fs::read(root.join(format!("proc/{pid}/task/{thread}/comm"))).ok()?;
    Some(name.strip_suffix(b"\n").map_or_else(|| name.clone(), <[u8]>::to_vec))
}

fn number_in_status(root: &Path, pid: u32, field: &str) -> Option<u32> {
    let status = std::fs::read_to_string(root.join(format!("proc/{pid}/status"))).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().parse().ok()
}

fn numbers_in(folder: &Path) -> io::Result<BTreeSet<u32>> {
    let entries = std::fs::read_dir(folder)?;
    Ok(entries.flatten().filter_map(|it| it.file_name().to_str()?.parse().ok()).collect())
}
