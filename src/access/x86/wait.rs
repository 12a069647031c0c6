//! What the CPU was waiting for when a sample was taken.

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess};

use super::code::{Code, is_call};
use super::effect::is_atomic;
use super::paths::Path;

/// The instruction to blame for a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Culprit {
    /// The sampled instruction itself: a string instruction that was interrupted between two elements.
    StringInstruction(usize),
    /// A load that has just ended.
    Load(usize),
    /// An instruction that has just ended, and does so only when the store buffer is empty.
    Drain(usize),
}

/// So many instructions that only look at what was loaded may lie between a load and its sample.
const BETWEEN: usize = 3;

/// The instruction that all ways to the sample blame, if they agree.
pub(super) fn culprit(
    code: &Code,
    number: usize,
    backward: &[Path],
    factory: &mut InstructionInfoFactory,
) -> Option<Culprit> {
    let sampled = &code.instructions[number];
    if (sampled.has_rep_prefix() || sampled.has_repne_prefix()) && sampled.is_string_instruction() {
        return Some(Culprit::StringInstruction(number));
    }
    let mut culprits = backward.iter().map(|path| of_path(code, path, factory));
    let first = culprits.next()??;
    culprits.all(|other| other == Some(first)).then_some(first)
}

fn of_path(code: &Code, path: &Path, factory: &mut InstructionInfoFactory) -> Option<Culprit> {
    for &step in path.steps.iter().take(BETWEEN + 1) {
        let instruction = &code.instructions[step];
        if drains_stores(instruction) {
            return Some(Culprit::Drain(step));
        }
        match waits_for_memory(instruction, factory) {
            Memory::Loads => return Some(Culprit::Load(step)),
            Memory::Stores => return None,
            Memory::Untouched if only_looks_on(instruction) => {}
            Memory::Untouched => return None,
        }
    }
    None
}

enum Memory {
    Loads,
    Stores,
    Untouched,
}

/// Loads from the stack that return or restore registers hardly ever wait, and what they load is no
/// program's data.
fn waits_for_memory(instruction: &Instruction, factory: &mut InstructionInfoFactory) -> Memory {
    let is_stack_traffic = is_call(instruction)
        || instruction.is_stack_instruction()
        || instruction.flow_control() == FlowControl::Return;
    let used = factory.info(instruction).used_memory();
    let reads = |access: OpAccess| {
        use OpAccess::{CondRead, Read, ReadCondWrite, ReadWrite};
        matches!(access, Read | CondRead | ReadWrite | ReadCondWrite)
    };
    let mut accesses =
        used.iter().map(iced_x86::UsedMemory::access).filter(|it| *it != OpAccess::NoMemAccess);
    match accesses.next() {
        None => Memory::Untouched,
        Some(_) if is_stack_traffic => Memory::Stores,
        Some(first) if reads(first) || accesses.any(reads) => Memory::Loads,
        Some(_) => Memory::Stores,
    }
}

/// Whether an instruction ends only when all stores before it have left the store buffer (Intel SDM
/// volume 3, 9.2 and 9.3; AMD APM volume 2, 7.1).
fn drains_stores(instruction: &Instruction) -> bool {
    is_atomic(instruction)
        || matches!(
            instruction.mnemonic(),
            Mnemonic::Mfence | Mnemonic::Cpuid | Mnemonic::Serialize
        )
}

/// Whether an instruction does nothing but compare, branch or pause, or compute with vectors, so that
/// a wait for a load before it still shows behind it: a compare and its jump are one to the CPU.
fn only_looks_on(instruction: &Instruction) -> bool {
    let is_vector = instruction.op0_register().is_vector_register();
    is_vector
        || instruction.flow_control() == FlowControl::ConditionalBranch
        || matches!(
            instruction.mnemonic(),
            Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Pause | Mnemonic::Nop
        )
}
