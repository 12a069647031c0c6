//! What the kernel lets this process do: sysctl settings, capabilities, limits, filters.

use std::path::Path;

use super::tree;

/// A capability that sampling asks for, by its bit in `CapEff` (`include/uapi/linux/capability.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Capability {
    /// `CAP_IPC_LOCK`: locks memory without limit.
    IpcLock = 14,
    /// `CAP_SYS_PTRACE`: looks into other users' processes.
    SysPtrace = 19,
    /// `CAP_SYS_ADMIN`: everything that has no capability of its own.
    SysAdmin = 21,
    /// `CAP_PERFMON`: performance events (Linux 5.8).
    Perfmon = 38,
}

/// The system call filter of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeccompMode {
    /// None.
    #[default]
    None,
    /// Only read, write and exit.
    Strict,
    /// A filter program; containers have one by default.
    Filter,
}

/// The kernel's lockdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lockdown {
    /// Not locked down, or a kernel without it.
    #[default]
    None,
    /// Changes of the kernel are refused.
    Integrity,
    /// So is reading kernel memory, registers at interrupts included.
    Confidentiality,
}

/// Rights and limits of this process; a setting that the kernel does not show is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// `kernel.perf_event_paranoid`; absent in kernels without performance events.
    pub paranoid: Option<i32>,
    /// `kernel.perf_event_max_sample_rate`, Hz.
    pub max_sample_rate: Option<u64>,
    /// `kernel.perf_event_mlock_kb`, KiB of ring buffers for each online CPU and user.
    pub mlock_kib: Option<u64>,
    /// `kernel.perf_cpu_time_max_percent`.
    pub cpu_time_max_percent: Option<u32>,
    /// `kernel.kptr_restrict`: 0 kernel addresses shown, 1 to privileged readers, 2 to nobody.
    pub kptr_restrict: Option<u32>,
    /// `CapEff` of this process.
    pub capabilities: u64,
    /// Whether it lives in a user namespace of its own (a rootless container): its capabilities then
    /// count only there, and performance events ask for those of the machine.
    pub in_user_namespace: bool,
    /// Its system call filter.
    pub seccomp: SeccompMode,
    /// Whether it and its children can gain no privileges.
    pub no_new_privileges: bool,
    /// The kernel's lockdown.
    pub lockdown: Lockdown,
    /// `RLIMIT_MEMLOCK`, bytes; `None` is unlimited.
    pub locked_memory_limit: Option<u64>,
    /// `RLIMIT_NOFILE`, soft; `None` is unlimited.
    pub open_files_limit: Option<u64>,
    /// `RLIMIT_NOFILE`, hard; `None` is unlimited.
    pub open_files_hard_limit: Option<u64>,
    /// `kernel.yama.ptrace_scope`; `None` where Yama is not in the kernel.
    pub ptrace_scope: Option<u32>,
}

impl Permissions {
    /// Reads `/proc/sys/kernel`, `/proc/self` and `/sys/kernel/security`.
    pub fn read(root: &Path) -> Self {
        let sysctl = |name: &str| tree::text(root, &format!("proc/sys/kernel/{name}"));
        let status = tree::text(root, "proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
        };
        let limits = tree::text(root, "proc/self/limits").unwrap_or_default();
        let limit = |name: &str| {
            limits.lines().find_map(|line| {
                let mut values =
                    line.strip_prefix(name)?.split_whitespace().map(|text| text.parse().ok());
                Some((values.next()?, values.next()?))
            })
        };
        let (open_files, open_files_hard) = limit("Max open files").unwrap_or_default();
        Self {
            paranoid: sysctl("perf_event_paranoid").and_then(|text| text.trim().parse().ok()),
            max_sample_rate: sysctl("perf_event_max_sample_rate")
                .and_then(|text| text.trim().parse().ok()),
            mlock_kib: sysctl("perf_event_mlock_kb").and_then(|text| text.trim().parse().ok()),
            cpu_time_max_percent: sysctl("perf_cpu_time_max_percent")
                .and_then(|text| text.trim().parse().ok()),
            kptr_restrict: sysctl("kptr_restrict").and_then(|text| text.trim().parse().ok()),
            capabilities: field("CapEff")
                .and_then(|text| u64::from_str_radix(text, 16).ok())
                .unwrap_or(0),
            in_user_namespace: tree::text(root, "proc/self/uid_map")
                .is_some_and(|map| !is_whole_range(&map)),
            seccomp: match field("Seccomp") {
                Some("1") => SeccompMode::Strict,
                Some("2") => SeccompMode::Filter,
                _ => SeccompMode::None,
            },
            no_new_privileges: field("NoNewPrivs") == Some("1"),
            lockdown: lockdown(
                &tree::text(root, "sys/kernel/security/lockdown").unwrap_or_default(),
            ),
            locked_memory_limit: limit("Max locked memory").unwrap_or_default().0,
            open_files_limit: open_files,
            open_files_hard_limit: open_files_hard,
            ptrace_scope: sysctl("yama/ptrace_scope").and_then(|text| text.trim().parse().ok()),
        }
    }

