//! Data source words as real hardware makes them: the rows of the vendors' tables.
//!
//! Numbers are those of `union perf_mem_data_src` in `include/uapi/linux/perf_event.h`, written out
//! here again so that a slip in the crate's own constants does not cancel out.

const LOAD: u64 = 2;
const STORE: u64 = 4;

const NA: u64 = 1;
const HIT: u64 = 2;
const MISS: u64 = 4;
const L1: u64 = 8;
const LFB: u64 = 0x10;
const L2: u64 = 0x20;
const L3: u64 = 0x40;
const LOCAL_RAM: u64 = 0x80;
const REMOTE_RAM_1: u64 = 0x100;
const REMOTE_RAM_2: u64 = 0x200;
const REMOTE_CACHE_1: u64 = 0x400;
const REMOTE_CACHE_2: u64 = 0x800;
const IO: u64 = 0x1000;
const UNCACHED: u64 = 0x2000;

const SNOOP_NA: u64 = 1;
const SNOOP_NONE: u64 = 2;
const SNOOP_HIT: u64 = 4;
const SNOOP_MISS: u64 = 8;
const SNOOP_HITM: u64 = 0x10;

const FORWARD: u64 = 1;
const PEER: u64 = 2;

/// A word without translation, lock and block bits.
struct Word {
    operation: u64,
    level: u64,
    snoop: u64,
    number: u64,
    remote: u64,
    extended: u64,
    hops: u64,
}

impl Word {
    const fn bits(&self) -> u64 {
        self.operation
            | self.level << 5
            | self.snoop << 19
            | self.number << 33
            | self.remote << 37
            | self.extended << 38
            | self.hops << 43
    }
}

const fn load(level: u64, snoop: u64, number: u64) -> u64 {
    let operation = LOAD;
    Word { operation, level, snoop, number, remote: 0, extended: 0, hops: 0 }.bits()
}

const fn remote_load(level: u64, snoop: u64, number: u64, hops: u64) -> u64 {
    let operation = LOAD;
    Word { operation, level, snoop, number, remote: 1, extended: 0, hops }.bits()
}

const fn extended_load(level: u64, snoop: u64, number: u64, remote: u64, extended: u64) -> u64 {
    let operation = LOAD;
    Word { operation, level, snoop, number, remote, extended, hops: 0 }.bits()
}

const fn store(level: u64, snoop: u64, number: u64) -> u64 {
    let operation = STORE;
    Word { operation, level, snoop, number, remote: 0, extended: 0, hops: 0 }.bits()
}

/// Loads that met a modified line in another core of the node.
pub const LOCAL_HITM: &[u64] = &[
    load(HIT | L3, SNOOP_HITM, 3), // Sandy Bridge to Sapphire Rapids, 7
    load(HIT | L3, SNOOP_HITM, 3), // Lion Cove, d
    load(HIT | L2, SNOOP_HITM, 2), // Panther Cove, 8
    extended_load(HIT | L3, SNOOP_HITM, 3, 0, PEER), // SPE of HIP12 with snoop events
    remote_load(HIT | L3, SNOOP_HITM, 3, 1), // Power, other core of the chip
    remote_load(HIT | L2, SNOOP_HITM, 2, 1), // the same, second level
    load(HIT | L3 | REMOTE_CACHE_1, SNOOP_HITM, 0xb) | 1 << 43, // AMD before Zen 4
];

/// Loads that met a modified line in another node.
pub const REMOTE_HITM: &[u64] = &[
    remote_load(HIT | REMOTE_CACHE_1, SNOOP_HITM, 3, 0), // Sandy Bridge to Broadwell, 9
    remote_load(HIT, SNOOP_HITM, 0xb, 0),                // Skylake to Granite Rapids, d
    remote_load(HIT | REMOTE_CACHE_1, SNOOP_HITM, 0xb, 1), // Zen 4, near complex
    remote_load(HIT | REMOTE_CACHE_2, SNOOP_HITM, 0xb, 2), // Zen 4, far complex
    remote_load(HIT | REMOTE_CACHE_1, SNOOP_HITM, 0xb, 3), // Power, other chip
    remote_load(REMOTE_CACHE_2, SNOOP_HITM, 0xb, 0),     // HIP12, 7
];

