//! Putting together what the paths around a sample say.

use super::algebra::{Algebra, Atom, Sum};
use super::instruction::Kind;
use super::operand::Operand;
use super::state::State;
use super::wait::{Waited, waited};
use super::walk::{Occurrence, Walk, collect, walk_back, walk_on};
use super::{Function, path, register};
use crate::access::formula::{AddressFormula, Term, TermValue};
use crate::access::plan::{Certainty, Loss, Place, Plan, PlannedAccess, Wait};

/// An access in the making.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    instruction: u32,
    operand: u8,
    address: Sum,
    place: Place,
    certainty: Certainty,
    distance: usize,
}

/// What a sample at an instruction determines. Without `has_past` only from there on.
pub(super) fn plan(function: &Function, at: u32, has_past: bool) -> Plan {
    let mut algebra = Algebra::default();
    let clean = if has_past || !function.is_64_bit { function.clean_before(at) } else { 0 };
    let state = State::unknown(&mut algebra, clean);

    let mut here = Vec::new();
    collect(function, &mut algebra, &state, at, 0, &mut here);
    here.iter_mut().for_each(|occurrence| occurrence.sampled = occurrence.on_path);

    let before: Vec<Walk> = match has_past {
        true => path::backward(&function.graph, at)
            .into_iter()
            .map(|path| walk_back(function, &mut algebra, &state, path))
            .collect(),
        false => Vec::new(),
    };
    let after: Vec<Walk> = path::forward(&function.graph, &function.listing, at)
        .into_iter()
        .map(|path| walk_on(function, &mut algebra, state.clone(), path, at))
        .collect();

    let mut candidates = Vec::new();
    for occurrence in &here {
        note(&mut candidates, occurrence, Place::At, Certainty::Certain);
    }
    note_walks(&mut candidates, &mut algebra, &before, Place::Before);
    note_walks(&mut candidates, &mut algebra, &after, Place::After);
    doubt_earlier_turns(&mut candidates);
    candidates.sort_by_key(|candidate| {
        let distance = candidate.distance as isize;
        let position = match candidate.place {
            Place::Before => -distance,
            Place::At | Place::After => distance,
        };
        (position, candidate.operand)
    });
    candidates.retain(|candidate| formula(&algebra, &candidate.address).is_some());

    let wait = wait_of(function, &mut algebra, at, &here, &before, &candidates);
    let loss = match candidates.is_empty() {
        true => nearest_loss(function, &here, before.iter().chain(&after)),
        false => gather_just_before(function, &before)
            .or_else(|| drain_just_before(function, &before, wait)),
    };
    let accesses = candidates
        .iter()
        .filter_map(|candidate| {
            let operand = operand(function, candidate.instruction, candidate.operand);
            Some(PlannedAccess {
                code: function.instruction(candidate.instruction).address,
                direction: operand.direction,
                size: operand.size,
                is_locked: operand.is_locked,
                place: candidate.place,
                certainty: candidate.certainty,
                address: formula(&algebra, &candidate.address)?,
            })
        })
        .collect();
    Plan { accesses, wait, loss }
}

fn operand(function: &Function, instruction: u32, operand: u8) -> &Operand {
    &function.instruction(instruction).operands[usize::from(operand)]
}

/// Adds a candidate, or betters the one that has the same operand and address.
fn note(
    candidates: &mut Vec<Candidate>,
    occurrence: &Occurrence,
    place: Place,
    certainty: Certainty,
) {
    let Some(address) = occurrence.sampled else { return };
    let new = Candidate {
        instruction: occurrence.instruction,
        operand: occurrence.operand,
        address,
        place,
        certainty,
        distance: occurrence.distance,
    };
    let same = candidates.iter_mut().find(|other| {
        (other.instruction, other.operand, other.address) == (new.instruction, new.operand, address)
    });
    // What is certain first, then what is here, was before, comes after; then what is near.
    let rank = |candidate: &Candidate| {
        let place = match candidate.place {
            Place::At => 0,
            Place::Before => 1,
            Place::After => 2,
        };
        (candidate.certainty == Certainty::Possible, place, candidate.distance)
    };
    match same {
        Some(other) if rank(&new) < rank(other) => *other = new,
        Some(_) => {}
        None => candidates.push(new),
    }
}

