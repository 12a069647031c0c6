//! The instructions of a function.

use std::collections::BTreeMap;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};

use super::flow::Flow;

/// Functions are decoded up to here, bytes; what lies beyond is not.
const MAX_BYTES: usize = 1 << 20;

/// A decoded function.
#[derive(Debug)]
pub(in crate::access) struct Code {
    /// By address.
    pub(super) instructions: Vec<Instruction>,
    /// How control flows between them.
    pub(super) flow: Flow,
}

impl Code {
    /// Decodes from an address where an instruction begins, and from every target of a branch that
    /// this does not meet: bytes that are no instructions end a run and not the function.
    pub(in crate::access) fn decode(address: u64, bytes: &[u8], begins_at: u64) -> Self {
        let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
        let end = address.saturating_add(bytes.len() as u64);
        let mut found: BTreeMap<u64, Instruction> = BTreeMap::new();
        let mut starts = vec![begins_at];
        while let Some(start) = starts.pop().filter(|start| (address..end).contains(start)) {
            let rest = &bytes[(start - address) as usize..];
            let mut decoder = Decoder::with_ip(64, rest, start, DecoderOptions::NONE);
            while decoder.can_decode() {
                let instruction = decoder.decode();
                if instruction.is_invalid() || found.contains_key(&instruction.ip()) {
                    break;
                }
                found.insert(instruction.ip(), instruction);
                let target = branch_target(&instruction);
                starts.extend(target.filter(|target| (address..end).contains(target)));
            }
        }
        Self::new(found.into_values().collect(), begins_at)
    }

    fn new(instructions: Vec<Instruction>, entry: u64) -> Self {
        let flow = Flow::of(&instructions, entry);
        Self { instructions, flow }
    }

    /// The number of the instruction at an address, if one begins there.
    pub(super) fn at(&self, address: u64) -> Option<usize> {
        self.instructions.binary_search_by_key(&address, Instruction::ip).ok()
    }
}

/// Where a direct jump within reach goes.
pub(super) fn branch_target(instruction: &Instruction) -> Option<u64> {
    let is_branch = matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
    );
    let is_near = matches!(instruction.op0_kind(), OpKind::NearBranch64 | OpKind::NearBranch32);
    (is_branch && is_near).then(|| instruction.near_branch_target())
}

/// Whether the next instruction may run after this one.
pub(super) fn falls_through(instruction: &Instruction) -> bool {
    !matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::Return
            | FlowControl::Exception
    )
}

/// Whether other code runs before the next instruction.
pub(super) fn is_call(instruction: &Instruction) -> bool {
    matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall)
}
