//! What single instructions do to memory, to locks, and where their registers are from, in code that is
//! assembled here.

use hitm::access::{
    DecodedFunction, Direction, DwarfRegister, FunctionCode, Instructions, LockUse, LoopCounter,
    ValueSource,
};
use iced_x86::IcedError;
use iced_x86::code_asm::*;

const START: u64 = 0x1000;
const AX: DwarfRegister = DwarfRegister(0);
const BX: DwarfRegister = DwarfRegister(3);
const DI: DwarfRegister = DwarfRegister(5);

/// A function, and the addresses of its instructions.
fn assembled(
    write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) -> (DecodedFunction, Vec<u64>) {
    let mut assembler = CodeAssembler::new(64).expect("a valid mode");
    write(&mut assembler).expect("valid instructions");
    let bytes = assembler.assemble(START).expect("valid code");
    let decoder = iced_x86::Decoder::with_ip(64, &bytes, START, 0);
    let addresses = decoder.into_iter().map(|instruction| instruction.ip()).collect();
    let function = DecodedFunction::decode(&FunctionCode {
        instructions: Instructions::X86_64,
        address: START,
        bytes: &bytes,
        starts_at_boundary: true,
    });
    (function, addresses)
}

fn lock(function: &DecodedFunction, code: u64) -> Option<LockUse> {
    function.operands(code).first().and_then(|operand| operand.lock)
}

#[test]
fn operands_have_size_direction_and_address() {
    let (function, at) = assembled(|a| {
        a.mov(dword_ptr(rdi + rsi * 4 + 8), eax)?;
        a.lock().add(qword_ptr(rbx), rcx)?;
        a.ret()
    });
    let [store] = &function.operands(at[0])[..] else { panic!("one operand") };
    assert_eq!((store.direction, store.size, store.is_locked), (Direction::Store, 4, false));
    let address = store.address.as_ref().expect("an address");
    assert_eq!(address.registers, [(DI, 1), (DwarfRegister(4), 4)]);
    assert_eq!(address.displacement, 8);
    let [add] = &function.operands(at[1])[..] else { panic!("one operand") };
    assert_eq!((add.direction, add.size), (Direction::ReadModifyWrite, 8));
    assert!(add.is_locked && add.lock.is_none());
    assert!(function.operands(at[2])[0].is_stack);
    assert!(function.operands(0x9999).is_empty());
}

#[test]
fn a_test_and_set_lock_is_one_and_a_counter_is_none() {
    let (function, at) = assembled(|a| {
        let mut again = a.create_label();
        let mut spin = a.create_label();
        a.set_label(&mut again)?;
        a.mov(eax, 1)?; // 0
        a.xchg(dword_ptr(rdi), eax)?; // 1
        a.test(eax, eax)?;
        let mut taken = a.create_label();
        a.je(taken)?;
        a.set_label(&mut spin)?;
        a.pause()?; // 4
        a.mov(eax, dword_ptr(rdi))?; // 5
        a.test(eax, eax)?;
        a.jne(spin)?;
        a.jmp(again)?;
        a.set_label(&mut taken)?;
        a.inc(qword_ptr(rdi + 8))?; // 9
        a.mov(dword_ptr(rdi), 0)?; // 10
        a.dec(rsi)?;
        a.jne(again)?;
        a.ret()
    });
    assert_eq!(lock(&function, at[1]), Some(LockUse::Take));
    assert_eq!(lock(&function, at[5]), Some(LockUse::Spin));
    assert_eq!(lock(&function, at[9]), None);
    assert_eq!(lock(&function, at[10]), None);
}

#[test]
fn compare_and_exchange_is_a_lock_only_with_one_value() {
    let (function, at) = assembled(|a| {
        let mut again = a.create_label();
        a.mov(ecx, 1)?;
        a.set_label(&mut again)?;
        a.xor(eax, eax)?;
        a.lock().cmpxchg(dword_ptr(rdi), ecx)?; // 2
        a.jne(again)?;
        let mut update = a.create_label();
        a.mov(rax, qword_ptr(rdi + 8))?;
        a.set_label(&mut update)?;
        a.lea(rdx, qword_ptr(rax + 1))?;
        a.lock().cmpxchg(qword_ptr(rdi + 8), rdx)?; // 6
        a.jne(update)?;
        a.ret()
    });
    assert_eq!(lock(&function, at[2]), Some(LockUse::Take));
    assert_eq!(lock(&function, at[6]), None, "an update in a loop");
}

