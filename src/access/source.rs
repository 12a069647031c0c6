//! Our own accounting: every load has exactly one source.

use serde::Serialize;

use super::data_source::{DataSource, level, level_number, snoop, snoop_extended};

/// Where a load was served from. "Remote" is another node or socket; a transfer between cores of
/// one node is local.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The core's own first-level cache (or level zero).
    L1,
    /// A line fill buffer: the line was already on its way.
    FillBuffer,
    /// The core's own second-level cache.
    L2,
    /// The last-level cache, line unmodified.
    LastLevel,
    /// A line modified in another cache of this node.
    LocalHitm,
    /// A line modified in a cache of another node.
    RemoteHitm,
    /// Forwarded by a peer of this node; the hardware does not say whether it was modified.
    LocalPeer,
    /// Forwarded by a peer of another node; the hardware does not say whether it was modified.
    RemotePeer,
    /// An unmodified line from a cache of another node.
    RemoteCache,
    /// Memory of this node, or a cache on its side.
    LocalMemory,
    /// Memory of another node.
    RemoteMemory,
    /// Persistent memory or memory behind CXL.
    FarMemory,
    /// A device, or uncached memory.
    Uncached,
    /// Missed, and where it was found in the end is not known.
    Miss,
    /// Not known.
    Unknown,
}

impl Source {
    /// All of them, nearest first.
    pub const ALL: [Self; 15] = [
        Self::L1,
        Self::FillBuffer,
        Self::L2,
        Self::LastLevel,
        Self::LocalHitm,
        Self::RemoteHitm,
        Self::LocalPeer,
        Self::RemotePeer,
        Self::RemoteCache,
        Self::LocalMemory,
        Self::RemoteMemory,
        Self::FarMemory,
        Self::Uncached,
        Self::Miss,
        Self::Unknown,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1 => "first level",
            Self::FillBuffer => "fill buffer",
            Self::L2 => "second level",
            Self::LastLevel => "last level",
            Self::LocalHitm => "local HITM",
            Self::RemoteHitm => "remote HITM",
            Self::LocalPeer => "local peer",
            Self::RemotePeer => "remote peer",
            Self::RemoteCache => "remote cache",
            Self::LocalMemory => "local memory",
            Self::RemoteMemory => "remote memory",
            Self::FarMemory => "far memory",
            Self::Uncached => "uncached",
            Self::Miss => "miss, not known where",
            Self::Unknown => "not known",
        }
    }

    /// The source of a load.
    pub fn of(word: DataSource) -> Self {
        let lvl = word.level();
        let has = |bits: u64| lvl & bits != 0;
        let number = word.level_number();
        // Hops of 1 is another core of the same node (AMD, Power); 0 with the remote bit is what
        // Intel and Arm say for another socket.
        let is_remote = match word.hops() {
            0 => word.is_remote() || has(level::REMOTE_CACHE_1 | level::REMOTE_CACHE_2),
            1 => false,
            _ => true,
        } && !is_old_amd_local_cache(word);
        if word.snoop() & snoop::HITM != 0 {
            return if is_remote { Self::RemoteHitm } else { Self::LocalHitm };
        }
        if word.snoop_extended() & snoop_extended::PEER != 0 {
            return if is_remote { Self::RemotePeer } else { Self::LocalPeer };
        }
        if has(level::IO | level::UNCACHED)
            || matches!(number, level_number::IO | level_number::UNCACHED)
        {
            return Self::Uncached;
        }
        if has(level::MISS) && !has(level::HIT) {
            return Self::Miss;
        }
        let is_memory = has(level::LOCAL_RAM | level::REMOTE_RAM_1 | level::REMOTE_RAM_2)
            || matches!(number, level_number::RAM | level_number::MEMORY_SIDE_CACHE);
        if matches!(number, level_number::PMEM | level_number::CXL) {
            return Self::FarMemory;
        }
        if is_memory {
            let is_remote = is_remote || has(level::REMOTE_RAM_1 | level::REMOTE_RAM_2);
            return if is_remote { Self::RemoteMemory } else { Self::LocalMemory };
        }
        if is_remote {
            return Self::RemoteCache;
        }
        match () {
            () if has(level::L1) || matches!(number, level_number::L1 | level_number::L0) => {
                Self::L1
            }
            () if has(level::LFB) || number == level_number::LFB => Self::FillBuffer,
            () if has(level::L2) || matches!(number, level_number::L2 | level_number::L2_MHB) => {
                Self::L2
            }
            () if has(level::L3 | level::REMOTE_CACHE_1)
                || matches!(
                    number,
                    level_number::L3 | level_number::L4 | level_number::ANY_CACHE
                ) =>
            {
                Self::LastLevel
            }
            () => Self::Unknown,
        }
    }

    /// Whether another cache held the line modified, or may have: the mark of contention.
    pub fn is_contended(self) -> bool {
        matches!(self, Self::LocalHitm | Self::RemoteHitm | Self::LocalPeer | Self::RemotePeer)
    }
}

/// AMD before Zen 4 sets both the third level and "remote cache, one hop" for the cache of the own
/// node, without the remote bit.
fn is_old_amd_local_cache(word: DataSource) -> bool {
    let both = level::L3 | level::REMOTE_CACHE_1;
    word.level() & both == both && !word.is_remote()
}
