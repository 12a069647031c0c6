//! What `/proc` says of a thread while it runs, from files that stay open.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Files of one thread.
#[derive(Debug)]
pub(super) struct ThreadFiles {
    run_time: File,
    state: File,
}

/// What a thread does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ThreadState {
    /// Whether it runs, or waits for a CPU only.
    pub(super) is_running: bool,
    /// The CPU that it runs on, or did last.
    pub(super) cpu: u32,
    /// Its name.
    pub(super) name: Vec<u8>,
}

impl ThreadFiles {
    /// Opens them; `None` when the thread has ended, or too many files are open.
    pub(super) fn open(pid: u32, tid: u32) -> Option<Self> {
        let open = |name: &str| File::open(format!("/proc/{pid}/task/{tid}/{name}")).ok();
        Some(Self { run_time: open("schedstat")?, state: open("stat")? })
    }

    /// Nanoseconds of CPU time so far. Of a thread that runs just now it is what it was at the last
    /// tick of the kernel's scheduler, some milliseconds ago.
    pub(super) fn run_time(&self) -> Option<u64> {
        let mut buffer = [0; 64];
        let length = self.run_time.read_at(&mut buffer, 0).ok()?;
        let text = std::str::from_utf8(buffer.get(..length)?).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    /// What it does now.
    pub(super) fn state(&self) -> Option<ThreadState> {
        let mut buffer = [0; 1024];
        let length = self.state.read_at(&mut buffer, 0).ok()?;
        parse_state(buffer.get(..length)?)
    }
}

/// `stat`: id, name in parentheses (it may hold some itself), state, and numbers; the CPU is field 39
/// (proc_pid_stat(5)).
fn parse_state(line: &[u8]) -> Option<ThreadState> {
    const CPU_BEHIND_NAME: usize = 36;
    let from = line.iter().position(|&byte| byte == b'(')?;
    let to = line.iter().rposition(|&byte| byte == b')')?;
    let name = line.get(from + 1..to)?.to_vec();
    let behind = std::str::from_utf8(line.get(to + 1..)?).ok()?;
    let mut fields = behind.split_whitespace();
    let is_running = fields.next()? == "R";
    let cpu = fields.nth(CPU_BEHIND_NAME - 1)?.parse().ok()?;
    Some(ThreadState { is_running, cpu, name })
}

/// Pages that a process has mapped: it changes with every mapping that comes or goes.
pub(super) fn mapped_pages(statm: &File) -> Option<u64> {
    let mut buffer = [0; 128];
    let length = statm.read_at(&mut buffer, 0).ok()?;
    let text = std::str::from_utf8(buffer.get(..length)?).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_parentheses() {
        let rest = (4..=52).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        let line = format!("7 (a) R (b) S {rest}\n");
        let found = parse_state(line.as_bytes()).expect("a line");
        let name = b"a) R (b".to_vec();
        assert_eq!(found, ThreadState { is_running: false, cpu: 39, name });
        assert_eq!(parse_state(b"7 (a) R 1"), None);
    }

    #[test]
    fn this_thread_runs() {
        let tid = std::fs::read_link("/proc/thread-self").expect("a link");
        let tid = tid.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number");
        let files = ThreadFiles::open(std::process::id(), tid).expect("they are there");
        assert!(files.state().expect("a state").is_running);
        let statm = File::open("/proc/self/statm").expect("it is there");
        assert!(mapped_pages(&statm).expect("a number") > 0);
        // Where the kernel counts it, it has used some.
        assert!(files.run_time().is_some());
    }
}
