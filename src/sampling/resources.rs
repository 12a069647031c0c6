//! What a recording takes from the system: file descriptors and locked memory, worked out before
//! anything is opened, and what to do where there is not enough.

use crate::system::{Capability, Permissions};

/// What is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// CPUs on which events are opened.
    pub cpus: u32,
    /// Threads that are followed by events of their own; 1 for a command, a CPU or a cgroup.
    pub threads: u32,
    /// Events of the plan on each CPU, the tracking event included.
    pub events: u32,
    /// Pages of each ring buffer without its control page, a power of two.
    pub data_pages: u64,
    /// Bytes of each AUX buffer; 0 without.
    pub aux_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Descriptors that the recorder itself needs: standard streams, the file, signals, polling.
    pub other_descriptors: u64,
}

/// What that takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// File descriptors of this process.
    pub descriptors: u64,
    /// Ring buffers.
    pub buffers: u64,
    /// Memory locked by ring buffers, control pages and AUX buffers, bytes.
    pub locked_bytes: u64,
}

/// Something of which there is not enough.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    /// The soft limit of open files, which the recorder raises by itself as far as it may.
    #[error(
        "{events} events on {cpus} CPUs{of} need {needed} file descriptors and this process may \
         have {limit}; {remedy}",
        of = if *threads > 1 { format!(" for {threads} threads") } else { String::new() }
    )]
    Descriptors {
        /// Events on each CPU.
        events: u32,
        /// CPUs.
        cpus: u32,
        /// Threads.
        threads: u32,
        /// Descriptors needed.
        needed: u64,
        /// The hard limit.
        limit: u64,
        /// What helps.
        remedy: String,
    },
    /// Ring buffers beyond what may be locked.
    #[error(
        "{buffers} ring buffers need {needed_kib} KiB of locked memory and {allowed_kib} KiB are \
         allowed (kernel.perf_event_mlock_kb {mlock_kib} for each of {online} CPUs, and \
         {limit_kib} KiB by RLIMIT_MEMLOCK); {remedy}"
    )]
    LockedMemory {
        /// Ring buffers.
        buffers: u64,
        /// KiB needed.
        needed_kib: u64,
        /// KiB allowed in all.
        allowed_kib: u64,
        /// `kernel.perf_event_mlock_kb`.
        mlock_kib: u64,
        /// CPUs online.
        online: u64,
        /// `RLIMIT_MEMLOCK`, KiB.
        limit_kib: u64,
        /// What helps.
        remedy: String,
    },
}

impl Demand {
    /// What it takes: one descriptor for each event, CPU and thread, and one buffer for each CPU and
    /// thread (all events of a CPU share the first one's).
    pub fn resources(&self) -> Resources {
        let places = u64::from(self.cpus).saturating_mul(u64::from(self.threads));
        let aux_pages = self.aux_bytes.div_ceil(self.page_size.max(1));
        let pages = self.data_pages.saturating_add(1).saturating_add(aux_pages);
        Resources {
            descriptors: places
                .saturating_mul(u64::from(self.events))
                .saturating_add(self.other_descriptors),
            buffers: places,
            locked_bytes: places.saturating_mul(pages).saturating_mul(self.page_size),
        }
    }

    /// Of what there is not enough, descriptors first. `online` is the number of CPUs online, by
    /// which the kernel multiplies each user's share.
    pub fn shortages(&self, permissions: &Permissions, online: u32) -> Vec<Shortage> {
        let needed = self.resources();
        let mut found = Vec::new();
        // `None` is without limit.
        let hard_limit = permissions.open_files_hard_limit.unwrap_or(u64::MAX);
        if needed.descriptors > hard_limit {
            found.push(Shortage::Descriptors {
                events: self.events,
                cpus: self.cpus,
                threads: self.threads,
                needed: needed.descriptors,
                limit: hard_limit,
                remedy: self.descriptor_remedy(needed.descriptors, hard_limit),
            });
        }
        if let Some(allowed) = lockable_bytes(permissions, online)
            && needed.locked_bytes > allowed
        {
            let limit_kib = permissions.locked_memory_limit.unwrap_or(0) >> 10;
            found.push(Shortage::LockedMemory {
                buffers: needed.buffers,
                needed_kib: needed.locked_bytes >> 10,
                allowed_kib: allowed >> 10,
                mlock_kib: permissions.mlock_kib.unwrap_or(DEFAULT_MLOCK_KIB),
                online: u64::from(online),
                limit_kib,
                remedy: self.memory_remedy(allowed, needed, limit_kib),
            });
        }
        found
    }

    fn descriptor_remedy(&self, needed: u64, limit: u64) -> String {
        let whole = Self { threads: 1, ..*self }.resources().descriptors;
        if self.threads > 1 && whole <= limit {
            format!(
                "record the whole system with -a, which needs {whole}, or raise the limit: \
                 prlimit --nofile={needed} --pid $$ as root"
            )
        } else {
            format!(
                "record fewer CPUs with -C, or raise the limit: prlimit --nofile={needed} --pid $$ \
                 as root"
            )
        }
    }