#[test]
fn a_ticket_is_drawn_beside_a_loop_that_waits() {
    let write = |has_pause: bool| {
        move |a: &mut CodeAssembler| {
            let mut spin = a.create_label();
            a.mov(eax, 1)?;
            a.lock().xadd(dword_ptr(rdi), eax)?;
            a.set_label(&mut spin)?;
            if has_pause {
                a.pause()?;
            }
            a.cmp(dword_ptr(rdi + 4), eax)?;
            a.jne(spin)?;
            a.ret()
        }
    };
    let (function, at) = assembled(write(true));
    assert_eq!(lock(&function, at[1]), Some(LockUse::Draw));
    assert_eq!(lock(&function, at[3]), Some(LockUse::Spin));
    let (function, at) = assembled(write(false));
    assert_eq!(lock(&function, at[1]), None);
    assert_eq!(lock(&function, at[2]), None);
}

#[test]
fn values_are_followed_to_where_they_are_from() {
    let (function, at) = assembled(|a| {
        let mut again = a.create_label();
        a.mov(rbx, rdi)?; // 0
        a.add(rbx, 0x10)?; // 1
        a.set_label(&mut again)?;
        a.mov(rax, qword_ptr(rbx + 0x20))?; // 2
        a.inc(qword_ptr(rax + 8))?; // 3
        a.dec(rsi)?;
        a.jne(again)?;
        a.lea(rdx, qword_ptr(0x2000u64))?;
        a.call(0x1800u64)?; // 7
        a.inc(qword_ptr(rax))?; // 8
        a.ret()
    });
    let load = ValueSource::Load { code: at[2], register: Some(BX), displacement: 0x20 };
    assert_eq!(function.sources(at[3], AX), [load]);
    let sum = ValueSource::Sum { code: at[1], register: BX, addend: 0x10 };
    assert_eq!(function.sources(at[2], BX), [sum]);
    let copy = ValueSource::Sum { code: at[0], register: DI, addend: 0 };
    assert_eq!(function.sources(at[1], BX), [copy]);
    assert_eq!(function.sources(at[0], DI), [ValueSource::Entry { register: DI }]);
    let returned = ValueSource::Returned { code: at[7], function: Some(0x1800) };
    assert_eq!(function.sources(at[8], AX), [returned]);
    assert!(function.sources(0x1, AX).is_empty());
}

#[test]
fn a_value_from_several_places_has_several_sources() {
    let (function, at) = assembled(|a| {
        let mut other = a.create_label();
        let mut end = a.create_label();
        a.test(rsi, rsi)?;
        a.jne(other)?;
        a.mov(rax, qword_ptr(rdi))?; // 2
        a.jmp(end)?;
        a.set_label(&mut other)?;
        a.mov(rax, qword_ptr(rdi + 8))?; // 4
        a.set_label(&mut end)?;
        a.inc(qword_ptr(rax))?; // 5
        a.ret()
    });
    let mut sources = function.sources(at[5], AX);
    sources.sort_by_key(|source| format!("{source:?}"));
    let load = |code, displacement| ValueSource::Load { code, register: Some(DI), displacement };
    assert_eq!(sources, [load(at[2], 0), load(at[4], 8)]);
}

#[test]
fn the_innermost_loop_has_counters() {
    let (function, at) = assembled(|a| {
        let mut outer = a.create_label();
        let mut inner = a.create_label();
        let mut skip = a.create_label();
        a.set_label(&mut outer)?;
        a.mov(ecx, 100)?; // 0
        a.set_label(&mut inner)?;
        a.lock().inc(qword_ptr(rdi))?; // 1
        a.add(rsi, 8)?; // 2
        a.test(rdx, rdx)?; // 3
        a.je(skip)?; // 4
        a.inc(r8)?; // 5, not in every round
        a.set_label(&mut skip)?;
        a.dec(ecx)?; // 6
        a.jne(inner)?; // 7
        a.add(rsi, 0x40)?; // 8
        a.dec(r9)?; // 9
        a.jne(outer)?; // 10
        a.ret()
    });
    let loops = function.loops(at[3]);
    let [inner, around] = &loops[..] else { panic!("{loops:?}") };
    assert_eq!((inner.trip, around.trip), (Some(100), None));
    assert_eq!((inner.header, inner.instructions.len()), (at[1], 7));
    assert_eq!((inner.always, inner.locked), (6, 1));
    assert!(!inner.has_calls && !inner.has_inner_loops);
    const CX: u8 = 2;
    const SI: u8 = 4;
    const R9: u8 = 17;
    let counter = |register, step, is_narrow| LoopCounter { register, step, is_narrow };
    assert_eq!(inner.counters, [counter(CX, -1, true), counter(SI, 8, false)]);
    let outer = &function.loops(at[9])[0];
    assert_eq!(outer, around);
    assert_eq!((outer.header, outer.instructions.len()), (at[0], 11));
    assert!(outer.has_inner_loops);
    assert_eq!(outer.counters, [counter(R9, -1, false)]);
    assert!(function.loops(at[11]).is_empty());
}
