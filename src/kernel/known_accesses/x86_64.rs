//! The loops for x86-64. Pointers move between accesses, so that working an address out from
//! registers after the fact takes undoing that; between accesses lie instructions without any, so
//! that it shows how far behind an access its sample lies.

use std::arch::asm;

use super::{KnownAccess, KnownCode, KnownLoop, LINES, Line, RING, RING_WORD};

pub(super) const IS_WRITTEN: bool = true;

/// Where the loops' data begins: not at a border of a line.
const DATA: u64 = 8;
/// Bytes from a copy's source to its destination.
const COPY_DISTANCE: u64 = 4096;
/// Words that are copied.
const COPY_WORDS: u64 = 256;

const _: () = assert!(COPY_DISTANCE + COPY_WORDS * 8 <= (LINES * size_of::<Line>()) as u64);

/// Runs instructions, each with its label, and gives the [`KnownCode`]. The first label is 20, 99 lies
/// behind the last. Registers: `rdi` and `r8` hold the data's address, `r11` the rounds left; `rax`,
/// `rcx`, `rdx`, `rsi` and `xmm0` are free, `r9`, `r10` and `r12` must stay.
macro_rules! known_loop {
    ($data:expr, $rounds:expr, $($label:literal $text:literal),+ $(,)?) => {{
        let (first, end, places): (*const u8, *const u8, *const u32);
        asm!(
            "lea r10, [rip + 20f]",
            "lea r12, [rip + 99f]",
            "lea r9, [rip + 98f]",
            $(concat!($label, ": ", $text),)+
            "99:",
            ".pushsection .rodata.known_accesses, \"a\", @progbits",
            ".p2align 2",
            "98:",
            $(concat!(".long ", $label, "b - 20b"),)+
            ".popsection",
            inout("rdi") $data => _,
            in("r8") $data,
            inout("r11") $rounds => _,
            out("r9") places,
            out("r10") first,
            out("r12") end,
            out("rax") _, out("rcx") _, out("rdx") _, out("rsi") _, out("xmm0") _,
            options(nostack),
        );
        let count = [$($label),+].len();
        (first, end, places, count)
    }};
}

#[inline(never)]
pub(super) fn run(kind: KnownLoop, lines: &mut [Line], rounds: u64) -> KnownCode {
    assert!(lines.len() >= LINES, "the loops' memory is made with this length");
    let start: *mut u8 = lines.as_mut_ptr().cast();
    let data = start.wrapping_add(DATA as usize);
    let (first, end, places, count) = match kind {
        // SAFETY: the memory is a ring, each of whose words at this offset holds the address of
        // another; only they are read. Registers that change are named as outputs.
        KnownLoop::PointerChase => unsafe {
            pointer_chase(start.wrapping_add(RING_WORD * 8), rounds)
        },
        // SAFETY: `data` and the next 127 bytes lie in the memory that was lent to be changed, of
        // which these loops access words at `data` and 64 bytes behind. Registers that change are named
        // as outputs, the stack is not used.
        KnownLoop::PlainStore => unsafe { plain_store(data, rounds) },
        // SAFETY: as for plain stores.
        KnownLoop::LockedIncrement => unsafe { locked_increment(data, rounds) },
        // SAFETY: as for plain stores; memory is only read.
        KnownLoop::LoadAndCompare => unsafe { load_and_compare(data, rounds) },
        // SAFETY: the source and the destination, 4 096 bytes behind it, lie in the memory, as the
        // constants above assert; the direction flag is clear, as the ABI has it.
        KnownLoop::StringCopy => unsafe { string_copy(start, rounds) },
        // SAFETY: only the 64 bytes from `start` on are accessed; the accesses of 16 bytes need no
        // alignment.
        KnownLoop::Sizes => unsafe { sizes(start, rounds) },
    };
    // SAFETY: both labels are in one run of code of this program, which can be read and does not change;
    // the places are as many words of read-only data.
    let (bytes, places) = unsafe {
        let length = end.offset_from_unsigned(first);
        (std::slice::from_raw_parts(first, length), std::slice::from_raw_parts(places, count))
    };
    let address = first.addr() as u64;
    KnownCode {
        address,
        bytes: bytes.to_vec(),
        instructions: places.iter().map(|place| address + u64::from(*place)).collect(),
    }
}

/// First byte, end, places of the instructions from the first byte on, and their number.
type Labels = (*const u8, *const u8, *const u32, usize);

unsafe fn pointer_chase(data: *mut u8, rounds: u64) -> Labels {
    // SAFETY: the caller's promise.
    unsafe {
        known_loop!(data, rounds,
            20 "mov rdi, [rdi]",
            21 "add rax, 1",
            22 "lea rdx, [rax + rax]",
            23 "mov rcx, rdx",
            24 "dec r11",
            25 "jnz 20b",
        )
    }
}

