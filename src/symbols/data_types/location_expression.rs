//! Where a DWARF location expression says that a variable is, as far as one register tells it.

use gimli::{Operation, Reader as _};

use super::debug_data::Place;
use crate::symbols::vetting::Section;

/// The most operations of one expression.
const MAX_OPERATIONS: usize = 64;

/// The most pieces of one variable.
const MAX_PIECES: usize = 16;

/// Where the value of a variable, or a piece of it, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    /// The register has the value.
    Register(u16),
    /// The value is that of the register plus an offset.
    Sum(u16, i64),
    /// The variable is in memory, at the register plus an offset.
    Memory(u16, i64),
    /// The value is the one that the register had when the function was entered, plus an offset.
    Entry(u16, i64),
}

impl Where {
    pub(super) fn register(self) -> u16 {
        match self {
            Self::Register(register)
            | Self::Sum(register, _)
            | Self::Memory(register, _)
            | Self::Entry(register, _) => register,
        }
    }
}

/// What the place of variables on the stack counts from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame {
    /// The register and the offset that make the canonical frame address.
    pub(super) canonical: Option<(u16, i64)>,
    /// The register and the offset that make the frame base of the function.
    pub(super) base: Option<(u16, i64)>,
}

/// Part of a variable: its first byte and its size; none for all of it.
pub(super) type Part = Option<(u64, u64)>;

/// A value on the expression's stack, as far as it is known without running.
#[derive(Debug, Clone, Copy)]
enum Known {
    Sum(u16, i64),
    Entry(u16, i64),
    Constant(i64),
}

/// The places that an expression states. Empty when it needs memory, another thread or a debugger.
pub(super) fn places(
    place: &Place,
    expression: gimli::Expression<Section>,
    frame: Frame,
) -> Vec<(Where, Part)> {
    walk(place, expression, frame).unwrap_or_default()
}

fn walk(
    place: &Place,
    expression: gimli::Expression<Section>,
    frame: Frame,
) -> Option<Vec<(Where, Part)>> {
    let encoding = place.unit()?.encoding();
    let mut operations = expression.operations(encoding);
    let mut stack: Vec<Known> = Vec::new();
    let mut found = Vec::new();
    // What the operations so far describe, until a piece or the end takes it.
    let mut current: Option<Where> = None;
    let mut at = 0_u64;
    for _ in 0..MAX_OPERATIONS {
        let Some(operation) = operations.next().ok()? else {
            let whole = current.or_else(|| stack.last().copied().and_then(memory));
            if found.is_empty() {
                found.extend(whole.map(|whole| (whole, None)));
            }
            return Some(found);
        };
        match operation {
            Operation::Register { register } => current = Some(Where::Register(register.0)),
            Operation::RegisterOffset { register, offset, .. } => {
                stack.push(Known::Sum(register.0, offset));
            }
            Operation::FrameOffset { offset } => {
                let (register, base) = frame.base?;
                stack.push(Known::Sum(register, base.checked_add(offset)?));
            }
            Operation::CallFrameCFA => {
                let (register, offset) = frame.canonical?;
                stack.push(Known::Sum(register, offset));
            }
            Operation::PlusConstant { value } => {
                let top = stack.pop()?;
                stack.push(plus(top, value.cast_signed())?);
            }
            Operation::UnsignedConstant { value } => {
                stack.push(Known::Constant(value.cast_signed()));
            }
            Operation::SignedConstant { value } => stack.push(Known::Constant(value)),
            Operation::Plus => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                stack.push(match (left, right) {
                    (left, Known::Constant(by)) => plus(left, by)?,
                    (Known::Constant(by), right) => plus(right, by)?,
                    _ => return Some(found),
                });
            }
            Operation::Minus => {
                let (Known::Constant(by), left) = (stack.pop()?, stack.pop()?) else {
                    return Some(found);
                };
                stack.push(plus(left, by.checked_neg()?)?);
            }
            Operation::EntryValue { expression } => {
                stack.push(Known::Entry(entry_register(expression, encoding)?, 0));
            }
            Operation::StackValue => {
                current = match stack.last()? {
                    Known::Sum(register, offset) => Some(Where::Sum(*register, *offset)),
                    Known::Entry(register, offset) => Some(Where::Entry(*register, *offset)),
                    Known::Constant(_) => None,
                };
                // A constant is in no register, and neither is what it is a piece of.
                stack.clear();
            }
            Operation::Piece { size_in_bits, .. } => {
                let size = size_in_bits / 8;
                let piece = current.take().or_else(|| stack.last().copied().and_then(memory));
                stack.clear();
                found.extend(piece.map(|piece| (piece, Some((at, size)))));
                at = at.checked_add(size)?;
                if found.len() >= MAX_PIECES {
                    return Some(found);
                }
            }
            Operation::Nop => {}
            // Memory, conversions and jumps: nothing that a register alone tells.
            _ => return Some(found),
        }
    }
    Some(found)
}

fn memory(known: Known) -> Option<Where> {
    match known {
        Known::Sum(register, offset) => Some(Where::Memory(register, offset)),
        // The memory that a value of another time points to is no place of now, and a constant is an
        // address of its own.
        Known::Entry(..) | Known::Constant(_) => None,
    }
}

fn plus(known: Known, by: i64) -> Option<Known> {
    Some(match known {
        Known::Sum(register, offset) => Known::Sum(register, offset.checked_add(by)?),
        Known::Entry(register, offset) => Known::Entry(register, offset.checked_add(by)?),
        Known::Constant(value) => Known::Constant(value.checked_add(by)?),
    })
}

/// The register whose value at the entry is meant.
fn entry_register(expression: Section, encoding: gimli::Encoding) -> Option<u16> {
    if expression.is_empty() {
        return None;
    }
    let mut operations = gimli::Expression(expression).operations(encoding);
    match (operations.next().ok()??, operations.next().ok()?) {
        (Operation::Register { register }, None) => Some(register.0),
        _ => None,
    }
}

/// The frame base that a function states: a register and an offset.
pub(super) fn frame_base(
    place: &Place,
    expression: gimli::Expression<Section>,
    canonical: Option<(u16, i64)>,
) -> Option<(u16, i64)> {
    let frame = Frame { canonical, base: None };
    match places(place, expression, frame).first()? {
        // A register as frame base means the address that it has.
        (Where::Register(register), _) => Some((*register, 0)),
        (Where::Memory(register, offset) | Where::Sum(register, offset), _) => {
            Some((*register, *offset))
        }
        (Where::Entry(..), _) => None,
    }
}
