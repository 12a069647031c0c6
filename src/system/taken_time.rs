//! Time in which CPUs were taken away: by the hypervisor, or by the quota of a cgroup.

use std::path::{Path, PathBuf};

use super::mounts::mounts;
use super::tree;

/// `/proc/stat` counts in units of 1/100 s (`USER_HZ`, the same on all machines that Linux runs on but
/// Alpha).
const NS_PER_TICK: u64 = 10_000_000;

/// What was taken away, since the machine or the group was started, or between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TakenTime {
    /// What the hypervisor gave to others while a CPU wanted to run (`steal` of `/proc/stat`), ns of all
    /// CPUs together, by steps of 10 ms.
    pub stolen_ns: u64,
    /// How often a quota stopped a group (`nr_throttled` of `cpu.stat`).
    pub quota_stops: u64,
    /// For how long, ns of all CPUs together.
    pub quota_ns: u64,
}

/// Reads what is taken away from the processes of some cgroups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakenTimeReader {
    root: PathBuf,
    /// Folders with a `cpu.stat`: those of the groups, and of all groups that they are in.
    groups: Vec<PathBuf>,
    start: Vec<TakenTime>,
}

impl TakenTimeReader {
    /// Begins with what was taken until now from a process, below `root` (`/` on a real machine).
    pub fn of_process(root: &Path, pid: u32) -> Self {
        let text = tree::text(root, &format!("proc/{pid}/cgroup")).unwrap_or_default();
        let mounts = mounts(root);
        let mut groups = Vec::new();
        for line in text.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            let mount = mounts.iter().find(|mount| match controllers {
                "" => mount.file_system == "cgroup2",
                _ => {
                    controllers.split(',').any(|name| name == "cpu")
                        && mount.file_system == "cgroup"
                        && mount.options.iter().any(|option| option == "cpu")
                }
            });
            let Some(mount) = mount else { continue };
            let below = Path::new(path.trim_start_matches('/'));
            let point = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point));
            groups.extend(below.ancestors().map(|group| point.join(group)));
        }
        Self::begin(root, groups)
    }

    /// Begins with what was taken until now from a cgroup, by its folder.
    pub fn of_cgroup(root: &Path, folder: &Path) -> Self {
        Self::begin(root, vec![folder.to_owned()])
    }

    /// Begins with what was taken until now from the whole machine.
    pub fn of_machine(root: &Path) -> Self {
        Self::begin(root, Vec::new())
    }

    fn begin(root: &Path, mut groups: Vec<PathBuf>) -> Self {
        groups.retain(|group| group.join("cpu.stat").is_file());
        let mut reader = Self { root: root.to_owned(), groups, start: Vec::new() };
        reader.start = reader.read();
        reader
    }

    /// What was taken since the beginning. Groups that are in each other are stopped together: the one
    /// that was stopped for longest tells.
    pub fn since_start(&self) -> TakenTime {
        let mut taken = TakenTime::default();
        for (now, then) in self.read().iter().zip(&self.start) {
            let quota_ns = now.quota_ns.saturating_sub(then.quota_ns);
            let quota_stops = now.quota_stops.saturating_sub(then.quota_stops);
            if (quota_ns, quota_stops) > (taken.quota_ns, taken.quota_stops) {
                (taken.quota_ns, taken.quota_stops) = (quota_ns, quota_stops);
            }
            taken.stolen_ns = taken.stolen_ns.max(now.stolen_ns.saturating_sub(then.stolen_ns));
        }
        taken
    }

    /// The machine first, then each group.
    fn read(&self) -> Vec<TakenTime> {
        let machine = TakenTime { stolen_ns: stolen(&self.root), ..TakenTime::default() };
        let groups = self.groups.iter().map(|group| {
            // A group that has gone takes no more.
            let text = tree::text(group, "cpu.stat").unwrap_or_default();
            quota(&text)
        });
        std::iter::once(machine).chain(groups).collect()
    }
}

/// `cpu  user nice system idle iowait irq softirq steal …` (proc(5)).
fn stolen(root: &Path) -> u64 {
    let text = tree::text(root, "proc/stat").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("cpu "));
    let ticks = line.and_then(|line| line.split_whitespace().nth(8)?.parse::<u64>().ok());
    ticks.unwrap_or(0).saturating_mul(NS_PER_TICK)
}

/// `cpu.stat`: `throttled_usec` in version 2 of cgroups, `throttled_time` in ns in version 1.
fn quota(text: &str) -> TakenTime {
    let mut taken = TakenTime::default();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(' ') else { continue };
        let value: u64 = value.trim().parse().unwrap_or(0);
        match name {
            "nr_throttled" => taken.quota_stops = value,
            "throttled_usec" => taken.quota_ns = value.saturating_mul(1000),
            "throttled_time" => taken.quota_ns = value,
            _ => {}
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_of_all_groups_around_a_process_and_stolen_time_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write("proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
        write("proc/7/cgroup", "0::/pod/box\n");
        write("proc/stat", "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
        write(
            "sys/fs/cgroup/pod/box/cpu.stat",
            "usage_usec 5\nnr_throttled 1\nthrottled_usec 10\n",
        );
        write("sys/fs/cgroup/pod/cpu.stat", "usage_usec 5\nnr_throttled 2\nthrottled_usec 20\n");
        let reader = TakenTimeReader::of_process(root, 7);
        assert_eq!(reader.since_start(), TakenTime::default());
        write("proc/stat", "cpu  1 2 3 4 5 6 7 11 9 10\n");
        write("sys/fs/cgroup/pod/cpu.stat", "usage_usec 5\nnr_throttled 7\nthrottled_usec 2020\n");
        let taken = TakenTime { stolen_ns: 3 * NS_PER_TICK, quota_stops: 5, quota_ns: 2_000_000 };
        assert_eq!(reader.since_start(), taken);
    }

    #[test]
    fn the_first_version_counts_nanoseconds() {
        let text = "nr_periods 9\nnr_throttled 4\nthrottled_time 1234567\n";
        let taken = TakenTime { quota_stops: 4, quota_ns: 1_234_567, ..TakenTime::default() };
        assert_eq!(quota(text), taken);
        assert_eq!(quota("damaged"), TakenTime::default());
    }
}
