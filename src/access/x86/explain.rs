//! What the instruction at an address does to memory, and where its registers are from.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use iced_x86::{Decoder, DecoderOptions, Instruction as Decoded, Mnemonic, OpKind, Register};

use super::effect::Content;
use super::instruction::{Flow, Instruction, Kind};
use super::operand::{Base, Operand};
use super::{Code, Function, register};
use crate::access::operand_facts::{
    DwarfRegister, LockUse, OperandAddress, OperandFacts, ValueSource,
};

/// A loop of more instructions than this does more than wait.
const SHORT_LOOP: usize = 16;
/// So many instructions are looked at on the way back to where a value is from.
const MOST_VISITED: usize = 4096;
/// A value that comes from more places than this has no type of its own.
const MOST_SOURCES: usize = 8;

/// The register that results are returned in.
const RESULT: u8 = 0;

impl Code {
    /// The memory operands of the instruction at an address.
    pub(in crate::access) fn operands(&self, code: u64) -> Vec<OperandFacts> {
        let of = |instruction: &Instruction, lock: Option<LockUse>| -> Vec<OperandFacts> {
            instruction.operands.iter().map(|operand| facts(operand, lock)).collect()
        };
        let known = self.function.as_ref().and_then(|it| Some((it, it.listing.index_at(code)?)));
        match known {
            Some((function, index)) => {
                let lock = self.lock_use(function, index);
                of(function.instruction(index), lock)
            }
            None => self.alone(code).map_or_else(Vec::new, |it| of(&it, None)),
        }
    }

    /// Where the value comes from that a register has before the instruction at an address; empty where
    /// that is not known.
    pub(in crate::access) fn sources(
        &self,
        code: u64,
        register: DwarfRegister,
    ) -> Vec<ValueSource> {
        let Some(number) = register::of_dwarf(register.0) else { return Vec::new() };
        let Some(function) = &self.function else { return Vec::new() };
        let Some(start) = function.listing.index_at(code) else { return Vec::new() };
        let mut sources = Vec::new();
        let mut seen = BTreeSet::from([start]);
        let mut waiting = VecDeque::from([start]);
        while let Some(index) = waiting.pop_front() {
            if function.graph.is_unknown_entry(index) || seen.len() > MOST_VISITED {
                return Vec::new();
            }
            let before = function.graph.before(index);
            let is_first = function.instruction(index).address == self.address;
            if is_first {
                note(&mut sources, ValueSource::Entry { register });
            } else if before.is_empty() {
                return Vec::new();
            }
            for edge in before {
                let instruction = function.instruction(edge.other);
                match self.made_by(instruction, number) {
                    Some(source) => note(&mut sources, source),
                    None if seen.insert(edge.other) => waiting.push_back(edge.other),
                    None => {}
                }
            }
            if sources.len() > MOST_SOURCES {
                return Vec::new();
            }
        }
        sources
    }

    /// What an instruction puts into a register; `None` where it leaves it alone.
    fn made_by(&self, instruction: &Instruction, number: u8) -> Option<ValueSource> {
        let effect = instruction.effects.iter().find(|effect| effect.register == number)?;
        let code = instruction.address;
        Some(match effect.content {
            Content::Sum {
                registers: [Some((from, 1)), None], constant, is_code_relative, ..
            } if !is_code_relative => {
                if from == number && constant == 0 {
                    return None;
                }
                ValueSource::Sum { code, register: register::dwarf(from), addend: constant }
            }
            // An element of an array: what the sum is relative to decides.
            Content::Sum { registers: [Some((from, 1)), Some(_)], constant, .. } => {
                ValueSource::Sum { code, register: register::dwarf(from), addend: constant }
            }
            Content::Sum { registers: [None, None], constant, is_code_relative: true, .. } => {
                ValueSource::Address { address: constant }
            }
            Content::Unknown | Content::Clean => self.loaded_or_returned(instruction, number),
            _ => ValueSource::Other,
        })
    }

    fn loaded_or_returned(&self, instruction: &Instruction, number: u8) -> ValueSource {
        let Some(decoded) = self.decoded(instruction.address) else { return ValueSource::Other };
        let code = instruction.address;
        if instruction.flow == Flow::Call {
            let is_direct = decoded.op0_kind() == OpKind::NearBranch64;
            let function = is_direct.then(|| decoded.near_branch_target());
            return match number {
                RESULT => ValueSource::Returned { code, function },
                _ => ValueSource::Other,
            };
        }
        let is_load = matches!(decoded.mnemonic(), Mnemonic::Mov)
            && decoded.op0_kind() == OpKind::Register
            && decoded.op0_register().size() == if self.is_64_bit { 8 } else { 4 }
            && decoded.op1_kind() == OpKind::Memory;
        let address = instruction.operands.first().and_then(|operand| operand.address.ok());
        match (is_load, address) {
            (true, Some(address)) => match (address.base, address.registers) {
                (Base::Process, [Some((base, 1)), _]) => ValueSource::Load {
                    code,
                    register: Some(register::dwarf(base)),
                    displacement: address.displacement,
                },
                (Base::Code, [None, None]) => {
                    ValueSource::Load { code, register: None, displacement: address.displacement }
                }
                _ => ValueSource::Other,
            },
            _ => ValueSource::Other,
        }
    }

