//! Loops whose instructions and memory accesses are known to the byte, for tests of samplers.
//!
//! A compiler decides which instructions a program has; here they are written down, each with a
//! label, so that the truth about a sample is known without decoding anything.

#[cfg(not(target_arch = "x86_64"))]
#[path = "elsewhere.rs"]
mod code;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod code;

use serde::{Deserialize, Serialize};

/// What a loop does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownLoop {
    /// Follows pointers around a ring: each load's address comes from the one before.
    PointerChase,
    /// Stores that nothing waits for.
    PlainStore,
    /// Increments with a `lock` prefix.
    LockedIncrement,
    /// A load whose result is compared, and a comparison with memory.
    LoadAndCompare,
    /// Copies 2 048 bytes with one string instruction (`rep movsq`).
    StringCopy,
    /// Loads and stores of 1, 2, 4, 8 and 16 bytes.
    Sizes,
}

impl KnownLoop {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::PointerChase,
        Self::PlainStore,
        Self::LockedIncrement,
        Self::LoadAndCompare,
        Self::StringCopy,
        Self::Sizes,
    ];
}

/// An access that an instruction of a loop makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownAccess {
    /// Which instruction, by its place in [`KnownCode::instructions`].
    pub instruction: usize,
    /// The lowest address it touches in any round.
    pub address: u64,
    /// How many addresses it touches in turn; 1 for most.
    pub addresses: u64,
    /// Bytes from one of them to the next.
    pub stride: u64,
    /// Bytes of one access.
    pub size: u32,
    /// Whether it reads.
    pub reads: bool,
    /// Whether it writes.
    pub writes: bool,
}

impl KnownAccess {
    /// Whether it touches memory from this address on.
    pub fn begins_at(&self, address: u64) -> bool {
        let distance = address.wrapping_sub(self.address);
        distance.is_multiple_of(self.stride.max(1))
            && distance / self.stride.max(1) < self.addresses
    }
}

/// A loop's code, as it lies in this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCode {
    /// First address.
    pub address: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The address of each instruction, in order.
    pub instructions: Vec<u64>,
}

/// A loop and the memory that it works on.
#[derive(Debug)]
pub struct KnownProgram {
    kind: KnownLoop,
    lines: Vec<Line>,
}

/// Memory of one cache line.
#[derive(Debug, Clone, Default)]
#[repr(C, align(64))]
struct Line([u64; 8]);

/// Lines of the ring: 4 MiB, more than any core's own caches hold, so that its loads take long.
const RING: usize = 1 << 16;
/// The word of a line that points to the next one.
const RING_WORD: usize = 3;
/// Lines of all other loops.
const LINES: usize = 128;

impl KnownProgram {
    /// Whether there are loops for this architecture.
    pub const IS_WRITTEN: bool = code::IS_WRITTEN;

    /// Makes the memory of a loop; `None` on architectures for which no loop is written.
    pub fn new(kind: KnownLoop) -> Option<Self> {
        if !Self::IS_WRITTEN {
            return None;
        }
        let lines = match kind {
            KnownLoop::PointerChase => ring(),
            _ => vec![Line::default(); LINES],
        };
        Some(Self { kind, lines })
    }

    /// Goes around the loop so many times, at least once, and says where its code is.
    pub fn run(&mut self, rounds: u64) -> KnownCode {
        code::run(self.kind, &mut self.lines, rounds.max(1))
    }

    /// What the loop accesses.
    pub fn accesses(&self) -> Vec<KnownAccess> {
        code::accesses(self.kind, self.lines.as_ptr().addr() as u64)
    }
}

