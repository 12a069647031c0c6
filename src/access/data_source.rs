//! The data source word (`union perf_mem_data_src`): where a load was served from, bit by bit.
//!
//! Layout and values: `include/uapi/linux/perf_event.h` of Linux 7.x, which only added to older
//! ones. The numeric positions hold on both byte orders.

use std::fmt;

/// A data source word as the kernel wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataSource(pub u64);

impl DataSource {
    /// "Nothing is known": what perf assumes for samples without the word.
    pub const NOT_AVAILABLE: Self =
        Self(1 | 1 << LEVEL | 1 << SNOOP | 1 << LOCK | 1 << TLB | 0xf << LEVEL_NUMBER);

    /// What the instruction did: a mask of [`op`].
    #[inline]
    pub const fn op(self) -> u64 {
        self.0 & 0x1f
    }

    /// Where the data was found, in the older encoding: a mask of [`level`].
    #[inline]
    pub const fn level(self) -> u64 {
        self.0 >> LEVEL & 0x3fff
    }

    /// What the snoop found: a mask of [`snoop`].
    #[inline]
    pub const fn snoop(self) -> u64 {
        self.0 >> SNOOP & 0x1f
    }

    /// Whether the access was locked: a mask, 1 not known, 2 locked.
    #[inline]
    pub const fn lock(self) -> u64 {
        self.0 >> LOCK & 3
    }

    /// Where the translation was found: a mask of [`tlb`].
    #[inline]
    pub const fn tlb(self) -> u64 {
        self.0 >> TLB & 0x7f
    }

    /// Where the data was found, in the newer encoding: one of [`level_number`].
    #[inline]
    pub const fn level_number(self) -> u64 {
        self.0 >> LEVEL_NUMBER & 0xf
    }

    /// Whether it was found elsewhere than in this core's own path to memory.
    #[inline]
    pub const fn is_remote(self) -> bool {
        self.0 >> REMOTE & 1 == 1
    }

    /// More that the snoop found: a mask of [`snoop_extended`].
    #[inline]
    pub const fn snoop_extended(self) -> u64 {
        self.0 >> SNOOP_EXTENDED & 3
    }

    /// Why a load was blocked: a mask, 1 not known, 2 by data, 4 by address.
    #[inline]
    pub const fn blocked(self) -> u64 {
        self.0 >> BLOCKED & 7
    }

    /// How far away: 0 not known, 1 other core of the node, 2 other node of the socket, 3 other
    /// socket, 4 other board.
    #[inline]
    pub const fn hops(self) -> u64 {
        self.0 >> HOPS & 7
    }

    /// Memory region (Diamond Rapids and newer), 0 not known.
    #[inline]
    pub const fn region(self) -> u64 {
        self.0 >> REGION & 0x1f
    }

    /// Whether the sample was a load.
    #[inline]
    pub const fn is_load(self) -> bool {
        self.op() & op::LOAD != 0
    }

    /// Whether the sample was a store and not also a load.
    #[inline]
    pub const fn is_store(self) -> bool {
        self.op() & (op::LOAD | op::STORE) == op::STORE
    }

    /// Whether the access was locked.
    #[inline]
    pub const fn is_locked(self) -> bool {
        self.lock() & 2 != 0
    }
}

const LEVEL: u32 = 5;
const SNOOP: u32 = 19;
const LOCK: u32 = 24;
const TLB: u32 = 26;
const LEVEL_NUMBER: u32 = 33;
const REMOTE: u32 = 37;
const SNOOP_EXTENDED: u32 = 38;
const BLOCKED: u32 = 40;
const HOPS: u32 = 43;
const REGION: u32 = 46;

/// Bits of [`DataSource::op`].
pub mod op {
    /// A load.
    pub const LOAD: u64 = 2;
    /// A store.
    pub const STORE: u64 = 4;
    /// A prefetch.
    pub const PREFETCH: u64 = 8;
    /// A fetch of code.
    pub const EXEC: u64 = 16;
}

