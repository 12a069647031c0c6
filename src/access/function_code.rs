//! The seam between architectures: a function's code in, a plan for each of its addresses out.

use super::culprit::{Culprit, Trap};
use super::loop_facts::LoopFacts;
use super::operand_facts::{DwarfRegister, OperandFacts, ValueSource};
use super::plan::{Loss, Plan};
use super::x86;

/// Which instructions the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Instructions {
    /// x86 in 64-bit mode.
    X86_64,
    /// x86 in 32-bit mode.
    X86_32,
    /// Not decoded here.
    Other,
}

/// The bytes of one function.
#[derive(Debug, Clone, Copy)]
pub struct FunctionCode<'a> {
    /// What they are.
    pub instructions: Instructions,
    /// Address of the first byte: an image's own address, or one of the process where there is no
    /// image.
    pub address: u64,
    /// The bytes.
    pub bytes: &'a [u8],
    /// Whether the first byte begins an instruction (a symbol or an unwind entry says so). If not,
    /// only the sampled instruction and what follows it can be decoded.
    pub starts_at_boundary: bool,
}

/// A decoded function.
#[derive(Debug)]
pub struct DecodedFunction {
    /// `None` for an architecture that is not decoded.
    code: Option<x86::Code>,
}

impl DecodedFunction {
    /// Decodes it.
    pub fn decode(code: &FunctionCode<'_>) -> Self {
        let is_64_bit = match code.instructions {
            Instructions::X86_64 => true,
            Instructions::X86_32 => false,
            Instructions::Other => return Self { code: None },
        };
        let FunctionCode { address, bytes, starts_at_boundary, .. } = *code;
        Self { code: Some(x86::Code::decode(address, bytes, starts_at_boundary, is_64_bit)) }
    }

    /// The memory operands of the instruction at `code`, in the address space of
    /// [`FunctionCode::address`].
    pub fn operands(&self, code: u64) -> Vec<OperandFacts> {
        self.code.as_ref().map_or_else(Vec::new, |decoded| decoded.operands(code))
    }

    /// The loops that the instruction at `code` is in, the smallest first. None where the function's ways
    /// are not all known.
    pub fn loops(&self, code: u64) -> Vec<LoopFacts> {
        self.code.as_ref().map_or_else(Vec::new, |decoded| decoded.loops(code))
    }

    /// Where the value is from that a register has before the instruction at `code`: one source for each
    /// way to it. Empty where that is not known, or there are too many.
    pub fn sources(&self, code: u64, register: DwarfRegister) -> Vec<ValueSource> {
        self.code.as_ref().map_or_else(Vec::new, |decoded| decoded.sources(code, register))
    }

    /// The instruction that a debug register has caught, if the code tells which it was.
    pub fn culprit(&self, trap: &Trap<'_>) -> Option<Culprit> {
        self.code.as_ref()?.culprit(trap)
    }

    /// What a sample at `code` (in the address space of [`FunctionCode::address`]) determines.
    pub fn plan(&self, code: u64) -> Plan {
        self.code
            .as_ref()
            .map_or_else(|| Plan::lost(Loss::Architecture), |decoded| decoded.plan(code))
    }
}
