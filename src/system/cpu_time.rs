//! How long processes and threads were on a CPU.

use std::path::Path;

/// Ticks a second in `/proc/PID/stat`: `USER_HZ`, on all architectures that are sampled here.
const TICK_NS: u64 = 1_000_000_000 / 100;

/// CPU time of all threads of a process, those that have ended included, ns; a multiple of 10 ms.
pub fn process_cpu_time(root: &Path, pid: u32) -> Option<u64> {
    let stat = std::fs::read(root.join(format!("proc/{pid}/stat"))).ok()?;
    // The name, in brackets, may hold anything; fields are counted behind it, from the third on.
    let behind = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let mut fields = std::str::from_utf8(stat.get(behind..)?).ok()?.split_ascii_whitespace();
    let user: u64 = fields.nth(14 - 3)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)?.checked_mul(TICK_NS)
}

/// CPU time of one thread, ns, up to its last tick; `None` where the kernel does not count it
/// (without `CONFIG_SCHED_INFO`).
pub fn thread_cpu_time(root: &Path, pid: u32, tid: u32) -> Option<u64> {
    let text =
        std::fs::read_to_string(root.join(format!("proc/{pid}/task/{tid}/schedstat"))).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_files() {
        let root = tempfile::tempdir().expect("a directory");
        let task = root.path().join("proc/7/task/9");
        std::fs::create_dir_all(&task).expect("directories");
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 25 3 4 20 0 2 0 1 2 3\n";
        std::fs::write(root.path().join("proc/7/stat"), stat).expect("a file");
        std::fs::write(task.join("schedstat"), "123456789 55 6\n").expect("a file");
        assert_eq!(process_cpu_time(root.path(), 7), Some(1_750_000_000));
        assert_eq!(thread_cpu_time(root.path(), 7, 9), Some(123_456_789));
        assert_eq!(process_cpu_time(root.path(), 8), None);
        assert_eq!(thread_cpu_time(root.path(), 7, 8), None);
    }
}
