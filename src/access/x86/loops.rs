//! The loop around an instruction, and the registers that count its rounds.

use std::collections::BTreeSet;

use iced_x86::{Mnemonic, OpKind};

use super::effect::{Content, Cut};
use super::instruction::{Flow, Instruction, Kind};
use super::{Code, Function, register};
use crate::access::loop_facts::{LoopCounter, LoopFacts};

/// Loops of more instructions than this are not looked into.
const MOST_INSTRUCTIONS: usize = 512;

/// The loops that an instruction is in, the smallest first.
pub(super) fn around(code: &Code, function: &Function, index: u32) -> Vec<LoopFacts> {
    if function.graph.has_unknown_jumps() {
        return Vec::new();
    }
    let all = 0..function.listing.instructions.len() as u32;
    let headers: BTreeSet<u32> = all
        .flat_map(|from| function.graph.after(from))
        .filter(|edge| edge.is_back)
        .map(|edge| edge.other)
        .collect();
    let mut bodies: Vec<Body<'_>> = headers
        .into_iter()
        .filter_map(|header| Body::of(code, function, header))
        .filter(|body| body.members.contains(&index))
        .collect();
    bodies.sort_by_key(|body| body.members.len());
    bodies.iter().map(Body::facts).collect()
}

/// A natural loop: all that leads to a jump back without passing the header.
struct Body<'f> {
    code: &'f Code,
    function: &'f Function,
    header: u32,
    latches: Vec<u32>,
    members: BTreeSet<u32>,
}

impl<'f> Body<'f> {
    fn of(code: &'f Code, function: &'f Function, header: u32) -> Option<Self> {
        let before = function.graph.before(header);
        let latches: Vec<u32> =
            before.iter().filter(|edge| edge.is_back).map(|edge| edge.other).collect();
        let mut members = BTreeSet::from([header]);
        let mut waiting = latches.clone();
        while let Some(at) = waiting.pop() {
            if members.len() > MOST_INSTRUCTIONS {
                return None;
            }
            if members.insert(at) {
                waiting.extend(function.graph.before(at).iter().map(|edge| edge.other));
            }
        }
        Some(Self { code, function, header, latches, members })
    }

    fn facts(&self) -> LoopFacts {
        let instruction = |at: &u32| self.function.instruction(*at);
        let always: Vec<u32> =
            self.members.iter().copied().filter(|at| self.is_once_a_round(*at)).collect();
        let is_locked = |it: &Instruction| it.operands.iter().any(|operand| operand.is_locked);
        let mut instructions: Vec<u64> =
            self.members.iter().map(|at| instruction(at).address).collect();
        instructions.sort_unstable();
        LoopFacts {
            instructions,
            header: instruction(&self.header).address,
            always: always.len() as u32,
            locked: always.iter().filter(|at| is_locked(instruction(at))).count() as u32,
            has_calls: self.members.iter().any(|at| instruction(at).flow == Flow::Call),
            has_inner_loops: self.members.iter().any(|at| self.is_in_inner_loop(*at)),
            counters: (0..16).filter_map(|number| Some(self.counter(number)?.1)).collect(),
            trip: self.trip(),
        }
    }

    /// The rounds between a constant that a counter starts with and the one that it is compared with at
    /// the end of the round.
    fn trip(&self) -> Option<u64> {
        let [latch] = self.latches[..] else { return None };
        let jump = self.function.instruction(latch);
        let [before] = self.function.graph.before(latch) else { return None };
        let test = self.function.instruction(before.other);
        if !matches!(jump.flow, Flow::Branch(_)) {
            return None;
        }
        let decoded = self.code.decoded(test.address)?;
        let (number, end) = match test.kind {
            Kind::Compare if decoded.mnemonic() == Mnemonic::Cmp => {
                let has_immediate =
                    decoded.op0_kind() == OpKind::Register && decoded.op_count() == 2;
                let end = has_immediate.then(|| decoded.try_immediate(1).ok()).flatten()?;
                (register::number_of(decoded.op0_register())?, end)
            }
            Kind::Other => (test.effects.iter().map(|effect| effect.register).next()?, 0),
            _ => return None,
        };
        let (_, counter) = self.counter(number).filter(|(own, _)| *own == number)?;
        let start = self.start_of(number)?;
        counter.rounds(start, end).filter(|rounds| *rounds > 0)
    }

