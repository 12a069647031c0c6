//! The instruction that a debug register caught.
//!
//! The trap comes after the access: the sample's address is that of the instruction that is next.

use super::formula::{Bases, RegisterValues};
use super::plan::Direction;

/// What was caught, as far as a hit itself tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trap<'r> {
    /// The next instruction, in the address space of the function's code.
    pub next: u64,
    /// The registers after the access.
    pub registers: Option<&'r RegisterValues>,
    /// What addresses are relative to.
    pub bases: Bases,
    /// The first watched byte, in the process.
    pub address: u64,
    /// How many are watched.
    pub length: u64,
    /// Whether only writes are.
    pub writes_only: bool,
}

/// The instruction that made an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Culprit {
    /// Its address, in the address space of the function's code.
    pub code: u64,
    /// What it does with the watched bytes.
    pub direction: Direction,
    /// Bytes it touches.
    pub size: u32,
    /// The first byte it touches, in the process; `None` where registers no longer tell.
    pub address: Option<u64>,
}

impl Trap<'_> {
    /// Whether an access of so many bytes at an address touches what is watched.
    pub(super) fn overlaps(&self, address: u64, size: u64) -> bool {
        address < self.address.saturating_add(self.length)
            && self.address < address.saturating_add(size)
    }
}
