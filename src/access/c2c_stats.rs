//! perf c2c's counters, exactly as perf counts, quirks included: people compare them.
//!
//! The quirks that matter: a load that hit with the remote bit counts as remote DRAM even when it
//! came from a remote cache, so every Intel remote HITM is counted twice; an L2 hit with HITM is
//! only counted as HITM from perf 6.16 on; stores beyond the first level are in no sub-counter.
//! [`Source`](super::Source) is the accounting without them.

use std::str::FromStr;

use super::data_source::{DataSource, level, op, snoop, snoop_extended};

/// Which perf's rules to count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerfVersion {
    /// Major.
    pub major: u32,
    /// Minor.
    pub minor: u32,
}

impl PerfVersion {
    /// The newest rules known here.
    pub const NEWEST: Self = Self { major: 7, minor: 3 };

    /// Whether an L2 hit with HITM is a local HITM (perf 6.16 and newer).
    pub fn counts_l2_hitm(self) -> bool {
        self >= Self { major: 6, minor: 16 }
    }
}

impl FromStr for PerfVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().split('.');
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        match (number(), number()) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(format!("\"{text}\" is not a version such as 6.1")),
        }
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters, named as perf's own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
        pub struct C2cStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl C2cStats {
            /// The counters' names.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name),)*];

            /// The counters' values, in the order of the names.
            pub fn values(&self) -> Vec<u64> {
                vec![$(self.$name,)*]
            }
        }

        impl std::ops::AddAssign for C2cStats {
            #[inline]
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl std::ops::SubAssign for C2cStats {
            fn sub_assign(&mut self, other: Self) {
                $(self.$name -= other.$name;)*
            }
        }
    };
}

counters! {
    /// Samples.
    nr_entries,
    /// Locked loads and stores.
    locks,
    /// Stores.
    store,
    /// Stores to uncached memory.
    st_uncache,
    /// Stores with address 0.
    st_noadrs,
    /// Stores that hit the first level.
    st_l1hit,
    /// Stores that missed the first level.
    st_l1miss,
    /// Stores of unknown level.
    st_na,
    /// Loads.
    load,
    /// Loads from memory, not shared.
    ld_excl,
    /// Loads from memory, shared.
    ld_shared,
    /// Loads from uncached memory.
    ld_uncache,
    /// Loads from devices.
    ld_io,
    /// Loads that missed at the level given.
    ld_miss,
    /// Loads with address 0.
    ld_noadrs,
    /// Loads that hit the fill buffer.
    ld_fbhit,
    /// Loads that hit the first level.
    ld_l1hit,
    /// Loads that hit the second level.
    ld_l2hit,
    /// Loads that hit the last level, unmodified.
    ld_llchit,
    /// Loads of lines modified in a cache of this node.
    lcl_hitm,
    /// Loads of lines modified in a cache of another node.
    rmt_hitm,
    /// Sum of both.
    tot_hitm,
    /// Loads served by a peer of this node.
    lcl_peer,
    /// Loads served by a peer of another node.
    rmt_peer,
    /// Sum of both.
    tot_peer,
    /// Loads of unmodified lines from a cache of another node.
    rmt_hit,
    /// Loads from this node's memory.
    lcl_dram,
    /// Loads from another node's memory.
    rmt_dram,
    /// Loads blocked by data.
    blk_data,
    /// Loads blocked by an address.
    blk_addr,
    /// Samples whose data or code address has no mapping.
    nomap,
    /// Samples that are neither load nor store.
    noparse,
}

impl C2cStats {
    /// The counters of one sample.
    ///
    /// `is_mapped` says whether both the data and the code address have a mapping; it is asked only
    /// where it counts.
    #[inline]
    pub fn of_sample(
        source: DataSource,
        data_address: u64,
        is_mapped: impl FnOnce() -> bool,
        version: PerfVersion,
    ) -> Self {
        let mut stats = Self { nr_entries: 1, ..Self::default() };
        stats.locks = u64::from(source.is_locked());
        stats.blk_data = source.blocked() >> 1 & 1;
        stats.blk_addr = source.blocked() >> 2 & 1;
        if source.op() & op::LOAD != 0 {
            stats.load = 1;
            if data_address == 0 {
                stats.ld_noadrs = 1;
                return stats;
            }
            stats.count_load(source, version);
        } else if source.op() & op::STORE != 0 {
            stats.store = 1;
            if data_address == 0 {
                stats.st_noadrs = 1;
                return stats;
            }
            stats.count_store(source);
        } else {
            stats.noparse = 1;
            return stats;
        }
        stats.nomap = u64::from(!is_mapped());
        stats
    }