/// Bits of [`DataSource::level`].
pub mod level {
    /// Not known.
    pub const NOT_AVAILABLE: u64 = 1;
    /// Hit at the level given.
    pub const HIT: u64 = 2;
    /// Missed at the level given.
    pub const MISS: u64 = 4;
    /// First level.
    pub const L1: u64 = 8;
    /// Line fill buffer.
    pub const LFB: u64 = 0x10;
    /// Second level.
    pub const L2: u64 = 0x20;
    /// Third level.
    pub const L3: u64 = 0x40;
    /// Memory of this node.
    pub const LOCAL_RAM: u64 = 0x80;
    /// Memory one hop away.
    pub const REMOTE_RAM_1: u64 = 0x100;
    /// Memory two hops away.
    pub const REMOTE_RAM_2: u64 = 0x200;
    /// Cache one hop away.
    pub const REMOTE_CACHE_1: u64 = 0x400;
    /// Cache two hops away.
    pub const REMOTE_CACHE_2: u64 = 0x800;
    /// Device memory.
    pub const IO: u64 = 0x1000;
    /// Uncached memory.
    pub const UNCACHED: u64 = 0x2000;
}

/// Bits of [`DataSource::snoop`].
pub mod snoop {
    /// Not known.
    pub const NOT_AVAILABLE: u64 = 1;
    /// No snoop was needed.
    pub const NONE: u64 = 2;
    /// Another cache had the line, unmodified.
    pub const HIT: u64 = 4;
    /// No other cache had it.
    pub const MISS: u64 = 8;
    /// Another cache had it, modified.
    pub const HITM: u64 = 0x10;
}

/// Bits of [`DataSource::snoop_extended`].
pub mod snoop_extended {
    /// The other cache forwarded the line.
    pub const FORWARD: u64 = 1;
    /// The line came from a peer.
    pub const PEER: u64 = 2;
}

/// Bits of [`DataSource::tlb`].
pub mod tlb {
    /// Not known.
    pub const NOT_AVAILABLE: u64 = 1;
    /// Hit at the level given.
    pub const HIT: u64 = 2;
    /// Missed at the level given.
    pub const MISS: u64 = 4;
    /// First level.
    pub const L1: u64 = 8;
    /// Second level.
    pub const L2: u64 = 0x10;
    /// Hardware walker.
    pub const WALKER: u64 = 0x20;
    /// Fault handler.
    pub const FAULT: u64 = 0x40;
}

/// Values of [`DataSource::level_number`].
pub mod level_number {
    /// First level.
    pub const L1: u64 = 1;
    /// Second level.
    pub const L2: u64 = 2;
    /// Third level.
    pub const L3: u64 = 3;
    /// Fourth level.
    pub const L4: u64 = 4;
    /// Miss handling buffer of the second level.
    pub const L2_MHB: u64 = 5;
    /// Memory-side cache.
    pub const MEMORY_SIDE_CACHE: u64 = 6;
    /// Level zero.
    pub const L0: u64 = 7;
    /// Uncached memory.
    pub const UNCACHED: u64 = 8;
    /// Memory behind CXL.
    pub const CXL: u64 = 9;
    /// Device memory.
    pub const IO: u64 = 0xa;
    /// Some cache.
    pub const ANY_CACHE: u64 = 0xb;
    /// Line fill buffer.
    pub const LFB: u64 = 0xc;
    /// Memory.
    pub const RAM: u64 = 0xd;
    /// Persistent memory.
    pub const PMEM: u64 = 0xe;
    /// Not known.
    pub const NOT_AVAILABLE: u64 = 0xf;
}

impl fmt::Debug for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}[{self}]", self.0)
    }
}

