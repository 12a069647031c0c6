//! Which machine this is, and since when it runs.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// The running machine, as far as it says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// Host name.
    pub name: Option<String>,
    /// Kernel release.
    pub kernel_release: Option<String>,
    /// When it was started.
    pub started: Option<SystemTime>,
}

impl Host {
    /// Reads `/proc` below `root` (`/` on a real machine).
    pub fn read(root: &Path) -> Self {
        let line = |path: &str| {
            let text = std::fs::read_to_string(root.join(path)).ok()?;
            Some(text.trim().to_owned())
        };
        let started = line("proc/stat").and_then(|text| {
            let seconds = text.lines().find_map(|line| line.strip_prefix("btime "))?;
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.trim().parse().ok()?))
        });
        Self {
            name: line("proc/sys/kernel/hostname"),
            kernel_release: line("proc/sys/kernel/osrelease"),
            started,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_tree() {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(root.path().join("proc/sys/kernel")).expect("made");
        std::fs::write(root.path().join("proc/sys/kernel/hostname"), "box\n").expect("written");
        std::fs::write(root.path().join("proc/stat"), "cpu 1 2\nbtime 1700000000\n")
            .expect("written");
        let host = Host::read(root.path());
        assert_eq!(host.name.as_deref(), Some("box"));
        assert_eq!(host.kernel_release, None);
        assert_eq!(host.started, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
    }
}
