//! The operands along paths, with their addresses.

use super::Function;
use super::algebra::{Algebra, Assignment, Sum};
use super::instruction::Flow;
use super::path::Path;
use super::solve::solve;
use super::state::State;

/// An operand on a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occurrence {
    /// The instruction.
    pub(super) instruction: u32,
    /// Which of its operands.
    pub(super) operand: u8,
    /// Steps from the sample: 1 is its neighbour.
    pub(super) distance: usize,
    /// Its address over the symbols of the path, if a sum expresses it.
    pub(super) on_path: Option<Sum>,
    /// The same over the sampled registers, if they determine it.
    pub(super) sampled: Option<Sum>,
    /// Whether nothing that is not known (a call, a jump from elsewhere) lies between.
    pub(super) is_sure: bool,
}

/// A path that was gone along.
#[derive(Debug)]
pub(super) struct Walk {
    /// The operands, nearest first.
    pub(super) occurrences: Vec<Occurrence>,
    /// The path.
    pub(super) steps: Vec<u32>,
    /// What the sampled registers are on this path.
    sampled: Assignment,
}

impl Walk {
    /// Whether an occurrence has this address, given over the sampled registers.
    pub(super) fn agrees(
        &self,
        algebra: &mut Algebra,
        occurrence: &Occurrence,
        address: &Sum,
    ) -> bool {
        occurrence.sampled.as_ref() == Some(address)
            || occurrence
                .on_path
                .is_some_and(|on_path| algebra.substitute(address, &self.sampled) == Some(on_path))
    }
}

/// Goes along a path to the sample, where `at_sample` has the sampled registers as symbols.
pub(super) fn walk_back(
    function: &Function,
    algebra: &mut Algebra,
    at_sample: &State,
    path: Path,
) -> Walk {
    let start = path.steps.last().copied();
    let clean = start.map_or(0, |start| function.clean_before(start));
    let mut state = State::unknown(algebra, clean);
    let mut occurrences = Vec::with_capacity(path.steps.len());
    for (position, index) in path.steps.iter().enumerate().rev() {
        collect(function, algebra, &state, *index, position + 1, &mut occurrences);
        state.run(function.instruction(*index), algebra, function.is_64_bit());
    }
    occurrences.reverse();
    let values = solve(algebra, state.registers());
    let sure = sure_steps(function, &path);
    for occurrence in &mut occurrences {
        occurrence.is_sure = occurrence.distance <= sure;
        occurrence.sampled =
            occurrence.on_path.and_then(|on_path| algebra.substitute(&on_path, &values));
    }
    untouched(function, algebra, at_sample, &path.steps, &mut occurrences);
    let sampled = Assignment {
        full: state.registers().iter().map(|sum| Some(*sum)).collect(),
        low: Vec::new(),
    };
    Walk { occurrences, steps: path.steps, sampled }
}

/// Goes along a path from the sample, of which `state` holds the registers.
pub(super) fn walk_on(
    function: &Function,
    algebra: &mut Algebra,
    mut state: State,
    path: Path,
    at: u32,
) -> Walk {
    let mut occurrences = Vec::with_capacity(path.steps.len());
    let values = Assignment {
        full: state.registers().iter().map(|sum| Some(*sum)).collect(),
        low: Vec::new(),
    };
    state.run(function.instruction(at), algebra, function.is_64_bit());
    let sure = match function.instruction(at).flow {
        Flow::Call => 0,
        _ => sure_steps(function, &path),
    };
    for (position, index) in path.steps.iter().enumerate() {
        collect(function, algebra, &state, *index, position + 1, &mut occurrences);
        state.run(function.instruction(*index), algebra, function.is_64_bit());
    }
    for occurrence in &mut occurrences {
        occurrence.is_sure = occurrence.distance <= sure;
        occurrence.sampled =
            occurrence.on_path.and_then(|on_path| algebra.substitute(&on_path, &values));
    }
    Walk { occurrences, steps: path.steps, sampled: values }
}

/// Gives operands whose registers nothing has written since their addresses in the sampled registers,
/// also where the path tells what was in them: two paths that put different constants into a register
/// before one common instruction make one address of it.
fn untouched(
    function: &Function,
    algebra: &mut Algebra,
    at_sample: &State,
    steps: &[u32],
    occurrences: &mut [Occurrence],
) {
    let mut written = 0u16;
    let mut passed = 0;
    for occurrence in occurrences {
        while passed < occurrence.distance {
            written |= function.instruction(steps[passed]).writes;
            passed += 1;
        }
        let operand = &function.instruction(occurrence.instruction).operands;
        let Ok(address) = operand[usize::from(occurrence.operand)].address else { continue };
        let is_written =
            |&(number, _): &(u8, u64)| usize::from(number) >= 16 || written >> number & 1 == 1;
        if address.registers.iter().flatten().any(is_written) {
            continue;
        }
        if let Some(sum) = at_sample.address(&address, algebra) {
            occurrence.sampled = Some(sum);
        }
    }
}

/// The operands of one instruction that has not run yet.
pub(super) fn collect(
    function: &Function,
    algebra: &mut Algebra,
    state: &State,
    index: u32,
    distance: usize,
    occurrences: &mut Vec<Occurrence>,
) {
    for (number, operand) in (0u8..).zip(&function.instruction(index).operands) {
        let on_path = operand.address.ok().and_then(|address| state.address(&address, algebra));
        occurrences.push(Occurrence {
            instruction: index,
            operand: number,
            distance,
            on_path,
            sampled: None,
            is_sure: true,
        });
    }
}

/// How many steps of a path are on this side of the first call and of what is not known. The call
/// itself is still among them.
fn sure_steps(function: &Function, path: &Path) -> usize {
    let call = path
        .steps
        .iter()
        .position(|index| function.instruction(*index).flow == Flow::Call)
        .map_or(usize::MAX, |position| position + 1);
    call.min(path.sure)
}
