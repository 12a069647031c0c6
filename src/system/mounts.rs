//! Mounted file systems, from `/proc/mounts`: where cgroups and tracefs are.

use std::path::{Path, PathBuf};

use super::tree;

/// One line of `/proc/mounts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// `ext4`, `cgroup2`, `tracefs` …
    pub file_system: String,
    /// `rw`, `nosuid`, `perf_event` …
    pub options: Vec<String>,
}

/// Where cgroups for performance events are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupMount {
    /// The mount point; a group's folder is below it.
    pub point: PathBuf,
    /// 1 (hierarchy with the `perf_event` controller) or 2 (the unified one, always usable).
    pub version: u8,
}

/// All mounts, in order.
pub fn mounts(root: &Path) -> Vec<Mount> {
    let text = tree::text(root, "proc/mounts").or_else(|| tree::text(root, "proc/self/mounts"));
    text.unwrap_or_default().lines().filter_map(parse).collect()
}

/// The hierarchy whose groups `perf_event_open` takes. The kernel looks a group up in the hierarchy
/// that holds the `perf_event` controller: version 1 where one is mounted with it, else version 2.
pub fn cgroup_for_perf(mounts: &[Mount]) -> Option<CgroupMount> {
    let first = mounts.iter().find(|mount| {
        mount.file_system == "cgroup" && mount.options.iter().any(|option| option == "perf_event")
    });
    let unified = || mounts.iter().find(|mount| mount.file_system == "cgroup2");
    let (mount, version) =
        first.map(|mount| (mount, 1)).or_else(|| unified().map(|mount| (mount, 2)))?;
    Some(CgroupMount { point: mount.point.clone(), version })
}

/// Where tracefs is: mounted by itself, or within debugfs.
pub fn tracefs(mounts: &[Mount]) -> Option<PathBuf> {
    let of = |kind: &str| mounts.iter().find(|mount| mount.file_system == kind);
    of("tracefs")
        .map(|mount| mount.point.clone())
        .or_else(|| of("debugfs").map(|mount| mount.point.join("tracing")))
}

fn parse(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ');
    let (_, point, file_system, options) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(Mount {
        point: unescape(point).into(),
        file_system: file_system.to_owned(),
        options: options.split(',').map(str::to_owned).collect(),
    })
}

/// Blanks, tabs, line ends and backslashes are octal there.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<Mount> {
        text.lines().filter_map(parse).collect()
    }

    #[test]
    fn the_hierarchy_with_the_controller_wins() {
        let both = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nosuid 0 0\n\
                    cgroup /sys/fs/cgroup/perf\\040event cgroup rw,relatime,perf_event 0 0\n";
        let point = "/sys/fs/cgroup/perf event".into();
        assert_eq!(cgroup_for_perf(&parsed(both)), Some(CgroupMount { point, version: 1 }));
        let other = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                     cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let point = "/sys/fs/cgroup/unified".into();
        assert_eq!(cgroup_for_perf(&parsed(other)), Some(CgroupMount { point, version: 2 }));
        assert_eq!(cgroup_for_perf(&parsed("proc /proc proc rw 0 0\nbroken\n")), None);
    }

    #[test]
    fn tracefs_may_be_within_debugfs() {
        let both = "debugfs /sys/kernel/debug debugfs rw 0 0\ntracefs /sys/kernel/tracing tracefs rw 0 0\n";
        assert_eq!(tracefs(&parsed(both)), Some("/sys/kernel/tracing".into()));
        let old = "debugfs /sys/kernel/debug debugfs rw 0 0\n";
        assert_eq!(tracefs(&parsed(old)), Some("/sys/kernel/debug/tracing".into()));
    }
}
