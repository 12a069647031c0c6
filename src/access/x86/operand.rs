//! The memory operands of one instruction.

use iced_x86::{
    Instruction, InstructionInfo, MemorySize, Mnemonic, OpAccess, OpKind, Register, UsedMemory,
};

use super::register;
use crate::access::plan::{Direction, Loss};

/// What an operand's address is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// Nothing: the address is one of the process.
    Process,
    /// The code: the displacement is an address of the image.
    Code,
    /// The thread's segment.
    Thread,
}

/// How an operand's address is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    /// General registers, each with its factor.
    pub(super) registers: [Option<(u8, u64)>; 2],
    /// What is added.
    pub(super) displacement: u64,
    /// What that is relative to.
    pub(super) base: Base,
    /// Whether the sum is cut to 32 bits.
    pub(super) is_narrow: bool,
}

/// One memory operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operand {
    /// Its address, or why registers do not tell it.
    pub(super) address: Result<Address, Loss>,
    /// Read, written or both.
    pub(super) direction: Direction,
    /// Bytes.
    pub(super) size: u32,
    /// Whether the access is atomic.
    pub(super) is_locked: bool,
    /// Whether it is the return address or another word that the stack pointer implies.
    pub(super) is_stack: bool,
}

/// Bytes of an XSAVE area that are always there: the legacy region and the header (Intel SDM
/// volume 1, 13.4).
const XSAVE_BYTES: usize = 576;

/// Whether the instruction is atomic.
pub(super) fn is_locked(instruction: &Instruction) -> bool {
    let has_memory =
        (0..instruction.op_count()).any(|op| instruction.op_kind(op) == OpKind::Memory);
    has_memory && (instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg)
}

/// The memory operands of an instruction, implied ones included.
pub(super) fn operands_of<'a>(
    instruction: &'a Instruction,
    info: &'a InstructionInfo,
    is_64_bit: bool,
) -> impl Iterator<Item = Operand> + 'a {
    let is_locked = is_locked(instruction);
    info.used_memory().iter().filter_map(move |memory| {
        let direction = match memory.access() {
            OpAccess::Read | OpAccess::CondRead => Direction::Load,
            OpAccess::Write | OpAccess::CondWrite => Direction::Store,
            OpAccess::ReadWrite | OpAccess::ReadCondWrite => Direction::ReadModifyWrite,
            OpAccess::None | OpAccess::NoMemAccess => return None,
        };
        if is_cache_maintenance(instruction.mnemonic()) {
            return None;
        }
        Some(Operand {
            address: address_of(instruction, memory, is_64_bit),
            direction,
            size: size_of(instruction, memory),
            is_locked,
            is_stack: is_stack(instruction, memory),
        })
    })
}

fn is_cache_maintenance(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Clflush
            | Mnemonic::Clflushopt
            | Mnemonic::Clwb
            | Mnemonic::Cldemote
            | Mnemonic::Invlpg
            | Mnemonic::Monitor
            | Mnemonic::Monitorx
            | Mnemonic::Umonitor
    )
}

fn is_stack(instruction: &Instruction, memory: &UsedMemory) -> bool {
    let explicit = (0..instruction.op_count()).any(|op| instruction.op_kind(op) == OpKind::Memory)
        && memory.base() == instruction.memory_base()
        && memory.displacement() == instruction.memory_displacement64();
    !explicit && instruction.is_stack_instruction()
}

fn size_of(instruction: &Instruction, memory: &UsedMemory) -> u32 {
    let size = match memory.memory_size() {
        MemorySize::Xsave | MemorySize::Xsave64 => XSAVE_BYTES,
        // The decoder leaves repeated string instructions without: here one element is meant.
        MemorySize::Unknown => instruction.memory_size().size(),
        other => other.size(),
    };
    size.max(1) as u32
}

fn address_of(
    instruction: &Instruction,
    memory: &UsedMemory,
    is_64_bit: bool,
) -> Result<Address, Loss> {
    if memory.vsib_size() != 0 {
        return Err(Loss::VectorIndex);
    }
    let base = match memory.segment() {
        Register::FS if is_64_bit => Base::Thread,
        Register::FS | Register::GS => return Err(Loss::SegmentBase),
        _ if instruction.is_ip_rel_memory_operand()
            && memory.base() == Register::None
            && memory.displacement() == instruction.ip_rel_memory_address() =>
        {
            Base::Code
        }
        _ => Base::Process,
    };
    // `bt` and its kin with a register take bits outside the operand; the register is a part of the
    // address in units that no sum expresses.
    let is_bit_string = matches!(
        instruction.mnemonic(),
        Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
    ) && instruction.op1_kind() == OpKind::Register;
    if is_bit_string {
        return Err(Loss::Overwritten);
    }
    let mut registers = [None; 2];
    let mut is_narrow = !is_64_bit;
    for (slot, (register, factor)) in
        registers.iter_mut().zip([(memory.base(), 1), (memory.index(), memory.scale())])
    {
        if register == Register::None {
            continue;
        }
        is_narrow |= register.size() == 4;
        // 16-bit addresses, and `xlat` with its byte as index.
        if register.size() < 4 {
            return Err(Loss::Overwritten);
        }
        let number = register::number_of(register).ok_or(Loss::Overwritten)?;
        *slot = Some((number, factor as u64));
    }
    Ok(Address { registers, displacement: memory.displacement(), base, is_narrow })
}