/// The words that `perf script` prints for a data source.
impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op() {
            op if op & 1 != 0 => "N/A",
            op if op & op::LOAD != 0 => "LOAD",
            op if op & op::STORE != 0 => "STORE",
            op if op & op::PREFETCH != 0 => "PFETCH",
            op if op & op::EXEC != 0 => "EXEC",
            _ => "No",
        };
        let lock = match self.lock() {
            lock if lock & 1 != 0 => "N/A",
            lock if lock & 2 != 0 => "Yes",
            _ => "No",
        };
        let snoop = joined(&[
            (self.snoop() & snoop::NOT_AVAILABLE != 0, "N/A"),
            (self.snoop() & snoop::NONE != 0, "None"),
            (self.snoop() & snoop::HIT != 0, "Hit"),
            (self.snoop() & snoop::MISS != 0, "Miss"),
            (self.snoop() & snoop::HITM != 0, "HitM"),
            (self.snoop_extended() & snoop_extended::FORWARD != 0, "Fwd"),
            (self.snoop_extended() & snoop_extended::PEER != 0, "Peer"),
        ]);
        let blocked = match self.blocked() {
            0 | 1 => "N/A",
            2 | 3 => "Data",
            4 | 5 => "Addr",
            _ => "Data Addr",
        };
        write!(
            f,
            "OP {op}|LVL {}|SNP {snoop}|TLB {}|LCK {lock}|BLK {blocked}",
            self.level_text(),
            self.tlb_text()
        )
    }
}

impl DataSource {
    fn level_text(self) -> String {
        const NAMES: [&str; 16] = [
            "",
            "L1",
            "L2",
            "L3",
            "L4",
            "L2 MHB",
            "Memory-side Cache",
            "L0",
            "Uncached",
            "CXL",
            "I/O",
            "Any cache",
            "LFB/MAB",
            "RAM",
            "PMEM",
            "N/A",
        ];
        const HOPS: [&str; 5] =
            ["", "core, same node ", "node, same socket ", "socket, same board ", "board "];
        let hit = match self.level() & (level::HIT | level::MISS) {
            level::HIT => " hit",
            level::MISS => " miss",
            _ => "",
        };
        let number = self.level_number();
        if number != 0 && number != level_number::NOT_AVAILABLE {
            let remote = if self.is_remote() { "Remote " } else { "" };
            let hops = HOPS.get(self.hops() as usize).copied().unwrap_or_default();
            let name = NAMES.get(number as usize).copied().unwrap_or_default();
            return format!("{remote}{hops}{name}{hit}");
        }
        let old = joined(&[
            (self.level() & level::L1 != 0, "L1"),
            (self.level() & level::LFB != 0, "LFB/MAB"),
            (self.level() & level::L2 != 0, "L2"),
            (self.level() & level::L3 != 0, "L3"),
            (self.level() & level::LOCAL_RAM != 0, "Local RAM"),
            (self.level() & level::REMOTE_RAM_1 != 0, "Remote RAM (1 hop)"),
            (self.level() & level::REMOTE_RAM_2 != 0, "Remote RAM (2 hops)"),
            (self.level() & level::REMOTE_CACHE_1 != 0, "Remote Cache (1 hop)"),
            (self.level() & level::REMOTE_CACHE_2 != 0, "Remote Cache (2 hops)"),
            (self.level() & level::IO != 0, "I/O"),
            (self.level() & level::UNCACHED != 0, "Uncached"),
        ]);
        format!("{old}{hit}")
    }

    fn tlb_text(self) -> String {
        let hit = match self.tlb() & (tlb::HIT | tlb::MISS) {
            tlb::HIT => " hit",
            tlb::MISS => " miss",
            _ => "",
        };
        let places = joined(&[
            (self.tlb() & tlb::L1 != 0, "L1"),
            (self.tlb() & tlb::L2 != 0, "L2"),
            (self.tlb() & tlb::WALKER != 0, "Walker"),
            (self.tlb() & tlb::FAULT != 0, "Fault"),
        ]);
        format!("{places}{hit}")
    }
}

fn joined(words: &[(bool, &str)]) -> String {
    let set: Vec<&str> =
        words.iter().filter(|(is_set, _)| *is_set).map(|(_, word)| *word).collect();
    if set.is_empty() { "N/A".to_owned() } else { set.join(" or ") }
}
