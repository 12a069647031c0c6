//! What one instruction reads and writes: its memory operands, and its effect on registers.

use iced_x86::{
    Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register, UsedMemory,
};

use super::code::is_call;
use super::value::Value;
use super::values::Values;
use crate::access::{Direction, Loss};

/// A memory operand, with its address before the instruction runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub(super) address: Result<Value, Loss>,
    pub(super) is_thread_relative: bool,
    pub(super) direction: Direction,
    pub(super) size: u32,
    pub(super) is_locked: bool,
}

const RSP: usize = 4;
const RBP: usize = 5;

/// Registers that a called function may change (System V ABI for AMD64, 3.2.1): all but `rbx`, `rsp`,
/// `rbp` and `r12` to `r15`.
const CHANGED_BY_CALLS: [usize; 9] = [0, 1, 2, 6, 7, 8, 9, 10, 11];

/// The general register that a register is a part of, by its encoding.
fn general(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}

/// The memory operands of an instruction.
pub(super) fn operands(
    instruction: &Instruction,
    values: &Values,
    factory: &mut InstructionInfoFactory,
) -> Vec<Operand> {
    let is_locked = is_atomic(instruction);
    let info = factory.info(instruction);
    let used = info.used_memory().iter().filter_map(|memory| {
        let direction = direction(memory.access())?;
        let size = size(instruction, memory)?;
        let (address, is_thread_relative) = address(instruction, memory, values);
        Some(Operand { address, is_thread_relative, direction, size, is_locked })
    });
    used.collect()
}

fn direction(access: OpAccess) -> Option<Direction> {
    match access {
        OpAccess::Read | OpAccess::CondRead => Some(Direction::Load),
        OpAccess::Write | OpAccess::CondWrite => Some(Direction::Store),
        OpAccess::ReadWrite | OpAccess::ReadCondWrite => Some(Direction::ReadModifyWrite),
        OpAccess::None | OpAccess::NoMemAccess => None,
    }
}

/// Bytes of an operand. State save areas have no fixed size: their legacy part is what all have.
fn size(instruction: &Instruction, memory: &UsedMemory) -> Option<u32> {
    const LEGACY_STATE: u32 = 512;
    match memory.memory_size().size() as u32 {
        0 => match instruction.mnemonic() {
            Mnemonic::Fxsave
            | Mnemonic::Fxsave64
            | Mnemonic::Fxrstor
            | Mnemonic::Fxrstor64
            | Mnemonic::Xsave
            | Mnemonic::Xsave64
            | Mnemonic::Xsavec
            | Mnemonic::Xsavec64
            | Mnemonic::Xsaveopt
            | Mnemonic::Xsaveopt64
            | Mnemonic::Xrstor
            | Mnemonic::Xrstor64 => Some(LEGACY_STATE),
            _ => None,
        },
        size => Some(size),
    }
}

fn address(
    instruction: &Instruction,
    memory: &UsedMemory,
    values: &Values,
) -> (Result<Value, Loss>, bool) {
    if memory.index().is_vector_register() {
        return (Err(Loss::VectorIndex), false);
    }
    let is_thread_relative = match memory.segment() {
        Register::FS => true,
        Register::GS => return (Err(Loss::SegmentBase), false),
        _ => false,
    };
    let known = |register: Register| match register {
        Register::None => Ok(Value::default()),
        register if register.is_gpr64() => Ok(values.get(register.number()).clone()),
        // 32-bit addresses (`addr32`) are not followed.
        _ => Err(Loss::Overwritten),
    };
    let sum = || {
        let displacement = match instruction.is_ip_rel_memory_operand() {
            true if memory.base() == Register::None => Value::code_address(memory.displacement()),
            _ => Value::constant(memory.displacement()),
        };
        let base = known(memory.base())?;
        let index = known(memory.index())?;
        displacement
            .plus_times(&base, 1)
            .and_then(|sum| sum.plus_times(&index, u64::from(memory.scale())))
            .ok_or(Loss::Overwritten)
    };
    // With a register as bit number the bit may lie anywhere beside the operand.
    let is_bit_string = matches!(
        instruction.mnemonic(),
        Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
    ) && instruction.op1_kind() == OpKind::Register;
    (if is_bit_string { Err(Loss::Overwritten) } else { sum() }, is_thread_relative)
}

