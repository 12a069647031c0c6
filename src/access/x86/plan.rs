//! A sampled instruction's plan.

use iced_x86::InstructionInfoFactory;

use super::code::{Code, is_call};
use super::effect::{Operand, apply, operands};
use super::paths::{Path, backward, forward};
use super::values::{Solution, Values};
use super::wait::{Culprit, culprit};
use crate::access::formula::AddressFormula;
use crate::access::{Certainty, Loss, Place, Plan, PlannedAccess, Wait};

/// What a sample at an address determines.
pub(in crate::access) fn plan(code: &Code, address: u64) -> Plan {
    let Some(number) = code.at(address) else {
        return Plan::lost(Loss::Undecodable);
    };
    let (before, after) = (backward(code, number), forward(code, number));
    let mut found = Found::default();
    let mut factory = InstructionInfoFactory::new();
    for path in &before {
        found.begin_path();
        add_backward(code, path, &mut factory, &mut found);
    }
    found.end_direction(before.len());
    for path in &after {
        found.begin_path();
        add_forward(code, number, path, &mut factory, &mut found);
    }
    found.end_direction(after.len());
    found.into_plan(code, culprit(code, number, &before, &mut factory))
}

/// An operand that was met on some path.
struct Met {
    number: usize,
    operand: Operand,
    formula: AddressFormula,
    /// Instructions between it and the sample; 0 for the sampled one, negative before it.
    distance: i32,
    /// Paths of the direction that have it.
    paths: usize,
    last_path: usize,
    is_behind_call: bool,
    is_certain: bool,
}

impl Met {
    fn is_same(&self, number: usize, operand: &Operand, formula: &AddressFormula) -> bool {
        self.number == number
            && self.formula == *formula
            && self.operand.direction == operand.direction
            && self.operand.size == operand.size
    }
}

#[derive(Default)]
struct Found {
    met: Vec<Met>,
    /// The nearest operand that is not determined.
    lost: Option<(u32, Loss)>,
    path: usize,
    /// Those met in earlier directions.
    settled: usize,
}

impl Found {
    fn begin_path(&mut self) {
        self.path += 1;
    }

    /// An operand is certain when all paths of its direction have it.
    fn end_direction(&mut self, paths: usize) {
        for met in &mut self.met[self.settled..] {
            met.is_certain = met.paths == paths && !met.is_behind_call;
        }
        self.settled = self.met.len();
    }

    fn add(
        &mut self,
        number: usize,
        operand: Operand,
        solution: &Solution<'_>,
        distance: i32,
        is_behind_call: bool,
    ) {
        let formula = operand
            .address
            .as_ref()
            .map_err(|loss| *loss)
            .and_then(|address| solution.formula(address).ok_or(Loss::Overwritten));
        let mut formula = match formula {
            Ok(formula) => formula,
            Err(loss) => {
                let nearest = self.lost.is_none_or(|(known, _)| distance.unsigned_abs() < known);
                if nearest {
                    self.lost = Some((distance.unsigned_abs(), loss));
                }
                return;
            }
        };
        formula.is_thread_relative = operand.is_thread_relative;
        let same = |met: &&mut Met| met.is_same(number, &operand, &formula);
        let path = self.path;
        match self.met[self.settled..].iter_mut().find(same) {
            Some(known) => {
                if known.last_path != path {
                    known.paths += 1;
                    known.last_path = path;
                }
                if distance.abs() < known.distance.abs() {
                    known.distance = distance;
                }
                known.is_behind_call |= is_behind_call;
            }
            None => self.met.push(Met {
                number,
                operand,
                formula,
                distance,
                paths: 1,
                last_path: path,
                is_behind_call,
                is_certain: false,
            }),
        }
    }

    /// Behind and ahead of the sample, around a loop: one operand, taken where it is certain, and
    /// otherwise where it is known to have run.
    fn without_repeats(&mut self) {
        self.met.sort_by_key(|met| (!met.is_certain, met.distance != 0, met.distance >= 0));
        let mut kept: Vec<Met> = Vec::with_capacity(self.met.len());
        for met in self.met.drain(..) {
            if !kept.iter().any(|known| known.is_same(met.number, &met.operand, &met.formula)) {
                kept.push(met);
            }
        }
        self.met = kept;
        self.met.sort_by_key(|met| met.distance);
    }

