//! What an instruction's memory operands are, for those who explain accesses and do not only count them.

use super::plan::Direction;

/// A general register by its DWARF number (System V ABI for x86-64, figure 3.36).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DwarfRegister(pub u16);

/// How an operand's address is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperandAddress {
    /// Registers, each with its factor.
    pub registers: Vec<(DwarfRegister, u64)>,
    /// What is added; an address of the image where the operand is relative to code.
    pub displacement: u64,
    /// Whether the displacement is an address of the image.
    pub is_code_relative: bool,
    /// Whether it is relative to the thread's segment.
    pub is_thread_relative: bool,
}

/// A memory operand of one instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperandFacts {
    /// Read, written or both.
    pub direction: Direction,
    /// Bytes.
    pub size: u32,
    /// Its address; `None` where registers do not tell it, as those of gathers.
    pub address: Option<OperandAddress>,
    /// Whether the access is atomic.
    pub is_locked: bool,
    /// Whether the return address or another word that the stack pointer implies is meant.
    pub is_stack: bool,
    /// What that has to do with a lock, judged by the instruction and the loop around it alone.
    pub lock: Option<LockUse>,
}

/// What an instruction does to a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockUse {
    /// Takes it: an atomic exchange, or compare-and-exchange, for a value that is always the same.
    Take,
    /// Draws a ticket: an atomic addition, beside a loop that waits.
    Draw,
    /// Waits: a load in a loop that pauses and does nothing else.
    Spin,
}

/// Where a register has its value from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueSource {
    /// The function was entered with it.
    Entry {
        /// The register.
        register: DwarfRegister,
    },
    /// It is another register's plus a constant.
    Sum {
        /// The instruction that made it so.
        code: u64,
        /// The other register, as it was before.
        register: DwarfRegister,
        /// What was added.
        addend: u64,
    },
    /// It is an address of the image.
    Address {
        /// Which.
        address: u64,
    },
    /// It was loaded from memory.
    Load {
        /// The instruction that loaded it.
        code: u64,
        /// The register that the address is relative to, as it was before; `None`: the displacement is
        /// an address of the image.
        register: Option<DwarfRegister>,
        /// What is added.
        displacement: u64,
    },
    /// A function returned it.
    Returned {
        /// The instruction that called.
        code: u64,
        /// The function, if the instruction names it.
        function: Option<u64>,
    },
    /// Anything else.
    Other,
}
