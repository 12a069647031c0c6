//! What is sampled.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::error::SamplingError;
use crate::kernel::Command;
use crate::system::{cgroup_for_perf, mounts, status, thread_ids};

/// What the user wants to have sampled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A program, from its start, with all its children.
    Command(Vec<OsString>),
    /// Running processes, with all threads and children that they have and will have.
    Processes(Vec<u32>),
    /// Single threads.
    Threads(Vec<u32>),
    /// Everything on some CPUs; on all when there are none.
    Cpus(Vec<u32>),
    /// Everything in a cgroup, and so in a container.
    Cgroup(PathBuf),
}

/// A target that was found.
#[derive(Debug)]
pub(super) enum Found {
    /// Threads by process: events follow each of them and what they start.
    Threads { threads: Vec<u32>, processes: Vec<u32>, with_children: bool },
    /// CPUs as a whole.
    Cpus(Vec<u32>),
    /// A cgroup, on all CPUs.
    Cgroup(File),
}

impl Target {
    /// Looks for the target below `root` (`/` on a real machine). A command stands at its barrier.
    pub(super) fn find(
        &self,
        root: &Path,
        command: Option<&Command>,
        online: &[u32],
    ) -> Result<Found, SamplingError> {
        match self {
            Self::Command(_) => {
                let pid = command.map_or(0, Command::pid);
                Ok(Found::Threads { threads: vec![pid], processes: vec![pid], with_children: true })
            }
            Self::Processes(pids) => {
                let mut threads = Vec::new();
                for &pid in pids {
                    let of_process =
                        thread_ids(root, pid).map_err(|_| SamplingError::NoProcess { pid })?;
                    threads.extend(of_process);
                }
                Ok(Found::Threads { threads, processes: pids.clone(), with_children: true })
            }
            Self::Threads(threads) => {
                let mut processes = Vec::new();
                for &tid in threads {
                    let found =
                        status(root, tid).map_err(|_| SamplingError::NoThread { tid })?.process;
                    if !processes.contains(&found) {
                        processes.push(found);
                    }
                }
                let threads = threads.clone();
                Ok(Found::Threads { threads, processes, with_children: false })
            }
            Self::Cpus(cpus) if cpus.is_empty() => Ok(Found::Cpus(online.to_vec())),
            Self::Cpus(cpus) => match cpus.iter().find(|cpu| !online.contains(cpu)) {
                Some(&cpu) => {
                    let online = crate::perf_data::format_cpu_list(online);
                    Err(SamplingError::NoCpu { cpu, online })
                }
                None => Ok(Found::Cpus(cpus.clone())),
            },
            Self::Cgroup(name) => {
                let path = cgroup_path(root, name);
                File::open(&path)
                    .map(Found::Cgroup)
                    .map_err(|cause| SamplingError::Cgroup { path, cause })
            }
        }
    }
}

/// The folder of a cgroup that is named by its path below the mount, or by its whole path.
pub(super) fn cgroup_path(root: &Path, name: &Path) -> PathBuf {
    let mount = cgroup_for_perf(&mounts(root))
        .map_or_else(|| PathBuf::from("/sys/fs/cgroup"), |mount| mount.point);
    if name.starts_with(&mount) {
        return name.to_owned();
    }
    mount.join(name.strip_prefix("/").unwrap_or(name))
}