/// Whether an instruction's memory access is atomic: `lock`, or `xchg` with memory.
pub(super) fn is_atomic(instruction: &Instruction) -> bool {
    let has_memory = (0..instruction.op_count()).any(|n| instruction.op_kind(n) == OpKind::Memory);
    has_memory && (instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg)
}

/// Runs an instruction.
pub(super) fn apply(
    instruction: &Instruction,
    values: &mut Values,
    factory: &mut InstructionInfoFactory,
) {
    if is_call(instruction) {
        for register in CHANGED_BY_CALLS {
            let fresh = values.fresh(false);
            values.set(register, fresh);
        }
        return;
    }
    let followed = followed(instruction, values);
    let info = factory.info(instruction);
    let written: Vec<usize> = info
        .used_registers()
        .iter()
        .filter(|used| {
            matches!(
                used.access(),
                OpAccess::Write
                    | OpAccess::CondWrite
                    | OpAccess::ReadWrite
                    | OpAccess::ReadCondWrite
            )
        })
        .filter_map(|used| general(used.register()))
        .collect();
    for register in written {
        if followed.iter().all(|(known, _)| *known != register) {
            let is_clean = writes_low_half(instruction, register);
            let fresh = values.fresh(is_clean);
            values.set(register, fresh);
        }
    }
    if instruction.mnemonic() == Mnemonic::Syscall {
        let answer = values.fresh(false);
        values.set(0, answer);
    }
    for (register, value) in followed {
        values.set(register, value);
    }
}

/// Whether the destination is the low half of a register, which sets the upper half to 0.
fn writes_low_half(instruction: &Instruction, register: usize) -> bool {
    instruction.op0_kind() == OpKind::Register
        && instruction.op0_register().is_gpr32()
        && instruction.op0_register().number() == register
}

/// Registers that get a value which can be expressed in what came before.
fn followed(instruction: &Instruction, values: &mut Values) -> Vec<(usize, Value)> {
    let stack = |delta: i64, values: &Values| vec![(RSP, values.get(RSP).plus(delta as u64))];
    match instruction.mnemonic() {
        Mnemonic::Push | Mnemonic::Pushfq | Mnemonic::Pop | Mnemonic::Popfq => {
            let mut effects = stack(i64::from(instruction.stack_pointer_increment()), values);
            if instruction.mnemonic() == Mnemonic::Pop
                && instruction.op0_register() == Register::RSP
            {
                effects.clear();
            }
            effects
        }
        Mnemonic::Leave => vec![(RSP, values.get(RBP).plus(8))],
        Mnemonic::Xchg => exchanged(instruction, values),
        _ => {
            let target = instruction.op0_register();
            if instruction.op0_kind() != OpKind::Register
                || !(target.is_gpr64() || target.is_gpr32())
            {
                return string_pointers(instruction, values);
            }
            let Some(value) = result(instruction, values) else {
                return Vec::new();
            };
            let value = if target.is_gpr32() { values.low32(value) } else { value };
            vec![(target.number(), value)]
        }
    }
}

/// Exchanged registers.
fn exchanged(instruction: &Instruction, values: &Values) -> Vec<(usize, Value)> {
    let (a, b) = (instruction.op0_register(), instruction.op1_register());
    let are_registers =
        instruction.op0_kind() == OpKind::Register && instruction.op1_kind() == OpKind::Register;
    if !are_registers || !a.is_gpr64() || !b.is_gpr64() {
        return Vec::new();
    }
    vec![(a.number(), values.get(b.number()).clone()), (b.number(), values.get(a.number()).clone())]
}

