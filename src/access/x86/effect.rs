//! What an instruction does to general registers.

use iced_x86::{Instruction, InstructionInfo, Mnemonic, OpAccess, OpKind, Register};

use super::register::{self, FRAME_POINTER, STACK_POINTER};

/// What is done to a result before it is in the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nothing.
    None,
    /// Its low 32 bits, zero-extended.
    Low,
    /// Its low 32 bits, sign-extended.
    Signed,
}

/// A new content of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// A sum over the registers before the instruction.
    Sum {
        /// Registers with factors.
        registers: [Option<(u8, u64)>; 2],
        /// What is added.
        constant: u64,
        /// Whether the constant is an address of the image.
        is_code_relative: bool,
        /// What is left of it.
        cut: Cut,
    },
    /// The thread's segment base, which the first word of the segment holds (System V ABI for
    /// x86-64, thread-local storage).
    ThreadBase,
    /// Something else, with the high 32 bits 0.
    Clean,
    /// Something else; the high 32 bits are as before.
    Partial,
    /// Something else.
    Unknown,
}

/// One register's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effect {
    /// Which.
    pub(super) register: u8,
    /// Its new content.
    pub(super) content: Content,
}

/// An expression in the making.
#[derive(Clone, Copy)]
struct Value {
    registers: [Option<(u8, u64)>; 2],
    constant: u64,
    is_code_relative: bool,
}

impl Value {
    fn number(constant: u64) -> Self {
        Self { registers: [None; 2], constant, is_code_relative: false }
    }

    fn register(number: u8, factor: u64, constant: u64) -> Self {
        Self { registers: [Some((number, factor)), None], constant, is_code_relative: false }
    }

    fn two(first: u8, second: (u8, u64)) -> Self {
        Self { registers: [Some((first, 1)), Some(second)], constant: 0, is_code_relative: false }
    }

    fn cut(self, cut: Cut) -> Content {
        let Self { registers, constant, is_code_relative } = self;
        Content::Sum { registers, constant, is_code_relative, cut }
    }
}

const MINUS: u64 = u64::MAX;

/// Every general register that the instruction changes, each once.
pub(super) fn effects_of(
    instruction: &Instruction,
    info: &InstructionInfo,
    is_64_bit: bool,
) -> Vec<Effect> {
    let mut effects: Vec<Effect> = Vec::new();
    let mut set = |register: u8, content: Content| {
        if !effects.iter().any(|effect| effect.register == register) {
            effects.push(Effect { register, content });
        }
    };
    for (register, content) in exact(instruction, is_64_bit).into_iter().flatten() {
        set(register, content);
    }
    for used in info.used_registers() {
        let is_written = matches!(
            used.access(),
            OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        );
        if !is_written {
            continue;
        }
        let Some(number) = register::number_of(used.register()) else { continue };
        set(number, inexact(instruction, used.register(), number, is_64_bit));
    }
    effects
}

/// The content of a register that is written in a way that no sum expresses.
fn inexact(instruction: &Instruction, used: Register, number: u8, is_64_bit: bool) -> Content {
    if !is_64_bit {
        return Content::Clean;
    }
    if used.size() < 4 {
        return Content::Partial;
    }
    // The decoder names the whole register also where a 32-bit operand is written.
    let is_operand_of_32_bits = (0..instruction.op_count()).any(|op| {
        instruction.op_kind(op) == OpKind::Register
            && instruction.op_register(op).is_gpr32()
            && register::number_of(instruction.op_register(op)) == Some(number)
    });
    let is_result_of_32_bits = match instruction.mnemonic() {
        Mnemonic::Cdq | Mnemonic::Cwde | Mnemonic::Rdtsc | Mnemonic::Rdtscp | Mnemonic::Cpuid => {
            true
        }
        Mnemonic::Mul | Mnemonic::Imul | Mnemonic::Div | Mnemonic::Idiv => {
            instruction.op_count() == 1 && operand_size(instruction, 0) == 4
        }
        Mnemonic::Cmpxchg => operand_size(instruction, 0) == 4,
        _ => false,
    };
    if is_operand_of_32_bits || is_result_of_32_bits { Content::Clean } else { Content::Unknown }
}

