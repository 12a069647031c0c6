//! Which instruction a data breakpoint has caught (Intel SDM volume 3, 18.2.4: data breakpoints are
//! traps, reported after the instruction that makes the access; repeated string instructions are
//! interrupted after an iteration and point to themselves).

use super::instruction::{Flow, Instruction, Kind};
use super::operand::{Address, Base, Operand};
use super::{Function, register};
use crate::access::culprit::{Culprit, Trap};

/// A repeated string instruction may be some iterations further than the one that was caught.
const REPEATED_REACH: u64 = 64;

/// How far a candidate is from being the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// Its registers say that it touched the watched bytes.
    Certain,
    /// It changed the registers of its address: it may have.
    Possible,
}

/// The instruction that a trap has caught, if the code around tells.
pub(super) fn culprit(function: &Function, trap: &Trap<'_>) -> Option<Culprit> {
    let mut found: Vec<(Match, Culprit)> = Vec::new();
    let listing = &function.listing;
    let next = listing.index_at(trap.next);
    if let Some(index) = next {
        let at = function.instruction(index);
        if at.kind == Kind::Repeated {
            found.extend(repeated(at, trap));
        }
    }
    for instruction in &listing.instructions {
        let leads_here = match instruction.flow {
            Flow::Next => instruction.next() == trap.next,
            // A compare and its jump may retire as one.
            Flow::Branch(target) if instruction.next() == trap.next || target == trap.next => {
                let fused = listing.instructions.iter().find(|before| {
                    before.next() == instruction.address && before.kind == Kind::Compare
                });
                if let Some(before) = fused {
                    found.extend(of_operands(before, trap));
                }
                false
            }
            _ => false,
        };
        if leads_here {
            found.extend(of_operands(instruction, trap));
        }
    }
    let certain: Vec<Culprit> =
        found.iter().filter(|it| it.0 == Match::Certain).map(|it| it.1).collect();
    match (certain.as_slice(), found.as_slice()) {
        ([one, ..], _) => Some(*one),
        // What only may have is believed where nothing else comes into question.
        ([], [(_, one)]) => Some(*one),
        _ => None,
    }
}

fn of_operands(instruction: &Instruction, trap: &Trap<'_>) -> Option<(Match, Culprit)> {
    let fits = |operand: &&Operand| operand.direction.writes() || !trap.writes_only;
    let mut possible = None;
    for operand in instruction.operands.iter().filter(fits) {
        let culprit = |address| Culprit {
            code: instruction.address,
            direction: operand.direction,
            size: operand.size,
            address,
        };
        match address_after(operand, instruction, trap) {
            Known::Address(address) if trap.overlaps(address, u64::from(operand.size)) => {
                return Some((Match::Certain, culprit(Some(address))));
            }
            Known::Address(_) => {}
            Known::No => possible = possible.or(Some((Match::Possible, culprit(None)))),
        }
    }
    possible
}

fn repeated(instruction: &Instruction, trap: &Trap<'_>) -> Option<(Match, Culprit)> {
    let registers = trap.registers?;
    let mut operands = instruction.operands.iter();
    operands.find_map(|operand| {
        if trap.writes_only && !operand.direction.writes() {
            return None;
        }
        let address = evaluate(&operand.address.ok()?, registers, trap)?;
        let near = address.saturating_sub(REPEATED_REACH + u64::from(operand.size));
        let reach = 2 * (REPEATED_REACH + u64::from(operand.size));
        trap.overlaps(near, reach).then_some((
            Match::Certain,
            Culprit {
                code: instruction.address,
                direction: operand.direction,
                size: operand.size,
                address: None,
            },
        ))
    })
}

enum Known {
    Address(u64),
    /// The instruction has changed what it is made of.
    No,
}

/// An operand's address by the registers after its instruction.
fn address_after(operand: &Operand, instruction: &Instruction, trap: &Trap<'_>) -> Known {
    let (Ok(address), Some(registers)) = (&operand.address, trap.registers) else {
        return Known::No;
    };
    let is_changed = |&(number, _): &(u8, u64)| instruction.writes >> number & 1 == 1;
    if address.registers.iter().flatten().any(is_changed) {
        return Known::No;
    }
    evaluate(address, registers, trap).map_or(Known::No, Known::Address)
}

fn evaluate(
    address: &Address,
    registers: &crate::access::RegisterValues,
    trap: &Trap<'_>,
) -> Option<u64> {
    let mut sum = address.displacement;
    sum = sum.wrapping_add(match address.base {
        Base::Process => 0,
        Base::Code => trap.bases.load_bias,
        Base::Thread => trap.bases.thread?,
    });
    for &(number, factor) in address.registers.iter().flatten() {
        let value = registers.get(register::sampled_number(number))?;
        sum = sum.wrapping_add(value.wrapping_mul(factor));
    }
    Some(if address.is_narrow && address.base == Base::Process { sum & 0xffff_ffff } else { sum })
}