/// Loads that a peer's cache served.
pub const PEERS: &[u64] = &[
    extended_load(HIT | L2, 0, 2, 0, PEER), // SPE, peer core
    extended_load(HIT | L3, 0, 3, 0, PEER), // SPE, cluster
    extended_load(NA, 0, 0xf, 1, PEER),     // SPE, remote socket
    extended_load(HIT | REMOTE_CACHE_1, 0, 3, 0, PEER), // HIP12, peer cluster
    extended_load(REMOTE_CACHE_2, SNOOP_HIT, 0xb, 1, PEER), // HIP12, remote socket, snooped
];

/// All other loads.
pub const PLAIN_LOADS: &[u64] = &[
    load(HIT | L1, SNOOP_NONE, 1),
    load(HIT | L1, SNOOP_NONE, 1),
    load(HIT | L1, SNOOP_NA, 1),
    load(HIT | LFB, SNOOP_NONE, 0xc),
    load(HIT | L2, SNOOP_NONE, 2),
    load(HIT | L2, SNOOP_HIT, 2),
    load(HIT | L3, SNOOP_NONE, 3),
    load(HIT | L3, SNOOP_MISS, 3),
    load(HIT | L3, SNOOP_HIT, 3),
    extended_load(HIT | L3, 0, 3, 0, FORWARD),
    load(HIT | LOCAL_RAM, SNOOP_HIT, 0xd),
    load(HIT | LOCAL_RAM, SNOOP_NONE | SNOOP_MISS, 0xd),
    load(HIT | LOCAL_RAM, SNOOP_NONE, 0xd),
    remote_load(HIT | REMOTE_RAM_1, SNOOP_HIT, 3, 0),
    remote_load(HIT | REMOTE_RAM_1, SNOOP_NONE | SNOOP_MISS, 0xd, 0),
    remote_load(HIT | REMOTE_RAM_1, SNOOP_NA, 0xd, 2),
    remote_load(HIT | REMOTE_RAM_2, SNOOP_HIT, 0xd, 4),
    remote_load(HIT | REMOTE_CACHE_1, SNOOP_HIT, 3, 0),
    remote_load(HIT | REMOTE_CACHE_2, SNOOP_NA, 0xb, 2),
    remote_load(HIT, SNOOP_NONE, 0xd, 0),
    remote_load(HIT, SNOOP_HIT, 0xe, 0),
    extended_load(HIT, 0, 0xb, 1, FORWARD),
    load(HIT, SNOOP_HIT, 4),
    load(HIT, SNOOP_NONE, 5),
    load(MISS, SNOOP_NA, 3),
    load(MISS | L3, SNOOP_HITM, 3),
    load(HIT | IO, SNOOP_NONE, 0xf),
    load(HIT | UNCACHED, SNOOP_NONE, 0xf),
    load(NA, SNOOP_NA, 0xf),
    LOAD | STORE | (HIT | L1) << 5,
];

/// Stores.
pub const STORES: &[u64] = &[
    store(HIT | L1, SNOOP_NA, 1),
    store(HIT | L1, SNOOP_NA, 1),
    store(MISS | L1, SNOOP_NA, 0),
    store(NA, SNOOP_NA, 0xf),
    store(HIT | L2, SNOOP_NONE, 2),
    store(HIT | L3, SNOOP_HITM, 3),
    store(HIT | UNCACHED, SNOOP_NA, 0xf),
];

/// Words that are neither load nor store.
pub const NO_ACCESS: &[u64] = &[
    0x1e_0508_0021, // PERF_MEM_NA
    0x0508_0021,    // PERF_MEM_NA of older kernels
    8 | (HIT | L1) << 5,
    16,
    0,
];

/// Bits that any word may have in addition: lock, translation, blocked.
pub const DECORATIONS: &[u64] = &[
    0,
    2 << 24,              // locked
    1 << 24,              // lock not known
    (2 | 8 | 0x10) << 26, // translation hit, first or second level
    (4 | 0x10) << 26,     // translation missed
    1 << 40,              // blocking not known
    2 << 40,              // blocked by data
    4 << 40,              // blocked by address
];