    fn into_plan(mut self, code: &Code, culprit: Option<Culprit>) -> Plan {
        self.without_repeats();
        let index_of = |number: usize, is_wanted: fn(&Met) -> bool| {
            let mut places = self.met.iter().enumerate();
            // The last one before the sample is the one that was waited for.
            let found = places.rfind(|(_, met)| met.number == number && is_wanted(met));
            found.map(|(index, _)| index as u16)
        };
        let wait = match culprit {
            None => Wait::Unknown,
            Some(Culprit::StringInstruction(number)) => {
                index_of(number, |met| met.distance == 0).map_or(Wait::Unknown, Wait::Access)
            }
            Some(Culprit::Load(number)) => {
                index_of(number, |met| met.distance < 0 && met.operand.direction.reads())
                    .map_or(Wait::Unknown, Wait::Access)
            }
            Some(Culprit::Drain(number)) => {
                Wait::Drain(index_of(number, |met| met.distance < 0 && met.operand.is_locked))
            }
        };
        let loss = self.lost.map(|(_, loss)| loss).filter(|_| self.met.is_empty());
        let accesses = self.met.into_iter().map(|met| PlannedAccess {
            code: code.instructions[met.number].ip(),
            direction: met.operand.direction,
            size: met.operand.size,
            is_locked: met.operand.is_locked,
            place: match met.distance {
                ..0 => Place::Before,
                0 => Place::At,
                _ => Place::After,
            },
            certainty: if met.is_certain { Certainty::Certain } else { Certainty::Possible },
            address: met.formula,
        });
        Plan { accesses: accesses.collect(), wait, loss }
    }
}

/// The operands on a way that led to the sample.
fn add_backward(code: &Code, path: &Path, factory: &mut InstructionInfoFactory, found: &mut Found) {
    // Around a loop, a register that is left with an upper half of 0 was so when the iteration began.
    let clean = match path.is_cycle {
        true => {
            let mut values = Values::unknown(0);
            for &step in path.steps.iter().rev() {
                apply(&code.instructions[step], &mut values, factory);
            }
            values.clean_registers()
        }
        false => 0,
    };
    let mut values = Values::unknown(clean);
    let mut met = Vec::new();
    for (distance, &step) in path.steps.iter().enumerate().rev() {
        let instruction = &code.instructions[step];
        let here = operands(instruction, &values, factory);
        met.extend(here.into_iter().map(|operand| (distance, step, operand)));
        apply(instruction, &mut values, factory);
    }
    let nearest_call =
        path.steps.iter().position(|&step| is_call(&code.instructions[step])).unwrap_or(usize::MAX);
    let solution = values.solve();
    for (distance, step, operand) in met.into_iter().rev() {
        found.add(step, operand, &solution, -(distance as i32) - 1, distance >= nearest_call);
    }
}

/// The sampled instruction's operands, and those on a way that leads on from it.
fn add_forward(
    code: &Code,
    number: usize,
    path: &Path,
    factory: &mut InstructionInfoFactory,
    found: &mut Found,
) {
    let mut values = Values::unknown(0);
    let mut met = Vec::new();
    let mut is_behind_call = false;
    for (distance, &step) in [number].iter().chain(&path.steps).enumerate() {
        let instruction = &code.instructions[step];
        for operand in operands(instruction, &values, factory) {
            met.push((distance, step, operand, is_behind_call));
        }
        is_behind_call |= is_call(instruction);
        apply(instruction, &mut values, factory);
    }
    // The registers at the start are the sampled ones; what came of them on the way is derived.
    let solution = values.solve_from_start();
    for (distance, step, operand, is_behind_call) in met {
        found.add(step, operand, &solution, distance as i32, is_behind_call);
    }
}
