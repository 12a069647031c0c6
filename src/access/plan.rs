//! What one sampled code address determines: the accesses on the path around it.
//!
//! A clock sample has no data address, but it has the registers at an instruction boundary. A
//! [`Plan`] says once for each code address which accesses those registers determine, so that each
//! of a million samples costs a few additions.

use super::formula::AddressFormula;

/// What an instruction does with its memory operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Reads it.
    Load,
    /// Writes it.
    Store,
    /// Reads and writes it (`add %eax,(%rbx)`, `xchg`, `lock cmpxchg`).
    ReadModifyWrite,
}

impl Direction {
    /// Whether the memory is read.
    pub fn reads(self) -> bool {
        self != Self::Store
    }

    /// Whether the memory is written.
    pub fn writes(self) -> bool {
        self != Self::Load
    }
}

/// Whether every path through the function that was sampled here makes the access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Certainty {
    /// Every path does (dominating blocks; the body of the loop that the sample is in).
    Certain,
    /// Some paths do, or a call lies between.
    Possible,
}

/// Where on the path an access lies, seen from the sampled instruction, which has not run yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// It was made.
    Before,
    /// The sampled instruction makes it.
    At,
    /// It is about to be made.
    After,
}

/// One access that registers determine.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedAccess {
    /// The instruction that makes it, in the address space of the function's code.
    pub code: u64,
    /// Read, written or both.
    pub direction: Direction,
    /// Bytes it touches.
    pub size: u32,
    /// Whether the instruction is atomic (`lock` prefix, `xchg` with memory).
    pub is_locked: bool,
    /// Before, at or after the sampled instruction.
    pub place: Place,
    /// Whether all paths make it.
    pub certainty: Certainty,
    /// Where.
    pub address: AddressFormula,
}

/// What the CPU was waiting for when the sample was taken, as far as the code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Nothing that this sample tells: no load and no store-draining instruction ended just here.
    Unknown,
    /// The access of this index in [`Plan::accesses`]: a load ended just before, or a string
    /// instruction is under way.
    Access(u16),
    /// A store-draining instruction (`lock`, `xchg`, `mfence`, …) ended just before: its own access,
    /// if it has one that is determined, or any earlier store on the path that had not left the store
    /// buffer.
    Drain(Option<u16>),
}

/// Why an operand within reach was not determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The instruction overwrote a register of its own address, or a later one did.
    Overwritten,
    /// It lies on one of several paths, and the registers do not tell which.
    Ambiguous,
    /// The address has a vector as index; vector registers cannot be sampled with a clock event.
    VectorIndex,
    /// The address is relative to a segment whose base is not known.
    SegmentBase,
    /// The code bytes are missing.
    CodeMissing,
    /// The code is in no file (a JIT compiler made it), and was not captured while it was there.
    NotCaptured,
    /// The code bytes are no instructions, or the address is inside one.
    Undecodable,
    /// The sample has no user registers, or not the ones that the address needs.
    RegistersMissing,
    /// Code of an architecture that is not decoded.
    Architecture,
}

impl Loss {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Overwritten,
        Self::Ambiguous,
        Self::VectorIndex,
        Self::SegmentBase,
        Self::CodeMissing,
        Self::NotCaptured,
        Self::Undecodable,
        Self::RegistersMissing,
        Self::Architecture,
    ];
}

/// What can be told of every sample at one code address.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The accesses, each operand at most once; in the order of the path.
    pub accesses: Vec<PlannedAccess>,
    /// What the sample waited for.
    pub wait: Wait,
    /// Why the operand nearest to the sample is not among the accesses, if one was within reach and
    /// none is determined; also if what the sample stands for is a gather just before, or a
    /// store-draining instruction whose own operand is not determined.
    pub loss: Option<Loss>,
}

impl Plan {
    /// A plan that determines nothing, for a reason.
    pub fn lost(loss: Loss) -> Self {
        Self { accesses: Vec::new(), wait: Wait::Unknown, loss: Some(loss) }
    }
}