fn operand_size(instruction: &Instruction, op: u32) -> usize {
    match instruction.op_kind(op) {
        OpKind::Register => instruction.op_register(op).size(),
        OpKind::Memory => instruction.memory_size().size(),
        _ => 0,
    }
}

type Changes = [Option<(u8, Content)>; 2];

/// The changes that sums express.
fn exact(instruction: &Instruction, is_64_bit: bool) -> Changes {
    stack_changes(instruction, is_64_bit)
        .or_else(|| string_changes(instruction))
        .unwrap_or_else(|| arithmetic(instruction, is_64_bit))
}

fn stack_changes(instruction: &Instruction, is_64_bit: bool) -> Option<Changes> {
    let cut = if is_64_bit { Cut::None } else { Cut::Low };
    let word = if is_64_bit { 8 } else { 4 };
    match instruction.mnemonic() {
        Mnemonic::Leave => {
            let pointer = Value::register(FRAME_POINTER, 1, word).cut(cut);
            return Some([Some((STACK_POINTER, pointer)), Some((FRAME_POINTER, Content::Unknown))]);
        }
        // The callee's `ret` takes the return address off again.
        Mnemonic::Call => {
            return Some([
                Some((STACK_POINTER, Value::register(STACK_POINTER, 1, 0).cut(cut))),
                None,
            ]);
        }
        Mnemonic::Enter => return None,
        // `pop %rsp` is what was popped.
        Mnemonic::Pop
            if instruction.op0_kind() == OpKind::Register
                && register::number_of(instruction.op0_register()) == Some(STACK_POINTER) =>
        {
            return Some([Some((STACK_POINTER, Content::Unknown)), None]);
        }
        _ => {}
    }
    let change = instruction.stack_pointer_increment();
    if !instruction.is_stack_instruction() || change == 0 {
        return None;
    }
    let pointer = Value::register(STACK_POINTER, 1, i64::from(change) as u64).cut(cut);
    Some([Some((STACK_POINTER, pointer)), None])
}

/// String instructions without a prefix step by one element; the direction flag is clear at every
/// call (System V ABI) and nobody sets it.
fn string_changes(instruction: &Instruction) -> Option<Changes> {
    if !instruction.is_string_instruction() {
        return None;
    }
    if instruction.has_rep_prefix() || instruction.has_repne_prefix() {
        return Some([None; 2]);
    }
    let size = instruction.memory_size().size() as u64;
    let mut changes = [None; 2];
    for (slot, op) in changes.iter_mut().zip(0..instruction.op_count()) {
        let (number, cut) = match instruction.op_kind(op) {
            OpKind::MemorySegRSI => (6, Cut::None),
            OpKind::MemoryESRDI => (7, Cut::None),
            OpKind::MemorySegESI => (6, Cut::Low),
            OpKind::MemoryESEDI => (7, Cut::Low),
            _ => continue,
        };
        *slot = Some((number, Value::register(number, 1, size).cut(cut)));
    }
    Some(changes)
}

fn arithmetic(instruction: &Instruction, is_64_bit: bool) -> Changes {
    let none = [None; 2];
    match instruction.mnemonic() {
        Mnemonic::Cdqe => return [Some((0, Value::register(0, 1, 0).cut(Cut::Signed))), None],
        Mnemonic::Xchg | Mnemonic::Xadd => return exchange(instruction),
        _ => {}
    }
    if instruction.op0_kind() != OpKind::Register {
        return none;
    }
    let target = instruction.op0_register();
    let cut = match target.size() {
        8 => Cut::None,
        4 => Cut::Low,
        _ => return none,
    };
    let Some(own) = register::number_of(target) else { return none };
    let content = match instruction.mnemonic() {
        Mnemonic::Mov if is_thread_base(instruction, is_64_bit) => Some(Content::ThreadBase),
        Mnemonic::Movsxd => {
            source(instruction).filter(|_| operand_size(instruction, 1) == 4).map(|number| {
                let cut = if target.size() == 8 { Cut::Signed } else { Cut::Low };
                Value::register(number, 1, 0).cut(cut)
            })
        }
        _ => value(instruction, own).map(|value| value.cut(cut)),
    };
    [content.map(|content| (own, content)), None]
}

