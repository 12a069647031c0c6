//! What a plan says of code that is assembled here, exactly.

use hitm::access::{
    AddressFormula, Bases, Certainty, DecodedFunction, Direction, FunctionCode, Instructions, Loss,
    Place, Plan, PlannedAccess, RegisterValues, TermValue, Wait,
};
use iced_x86::code_asm::*;

const START: u64 = 0x1000;
const BX: u8 = 1;
const CX: u8 = 2;
const SI: u8 = 4;
const DI: u8 = 5;
const SP: u8 = 7;

/// Assembles; the addresses of the instructions, and the plans.
struct Code {
    function: DecodedFunction,
    addresses: Vec<u64>,
}

fn assembled_as(
    bits: u32,
    write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Code {
    let mut assembler = CodeAssembler::new(bits).expect("a valid mode");
    write(&mut assembler).expect("valid instructions");
    let bytes = assembler.assemble(START).expect("valid code");
    let decoder = iced_x86::Decoder::with_ip(bits, &bytes, START, 0);
    let addresses = decoder.into_iter().map(|instruction| instruction.ip()).collect();
    let instructions = if bits == 64 { Instructions::X86_64 } else { Instructions::X86_32 };
    let function = DecodedFunction::decode(&FunctionCode {
        instructions,
        address: START,
        bytes: &bytes,
        starts_at_boundary: true,
    });
    Code { function, addresses }
}

use iced_x86::IcedError;

fn assembled(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Code {
    assembled_as(64, write)
}

impl Code {
    /// The plan of the instruction of this number.
    fn plan(&self, number: usize) -> Plan {
        self.function.plan(self.addresses[number])
    }

    /// The accesses of instruction `by` in the plan of instruction `at`.
    fn accesses(&self, at: usize, by: usize) -> Vec<PlannedAccess> {
        let mut accesses = self.plan(at).accesses;
        accesses.retain(|access| access.code == self.addresses[by]);
        accesses
    }

    /// The only one.
    fn access(&self, at: usize, by: usize) -> PlannedAccess {
        let accesses = self.accesses(at, by);
        let [access] = &accesses[..] else { panic!("{by} seen from {at}: {accesses:?}") };
        access.clone()
    }

    /// The instruction that a sample at `at` waited for.
    fn waited(&self, at: usize) -> Option<usize> {
        let plan = self.plan(at);
        let Wait::Access(index) = plan.wait else { return None };
        let code = plan.accesses[usize::from(index)].code;
        self.addresses.iter().position(|address| *address == code)
    }
}

/// A formula in words: `2+0x8*4+0x10` is register 2, and four times register 8, and 16.
fn words(formula: &AddressFormula) -> String {
    let mut words: Vec<String> = Vec::new();
    if formula.is_code_relative {
        words.push("code".into());
    }
    if formula.is_thread_relative {
        words.push("thread".into());
    }
    for term in &formula.terms {
        let value = match &term.value {
            TermValue::Register(number) => format!("r{number}"),
            TermValue::Low32(inner) => format!("low({})", self::words(inner)),
            TermValue::SignedLow32(inner) => format!("signed({})", self::words(inner)),
        };
        words.push(match term.factor as i64 {
            1 => value,
            factor => format!("{factor}*{value}"),
        });
    }
    if formula.constant != 0 || words.is_empty() {
        words.push(format!("{}", formula.constant as i64));
    }
    words.join("+")
}

fn summary(access: &PlannedAccess) -> (String, Direction, u32, Place, Certainty) {
    let PlannedAccess { direction, size, place, certainty, .. } = *access;
    (words(&access.address), direction, size, place, certainty)
}

use Certainty::{Certain, Possible};
use Direction::{Load, ReadModifyWrite, Store};
use Place::{After, At, Before};

#[test]
fn the_sampled_instruction_and_its_neighbours() -> Result<(), IcedError> {
    let code = assembled(|a| {
        a.mov(eax, dword_ptr(rdi + 8))?; // 0
        a.add(qword_ptr(rsi + rcx * 4 - 16), rax)?; // 1
        a.mov(byte_ptr(rbx), dl)?; // 2
        a.ret() // 3
    });
    let expect =
        |text: &str, direction, size, place| (text.to_owned(), direction, size, place, Certain);
    let plan = code.plan(1);
    assert_eq!(summary(&code.access(1, 0)), expect("r5+8", Load, 4, Before));
    assert_eq!(summary(&code.access(1, 1)), expect("4*r2+r4+-16", ReadModifyWrite, 8, At));
    assert_eq!(summary(&code.access(1, 2)), expect("r1", Store, 1, After));
    assert_eq!(summary(&code.access(1, 3)), expect("r7", Load, 8, After));
    let order: Vec<u64> = plan.accesses.iter().map(|access| access.code).collect();
    assert_eq!(order, code.addresses);
    assert_eq!((plan.wait, plan.loss), (Wait::Access(0), None));
    assert_eq!(code.plan(3).wait, Wait::Unknown, "nothing waits for a store");
    assert_eq!(code.plan(0).wait, Wait::Unknown, "nothing is known of before the function");
    Ok(())
}

#[test]
fn directions_and_sizes() {
    let code = assembled(|a| {
        a.cmp(word_ptr(rdi), 5)?;
        a.test(dword_ptr(rdi), eax)?;
        a.movups(xmm0, xmmword_ptr(rdi))?;
        a.vmovdqu(ymmword_ptr(rdi), ymm1)?;
        a.vmovups(zmm2, zmmword_ptr(rdi))?;
        a.movsd_2(xmm1, qword_ptr(rdi))?;
        a.movzx(eax, byte_ptr(rdi))?;
        a.fxsave(ptr(rdi))?;
        a.xchg(qword_ptr(rdi), rax)?;
        a.cmpxchg(dword_ptr(rdi), ecx)?;
        a.lock().cmpxchg16b(xmmword_ptr(rdi))?;
        a.lock().inc(byte_ptr(rdi))?;
        a.setne(byte_ptr(rdi))?;
        a.vaddps(zmm2, zmm1, dword_bcst(rdi))?;
        a.movnti(qword_ptr(rdi), rax)?;
        a.not(dword_ptr(rdi))
    });
    let found: Vec<(Direction, u32, bool)> = (0..code.addresses.len())
        .map(|number| code.access(number, number))
        .map(|access| (access.direction, access.size, access.is_locked))
        .collect();
    assert_eq!(
        found,
        [
            (Load, 2, false),
            (Load, 4, false),
            (Load, 16, false),
            (Store, 32, false),
            (Load, 64, false),
            (Load, 8, false),
            (Load, 1, false),
            (Store, 512, false),
            (ReadModifyWrite, 8, true),
            (ReadModifyWrite, 4, false),
            (ReadModifyWrite, 16, true),
            (ReadModifyWrite, 1, true),
            (Store, 1, false),
            (Load, 4, false),
            (Store, 8, false),
            (ReadModifyWrite, 4, false),
        ]
    );
}

#[test]
fn what_touches_no_memory() {
    let code = assembled(|a| {
        a.lea(rax, qword_ptr(rdi + rsi * 8 + 3))?;
        a.nop_1(dword_ptr(rax))?;
        a.prefetcht0(byte_ptr(rdi))?;
        a.prefetchw(byte_ptr(rdi))?;
        a.clflush(byte_ptr(rdi))?;
        a.ud2()
    });
    for number in 0..code.addresses.len() {
        let plan = code.plan(number);
        assert_eq!(plan, Plan { accesses: vec![], wait: Wait::Unknown, loss: None });
    }
}

#[test]
fn what_is_exactly_invertible() {
    let code = assembled(|a| {
        a.mov(rax, qword_ptr(rdi))?; // 0
        a.add(rdi, 8)?; // 1
        a.mov(rbx, rsi)?; // 2
        a.mov(rdx, qword_ptr(rsi))?; // 3
        a.xor(esi, esi)?; // 4: rsi lives on in rbx
        a.mov(qword_ptr(rdi + rbx), rdx)?; // 5
        a.sub(rbx, rdi)?; // 6
        a.dec(rdi)?; // 7
        a.neg(rbx)?; // 8
        a.lea(r8, qword_ptr(rdi + rdi * 2))?; // 9
        a.xor(edi, edi)?; // 10: rdi lives on as a third of r8
        a.xchg(rbx, r8)?; // 11
        a.nop() // 12
    });
    let text = |at, by| words(&code.access(at, by).address);
    assert_eq!(text(1, 0), "r5");
    assert_eq!(text(2, 0), "r5+-8");
    assert_eq!(text(5, 3), "r1");
    assert_eq!(text(6, 5), "r1+r5");
    assert_eq!(text(7, 5), "r1+2*r5");
    assert_eq!(text(8, 5), "r1+2*r5+2");
    assert_eq!(text(9, 5), "-1*r1+2*r5+2");
    // At the end rbx holds 3 (rdi - 1) and r8 what rbx was.
    let registers = |base: u64, other: u64| RegisterValues::new(1 << BX | 1 << 16, [base, other]);
    let old_di = 0x7fff_1234u64;
    let found =
        code.access(12, 0).address.evaluate(&registers(3 * (old_di - 1), 0), &Bases::default());
    assert_eq!(found, Some(old_di - 8));
}

#[test]
fn what_is_lost() {
    let code = assembled(|a| {
        a.mov(rbx, qword_ptr(rbx))?; // 0
        a.nop()?; // 1
        a.ud2() // 2
    });
    assert_eq!(words(&code.access(0, 0).address), "r1");
    let plan = code.plan(1);
    assert_eq!(
        plan,
        Plan { accesses: vec![], wait: Wait::Unknown, loss: Some(Loss::Overwritten) },
        "the load is just before and cannot be named"
    );
    let code = assembled(|a| {
        a.vpgatherdd(xmm1.k1(), ptr(rdi + xmm2 * 4))?;
        a.ud2()
    });
    assert_eq!(code.plan(0), Plan::lost(Loss::VectorIndex));
    let code = assembled(|a| {
        a.mov(rax, qword_ptr(8).gs())?;
        a.ud2()
    });
    assert_eq!(code.plan(1), Plan::lost(Loss::SegmentBase));
    let code = assembled(|a| {
        a.mov(rbx, qword_ptr(rbx))?;
        a.mov(rax, qword_ptr(rcx))?;
        a.ud2()
    });
    assert_eq!(code.plan(2).loss, None, "one of two is determined");
}

#[test]
fn forwards_until_a_register_is_overwritten() {
    let code = assembled(|a| {
        a.nop()?; // 0
        a.mov(rbx, qword_ptr(rbx))?; // 1
        a.add(rdi, 16)?; // 2
        a.mov(rax, qword_ptr(rbx))?; // 3
        a.mov(rax, qword_ptr(rdi))?; // 4
        a.mov(r9, 0x1234u64)?; // 5
        a.mov(eax, dword_ptr(r9 + 4))?; // 6
        a.ud2()
    });
    assert_eq!(words(&code.access(0, 1).address), "r1");
    assert_eq!(code.accesses(0, 3), []);
    assert_eq!(words(&code.access(0, 4).address), "r5+16");
    assert_eq!(words(&code.access(0, 6).address), format!("{}", 0x1238));
}

#[test]
fn code_and_thread_relative() {
    let code = assembled(|a| {
        a.lea(rbx, qword_ptr(0x5000))?; // 0
        a.mov(eax, dword_ptr(0x404040))?; // 1
        a.mov(rcx, qword_ptr(0).fs())?; // 2
        a.mov(edx, dword_ptr(0xffff_ffff_ffff_fff8u64).fs())?; // 3
        a.mov(dword_ptr(rcx - 8), edx)?; // 4
        a.mov(rdx, qword_ptr(rax + 16).fs())?; // 5
        a.nop()?; // 6
        a.ud2()
    });
    assert_eq!(words(&code.access(6, 2).address), "thread");
    assert_eq!(words(&code.access(6, 3).address), "thread+-8");
    assert_eq!(words(&code.access(6, 4).address), "r2+-8", "which holds the thread's base");
    assert_eq!(words(&code.access(6, 5).address), "thread+r0+16");

    let mut target = CodeLabel::default();
    let code = assembled(|a| {
        target = a.create_label();
        a.lea(rbx, ptr(target))?; // 0
        a.mov(eax, dword_ptr(rbx + 4))?; // 1
        a.xor(ebx, ebx)?; // 2
        a.mov(ecx, dword_ptr(target))?; // 3
        a.inc(dword_ptr(target))?; // 4
        a.ud2()?; // 5
        a.set_label(&mut target)?;
        a.nop()
    });
    let label = code.addresses[6] as i64;
    assert_eq!(words(&code.access(3, 1).address), format!("code+{}", label + 4));
    assert_eq!(words(&code.access(3, 3).address), format!("code+{label}"));
    assert_eq!(summary(&code.access(3, 4)).1, ReadModifyWrite);
}

#[test]
fn narrow_arithmetic() {
    let code = assembled(|a| {
        a.mov(ecx, esi)?; // 0
        a.mov(eax, dword_ptr(rdi + rcx * 4))?; // 1
        a.add(ecx, 3)?; // 2
        a.mov(edx, dword_ptr(rdi + rcx * 4))?; // 3
        a.movsxd(rdx, ecx)?; // 4
        a.xor(ecx, ecx)?; // 5
        a.nop()?; // 6
        a.ud2()
    });
    assert_eq!(words(&code.access(2, 1).address), "4*r2+r5", "as it was");
    // The sum before the addition, modulo 2^32.
    let address = |at, by, registers: &RegisterValues| {
        code.access(at, by).address.evaluate(registers, &Bases::default())
    };
    let registers = RegisterValues::new(1 << CX | 1 << SI | 1 << DI, [1, 0xffff_fffe, 0x1000]);
    assert_eq!(address(3, 1, &registers), Some(0x1000 + 4 * 0xffff_fffe));
    assert_eq!(words(&code.access(6, 3).address), "r5+4*low(r4+3)");
    assert_eq!(words(&code.access(1, 3).address), "r5+4*low(r2+3)");
}

/// A 32-bit index that only 32-bit instructions make is known in full, around the loop as well.
#[test]
fn narrow_index_of_a_loop() {
    let code = assembled(|a| {
        let mut top = a.create_label();
        a.xor(ecx, ecx)?; // 0
        a.set_label(&mut top)?;
        a.add(eax, dword_ptr(rdi + rcx * 4))?; // 1
        a.sub(ecx, -3)?; // 2
        a.mov(byte_ptr(rsi + rcx), al)?; // 3
        a.cmp(ecx, edx)?; // 4
        a.jne(top)?; // 5
        a.ret()
    });
    let all = |at, by| -> Vec<_> {
        code.accesses(at, by)
            .iter()
            .filter(|access| access.certainty == Certain)
            .map(|access| (words(&access.address), access.place))
            .collect()
    };
    assert_eq!(all(3, 1), [(format!("r5+4*low(r2+{})", 0xffff_fffdu32), Before)]);
    assert_eq!(all(1, 1), [("4*r2+r5".to_owned(), At)]);
    assert_eq!(all(1, 3), [("r4+low(r2+3)".to_owned(), After)]);
    // The same where nothing says that the register began as 32 bits.
    let code = assembled(|a| {
        a.add(eax, dword_ptr(rdi + rcx * 4))?; // 0
        a.inc(ecx)?; // 1
        a.ret()
    });
    assert_eq!(code.accesses(2, 0), []);
}

#[test]
fn signed_indices_are_widened() {
    let code = assembled(|a| {
        a.nop()?; // 0
        a.movsxd(rax, ecx)?; // 1
        a.mov(edx, dword_ptr(rdi + rax * 4))?; // 2
        a.cdqe()?; // 3
        a.ud2()
    });
    assert_eq!(words(&code.access(0, 2).address), "r5+4*signed(r2)");
    let registers = RegisterValues::new(1 << CX | 1 << DI, [0xffff_ffff, 0x1000]);
    let address = code.access(0, 2).address.evaluate(&registers, &Bases::default());
    assert_eq!(address, Some(0xffc));
}

#[test]
fn the_stack() {
    let code = assembled(|a| {
        a.push(rbx)?; // 0
        a.push(qword_ptr(rdi))?; // 1
        a.pop(rcx)?; // 2
        a.sub(rsp, 32)?; // 3
        a.mov(qword_ptr(rsp + 8), rax)?; // 4
        a.add(rsp, 32)?; // 5
        a.pop(rbx)?; // 6
        a.ret() // 7
    });
    let text = |at, by| summary(&code.access(at, by));
    let expect = |text: &str, direction, place| (text.to_owned(), direction, 8, place, Certain);
    assert_eq!(text(0, 0), expect("r7+-8", Store, At));
    assert_eq!(text(7, 0), expect("r7+-8", Store, Before));
    assert_eq!(text(7, 6), expect("r7+-8", Load, Before));
    assert_eq!(text(7, 7), expect("r7", Load, At));
    assert_eq!(text(0, 7), expect("r7", Load, After));
    assert_eq!(text(7, 4), expect("r7+-32", Store, Before));
    let both: Vec<_> = code.accesses(2, 1).iter().map(summary).collect();
    assert_eq!(both, [expect("r5", Load, Before), expect("r7", Store, Before)]);
    assert_eq!(code.plan(7).wait, Wait::Unknown, "a pop is no wait");

    let code = assembled(|a| {
        a.push(rbp)?; // 0
        a.mov(rbp, rsp)?; // 1
        a.sub(rsp, 64)?; // 2
        a.mov(eax, dword_ptr(rbp - 20))?; // 3
        a.leave()?; // 4
        a.ret() // 5
    });
    assert_eq!(words(&code.access(5, 3).address), "r7+-28");
    assert_eq!(words(&code.access(5, 4).address), "r7+-8");
    assert_eq!(words(&code.access(2, 5).address), format!("r{}+8", 6), "through the frame pointer");
}

#[test]
fn across_calls() {
    let code = assembled(|a| {
        a.mov(rax, qword_ptr(rbx))?; // 0
        a.mov(rcx, qword_ptr(rdi))?; // 1
        a.call(qword_ptr(r12 + 8))?; // 2
        a.mov(qword_ptr(rbx), rax)?; // 3
        a.mov(qword_ptr(rdi), rax)?; // 4
        a.ud2()
    });
    let expect =
        |text: &str, direction, place, certainty| (text.to_owned(), direction, 8, place, certainty);
    let before: Vec<_> = code.accesses(3, 2).iter().map(summary).collect();
    assert_eq!(
        before,
        [expect("r20+8", Load, Before, Certain), expect("r7+-8", Store, Before, Certain)]
    );
    assert_eq!(summary(&code.access(3, 0)), expect("r1", Load, Before, Possible));
    assert_eq!(code.accesses(3, 1), [], "rdi is the callee's");
    assert_eq!(code.plan(3).wait, Wait::Unknown, "the callee's return ran just before");
    assert_eq!(summary(&code.access(1, 3)), expect("r1", Store, After, Possible));
    assert_eq!(code.accesses(1, 4), []);
    assert_eq!(summary(&code.access(2, 3)), expect("r1", Store, After, Possible));
}

#[test]
fn string_instructions() {
    let code = assembled(|a| {
        a.movsb()?; // 0
        a.rep().movsq()?; // 1
        a.nop()?; // 2
        a.repne().scasb()?; // 3
        a.rep().stosd()?; // 4
        a.lodsw()?; // 5
        a.ud2()
    });
    let texts = |at, by| -> Vec<_> {
        code.accesses(at, by)
            .iter()
            .map(|access| (words(&access.address), access.direction, access.size))
            .collect()
    };
    assert_eq!(texts(0, 0), [("r5".into(), Store, 1), ("r4".into(), Load, 1)]);
    assert_eq!(texts(1, 0), [("r5+-1".into(), Store, 1), ("r4+-1".into(), Load, 1)]);
    assert_eq!(texts(1, 1), [("r5".into(), Store, 8), ("r4".into(), Load, 8)]);
    assert_eq!(texts(2, 1), [], "how far it came is not known");
    assert_eq!(texts(4, 4), [("r5".into(), Store, 4)]);
    assert_eq!(texts(5, 5), [("r4".into(), Load, 2)]);
    assert_eq!((code.waited(1), code.waited(3), code.waited(4)), (Some(1), Some(3), Some(4)));
    let plan = code.plan(1);
    let Wait::Access(index) = plan.wait else { panic!("{:?}", plan.wait) };
    assert_eq!(plan.accesses[usize::from(index)].direction, Load, "it is the load that waits");
    assert_eq!(code.waited(6), Some(5));
}

#[test]
fn a_loop_is_around_its_samples() {
    let code = assembled(|a| {
        let mut top = a.create_label();
        a.mov(r9, qword_ptr(r10))?; // 0
        a.set_label(&mut top)?;
        a.mov(rax, qword_ptr(rdi))?; // 1
        a.add(rdi, 8)?; // 2
        a.lock().inc(qword_ptr(rbx))?; // 3
        a.cmp(rdi, rdx)?; // 4
        a.jne(top)?; // 5
        a.mov(qword_ptr(r11), rax)?; // 6
        a.ret()
    });
    let all = |at, by| -> Vec<_> {
        code.accesses(at, by)
            .iter()
            .map(|access| (words(&access.address), access.place, access.certainty))
            .collect()
    };
    let found = |text: &str, place, certainty| (text.to_owned(), place, certainty);
    // At the top: the turn before, and this one.
    assert_eq!(all(1, 3), [found("r1", Before, Certain)]);
    assert_eq!(
        all(1, 1),
        [
            found("r5+-8", Before, Possible),
            found("r5", At, Certain),
            found("r5+8", After, Possible)
        ]
    );
    assert_eq!(all(1, 0), [], "the loop runs hot: it was not entered just now");
    assert_eq!(
        all(4, 1),
        [
            found("r5+-16", Before, Possible),
            found("r5+-8", Before, Certain),
            found("r5", After, Possible)
        ]
    );
    assert_eq!(all(4, 3), [found("r1", Before, Certain)]);
    assert_eq!(all(4, 6), [found("r19", After, Possible)]);
    let plan = code.plan(4);
    let Wait::Drain(Some(index)) = plan.wait else { panic!("{:?}", plan.wait) };
    assert_eq!(plan.accesses[usize::from(index)].code, code.addresses[3]);
    assert_eq!(code.waited(2), Some(1));
    assert_eq!(code.plan(1).wait, Wait::Unknown);
}

#[test]
fn branches() {
    let code = assembled(|a| {
        let mut other = a.create_label();
        let mut join = a.create_label();
        a.mov(rax, qword_ptr(rbx))?; // 0
        a.test(eax, eax)?; // 1
        a.je(other)?; // 2
        a.mov(rcx, qword_ptr(rsi))?; // 3
        a.add(rdi, 8)?; // 4
        a.jmp(join)?; // 5
        a.set_label(&mut other)?;
        a.mov(qword_ptr(rdx), rcx)?; // 6
        a.set_label(&mut join)?;
        a.nop()?; // 7
        a.mov(qword_ptr(r8), rcx)?; // 8
        a.mov(qword_ptr(rdi), rcx)?; // 9
        a.ret()
    });
    let all = |at, by| -> Vec<_> {
        code.accesses(at, by)
            .iter()
            .map(|access| (words(&access.address), access.place, access.certainty))
            .collect()
    };
    let found = |text: &str, place, certainty| (text.to_owned(), place, certainty);
    assert_eq!(all(7, 0), [found("r1", Before, Certain)]);
    assert_eq!(all(7, 3), [found("r4", Before, Possible)]);
    assert_eq!(all(7, 6), [found("r3", Before, Possible)]);
    assert_eq!(all(1, 8), [found("r16", After, Certain)]);
    assert_eq!(all(1, 6), [found("r3", After, Possible)]);
    assert_eq!(all(1, 9), [found("r5", After, Possible), found("r5+8", After, Possible)]);
    assert_eq!(code.waited(2), Some(0), "the test only judges what was loaded");
    assert_eq!(code.waited(3), Some(0));
    assert_eq!(code.waited(6), Some(0));
    assert_eq!(code.plan(7).wait, Wait::Unknown);
}

/// Two paths put different constants into the index of one common instruction: the register still
/// holds whichever it was.
#[test]
fn branches_that_merge_into_one_instruction() {
    let code = assembled(|a| {
        let mut other = a.create_label();
        let mut join = a.create_label();
        a.test(eax, eax)?; // 0
        a.je(other)?; // 1
        a.mov(edi, 64)?; // 2
        a.jmp(join)?; // 3
        a.set_label(&mut other)?;
        a.mov(edi, 192)?; // 4
        a.set_label(&mut join)?;
        a.lock().add(qword_ptr(rdx + rdi), 1)?; // 5
        a.mov(qword_ptr(rdx + rdi + 8), rax)?; // 6
        a.mov(edi, 7)?; // 7
        a.nop()?; // 8
        a.ret()
    });
    for at in [6, 7] {
        let only = code.access(at, 5);
        assert_eq!((words(&only.address).as_str(), only.certainty), ("r3+r5", Certain));
    }
    assert_eq!(code.waited(6), None);
    let Wait::Drain(Some(own)) = code.plan(6).wait else { panic!("{:?}", code.plan(6).wait) };
    assert_eq!(words(&code.plan(6).accesses[usize::from(own)].address), "r3+r5");
    // Once the register has another value the paths are all that is left.
    let found: Vec<_> = code.accesses(8, 5).iter().map(|access| access.certainty).collect();
    assert_eq!(found, [Possible, Possible]);
}

#[test]
fn waits() {
    let code = assembled(|a| {
        let mut top = a.create_label();
        a.set_label(&mut top)?;
        a.pause()?; // 0
        a.cmp(dword_ptr(rdi), 0)?; // 1
        a.jne(top)?; // 2
        a.mov(qword_ptr(rsi), rax)?; // 3
        a.mfence()?; // 4
        a.movaps(xmm0, xmmword_ptr(rbx))?; // 5
        a.nop()?; // 6
        a.addps(xmm1, xmm0)?; // 7
        a.nop()?; // 8
        a.mov(rbx, qword_ptr(rbx))?; // 9
        a.sfence()?; // 10
        a.xchg(qword_ptr(rcx), rdx)?; // 11
        a.mov(ecx, 5)?; // 12
        a.ret() // 13
    });
    assert_eq!(code.waited(2), Some(1));
    assert_eq!(code.waited(3), Some(1), "fused with the jump");
    assert_eq!(code.waited(0), Some(1), "and around the loop");
    assert_eq!(code.plan(4).wait, Wait::Unknown);
    assert_eq!(code.plan(5).wait, Wait::Drain(None));
    assert_eq!(code.waited(6), Some(5));
    assert_eq!(code.plan(7).wait, Wait::Unknown);
    assert_eq!(code.waited(8), Some(5), "the addition waited for the vector");
    assert_eq!(code.plan(10).wait, Wait::Unknown, "a load, but where from is lost");
    assert_eq!(code.plan(11).wait, Wait::Unknown, "sfence does not drain");
    let plan = code.plan(12);
    let Wait::Drain(Some(index)) = plan.wait else { panic!("{:?}", plan.wait) };
    assert_eq!(words(&plan.accesses[usize::from(index)].address), "r2");
    assert!(plan.accesses[usize::from(index)].is_locked);
}

#[test]
fn spinning_on_a_register() {
    let code = assembled(|a| {
        let mut top = a.create_label();
        a.set_label(&mut top)?;
        a.mov(eax, dword_ptr(rdi))?; // 0
        a.test(eax, eax)?; // 1
        a.je(top)?; // 2
        a.mov(ecx, dword_ptr(rsi))?; // 3
        a.test(edx, edx)?; // 4
        a.je(top)?; // 5
        a.ret() // 6
    });
    assert_eq!(code.waited(1), Some(0));
    assert_eq!(code.waited(2), Some(0));
    assert_eq!(code.waited(3), Some(0));
    assert_eq!(code.waited(4), Some(3));
    assert_eq!(code.waited(5), None, "the test is of another register");
    assert_eq!(code.waited(0), None, "from two places");
}

#[test]
fn narrow_mode() {
    let code = assembled_as(32, |a| {
        a.push(ebx)?; // 0
        a.mov(eax, dword_ptr(ebx + ecx * 4 + 8))?; // 1
        a.add(ebx, 4)?; // 2
        a.mov(eax, dword_ptr(20).gs())?; // 3
        a.ret() // 4
    });
    let registers = RegisterValues::new(1 << BX | 1 << CX | 1 << SP, [3, 0xffff_fff0, 0x8000]);
    let address = |at, by| code.access(at, by).address.evaluate(&registers, &Bases::default());
    assert_eq!(address(1, 1), Some((3u64 + 4 * 0xffff_fff0 + 8) & 0xffff_ffff));
    assert_eq!(address(3, 1), Some((4 * 0xffff_fff0u64 + 3 + 8 - 4) & 0xffff_ffff));
    assert_eq!(address(0, 0), Some(0x7ffc));
    assert_eq!(code.access(0, 0).size, 4);
    assert_eq!(code.accesses(3, 3), [], "the thread's segment is not known in this mode");
}

#[test]
fn boundaries() {
    let code = assembled(|a| {
        a.mov(rax, qword_ptr(rdi))?;
        a.mov(rax, 0x1122_3344_5566_7788u64)?;
        a.ret()
    });
    assert_eq!(code.function.plan(START + 1), Plan::lost(Loss::Undecodable));
    assert_eq!(code.function.plan(START - 1), Plan::lost(Loss::CodeMissing));
    assert_eq!(code.function.plan(START + 0x100), Plan::lost(Loss::CodeMissing));

    // mov (%rdi),%rax; mov (%rsi),%rax; ret, of a function whose start is not known.
    let bytes = [0x48, 0x8b, 0x07, 0x48, 0x8b, 0x06, 0xc3];
    let decode = |instructions, bytes| {
        DecodedFunction::decode(&FunctionCode {
            instructions,
            address: START,
            bytes,
            starts_at_boundary: false,
        })
    };
    let plan = decode(Instructions::X86_64, &bytes[..]).plan(START + 3);
    let places: Vec<Place> = plan.accesses.iter().map(|access| access.place).collect();
    assert_eq!(places, [At, After]);
    assert_eq!(plan.wait, Wait::Unknown);
    let plan = decode(Instructions::Other, &bytes[..]).plan(START + 3);
    assert_eq!(plan, Plan::lost(Loss::Architecture));
    assert_eq!(decode(Instructions::X86_64, &[]).plan(START), Plan::lost(Loss::CodeMissing));
}

#[test]
fn jump_tables() {
    let code = assembled(|a| {
        let mut top = a.create_label();
        a.set_label(&mut top)?;
        a.mov(ecx, dword_ptr(rbx))?; // 0
        a.jmp(rax)?; // 1
        a.mov(rcx, qword_ptr(rsi))?; // 2: a case
        a.jmp(top)?; // 3
        a.mov(rdx, qword_ptr(rdi))?; // 4: a case
        a.nop()?; // 5
        a.jmp(top)?; // 6
        a.ud2()
    });
    assert_eq!(summary(&code.access(5, 4)).4, Certain);
    assert_eq!(code.accesses(4, 2), [], "from the table, not from the case before");
    assert_eq!(summary(&code.access(0, 2)).4, Possible);
    assert_eq!(summary(&code.access(5, 0)).3, After);
}

/// One decoded function is asked by several threads.
#[test]
fn decoded_functions_are_shared() {
    fn assert_shared<T: Send + Sync>(_: &T) {}
    let code = assembled(|a| a.ret());
    assert_shared(&code.function);
    let plan = code.plan(0);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| code.plan(0));
        assert_eq!(other.join().expect("no panic"), plan);
    });
}