    fn memory_remedy(&self, allowed: u64, needed: Resources, limit_kib: u64) -> String {
        let missing_kib = needed.locked_bytes.saturating_sub(allowed).div_ceil(1 << 10);
        let raise = format!(
            "raise the limit: ulimit -l {} as root, or run with CAP_IPC_LOCK",
            limit_kib.saturating_add(missing_kib)
        );
        match self.largest_fitting(allowed).filter(|&pages| pages < self.data_pages) {
            Some(pages) => format!("record with --mmap-pages {pages}, or {raise}"),
            None => raise,
        }
    }

    /// The most pages of each ring buffer, a power of two, with which everything fits into `bytes`.
    pub fn largest_fitting(&self, bytes: u64) -> Option<u64> {
        (0..32)
            .rev()
            .map(|exponent| 1 << exponent)
            .find(|&data_pages| Self { data_pages, ..*self }.resources().locked_bytes <= bytes)
    }
}

/// `kernel.perf_event_mlock_kb` where the kernel does not say: its default of 512 KiB and a page.
const DEFAULT_MLOCK_KIB: u64 = 516;

/// Bytes that this user's ring buffers may lock; `None` without limit. First each user's share,
/// `perf_event_mlock_kb` for each CPU online; beyond it `RLIMIT_MEMLOCK`, unless the process may lock
/// without limit or the paranoid level is -1.
pub fn lockable_bytes(permissions: &Permissions, online: u32) -> Option<u64> {
    if permissions.has(Capability::IpcLock) || permissions.paranoid.is_some_and(|level| level < 0) {
        return None;
    }
    let share = permissions.mlock_kib.unwrap_or(DEFAULT_MLOCK_KIB).saturating_mul(1 << 10);
    let limit = permissions.locked_memory_limit?;
    Some(share.saturating_mul(u64::from(online)).saturating_add(limit))
}

/// The usual pages of a ring buffer: what a CPU's share holds beside the control page, rounded down
/// to a power of two (516 KiB of 4 KiB pages: 128).
pub fn default_data_pages(permissions: &Permissions, page_size: u64) -> u64 {
    let share = permissions.mlock_kib.unwrap_or(DEFAULT_MLOCK_KIB).saturating_mul(1 << 10);
    let pages = share.saturating_sub(page_size) / page_size.max(1);
    pages.checked_ilog2().map_or(1, |exponent| 1 << exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMAND: Demand = Demand {
        cpus: 4,
        threads: 1,
        events: 3,
        data_pages: 128,
        aux_bytes: 0,
        page_size: 4096,
        other_descriptors: 16,
    };

    #[test]
    fn what_is_needed() {
        let expected =
            Resources { descriptors: 4 * 3 + 16, buffers: 4, locked_bytes: 4 * 129 * 4096 };
        assert_eq!(DEMAND.resources(), expected);
        let aux = Demand { aux_bytes: 1 << 20, ..DEMAND };
        assert_eq!(aux.resources().locked_bytes, 4 * (129 + 256) * 4096);
        let huge = Demand { cpus: u32::MAX, threads: u32::MAX, data_pages: u64::MAX, ..DEMAND };
        assert_eq!(huge.resources().locked_bytes, u64::MAX);
    }

    #[test]
    fn buffers_of_the_usual_size_use_the_share_up() {
        let user = Permissions {
            paranoid: Some(2),
            mlock_kib: Some(516),
            locked_memory_limit: Some(0),
            open_files_hard_limit: Some(28),
            ..Permissions::default()
        };
        assert_eq!(default_data_pages(&user, 4096), 128);
        assert_eq!(default_data_pages(&user, 65536), 4);
        // 129 pages of 4 KiB are the 516 KiB to the byte.
        assert_eq!(DEMAND.shortages(&user, 4), []);
        let doubled = Demand { data_pages: 256, ..DEMAND };
        let [Shortage::LockedMemory { needed_kib: 4112, allowed_kib: 2064, remedy, .. }] =
            &doubled.shortages(&user, 4)[..]
        else {
            panic!("{:?}", doubled.shortages(&user, 4));
        };
        assert!(remedy.starts_with("record with --mmap-pages 128, or"), "{remedy}");
        let may_lock = Permissions { capabilities: 1 << 14, ..user.clone() };
        assert_eq!(doubled.shortages(&may_lock, 4), []);
        let one_less = Permissions { open_files_hard_limit: Some(27), ..user };
        assert!(matches!(
            DEMAND.shortages(&one_less, 4)[..],
            [Shortage::Descriptors { needed: 28, limit: 27, .. }]
        ));
    }
}