unsafe fn plain_store(data: *mut u8, rounds: u64) -> Labels {
    // SAFETY: the caller's promise.
    unsafe {
        known_loop!(data, rounds,
            20 "mov [rdi], rax",
            21 "add rax, 1",
            22 "lea rdx, [rax + rax]",
            23 "mov rcx, rdx",
            24 "add rdi, 64",
            25 "mov [rdi], rax",
            26 "add rax, 1",
            27 "lea rdx, [rax + rax]",
            28 "mov rcx, rdx",
            29 "sub rdi, 64",
            30 "dec r11",
            31 "jnz 20b",
        )
    }
}

unsafe fn locked_increment(data: *mut u8, rounds: u64) -> Labels {
    // SAFETY: the caller's promise.
    unsafe {
        known_loop!(data, rounds,
            20 "lock inc qword ptr [rdi]",
            21 "add rax, 1",
            22 "lea rdx, [rax + rax]",
            23 "mov rcx, rdx",
            24 "add rdi, 64",
            25 "lock inc qword ptr [rdi]",
            26 "add rax, 1",
            27 "lea rdx, [rax + rax]",
            28 "mov rcx, rdx",
            29 "sub rdi, 64",
            30 "dec r11",
            31 "jnz 20b",
        )
    }
}

unsafe fn load_and_compare(data: *mut u8, rounds: u64) -> Labels {
    // SAFETY: the caller's promise.
    unsafe {
        known_loop!(data, rounds,
            20 "mov rax, [rdi]",
            21 "cmp rax, -1",
            22 "je 99f",
            23 "lea rdx, [r11 + r11]",
            24 "mov rcx, rdx",
            25 "add rdi, 64",
            26 "cmp qword ptr [rdi], -1",
            27 "je 99f",
            28 "lea rdx, [r11 + r11]",
            29 "mov rcx, rdx",
            30 "sub rdi, 64",
            31 "dec r11",
            32 "jnz 20b",
        )
    }
}

unsafe fn string_copy(data: *mut u8, rounds: u64) -> Labels {
    // SAFETY: the caller's promise.
    unsafe {
        known_loop!(data, rounds,
            20 "mov rsi, r8",
            21 "lea rdi, [r8 + 4096]",
            22 "mov ecx, 256",
            23 "rep movsq",
            24 "add rax, 1",
            25 "lea rdx, [rax + rax]",
            26 "dec r11",
            27 "jnz 20b",
        )
    }
}

unsafe fn sizes(data: *mut u8, rounds: u64) -> Labels {
    // SAFETY: the caller's promise.
    unsafe {
        known_loop!(data, rounds,
            20 "mov al, [rdi]",
            21 "mov [rdi + 1], al",
            22 "mov ax, [rdi + 2]",
            23 "mov [rdi + 4], ax",
            24 "mov eax, [rdi + 8]",
            25 "mov [rdi + 12], eax",
            26 "mov rax, [rdi + 16]",
            27 "mov [rdi + 24], rax",
            28 "movups xmm0, [rdi + 32]",
            29 "movups [rdi + 48], xmm0",
            30 "add rdi, 64",
            31 "lea rdx, [r11 + r11]",
            32 "mov rcx, rdx",
            33 "sub rdi, 64",
            34 "dec r11",
            35 "jnz 20b",
        )
    }
}

/// What each loop accesses, its memory beginning at `start`.
pub(super) fn accesses(kind: KnownLoop, start: u64) -> Vec<KnownAccess> {
    let one = |instruction, address, size, reads, writes| KnownAccess {
        instruction,
        address,
        addresses: 1,
        stride: 0,
        size,
        reads,
        writes,
    };
    let pair = |second, reads, writes| {
        vec![
            one(0, start + DATA, 8, reads, writes),
            one(second, start + DATA + 64, 8, reads, writes),
        ]
    };
    match kind {
        KnownLoop::PointerChase => vec![KnownAccess {
            addresses: RING as u64,
            stride: size_of::<Line>() as u64,
            ..one(0, start + RING_WORD as u64 * 8, 8, true, false)
        }],
        KnownLoop::PlainStore => pair(5, false, true),
        KnownLoop::LockedIncrement => pair(5, true, true),
        KnownLoop::LoadAndCompare => pair(6, true, false),
        KnownLoop::StringCopy => {
            let words = |address, reads, writes| KnownAccess {
                addresses: COPY_WORDS,
                stride: 8,
                ..one(3, address, 8, reads, writes)
            };
            vec![words(start, true, false), words(start + COPY_DISTANCE, false, true)]
        }
        KnownLoop::Sizes => {
            let offsets = [(0, 1, 1), (2, 4, 2), (8, 12, 4), (16, 24, 8), (32, 48, 16)];
            let both = |(index, (load, store, size)): (usize, (u64, u64, u32))| {
                [
                    one(index * 2, start + load, size, true, false),
                    one(index * 2 + 1, start + store, size, false, true),
                ]
            };
            offsets.into_iter().enumerate().flat_map(both).collect()
        }
    }
}