    fn lock_use(&self, function: &Function, index: u32) -> Option<LockUse> {
        let instruction = function.instruction(index);
        let decoded = self.decoded(instruction.address)?;
        let is_atomic = instruction.operands.iter().any(|operand| operand.is_locked);
        match decoded.mnemonic() {
            Mnemonic::Cmpxchg | Mnemonic::Xchg if is_atomic => {
                let new = [decoded.op0_register(), decoded.op1_register()]
                    .into_iter()
                    .find(|register| *register != Register::None)?;
                let number = register::number_of(new)?;
                self.is_constant(function, index, number).then_some(LockUse::Take)
            }
            Mnemonic::Bts if is_atomic => Some(LockUse::Take),
            Mnemonic::Xadd if is_atomic => {
                let is_waiting = |other: u32| function.instruction(other).kind == Kind::Pause;
                let all = 0..function.listing.instructions.len() as u32;
                all.into_iter().any(is_waiting).then_some(LockUse::Draw)
            }
            _ if instruction.load().is_some() && !is_atomic => {
                is_spun(function, index).then_some(LockUse::Spin)
            }
            _ => None,
        }
    }

    /// Whether a register has the same number at an instruction on all ways to it.
    fn is_constant(&self, function: &Function, start: u32, number: u8) -> bool {
        let mut seen = BTreeSet::from([start]);
        let mut waiting = vec![start];
        let mut known = None;
        while let Some(index) = waiting.pop() {
            let before = function.graph.before(index);
            if before.is_empty()
                || function.graph.is_unknown_entry(index)
                || seen.len() > MOST_VISITED
            {
                return false;
            }
            for edge in before {
                let instruction = function.instruction(edge.other);
                let effect = instruction.effects.iter().find(|it| it.register == number);
                match effect.map(|effect| effect.content) {
                    None if seen.insert(edge.other) => waiting.push(edge.other),
                    None => {}
                    // An exchange itself puts something else there: the next round loads it again.
                    Some(Content::Sum { registers: [None, None], constant, .. })
                        if known.is_none_or(|known| known == constant) =>
                    {
                        known = Some(constant);
                    }
                    Some(_) => return false,
                }
            }
        }
        known.is_some()
    }

    pub(super) fn decoded(&self, code: u64) -> Option<Decoded> {
        let offset = usize::try_from(code.wrapping_sub(self.address)).ok()?;
        let bytes = self.bytes.get(offset..)?;
        let bitness = if self.is_64_bit { 64 } else { 32 };
        let decoded = Decoder::with_ip(bitness, bytes, code, DecoderOptions::NONE).decode();
        (!decoded.is_invalid()).then_some(decoded)
    }

    /// The instruction at an address of code that is not known from its beginning.
    fn alone(&self, code: u64) -> Option<Instruction> {
        let decoded = self.decoded(code)?;
        let mut factory = iced_x86::InstructionInfoFactory::new();
        Some(Instruction::new(&decoded, factory.info(&decoded), self.is_64_bit))
    }
}

fn note(sources: &mut Vec<ValueSource>, source: ValueSource) {
    if !sources.contains(&source) {
        sources.push(source);
    }
}

fn facts(operand: &Operand, lock: Option<LockUse>) -> OperandFacts {
    OperandFacts {
        direction: operand.direction,
        size: operand.size,
        address: operand.address.ok().map(|address| OperandAddress {
            registers: address
                .registers
                .iter()
                .flatten()
                .map(|&(number, factor)| (register::dwarf(number), factor))
                .collect(),
            displacement: address.displacement,
            is_code_relative: address.base == Base::Code,
            is_thread_relative: address.base == Base::Thread,
        }),
        is_locked: operand.is_locked,
        is_stack: operand.is_stack,
        lock: lock.filter(|_| !operand.is_stack),
    }
}

/// Whether an instruction is in a short loop that pauses, and writes nothing.
fn is_spun(function: &Function, index: u32) -> bool {
    let Some(members) = shortest_loop(function, index) else { return false };
    let members = || members.iter().map(|at| function.instruction(*at));
    members().any(|it| it.kind == Kind::Pause)
        && members().all(|it| {
            it.flow != Flow::Call && !it.operands.iter().any(|operand| operand.direction.writes())
        })
}

/// The shortest way from an instruction back to it, if there is a short one.
fn shortest_loop(function: &Function, index: u32) -> Option<Vec<u32>> {
    let mut from: BTreeMap<u32, u32> = BTreeMap::new();
    let mut waiting = VecDeque::from([(index, 0)]);
    while let Some((at, steps)) = waiting.pop_front() {
        if steps == SHORT_LOOP {
            return None;
        }
        for edge in function.graph.after(at) {
            if edge.other == index {
                let way = std::iter::successors(Some(at), |at| from.get(at).copied());
                return Some(way.collect());
            }
            if let Entry::Vacant(vacant) = from.entry(edge.other) {
                vacant.insert(at);
                waiting.push_back((edge.other, steps + 1));
            }
        }
    }
    None
}