    #[inline]
    fn count_load(&mut self, source: DataSource, version: PerfVersion) {
        let lvl = source.level();
        let has = |bits: u64| lvl & bits != 0;
        let snooped = |bit: u64| source.snoop() & bit != 0;
        let is_peer = source.snoop_extended() & snoop_extended::PEER != 0;
        let is_far = source.is_remote() && source.hops() == 0;
        if has(level::HIT) {
            self.ld_uncache = u64::from(has(level::UNCACHED));
            self.ld_io = u64::from(has(level::IO));
            self.ld_fbhit = u64::from(has(level::LFB));
            self.ld_l1hit = u64::from(has(level::L1));
            if has(level::L2) {
                if snooped(snoop::HITM) && version.counts_l2_hitm() {
                    self.add_local_hitm();
                } else {
                    self.ld_l2hit += 1;
                }
                self.add_local_peer(is_peer);
            }
            if has(level::L3) {
                if snooped(snoop::HITM) {
                    self.add_local_hitm();
                } else {
                    self.ld_llchit += 1;
                }
                self.add_local_peer(is_peer);
            }
            if has(level::LOCAL_RAM) {
                self.lcl_dram += 1;
                self.add_memory_state(snooped(snoop::HIT));
            }
            if has(level::REMOTE_RAM_1 | level::REMOTE_RAM_2) || is_far {
                self.rmt_dram += 1;
                self.add_memory_state(snooped(snoop::HIT));
            }
        }
        if has(level::REMOTE_CACHE_1 | level::REMOTE_CACHE_2) || is_far {
            if snooped(snoop::HIT) {
                self.rmt_hit += 1;
            } else if snooped(snoop::HITM) {
                self.rmt_hitm += 1;
                self.tot_hitm += 1;
            } else if is_peer {
                self.rmt_hit += 1;
                self.rmt_peer += 1;
                self.tot_peer += 1;
            }
        }
        self.ld_miss = u64::from(has(level::MISS));
    }

    #[inline]
    fn count_store(&mut self, source: DataSource) {
        let lvl = source.level();
        if lvl & level::HIT != 0 {
            self.st_uncache = u64::from(lvl & level::UNCACHED != 0);
            self.st_l1hit = u64::from(lvl & level::L1 != 0);
        }
        if lvl & level::MISS != 0 {
            self.st_l1miss = u64::from(lvl & level::L1 != 0);
        }
        self.st_na = u64::from(lvl & level::NOT_AVAILABLE != 0);
    }

    #[inline]
    fn add_local_hitm(&mut self) {
        self.lcl_hitm += 1;
        self.tot_hitm += 1;
    }

    #[inline]
    fn add_local_peer(&mut self, is_peer: bool) {
        self.lcl_peer += u64::from(is_peer);
        self.tot_peer += u64::from(is_peer);
    }

    #[inline]
    fn add_memory_state(&mut self, is_shared: bool) {
        self.ld_shared += u64::from(is_shared);
        self.ld_excl += u64::from(!is_shared);
    }

    /// Whether perf calls a line with these counters shared: any HITM or peer hit.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.lcl_hitm | self.rmt_hitm | self.lcl_peer | self.rmt_peer != 0
    }

    /// "Load LLC Misses".
    pub fn llc_misses(&self) -> u64 {
        self.lcl_dram + self.rmt_dram + self.rmt_hitm + self.rmt_hit
    }

    /// Column "Total Loads" of a line, which is not [`load`](Self::load).
    pub fn total_loads(&self) -> u64 {
        self.llc_misses()
            + self.ld_fbhit
            + self.ld_l1hit
            + self.ld_l2hit
            + self.ld_llchit
            + self.lcl_hitm
    }

    /// Column "Total records" of a line, which is not [`nr_entries`](Self::nr_entries).
    pub fn total_records(&self) -> u64 {
        self.total_loads() + self.st_l1hit + self.st_l1miss + self.st_na
    }
}
