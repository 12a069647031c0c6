//! Plans for every instruction of a real library, and for bytes that are no code at all.

use std::time::{Duration, Instant};

use hitm::access::{DecodedFunction, FunctionCode, Instructions, Loss, Plan, Wait};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use proptest::prelude::*;

/// Addresses that may begin an instruction: what a plain sweep over the function meets.
fn boundaries(bytes: &[u8], address: u64) -> Vec<u64> {
    let decoder = iced_x86::Decoder::with_ip(64, bytes, address, 0);
    decoder.into_iter().map(|instruction| instruction.ip()).collect()
}

/// The C library that this test itself runs with.
fn library() -> Vec<u8> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("our own maps");
    let path = maps
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .find(|path| path.contains("libc.so") || path.contains("libc-"))
        .expect("tests are linked to the C library");
    std::fs::read(path).expect("it is mapped, so it can be read")
}

/// Whether something is lost only where nothing is determined, or where what the sample stands for is
/// not: a gather, or a store-draining instruction whose operand is not known.
fn is_sound(plan: &Plan) -> bool {
    match plan.loss {
        None => true,
        Some(Loss::VectorIndex) => true,
        Some(_) => plan.accesses.is_empty() || plan.wait == Wait::Drain(None),
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_real_library() {
    let bytes = library();
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let text = file.section_by_name(".text").expect("a library has code");
    let data = text.data().expect("uncompressed");
    let mut functions: Vec<(u64, u64)> = file
        .dynamic_symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
        .map(|symbol| (symbol.address(), symbol.size()))
        .filter(|(address, _)| *address >= text.address())
        .collect();
    functions.sort_unstable();
    functions.dedup_by_key(|function| function.0);
    let all = std::env::var_os("HITM_ALL_FUNCTIONS").is_some();
    let step = if all { 1 } else { 12 };
    let (mut resolved, mut lost, mut nothing) = (0u64, 0u64, 0u64);
    let mut reasons = std::collections::BTreeMap::new();
    let (mut decoding, mut planning) = (Duration::ZERO, Duration::ZERO);
    let mut code_bytes = 0;
    for (address, size) in functions.iter().step_by(step) {
        let start = (address - text.address()) as usize;
        let Some(bytes) = data.get(start..start + *size as usize) else { continue };
        code_bytes += bytes.len();
        let begin = Instant::now();
        let function = DecodedFunction::decode(&FunctionCode {
            instructions: Instructions::X86_64,
            address: *address,
            bytes,
            starts_at_boundary: true,
        });
        decoding += begin.elapsed();
        let codes = boundaries(bytes, *address);
        let begin = Instant::now();
        let plans: Vec<Plan> = codes.iter().map(|code| function.plan(*code)).collect();
        planning += begin.elapsed();
        for plan in &plans {
            assert!(is_sound(plan), "{plan:?}");
            match plan.loss {
                Some(loss) => {
                    lost += 1;
                    *reasons.entry(loss).or_insert(0u64) += 1;
                }
                None if plan.accesses.is_empty() => nothing += 1,
                None => resolved += 1,
            }
        }
    }
    let plans = resolved + lost + nothing;
    let share = resolved as f64 / (resolved + lost) as f64;
    println!(
        "{code_bytes} bytes decoded in {decoding:?}; {plans} plans, {:?} each; {resolved} resolved, \
         {lost} lost ({share:.4}) {reasons:?}, {nothing} without an operand",
        planning / plans.max(1) as u32
    );
    assert!(resolved > 5_000);
    assert!(share >= 0.99, "{share}");
}

/// A megabyte of short branches, jump tables and loops: within bounds of time and memory.
#[test]
fn a_huge_function() {
    let pattern = [
        0x48, 0x8b, 0x07, // mov (%rdi),%rax
        0x75, 0x10, // jne over the next
        0x48, 0x83, 0xc7, 0x08, // add $8,%rdi
        0x74, 0xf7, // je back
        0x0f, 0x84, 0x00, 0x10, 0x00, 0x00, // je far ahead
        0x0f, 0x85, 0x00, 0xf0, 0xff, 0xff, // jne far back
        0x89, 0x0e, // mov %ecx,(%rsi)
    ];
    let mut bytes: Vec<u8> = pattern.iter().copied().cycle().take(1 << 20).collect();
    bytes.extend([0x48, 0x8b, 0x07, 0xc3]);
    let begin = Instant::now();
    let function = DecodedFunction::decode(&FunctionCode {
        instructions: Instructions::X86_64,
        address: 0,
        bytes: &bytes,
        starts_at_boundary: true,
    });
    println!("{} bytes decoded in {:?}", bytes.len(), begin.elapsed());
    let near_the_end = (bytes.len() / pattern.len() - 1) * pattern.len();
    let plan = function.plan(near_the_end as u64);
    assert!(plan.accesses.len() > 2 && is_sound(&plan), "{plan:?}");
    // Beyond what is decoded the sample itself is a boundary.
    let plan = function.plan(1 << 20);
    assert_eq!(plan.accesses.len(), 2, "the load and the return: {plan:?}");
}

proptest! {
    #[test]
    fn any_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        start in prop_oneof![Just(0u64), Just(u64::MAX - 100), any::<u64>()],
        offset in 0u64..310,
        is_wide in any::<bool>(),
        starts_at_boundary in any::<bool>(),
    ) {
        let instructions = if is_wide { Instructions::X86_64 } else { Instructions::X86_32 };
        let function = DecodedFunction::decode(&FunctionCode {
            instructions,
            address: start,
            bytes: &bytes,
            starts_at_boundary,
        });
        let plan = function.plan(start.wrapping_add(offset));
        prop_assert!(is_sound(&plan));
        for offset in 0..bytes.len() as u64 {
            prop_assert!(is_sound(&function.plan(start.wrapping_add(offset))));
        }
    }

    /// Real instructions in any order: loops, calls and jumps into each other.
    #[test]
    fn any_branches(
        pieces in proptest::collection::vec((0usize..12, any::<i8>()), 1..120),
    ) {
        let mut bytes = Vec::new();
        for (which, displacement) in pieces {
            let displacement = displacement as u8;
            match which {
                0 => bytes.extend([0x48, 0x8b, 0x07]),
                1 => bytes.extend([0x48, 0x83, 0xc7, displacement]),
                2 => bytes.extend([0x89, 0xc1]),
                3 => bytes.extend([0xff, 0xc0]),
                4 => bytes.extend([0x8b, 0x04, 0x8e]),
                5 => bytes.extend([0xeb, displacement]),
                6 | 7 => bytes.extend([0x75, displacement]),
                8 => bytes.extend([0xe8, displacement, 0, 0, 0]),
                9 => bytes.extend([0xf3, 0x48, 0xa5]),
                10 => bytes.extend([0xff, 0xe0]),
                _ => bytes.extend([0x48, 0x63, 0xc8]),
            }
        }
        let function = DecodedFunction::decode(&FunctionCode {
            instructions: Instructions::X86_64,
            address: 0x40_0000,
            bytes: &bytes,
            starts_at_boundary: true,
        });
        for offset in 0..bytes.len() as u64 {
            let plan = function.plan(0x40_0000 + offset);
            prop_assert!(is_sound(&plan));
            let mut seen = Vec::new();
            for access in plan.accesses {
                // `enter` and `iret` touch many words of the stack: one of them may lie where another
                // did on another path.
                if matches!(bytes[(access.code - 0x40_0000) as usize], 0xc8 | 0xcf) {
                    continue;
                }
                let key = (access.code, access.direction, access.size, access.address);
                prop_assert!(!seen.contains(&key), "twice: {key:?}");
                seen.push(key);
            }
        }
    }
}

/// `xchg %ebp,0(%ebp)` drains the store buffer and overwrites its own address: what the sample behind
/// it waited for is lost, although the `push` that it is about to make is known.
#[test]
fn an_exchange_that_overwrites_its_address() {
    let function = DecodedFunction::decode(&FunctionCode {
        instructions: Instructions::X86_32,
        address: 0,
        bytes: &[0x87, 0x6d, 0x00, 0x16, 0x90],
        starts_at_boundary: true,
    });
    let plan = function.plan(3);
    assert_eq!((plan.loss, plan.wait), (Some(Loss::Overwritten), Wait::Drain(None)));
    assert_eq!(plan.accesses.len(), 1, "{plan:?}");
    assert!(is_sound(&plan));
}