fn note_walks(
    candidates: &mut Vec<Candidate>,
    algebra: &mut Algebra,
    walks: &[Walk],
    place: Place,
) {
    for (number, walk) in walks.iter().enumerate() {
        for occurrence in &walk.occurrences {
            let Some(address) = occurrence.sampled else { continue };
            let is_on_all = occurrence.is_sure
                && walks.iter().enumerate().all(|(other_number, other)| {
                    other_number == number || has_surely(algebra, other, occurrence, &address)
                });
            let certainty = if is_on_all { Certainty::Certain } else { Certainty::Possible };
            note(candidates, occurrence, place, certainty);
        }
    }
}

/// Where an operand surely has an address in this turn of a loop, the address that it had in the turn
/// before is only possible: a first turn has none before it, and what lies in front of an array is
/// not the loop's.
fn doubt_earlier_turns(candidates: &mut [Candidate]) {
    for index in 0..candidates.len() {
        let earlier = candidates[index];
        if earlier.place != Place::Before || earlier.certainty != Certainty::Certain {
            continue;
        }
        let has_later = candidates.iter().any(|other| {
            (other.instruction, other.operand) == (earlier.instruction, earlier.operand)
                && other.certainty == Certainty::Certain
                && other.address != earlier.address
                && (other.place != Place::Before || other.distance < earlier.distance)
        });
        if has_later {
            candidates[index].certainty = Certainty::Possible;
        }
    }
}

/// Whether a path surely makes an access of another path, at the same address.
fn has_surely(algebra: &mut Algebra, walk: &Walk, wanted: &Occurrence, address: &Sum) -> bool {
    walk.occurrences.iter().any(|occurrence| {
        occurrence.is_sure
            && (occurrence.instruction, occurrence.operand) == (wanted.instruction, wanted.operand)
            && walk.agrees(algebra, occurrence, address)
    })
}

fn index_of(candidates: &[Candidate], occurrence: &Occurrence) -> Option<u16> {
    let address = occurrence.sampled?;
    let is_it = |candidate: &Candidate| {
        (candidate.instruction, candidate.operand) == (occurrence.instruction, occurrence.operand)
            && candidate.address == address
    };
    candidates.iter().position(is_it).and_then(|index| u16::try_from(index).ok())
}

fn wait_of(
    function: &Function,
    algebra: &mut Algebra,
    at: u32,
    here: &[Occurrence],
    before: &[Walk],
    candidates: &[Candidate],
) -> Wait {
    if function.instruction(at).kind == Kind::Repeated {
        let load = function.instruction(at).load().unwrap_or(0);
        let own = here.get(usize::from(load)).and_then(|own| index_of(candidates, own));
        return own.map_or(Wait::Unknown, Wait::Access);
    }
    let answers: Vec<Waited> = before.iter().map(|walk| waited(function, &walk.steps)).collect();
    let Some(first) = answers.first() else { return Wait::Unknown };
    let is_drain = answers.iter().all(|answer| *answer == Waited::Drain);
    // All paths must wait for one operand, at one address.
    let mut common: Option<Occurrence> = None;
    for (walk, answer) in before.iter().zip(&answers) {
        let (distance, wanted) = match *answer {
            Waited::Unknown => return Wait::Unknown,
            Waited::Load { position, operand } => (position + 1, Some(operand)),
            Waited::Drain => (1, None),
        };
        let found = walk.occurrences.iter().find(|occurrence| {
            occurrence.distance == distance
                && wanted.is_none_or(|wanted| wanted == occurrence.operand)
        });
        let nothing = if is_drain { Wait::Drain(None) } else { Wait::Unknown };
        let Some(found) = found else { return nothing };
        common = match common {
            None => Some(*found),
            Some(other)
                if (other.instruction, other.operand) == (found.instruction, found.operand)
                    && other
                        .sampled
                        .is_some_and(|address| walk.agrees(algebra, found, &address)) =>
            {
                Some(other)
            }
            Some(_) => return nothing,
        };
    }
    let index = common.and_then(|common| index_of(candidates, &common));
    match (first, index) {
        (Waited::Drain, index) => {
            if is_drain {
                Wait::Drain(index)
            } else {
                Wait::Unknown
            }
        }
        (_, Some(index)) if answers.iter().all(|answer| *answer != Waited::Drain) => {
            Wait::Access(index)
        }
        _ => Wait::Unknown,
    }
}