/// String instructions without a repetition step their pointers on; the direction flag is clear
/// whenever functions are called (System V ABI).
fn string_pointers(instruction: &Instruction, values: &Values) -> Vec<(usize, Value)> {
    const RSI: usize = 6;
    const RDI: usize = 7;
    if instruction.has_rep_prefix() || instruction.has_repne_prefix() {
        return Vec::new();
    }
    let (steps, registers): (u64, &[usize]) = match instruction.mnemonic() {
        Mnemonic::Movsb => (1, &[RSI, RDI]),
        Mnemonic::Movsw => (2, &[RSI, RDI]),
        Mnemonic::Movsq => (8, &[RSI, RDI]),
        Mnemonic::Stosb | Mnemonic::Scasb => (1, &[RDI]),
        Mnemonic::Stosd | Mnemonic::Scasd => (4, &[RDI]),
        Mnemonic::Stosq | Mnemonic::Scasq => (8, &[RDI]),
        _ => return Vec::new(),
    };
    registers.iter().map(|&register| (register, values.get(register).plus(steps))).collect()
}

/// What an instruction computes into its first operand, before it is cut to the register's size.
fn result(instruction: &Instruction, values: &mut Values) -> Option<Value> {
    let mnemonic = instruction.mnemonic();
    let source = |number: u32, values: &Values| -> Option<Value> {
        match instruction.op_kind(number) {
            OpKind::Register => {
                let register = instruction.op_register(number);
                (register.is_gpr64() || register.is_gpr32())
                    .then(|| values.get(register.number()).clone())
            }
            OpKind::Memory | OpKind::NearBranch64 => None,
            _ => instruction.try_immediate(number).ok().map(Value::constant),
        }
    };
    let target = instruction.op0_register();
    let own = values.get(target.number()).clone();
    let is_same =
        instruction.op1_kind() == OpKind::Register && instruction.op1_register() == target;
    match mnemonic {
        Mnemonic::Mov => source(1, values),
        Mnemonic::Movsxd => {
            let value = source(1, values)?;
            Some(values.sign32(value))
        }
        Mnemonic::Lea => lea(instruction, values),
        Mnemonic::Add => own.plus_times(&source(1, values)?, 1),
        Mnemonic::Sub if is_same => Some(Value::default()),
        Mnemonic::Xor if is_same => Some(Value::default()),
        Mnemonic::Sub => own.plus_times(&source(1, values)?, u64::MAX),
        Mnemonic::Inc => Some(own.plus(1)),
        Mnemonic::Dec => Some(own.plus(u64::MAX)),
        Mnemonic::Neg => own.times(u64::MAX),
        Mnemonic::Not => own.times(u64::MAX).map(|negative| negative.plus(u64::MAX)),
        Mnemonic::Shl => {
            let bits = source(1, values)?.as_constant()?;
            let width = if target.is_gpr64() { 64 } else { 32 };
            own.times(1u64.checked_shl(bits as u32 & (width - 1))?)
        }
        Mnemonic::Imul if instruction.op_count() == 3 => {
            let factor = source(2, values)?.as_constant()?;
            source(1, values)?.times(factor)
        }
        _ => None,
    }
}

fn lea(instruction: &Instruction, values: &Values) -> Option<Value> {
    if instruction.is_ip_rel_memory_operand() {
        return Some(Value::code_address(instruction.ip_rel_memory_address()));
    }
    let part = |register: Register| match register {
        Register::None => Some(Value::default()),
        register => register.is_gpr64().then(|| values.get(register.number()).clone()),
    };
    Value::constant(instruction.memory_displacement64())
        .plus_times(&part(instruction.memory_base())?, 1)?
        .plus_times(&part(instruction.memory_index())?, u64::from(instruction.memory_index_scale()))
}
