//! Where in a function a probe costs least, and which functions a function calls.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};

/// So many instructions are looked at for the best place.
const LOOKED_AT: usize = 6;

/// Where to probe a function, bytes behind its start, while arguments are still in their registers,
/// and the return address is on top of the stack.
///
/// The kernel emulates a few instructions, `push`, jumps and `nop` among them; any other one is run in
/// a single step, which costs ten times as much on virtual machines (measured: 1.4 and 17.7 µs).
pub(super) fn cheapest_offset(code: &[u8]) -> u64 {
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let mut factory = InstructionInfoFactory::new();
    let mut instruction = Instruction::default();
    for _ in 0..LOOKED_AT {
        if !decoder.can_decode() {
            break;
        }
        decoder.decode_out(&mut instruction);
        if is_emulated(&instruction) {
            return instruction.ip();
        }
        let goes_on = instruction.flow_control() == FlowControl::Next && !instruction.is_invalid();
        if !goes_on || changes_arguments(&mut factory, &instruction) {
            break;
        }
    }
    0
}

/// Whether the kernel emulates an instruction (`arch/x86/kernel/uprobes.c`: `push` of a register,
/// jumps with 8 or 32 bits, `nop` of one byte).
fn is_emulated(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        Mnemonic::Push => {
            instruction.op0_kind() == OpKind::Register
                && instruction.op0_register().is_gpr64()
                && instruction.len() <= 2
        }
        Mnemonic::Nop => instruction.len() == 1,
        _ => {
            let is_jump = matches!(
                instruction.flow_control(),
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
            );
            is_jump
                && instruction.op0_kind() == OpKind::NearBranch64
                && !instruction.is_loop()
                && !instruction.is_loopcc()
                && !instruction.is_jcx_short()
        }
    }
}

fn changes_arguments(factory: &mut InstructionInfoFactory, instruction: &Instruction) -> bool {
    const KEPT: [Register; 5] =
        [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::RSP];
    let info = factory.info(instruction);
    info.used_registers().iter().any(|used| {
        let writes = !matches!(used.access(), OpAccess::Read | OpAccess::CondRead);
        writes && KEPT.contains(&used.register().full_register())
    })
}

/// Where a function's code goes on outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// At an address.
    Address(u64),
    /// At the address that is stored at this one.
    Slot(u64),
}

/// The calls and jumps of code at `address` that lead out of it.
pub(super) fn targets(code: &[u8], address: u64) -> Vec<Target> {
    let within = address..address.saturating_add(code.len() as u64);
    let decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let mut targets = Vec::new();
    for instruction in decoder {
        let goes_away = matches!(
            instruction.flow_control(),
            FlowControl::Call
                | FlowControl::IndirectCall
                | FlowControl::UnconditionalBranch
                | FlowControl::IndirectBranch
                | FlowControl::ConditionalBranch
        );
        if !goes_away {
            continue;
        }
        if instruction.op0_kind() == OpKind::NearBranch64 {
            let target = instruction.near_branch_target();
            if !within.contains(&target) || target == address {
                targets.push(Target::Address(target));
            }
        } else if instruction.op0_kind() == OpKind::Memory && instruction.is_ip_rel_memory_operand()
        {
            targets.push(Target::Slot(instruction.ip_rel_memory_address()));
        }
    }
    targets
}

/// The slot that a stub of the procedure linkage table jumps through.
pub(super) fn slot_of_stub(code: &[u8], address: u64) -> Option<u64> {
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let first = decoder.decode();
    let jump = if first.mnemonic() == Mnemonic::Endbr64 { decoder.decode() } else { first };
    (jump.flow_control() == FlowControl::IndirectBranch && jump.is_ip_rel_memory_operand())
        .then(|| jump.ip_rel_memory_address())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_instruction_that_is_emulated_is_taken() {
        // push %r12
        assert_eq!(cheapest_offset(&[0x41, 0x54, 0x55]), 0);
        // test %rdi,%rdi; je
        assert_eq!(cheapest_offset(&[0x48, 0x85, 0xff, 0x0f, 0x84, 0xbf, 0, 0, 0, 0x55]), 3);
        // endbr64; push %rbp
        assert_eq!(cheapest_offset(&[0xf3, 0x0f, 0x1e, 0xfa, 0x55]), 4);
        // endbr64; jmp
        assert_eq!(cheapest_offset(&[0xf3, 0x0f, 0x1e, 0xfa, 0xeb, 0x10]), 4);
    }

    #[test]
    fn arguments_and_return_address_must_be_where_they_were() {
        // mov %rsi,%rdi; push %rbp
        assert_eq!(cheapest_offset(&[0x48, 0x89, 0xf7, 0x55]), 0);
        // mov %edi,%edi (clears the upper half); push %rbp
        assert_eq!(cheapest_offset(&[0x89, 0xff, 0x55]), 0);
        // sub $8,%rsp; jmp
        assert_eq!(cheapest_offset(&[0x48, 0x83, 0xec, 0x08, 0xeb, 0x10]), 0);
        // call; push
        assert_eq!(cheapest_offset(&[0xe8, 0, 0, 0, 0, 0x55]), 0);
        assert_eq!(cheapest_offset(&[]), 0);
        assert_eq!(cheapest_offset(&[0x06]), 0);
    }

    #[test]
    fn calls_that_lead_out_are_found() {
        // 0x1000: call 0x1100; jmp *0x200(%rip); je +2 (within); ret
        let code = [0xe8, 0xfb, 0, 0, 0, 0xff, 0x25, 0, 2, 0, 0, 0x74, 0x00, 0xc3];
        let expected = vec![Target::Address(0x1100), Target::Slot(0x120b)];
        assert_eq!(targets(&code, 0x1000), expected);
        assert_eq!(slot_of_stub(&code[5..], 0x1005), Some(0x120b));
        assert_eq!(slot_of_stub(&code, 0x1000), None);
    }
}