/// Samples just behind a gather stand for it, whatever else their registers tell.
fn gather_just_before(function: &Function, before: &[Walk]) -> Option<Loss> {
    /// A vector load's wait spreads over so many instructions.
    const SPREAD: usize = 4;
    let is_gather = |walk: &Walk| {
        let near = walk.occurrences.iter().filter(|occurrence| occurrence.distance <= SPREAD);
        let nearest = near.min_by_key(|occurrence| occurrence.distance);
        nearest.is_some_and(|it| {
            operand(function, it.instruction, it.operand).address == Err(Loss::VectorIndex)
        })
    };
    (!before.is_empty() && before.iter().all(is_gather)).then_some(Loss::VectorIndex)
}

/// Samples just behind a store-draining instruction stand for its own operand, if it has one.
fn drain_just_before(function: &Function, before: &[Walk], wait: Wait) -> Option<Loss> {
    if wait != Wait::Drain(None) {
        return None;
    }
    let mut own = Vec::with_capacity(before.len());
    for walk in before {
        own.push(walk.occurrences.iter().find(|occurrence| occurrence.distance == 1)?);
    }
    if own.iter().any(|occurrence| occurrence.sampled.is_some()) {
        return Some(Loss::Ambiguous);
    }
    let first = own.first()?;
    let operand = operand(function, first.instruction, first.operand);
    Some(operand.address.err().unwrap_or(Loss::Overwritten))
}

/// Why the operand nearest to the sample is not determined, if there is one.
fn nearest_loss<'a>(
    function: &Function,
    here: &'a [Occurrence],
    walks: impl Iterator<Item = &'a Walk>,
) -> Option<Loss> {
    let all = here.iter().chain(walks.flat_map(|walk| &walk.occurrences));
    let nearest = all.min_by_key(|occurrence| occurrence.distance)?;
    let operand = operand(function, nearest.instruction, nearest.operand);
    Some(operand.address.err().unwrap_or(Loss::Overwritten))
}

/// A sum over the sampled registers as a formula; `None` if it has bases other than once.
fn formula(algebra: &Algebra, sum: &Sum) -> Option<AddressFormula> {
    let mut formula = AddressFormula {
        terms: Vec::with_capacity(sum.terms().len()),
        constant: sum.addend(),
        is_code_relative: false,
        is_thread_relative: false,
    };
    for &(atom, factor) in sum.terms() {
        let value = match atom {
            Atom::Symbol(symbol) => {
                let number = u8::try_from(symbol).ok()?;
                TermValue::Register(register::sampled_number(number))
            }
            Atom::Low(number) => {
                TermValue::Low32(Box::new(self::formula(algebra, &algebra.inner(number))?))
            }
            Atom::Signed(number) => {
                TermValue::SignedLow32(Box::new(self::formula(algebra, &algebra.inner(number))?))
            }
            Atom::CodeBase | Atom::ThreadBase if factor != 1 => return None,
            Atom::CodeBase => {
                formula.is_code_relative = true;
                continue;
            }
            Atom::ThreadBase => {
                formula.is_thread_relative = true;
                continue;
            }
        };
        formula.terms.push(Term { value, factor });
    }
    Some(formula)
}
