//! One instruction, as far as accesses and paths are concerned.

use iced_x86::{
    FlowControl, Instruction as Decoded, InstructionInfo, Mnemonic, OpAccess, OpKind, Register,
};

use super::effect::{Content, Cut, Effect, effects_of};
use super::operand::{Operand, is_locked, operands_of};
use super::register;

/// Where control goes after an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// To the next one.
    Next,
    /// To the next one or to an address.
    Branch(u64),
    /// To an address.
    Jump(u64),
    /// To an address that a register holds: a jump table, or a call in tail position.
    Indirect,
    /// Into a function, and then to the next one.
    Call,
    /// Away.
    End,
}

/// What an instruction is to the question what the CPU waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Waits until all stores have left the store buffer.
    Drain,
    /// A comparison that leaves nothing but flags.
    Compare,
    /// A conditional jump.
    ConditionalJump,
    /// `pause`.
    Pause,
    /// A string instruction with a repeat prefix.
    Repeated,
    /// Anything else.
    Other,
}

/// One instruction.
#[derive(Debug)]
pub(super) struct Instruction {
    /// Its address.
    pub(super) address: u64,
    /// Its memory operands.
    pub(super) operands: Box<[Operand]>,
    /// What it does to general registers.
    pub(super) effects: Box<[Effect]>,
    /// Where control goes.
    pub(super) flow: Flow,
    /// Its part in waiting.
    pub(super) kind: Kind,
    /// General registers that it reads otherwise than for addresses, one bit each.
    pub(super) reads: u16,
    /// General registers that it writes.
    pub(super) writes: u16,
    /// Vector registers that it reads.
    pub(super) vectors_read: u32,
    /// Vector registers that it writes.
    pub(super) vectors_written: u32,
    /// Bytes of code.
    pub(super) length: u8,
}

impl Instruction {
    /// Reads what the decoder found.
    pub(super) fn new(decoded: &Decoded, info: &InstructionInfo, is_64_bit: bool) -> Self {
        let mut operands: Vec<Operand> = Vec::new();
        for operand in operands_of(decoded, info, is_64_bit) {
            // `enter` may touch one word several times.
            if !operands.contains(&operand) {
                operands.push(operand);
            }
        }
        let mut effects = effects_of(decoded, info, is_64_bit);
        let flow = flow_of(decoded);
        if flow == Flow::Call {
            let changed = register::changed_by_calls(is_64_bit);
            effects.extend(unknown_after(changed));
        } else if matches!(decoded.mnemonic(), Mnemonic::Syscall) {
            // The kernel returns in ax and leaves cx and r11 with ip and flags.
            effects = unknown_after(1 | 1 << 1 | 1 << 11).collect();
        } else if matches!(decoded.mnemonic(), Mnemonic::Int | Mnemonic::Sysenter) {
            effects = unknown_after(1).collect();
        }
        let mut instruction = Self {
            address: decoded.ip(),
            operands: operands.into_boxed_slice(),
            flow,
            kind: kind_of(decoded),
            reads: 0,
            writes: effects.iter().fold(0, |mask, effect| mask | 1 << effect.register),
            effects: effects.into_boxed_slice(),
            vectors_read: 0,
            vectors_written: 0,
            length: decoded.len() as u8,
        };
        for used in info.used_registers() {
            instruction.note(used.register(), used.access());
        }
        instruction
    }

    fn note(&mut self, register: Register, access: OpAccess) {
        let is_read = !matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::None);
        let is_written = !matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::None);
        if let Some(number) = register::number_of(register) {
            self.reads |= u16::from(is_read) << number;
        } else if register.is_vector_register() {
            let number = register.number() as u32 & 31;
            self.vectors_read |= u32::from(is_read) << number;
            self.vectors_written |= u32::from(is_written) << number;
        }
    }

    /// The address of the next instruction in memory.
    pub(super) fn next(&self) -> u64 {
        self.address.wrapping_add(u64::from(self.length))
    }

    /// Whether control can go to the next instruction.
    pub(super) fn continues(&self) -> bool {
        matches!(self.flow, Flow::Next | Flow::Branch(_) | Flow::Call)
    }

    /// Its first operand that is read and waited for: not what the stack pointer implies.
    pub(super) fn load(&self) -> Option<u8> {
        let is_load = |operand: &Operand| operand.direction.reads() && !operand.is_stack;
        self.operands.iter().position(is_load).map(|at| at as u8)
    }

    /// The general registers whose high 32 bits are 0 after it, given those before it.
    pub(super) fn clean_after(&self, before: u16) -> u16 {
        self.effects.iter().fold(before, |clean, effect| {
            let bit = 1 << effect.register;
            if is_clean(effect.content, effect.register, before) {
                clean | bit
            } else {
                clean & !bit
            }
        })
    }
}

fn is_clean(content: Content, own: u8, before: u16) -> bool {
    match content {
        Content::Sum { cut: Cut::Low, .. } | Content::Clean => true,
        Content::Sum { registers, constant, is_code_relative, cut } => match registers {
            [None, None] => {
                !is_code_relative && constant <= u64::from(u32::MAX) && cut == Cut::None
            }
            [Some((number, 1)), None] => {
                constant == 0 && cut == Cut::None && before >> number & 1 == 1
            }
            _ => false,
        },
        Content::Partial => before >> own & 1 == 1,
        Content::ThreadBase | Content::Unknown => false,
    }
}

fn unknown_after(changed: u16) -> impl Iterator<Item = Effect> {
    (0..16u8)
        .filter(move |number| changed >> number & 1 == 1)
        .map(|register| Effect { register, content: Content::Unknown })
}

fn flow_of(decoded: &Decoded) -> Flow {
    let is_near = matches!(
        decoded.op0_kind(),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
    );
    match decoded.flow_control() {
        FlowControl::Next | FlowControl::XbeginXabortXend => match decoded.mnemonic() {
            Mnemonic::Hlt => Flow::End,
            _ => Flow::Next,
        },
        FlowControl::ConditionalBranch if is_near => Flow::Branch(decoded.near_branch_target()),
        FlowControl::UnconditionalBranch if is_near => Flow::Jump(decoded.near_branch_target()),
        // Through memory without an index: a function pointer, so the function ends here.
        FlowControl::IndirectBranch
            if decoded.op0_kind() == OpKind::Memory && decoded.memory_index() == Register::None =>
        {
            Flow::End
        }
        FlowControl::IndirectBranch => Flow::Indirect,
        FlowControl::Call | FlowControl::IndirectCall => match decoded.mnemonic() {
            Mnemonic::Call => Flow::Call,
            _ => Flow::Next,
        },
        FlowControl::Interrupt => match decoded.mnemonic() {
            Mnemonic::Int => Flow::Next,
            _ => Flow::End,
        },
        _ => Flow::End,
    }
}

fn kind_of(decoded: &Decoded) -> Kind {
    if is_locked(decoded) {
        return Kind::Drain;
    }
    if decoded.is_string_instruction() && (decoded.has_rep_prefix() || decoded.has_repne_prefix()) {
        return Kind::Repeated;
    }
    match decoded.mnemonic() {
        Mnemonic::Mfence | Mnemonic::Cpuid | Mnemonic::Serialize | Mnemonic::Wbinvd => Kind::Drain,
        Mnemonic::Cmp | Mnemonic::Test => Kind::Compare,
        Mnemonic::Pause => Kind::Pause,
        _ if decoded.flow_control() == FlowControl::ConditionalBranch => Kind::ConditionalJump,
        _ => Kind::Other,
    }
}