    /// The constant that a register holds whenever the loop is entered.
    fn start_of(&self, number: u8) -> Option<u64> {
        let mut seen = BTreeSet::new();
        let from_outside = |at: u32| {
            let before = self.function.graph.before(at).iter().map(|edge| edge.other);
            before.filter(|from| !self.members.contains(from))
        };
        let mut waiting: Vec<u32> = from_outside(self.header).collect();
        let mut known = None;
        while let Some(at) = waiting.pop() {
            if !seen.insert(at) || seen.len() > MOST_INSTRUCTIONS {
                continue;
            }
            let effects = &self.function.instruction(at).effects;
            match effects.iter().find(|effect| effect.register == number) {
                None => {
                    let before: Vec<u32> = from_outside(at).collect();
                    if before.is_empty() {
                        return None;
                    }
                    waiting.extend(before);
                }
                Some(effect) => match effect.content {
                    Content::Sum {
                        registers: [None, None],
                        constant,
                        is_code_relative: false,
                        ..
                    } if known.is_none_or(|known| known == constant) => known = Some(constant),
                    _ => return None,
                },
            }
        }
        known
    }

    fn is_once_a_round(&self, at: u32) -> bool {
        !self.can_finish_without(at) && !self.is_in_inner_loop(at)
    }

    /// Whether there is a round that leaves an instruction out.
    fn can_finish_without(&self, left_out: u32) -> bool {
        if left_out == self.header {
            return false;
        }
        let reached = self.reached_from(&[self.header], Some(left_out));
        self.latches.iter().any(|latch| reached.contains(latch))
    }

    fn is_in_inner_loop(&self, at: u32) -> bool {
        if at == self.header {
            return false;
        }
        let next: Vec<u32> = self.inside_after(at).filter(|to| *to != self.header).collect();
        next.contains(&at) || self.reached_from(&next, Some(self.header)).contains(&at)
    }

    fn inside_after(&self, at: u32) -> impl Iterator<Item = u32> {
        let after = self.function.graph.after(at).iter().map(|edge| edge.other);
        after.filter(|to| self.members.contains(to))
    }

    fn reached_from(&self, starts: &[u32], left_out: Option<u32>) -> BTreeSet<u32> {
        let mut reached: BTreeSet<u32> = starts.iter().copied().collect();
        let mut waiting = starts.to_vec();
        while let Some(at) = waiting.pop() {
            for to in self.inside_after(at) {
                // Another round is not this one.
                if to != self.header && Some(to) != left_out && reached.insert(to) {
                    waiting.push(to);
                }
            }
        }
        reached
    }

    /// A register that counts rounds: every change of it in the loop adds a constant, once a round.
    fn counter(&self, number: u8) -> Option<(u8, LoopCounter)> {
        if number == register::STACK_POINTER {
            return None;
        }
        let mut step = 0u64;
        let mut is_narrow = None;
        for at in &self.members {
            let effects = &self.function.instruction(*at).effects;
            let Some(effect) = effects.iter().find(|effect| effect.register == number) else {
                continue;
            };
            let Content::Sum {
                registers: [Some((from, 1)), None],
                constant,
                is_code_relative: false,
                cut,
            } = effect.content
            else {
                return None;
            };
            let narrow = cut == Cut::Low;
            let is_of_one_width = is_narrow.is_none_or(|known| known == narrow);
            if from != number
                || cut == Cut::Signed
                || !is_of_one_width
                || !self.is_once_a_round(*at)
            {
                return None;
            }
            is_narrow = Some(narrow);
            step = step.wrapping_add(constant);
        }
        let is_narrow = is_narrow?;
        let step = if is_narrow { i64::from(step as u32 as i32) } else { step as i64 };
        let register = register::sampled_number(number);
        (step != 0).then_some((number, LoopCounter { register, step, is_narrow }))
    }
}
