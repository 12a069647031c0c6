//! Finding the instructions in a function's bytes.
//!
//! First along control flow from the function's start, then in the gaps that this leaves: the
//! targets of jump tables and of exception handling, which no instruction names.

use iced_x86::{
    Code, Decoder, DecoderOptions, Instruction as Decoded, InstructionInfoFactory, Mnemonic,
};

use super::instruction::{Flow, Instruction};

/// Functions are decoded up to this many bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;

const NONE: u32 = u32::MAX;

/// A function's instructions, in the order in which they were found.
#[derive(Debug)]
pub(super) struct Listing {
    /// The instructions.
    pub(super) instructions: Vec<Instruction>,
    /// Those that control reaches in a way that is not known: the function's own start is not among
    /// them.
    pub(super) unknown_entries: Vec<u32>,
    address: u64,
    at_offset: Vec<u32>,
    is_covered: Vec<bool>,
}

impl Listing {
    /// Decodes `bytes`, of which the first is an instruction's first, and lies at `address`.
    pub(super) fn of(bytes: &[u8], address: u64, is_64_bit: bool) -> Self {
        let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
        let mut listing = Self::empty(bytes, address);
        let mut reader = Reader::new(bytes, address, is_64_bit);
        listing.follow(&mut reader, 0);
        listing.fill_gaps(&mut reader);
        listing
    }

    /// Decodes what control reaches from an offset in `bytes`, where an instruction begins; of the
    /// others it is not known where they do.
    pub(super) fn from(bytes: &[u8], address: u64, entry: usize, is_64_bit: bool) -> Self {
        let mut listing = Self::empty(bytes, address);
        listing.follow(&mut Reader::new(bytes, address, is_64_bit), entry);
        listing
    }

    fn empty(bytes: &[u8], address: u64) -> Self {
        Self {
            instructions: Vec::with_capacity(bytes.len() / 4),
            unknown_entries: Vec::new(),
            address,
            at_offset: vec![NONE; bytes.len()],
            is_covered: vec![false; bytes.len()],
        }
    }

    /// The instruction that begins at an address.
    pub(super) fn index_at(&self, address: u64) -> Option<u32> {
        let offset = usize::try_from(address.wrapping_sub(self.address)).ok()?;
        self.at_offset.get(offset).copied().filter(|index| *index != NONE)
    }

    /// Whether the byte at an address is a part of an instruction.
    pub(super) fn covers(&self, address: u64) -> bool {
        usize::try_from(address.wrapping_sub(self.address))
            .is_ok_and(|offset| self.is_covered.get(offset).copied().unwrap_or(false))
    }

    /// Decodes everything that control reaches from an offset.
    fn follow(&mut self, reader: &mut Reader<'_>, start: usize) {
        let mut waiting = vec![start];
        while let Some(mut offset) = waiting.pop() {
            while self.at_offset.get(offset) == Some(&NONE) {
                let Some(instruction) = reader.read(offset) else { break };
                let flow = instruction.flow;
                let continues = instruction.continues();
                let next = offset + usize::from(instruction.length);
                self.at_offset[offset] = self.instructions.len() as u32;
                self.is_covered[offset..next].fill(true);
                self.instructions.push(instruction);
                if let Flow::Branch(target) | Flow::Jump(target) = flow
                    && let Ok(target) = usize::try_from(target.wrapping_sub(self.address))
                    && target < self.at_offset.len()
                {
                    waiting.push(target);
                }
                if !continues {
                    break;
                }
                offset = next;
            }
        }
    }

    fn fill_gaps(&mut self, reader: &mut Reader<'_>) {
        let mut offset = 0;
        while offset < self.is_covered.len() {
            if self.is_covered[offset] {
                offset += 1;
                continue;
            }
            match reader.padding(offset) {
                Some(length) => offset += length,
                None if reader.read(offset).is_some() => {
                    self.unknown_entries.push(self.instructions.len() as u32);
                    self.follow(reader, offset);
                }
                // Data: the rest of the gap may be data as well.
                None => {
                    let rest = self.is_covered[offset..].iter().position(|covered| *covered);
                    offset = rest.map_or(self.is_covered.len(), |length| offset + length);
                }
            }
        }
    }
}

/// Decodes at any offset.
struct Reader<'a> {
    decoder: Decoder<'a>,
    factory: InstructionInfoFactory,
    address: u64,
    is_64_bit: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], address: u64, is_64_bit: bool) -> Self {
        let bitness = if is_64_bit { 64 } else { 32 };
        Self {
            decoder: Decoder::with_ip(bitness, bytes, address, DecoderOptions::NONE),
            factory: InstructionInfoFactory::new(),
            address,
            is_64_bit,
        }
    }

    fn decode(&mut self, offset: usize) -> Option<Decoded> {
        self.decoder.set_position(offset).ok()?;
        self.decoder.set_ip(self.address.wrapping_add(offset as u64));
        let decoded = self.decoder.can_decode().then(|| self.decoder.decode())?;
        (decoded.code() != Code::INVALID).then_some(decoded)
    }

    fn read(&mut self, offset: usize) -> Option<Instruction> {
        let decoded = self.decode(offset)?;
        let info = self.factory.info(&decoded);
        Some(Instruction::new(&decoded, info, self.is_64_bit))
    }

    /// The length of an instruction that only fills space between others.
    fn padding(&mut self, offset: usize) -> Option<usize> {
        let decoded = self.decode(offset)?;
        let is_padding = matches!(decoded.mnemonic(), Mnemonic::Nop | Mnemonic::Int3)
            || decoded.code() == Code::Xchg_r16_AX && decoded.len() == 2;
        is_padding.then(|| decoded.len())
    }
}