    /// Whether the process has this capability, on the machine and not merely in a user namespace.
    pub fn has(&self, capability: Capability) -> bool {
        !self.in_user_namespace && self.capabilities >> (capability as u8) & 1 == 1
    }

    /// Whether it may use performance events beyond what `perf_event_paranoid` leaves to everyone:
    /// `perfmon_capable()` of the kernel.
    pub fn is_perfmon_capable(&self) -> bool {
        self.has(Capability::Perfmon) || self.has(Capability::SysAdmin)
    }

    /// Whether it may sample the kernel and physical addresses (`perf_allow_kernel()`: level 1 or
    /// lower, or privileged). A kernel that does not show its level is taken at 2, its default.
    pub fn may_sample_kernel(&self) -> bool {
        self.is_perfmon_capable() || self.paranoid.unwrap_or(2) <= 1
    }

    /// Whether it may sample whole CPUs (`perf_allow_cpu()`: level 0 or lower, or privileged).
    pub fn may_sample_cpus(&self) -> bool {
        self.is_perfmon_capable() || self.paranoid.unwrap_or(2) <= 0
    }
}

/// The first user namespace maps every id to itself: `0 0 4294967295`.
fn is_whole_range(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn lockdown(text: &str) -> Lockdown {
    // The level in force is in brackets: `none [integrity] confidentiality`.
    let level = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    match level.map(|(level, _)| level) {
        Some("integrity") => Lockdown::Integrity,
        Some("confidentiality") => Lockdown::Confidentiality,
        _ => Lockdown::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_tree() {
        let root = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write("proc/sys/kernel/perf_event_paranoid", "-1\n");
        write(
            "proc/self/status",
            "Name:\tx\nCapEff:\t0000004000004000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n",
        );
        write(
            "proc/self/limits",
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max open files            1024                 524288               files     \n\
             Max locked memory         unlimited            unlimited            bytes     \n",
        );
        write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
        let found = Permissions::read(root.path());
        assert_eq!(found.paranoid, Some(-1));
        assert_eq!(found.kptr_restrict, None);
        assert!(found.has(Capability::Perfmon) && found.has(Capability::IpcLock));
        assert!(!found.has(Capability::SysAdmin) && !found.has(Capability::SysPtrace));
        assert_eq!(found.seccomp, SeccompMode::Filter);
        assert!(found.no_new_privileges);
        write("proc/self/uid_map", "         0          0 4294967295\n");
        assert!(Permissions::read(root.path()).is_perfmon_capable());
        write("proc/self/uid_map", "         0       1000          1\n");
        let found = Permissions::read(root.path());
        assert!(found.in_user_namespace && !found.is_perfmon_capable());
        assert_eq!(found.lockdown, Lockdown::Integrity);
        assert_eq!(found.locked_memory_limit, None);
        assert_eq!(
            (found.open_files_limit, found.open_files_hard_limit),
            (Some(1024), Some(524_288))
        );
    }

    #[test]
    fn levels_mean_what_the_kernel_means() {
        let at = |paranoid, capabilities| Permissions {
            paranoid: Some(paranoid),
            capabilities,
            ..Permissions::default()
        };
        let of = |permissions: Permissions| {
            (permissions.may_sample_kernel(), permissions.may_sample_cpus())
        };
        assert_eq!(of(at(2, 0)), (false, false));
        assert_eq!(of(at(1, 0)), (true, false));
        assert_eq!(of(at(0, 0)), (true, true));
        assert_eq!(of(at(4, 1 << 38)), (true, true));
        assert_eq!(of(Permissions::default()), (false, false));
    }
}