/// Lines that point to one another in one ring, in an order that no prefetcher guesses.
fn ring() -> Vec<Line> {
    let mut lines = vec![Line::default(); RING];
    let base = lines.as_mut_ptr().expose_provenance() as u64;
    let address = |line: usize| base + (line * size_of::<Line>() + RING_WORD * 8) as u64;
    // Sattolo's algorithm: a permutation that is one cycle.
    let mut next: Vec<usize> = (0..RING).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..RING).rev() {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        next.swap(last, (random >> 33) as usize % last);
    }
    for (line, next) in lines.iter_mut().zip(next) {
        line.0[RING_WORD] = address(next);
    }
    lines
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// The decoder knows nothing of the labels, and the labels nothing of the decoder.
    #[test]
    fn labels_are_where_a_decoder_finds_instructions() {
        use iced_x86::{Decoder, DecoderOptions, InstructionInfoFactory, OpAccess};
        for kind in KnownLoop::ALL {
            let mut program = KnownProgram::new(kind).expect("written for this architecture");
            let code = program.run(2);
            let decoder = Decoder::with_ip(64, &code.bytes, code.address, DecoderOptions::NONE);
            let decoded: Vec<_> = decoder.into_iter().collect();
            let places: Vec<u64> = decoded.iter().map(iced_x86::Instruction::ip).collect();
            assert_eq!(places, code.instructions, "{kind:?}");
            let mut factory = InstructionInfoFactory::new();
            let mut operands = Vec::new();
            for (index, instruction) in decoded.iter().enumerate() {
                if instruction.mnemonic() == iced_x86::Mnemonic::Lea {
                    continue;
                }
                for memory in factory.info(instruction).used_memory() {
                    let (reads, writes) = match memory.access() {
                        OpAccess::Read | OpAccess::CondRead => (true, false),
                        OpAccess::Write | OpAccess::CondWrite => (false, true),
                        OpAccess::ReadWrite | OpAccess::ReadCondWrite => (true, true),
                        _ => continue,
                    };
                    // A repeated instruction's operand has no size of its own.
                    let size = instruction.memory_size().size() as u32;
                    operands.push((index, size, reads, writes));
                }
            }
            let mut known: Vec<_> = program
                .accesses()
                .iter()
                .map(|access| (access.instruction, access.size, access.reads, access.writes))
                .collect();
            operands.sort_unstable();
            known.sort_unstable();
            assert_eq!(operands, known, "{kind:?}");
        }
    }

    #[test]
    fn loops_do_what_is_said_of_them() {
        let mut program = KnownProgram::new(KnownLoop::LockedIncrement).expect("written");
        program.run(5);
        for access in program.accesses() {
            let at = (access.address - program.lines.as_ptr().addr() as u64) as usize;
            assert_eq!(program.lines[at / 64].0[at % 64 / 8], 5);
        }
        let mut program = KnownProgram::new(KnownLoop::StringCopy).expect("written");
        for (number, line) in program.lines.iter_mut().enumerate() {
            line.0 = [number as u64 + 1; 8];
        }
        program.run(1);
        assert_eq!(program.lines[64].0, [1; 8]);
        assert_eq!(program.lines[95].0, [32; 8]);
        assert_eq!(program.lines[96].0, [97; 8], "no more than 2 048 bytes");
    }

    #[test]
    fn the_ring_is_one() {
        let lines = ring();
        let base = lines.as_ptr().addr() as u64;
        let (mut at, mut steps) = (0, 0);
        loop {
            let distance = lines[at].0[RING_WORD] - base;
            assert_eq!(distance % 64, RING_WORD as u64 * 8);
            at = distance as usize / 64;
            steps += 1;
            if at == 0 || steps > RING {
                break;
            }
        }
        assert_eq!(steps, RING);
    }

    #[test]
    fn addresses_are_told_apart() {
        let access = KnownAccess {
            instruction: 0,
            address: 0x1000,
            addresses: 3,
            stride: 8,
            size: 8,
            reads: true,
            writes: false,
        };
        assert!(access.begins_at(0x1000) && access.begins_at(0x1010));
        for not in [0xff8, 0x1004, 0x1018] {
            assert!(!access.begins_at(not), "{not:#x}");
        }
    }
}
