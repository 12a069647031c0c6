//! Plans of hand-assembled code.

use iced_x86::code_asm::*;

use crate::access::{
    Bases, Certainty, DecodedFunction, Direction, FunctionCode, Instructions, Loss, Place, Plan,
    PlannedAccess, RegisterValues, Wait,
};

const START: u64 = 0x1000;

/// Assembles a function and gives the addresses of its instructions.
fn assembled(assemble: impl FnOnce(&mut CodeAssembler)) -> (DecodedFunction, Vec<u64>) {
    let mut assembler = CodeAssembler::new(64).unwrap();
    assemble(&mut assembler);
    let bytes = assembler.assemble(START).unwrap();
    let addresses = iced_x86::Decoder::with_ip(64, &bytes, START, 0).into_iter().map(|it| it.ip());
    let addresses = addresses.collect();
    let function = DecodedFunction::decode(&FunctionCode {
        instructions: Instructions::X86_64,
        address: START,
        bytes: &bytes,
        starts_at_boundary: true,
    });
    (function, addresses)
}

/// Registers of which each has its own value: `rax` 0x10_0000, `rbx` 0x11_0000 and so on by the
/// numbers of perf; `rcx` has a small value, for use as an index.
fn registers() -> RegisterValues {
    let values = (0..24).map(|number| if number == 2 { 5 } else { 0x10_0000 + number * 0x1_0000 });
    RegisterValues::new(0xff_ffff, values)
}

const RAX: u64 = 0x10_0000;
const RBX: u64 = 0x11_0000;
const RCX: u64 = 5;
const RDI: u64 = 0x15_0000;
const RSI: u64 = 0x14_0000;
const RSP: u64 = 0x17_0000;

fn address(access: &PlannedAccess) -> u64 {
    access.address.evaluate(&registers(), &Bases { load_bias: 0, thread: None }).unwrap()
}

/// Accesses as instruction number, place, direction, size and address.
fn listed(plan: &Plan, addresses: &[u64]) -> Vec<(usize, Place, Direction, u32, u64)> {
    let of = |access: &PlannedAccess| {
        let number = addresses.iter().position(|it| *it == access.code).unwrap();
        (number, access.place, access.direction, access.size, address(access))
    };
    plan.accesses.iter().map(of).collect()
}

#[test]
fn a_locked_increment_in_a_loop_is_what_the_sample_behind_it_waited_for() {
    let (function, at) = assembled(|a| {
        let mut top = a.create_label();
        let mut check = a.create_label();
        a.jmp(check).unwrap();
        a.nop_1(qword_ptr(rax)).unwrap();
        a.set_label(&mut top).unwrap();
        a.lock().add(qword_ptr(rbx + 8), 1).unwrap();
        a.set_label(&mut check).unwrap();
        a.mov(eax, dword_ptr(rdi)).unwrap();
        a.test(eax, eax).unwrap();
        a.je(top).unwrap();
        a.ret().unwrap();
    });
    let plan = function.plan(at[3]);
    assert_eq!(
        listed(&plan, &at),
        [
            (2, Place::Before, Direction::ReadModifyWrite, 8, RBX + 8),
            (3, Place::At, Direction::Load, 4, RDI),
        ]
    );
    assert!(plan.accesses.iter().all(|access| access.certainty == Certainty::Certain));
    assert!(plan.accesses[0].is_locked);
    assert_eq!(plan.wait, Wait::Drain(Some(0)));
}
