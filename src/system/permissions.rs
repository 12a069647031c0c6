//! What this process may do.

use std::path::Path;

/// A right that root has and others may be given (`capabilities(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Perf events of all kinds.
    Perfmon,
    /// Nearly everything.
    SysAdmin,
    /// Other processes' memory.
    SysPtrace,
    /// Locked memory without limit.
    IpcLock,
}

impl Capability {
    fn bit(self) -> u32 {
        match self {
            Self::IpcLock => 14,
            Self::SysPtrace => 19,
            Self::SysAdmin => 21,
            Self::Perfmon => 38,
        }
    }
}

/// Settings of the kernel and rights of this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// `kernel.perf_event_paranoid`; `None` where the kernel has no perf events.
    pub paranoid: Option<i32>,
    /// `kernel.perf_event_max_sample_rate`, Hz.
    pub max_sample_rate: Option<u64>,
    /// `kernel.perf_event_mlock_kb`: KiB that each user may lock for rings, for each online CPU.
    pub ring_memory_kib: Option<u64>,
    /// `kernel.kptr_restrict`.
    pub kptr_restrict: Option<i32>,
    /// `kernel.yama.ptrace_scope`.
    pub ptrace_scope: Option<i32>,
    /// Effective capabilities, as bits.
    pub capabilities: u64,
    /// 0 no seccomp, 1 strict, 2 a filter.
    pub seccomp: u32,
    /// Whether the kernel is locked down, and how: `none`, `integrity`, `confidentiality`.
    pub lockdown: Option<String>,
}

impl Permissions {
    /// Reads `/proc` and `/sys` below `root`.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let number = |path: &str| text(path)?.trim().parse::<i64>().ok();
        let status = text("proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_start_matches(':').trim().to_owned())
        };
        let lockdown = text("sys/kernel/security/lockdown").and_then(|text| {
            let chosen = text.split_whitespace().find_map(|word| word.strip_prefix('['))?;
            Some(chosen.trim_end_matches(']').to_owned())
        });
        Self {
            paranoid: number("proc/sys/kernel/perf_event_paranoid").map(|level| level as i32),
            max_sample_rate: number("proc/sys/kernel/perf_event_max_sample_rate")
                .and_then(|rate| rate.try_into().ok()),
            ring_memory_kib: number("proc/sys/kernel/perf_event_mlock_kb")
                .and_then(|amount| amount.try_into().ok()),
            kptr_restrict: number("proc/sys/kernel/kptr_restrict").map(|level| level as i32),
            ptrace_scope: number("proc/sys/kernel/yama/ptrace_scope").map(|level| level as i32),
            capabilities: field("CapEff")
                .and_then(|digits| u64::from_str_radix(&digits, 16).ok())
                .unwrap_or_default(),
            seccomp: field("Seccomp").and_then(|mode| mode.parse().ok()).unwrap_or_default(),
            lockdown,
        }
    }

    /// Whether this process has a capability.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities >> capability.bit() & 1 == 1
    }

    /// Whether perf events of the kernel and of everyone are allowed whatever the settings say.
    pub fn is_privileged(&self) -> bool {
        self.has(Capability::Perfmon) || self.has(Capability::SysAdmin)
    }

    /// Whether samples in the kernel are allowed (`perf_allow_kernel`); physical addresses too.
    pub fn allows_kernel(&self) -> bool {
        self.is_privileged() || self.paranoid.is_some_and(|level| level <= 1)
    }

    /// Whether events of a whole CPU are allowed (`perf_allow_cpu`).
    pub fn allows_whole_cpus(&self) -> bool {
        self.is_privileged() || self.paranoid.is_some_and(|level| level <= 0)
    }
}