fn is_thread_base(instruction: &Instruction, is_64_bit: bool) -> bool {
    is_64_bit
        && instruction.op1_kind() == OpKind::Memory
        && instruction.memory_segment() == Register::FS
        && instruction.memory_base() == Register::None
        && instruction.memory_index() == Register::None
        && instruction.memory_displacement64() == 0
        && instruction.op0_register().is_gpr64()
}

/// The second operand, if it is a general register of the first one's size.
fn source(instruction: &Instruction) -> Option<u8> {
    let register = instruction.op1_register();
    let is_register = instruction.op1_kind() == OpKind::Register && register.size() >= 4;
    is_register.then(|| register::number_of(register)).flatten()
}

fn immediate(instruction: &Instruction, op: u32) -> Option<u64> {
    matches!(
        instruction.op_kind(op),
        OpKind::Immediate8
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64
    )
    .then(|| instruction.immediate(op))
}

/// The result of an instruction whose first operand is the general register `own`.
fn value(instruction: &Instruction, own: u8) -> Option<Value> {
    let number = immediate(instruction, 1);
    let other = source(instruction);
    Some(match instruction.mnemonic() {
        Mnemonic::Mov => match number {
            Some(number) => Value::number(number),
            None => Value::register(other?, 1, 0),
        },
        Mnemonic::Lea => return effective_address(instruction),
        Mnemonic::Add => match number {
            Some(number) => Value::register(own, 1, number),
            None => Value::two(own, (other?, 1)),
        },
        Mnemonic::Sub => match number {
            Some(number) => Value::register(own, 1, number.wrapping_neg()),
            None => Value::two(own, (other?, MINUS)),
        },
        Mnemonic::Xor if other == Some(own) => Value::number(0),
        Mnemonic::And if number == Some(0) => Value::number(0),
        Mnemonic::Or if number.is_some_and(|number| number as i64 == -1) => Value::number(MINUS),
        Mnemonic::Inc => Value::register(own, 1, 1),
        Mnemonic::Dec => Value::register(own, 1, MINUS),
        Mnemonic::Neg => Value::register(own, MINUS, 0),
        Mnemonic::Not => Value::register(own, MINUS, MINUS),
        Mnemonic::Shl | Mnemonic::Sal => {
            let bits = if instruction.op0_register().size() == 8 { 63 } else { 31 };
            Value::register(own, 1 << (number? & bits), 0)
        }
        Mnemonic::Imul if instruction.op_count() == 3 => {
            Value::register(other?, immediate(instruction, 2)?, 0)
        }
        _ => return None,
    })
}

fn effective_address(instruction: &Instruction) -> Option<Value> {
    let displacement = instruction.memory_displacement64();
    if instruction.is_ip_rel_memory_operand() {
        return Some(Value { is_code_relative: true, ..Value::number(displacement) });
    }
    let mut value = Value::number(displacement);
    let parts = [
        (instruction.memory_base(), 1),
        (instruction.memory_index(), u64::from(instruction.memory_index_scale())),
    ];
    for (slot, (register, factor)) in value.registers.iter_mut().zip(parts) {
        if register == Register::None {
            continue;
        }
        // A narrow address with a wide result would need a cut of its own.
        if register.size() < instruction.op0_register().size() {
            return None;
        }
        *slot = Some((register::number_of(register)?, factor));
    }
    Some(value)
}

/// `xchg` and `xadd`.
fn exchange(instruction: &Instruction) -> Changes {
    let none = [None; 2];
    if instruction.op0_kind() != OpKind::Register || instruction.op1_kind() != OpKind::Register {
        return none;
    }
    let (first, second) = (instruction.op0_register(), instruction.op1_register());
    let cut = match first.size() {
        8 => Cut::None,
        4 => Cut::Low,
        _ => return none,
    };
    let (Some(one), Some(two)) = (register::number_of(first), register::number_of(second)) else {
        return none;
    };
    if one == two {
        return none;
    }
    let result = match instruction.mnemonic() {
        Mnemonic::Xadd => Value::two(one, (two, 1)),
        _ => Value::register(two, 1, 0),
    };
    [Some((one, result.cut(cut))), Some((two, Value::register(one, 1, 0).cut(cut)))]
}
