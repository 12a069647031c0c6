//! What the CPU waited for when it was interrupted, as far as the instructions before tell.
//!
//! An interrupt is taken where the oldest unfinished instruction is. Time that a load takes therefore
//! shows at the instruction after it; where a comparison and a conditional jump are one operation
//! inside the CPU, at the one after the jump as well.

use super::Function;
use super::instruction::{Flow, Instruction, Kind};

/// What a path says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// Nothing.
    Unknown,
    /// For this operand of the instruction so many steps before.
    Load {
        /// 0 is the instruction just before.
        position: usize,
        /// Which operand.
        operand: u8,
    },
    /// For the stores to drain, at the instruction just before.
    Drain,
}

/// Between a load and the sample may be this many instructions that do nothing but judge its result.
const MAX_JUDGES: usize = 3;

/// How far before the sample a vector load may be.
const MAX_VECTOR_DISTANCE: usize = 3;

/// What one path to the sample says; its nearest instruction is first.
pub(super) fn waited(function: &Function, steps: &[u32]) -> Waited {
    let at = |position: usize| steps.get(position).map(|index| function.instruction(*index));
    let Some(nearest) = at(0) else { return Waited::Unknown };
    if nearest.kind == Kind::Drain {
        return Waited::Drain;
    }
    let load = |position: usize, operand| Waited::Load { position, operand };
    if let Some(operand) = waited_load(nearest) {
        return load(0, operand);
    }
    judged_load(&at)
        .or_else(|| vector_load(&at))
        .map_or(Waited::Unknown, |(position, operand)| load(position, operand))
}

/// The operand that an instruction itself waits for.
fn waited_load(instruction: &Instruction) -> Option<u8> {
    // After a call the callee's last instruction ran just before.
    (instruction.flow == Flow::Next).then(|| instruction.load()).flatten()
}

/// A load whose result only comparisons, jumps and `pause` have seen since.
fn judged_load<'a>(at: &impl Fn(usize) -> Option<&'a Instruction>) -> Option<(usize, u8)> {
    // What each comparison between them reads.
    let mut judges = [0u16; MAX_JUDGES];
    for position in 0..=MAX_JUDGES {
        let instruction = at(position)?;
        if let Some(operand) = waited_load(instruction) {
            let mut judges = judges.iter().filter(|reads| **reads != 0).peekable();
            let is_seen = match judges.peek() {
                Some(_) => judges.all(|reads| reads & instruction.writes != 0),
                None => instruction.kind == Kind::Compare,
            };
            return is_seen.then_some((position, operand));
        }
        match instruction.kind {
            Kind::ConditionalJump | Kind::Pause => {}
            Kind::Compare => *judges.get_mut(position)? = instruction.reads,
            _ => return None,
        }
    }
    None
}

/// A vector load whose result the instruction just before uses.
fn vector_load<'a>(at: &impl Fn(usize) -> Option<&'a Instruction>) -> Option<(usize, u8)> {
    let mut used = at(0)?.vectors_read;
    for position in 1..MAX_VECTOR_DISTANCE {
        let instruction = at(position)?;
        if instruction.vectors_written & used != 0 {
            return waited_load(instruction).map(|operand| (position, operand));
        }
        used &= !instruction.vectors_written;
    }
    None
}
