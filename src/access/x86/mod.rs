//! x86: from a function's bytes to plans.
//!
//! [`decode`] finds the instructions and [`graph`] the ways between them, once per function. For one
//! sampled address [`path`] lists the ways to it and from it, [`walk`] follows the registers along
//! each as sums over unknown values ([`algebra`], [`state`]), [`solve`] finds which of these the
//! sampled registers determine, and [`plan`] puts together what the paths agree on. [`trap`] and
//! [`explain`] say what single instructions do, [`loops`] what their loops.

mod algebra;
mod decode;
mod dominators;
mod effect;
mod explain;
mod graph;
mod instruction;
mod loops;
mod operand;
mod path;
mod plan;
mod register;
mod solve;
mod state;
mod trap;
mod wait;
mod walk;

use decode::{Listing, MAX_BYTES};
use graph::Graph;
use instruction::Instruction;

use super::culprit::{Culprit, Trap};
use super::loop_facts::LoopFacts;
use super::plan::{Loss, Plan};

/// How much code before and after the sample is looked at where the function's start is of no use.
const WINDOW_BYTES: usize = 4096;

/// A decoded function and its bytes.
#[derive(Debug)]
pub(super) struct Code {
    address: u64,
    bytes: Box<[u8]>,
    is_64_bit: bool,
    /// `None` where the function's first byte is not known to begin an instruction.
    function: Option<Function>,
}

impl Code {
    /// Decodes a function.
    pub(super) fn decode(
        address: u64,
        bytes: &[u8],
        starts_at_boundary: bool,
        is_64_bit: bool,
    ) -> Self {
        let function = starts_at_boundary.then(|| Function::decode(bytes, address, is_64_bit));
        Self { address, bytes: bytes.into(), is_64_bit, function }
    }

    /// What a sample at an address determines.
    pub(super) fn plan(&self, code: u64) -> Plan {
        let offset = usize::try_from(code.wrapping_sub(self.address)).unwrap_or(usize::MAX);
        if offset >= self.bytes.len() {
            return Plan::lost(Loss::CodeMissing);
        }
        if let Some(function) = &self.function {
            if let Some(index) = function.listing.index_at(code) {
                return plan::plan(function, index, true);
            }
            // Inside an instruction: these are not the bytes that ran. In a gap that nothing was
            // known of, or beyond what is decoded, the sample itself is a boundary.
            if offset < MAX_BYTES && function.listing.covers(code) {
                return Plan::lost(Loss::Undecodable);
            }
        }
        let start = offset.saturating_sub(WINDOW_BYTES);
        let end = self.bytes.len().min(offset.saturating_add(WINDOW_BYTES));
        let address = self.address.wrapping_add(start as u64);
        let window = &self.bytes[start..end];
        let listing = Listing::from(window, address, offset - start, self.is_64_bit);
        let function = Function::new(listing, self.is_64_bit);
        match function.listing.index_at(code) {
            // What leads here from here is a loop, and so the past of all but its first round.
            Some(index) => plan::plan(&function, index, !function.graph.before(index).is_empty()),
            None => Plan::lost(Loss::Undecodable),
        }
    }
}

impl Code {
    /// The loops that the instruction at an address is in, the smallest first.
    pub(super) fn loops(&self, code: u64) -> Vec<LoopFacts> {
        let known = self.function.as_ref().and_then(|it| Some((it, it.listing.index_at(code)?)));
        known.map_or_else(Vec::new, |(function, index)| loops::around(self, function, index))
    }

    /// The instruction that a data breakpoint has caught; only where the function's first byte is known
    /// to begin an instruction.
    pub(super) fn culprit(&self, trap: &Trap<'_>) -> Option<Culprit> {
        trap::culprit(self.function.as_ref()?, trap)
    }
}

/// A function's instructions and the ways between them.
#[derive(Debug)]
struct Function {
    listing: Listing,
    graph: Graph,
    is_64_bit: bool,
}

impl Function {
    fn decode(bytes: &[u8], address: u64, is_64_bit: bool) -> Self {
        Self::new(Listing::of(bytes, address, is_64_bit), is_64_bit)
    }

    fn new(listing: Listing, is_64_bit: bool) -> Self {
        let graph = Graph::of(&listing);
        Self { listing, graph, is_64_bit }
    }

    fn instruction(&self, index: u32) -> &Instruction {
        &self.listing.instructions[index as usize]
    }

    fn is_64_bit(&self) -> bool {
        self.is_64_bit
    }

    /// The general registers whose high 32 bits are 0 before an instruction, one bit each.
    fn clean_before(&self, index: u32) -> u16 {
        if self.is_64_bit { self.graph.clean_before(index) } else { u16::MAX }
    }
}
