//! General registers: their numbers here, in the decoder and in samples.

use iced_x86::Register;

use crate::access::operand_facts::DwarfRegister;

/// How many general registers there are.
pub(super) const COUNT: usize = 16;

/// The number of the stack pointer.
pub(super) const STACK_POINTER: u8 = 4;

/// The frame pointer.
pub(super) const FRAME_POINTER: u8 = 5;

/// `PERF_REG_X86_*` (`arch/x86/include/uapi/asm/perf_regs.h`) of each general register in the order
/// of their encoding: ax, cx, dx, bx, sp, bp, si, di, r8 to r15.
const SAMPLED: [u8; COUNT] = [0, 2, 3, 1, 7, 6, 4, 5, 16, 17, 18, 19, 20, 21, 22, 23];

/// DWARF's numbers of general registers in the order of their encoding (System V ABI for x86-64, figure
/// 3.36).
const DWARF: [u16; COUNT] = [0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];

/// The register by which debug information knows a general register.
pub(super) fn dwarf(number: u8) -> DwarfRegister {
    DwarfRegister(DWARF[usize::from(number) % COUNT])
}

/// The general register with a number of DWARF's.
pub(super) fn of_dwarf(number: u16) -> Option<u8> {
    DWARF.iter().position(|own| *own == number).map(|at| at as u8)
}

/// The number by which samples know a general register.
pub(super) fn sampled_number(number: u8) -> u8 {
    SAMPLED[usize::from(number) % COUNT]
}

/// The number of the general register that `register` is or is a part of.
pub(super) fn number_of(register: Register) -> Option<u8> {
    register.is_gpr().then(|| register.full_register().number() as u8)
}

/// The general registers that a call may change: all but bx, sp, bp and r12 to r15 (System V ABI,
/// x86-64 and i386, where si and di are kept as well).
pub(super) fn changed_by_calls(is_64_bit: bool) -> u16 {
    if is_64_bit { 0b0000_1111_1100_0111 } else { 0b0111 }
}
