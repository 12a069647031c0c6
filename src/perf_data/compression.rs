//! COMPRESSED and COMPRESSED2: records within a zstd stream that runs through a whole file.

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::cursor::ByteOrder;
use super::record::{FrameError, RawRecord, RecordType, frame};

/// A stream may decompress to so many times its size. Samples compress to a third or a tenth; a
/// stream beyond this bound is made to fill the memory.
const MAX_RATIO: u64 = 256;
/// What a stream may decompress to in any case, bytes.
const ALWAYS_ALLOWED: u64 = 64 << 20;

/// The state of one file's stream: the decompressor, and the start of a record whose end comes with
/// the next compressed record.
pub(crate) struct Decompressor {
    decoder: Decoder<'static>,
    carry: Vec<u8>,
    /// Bytes that went in and came out so far.
    consumed: u64,
    produced: u64,
}

impl Decompressor {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { decoder: Decoder::new()?, carry: Vec::new(), consumed: 0, produced: 0 })
    }

    /// Decompresses one record; returns whole records and the stream offset of the first.
    pub(crate) fn decompress(&mut self, record: &RawRecord<'_>) -> Result<(u64, Vec<u8>), String> {
        let input = compressed_bytes(record).ok_or("its size does not fit its record")?;
        let mut output = std::mem::take(&mut self.carry);
        let offset = self.produced - output.len() as u64;
        self.consumed += input.len() as u64;
        let limit = (self.consumed * MAX_RATIO).max(ALWAYS_ALLOWED);
        let mut input = InBuffer::around(input);
        let mut piece = vec![0; 128 << 10];
        loop {
            let mut out = OutBuffer::around(&mut piece[..]);
            self.decoder.run(&mut input, &mut out).map_err(|error| error.to_string())?;
            let written = out.pos();
            output.extend_from_slice(&piece[..written]);
            self.produced += written as u64;
            if self.produced > limit {
                return Err(format!(
                    "{} compressed bytes hold more than {limit}, which no recorder writes",
                    self.consumed
                ));
            }
            if input.pos() == input.src.len() && written < piece.len() {
                break;
            }
        }
        let whole = whole_records(&output, record.order);
        self.carry = output.split_off(whole);
        Ok((offset, output))
    }

    /// Bytes of a record whose end never came.
    pub(crate) fn unfinished(&self) -> usize {
        self.carry.len()
    }
}

fn compressed_bytes<'a>(record: &RawRecord<'a>) -> Option<&'a [u8]> {
    if record.kind == RecordType::COMPRESSED {
        return Some(record.body);
    }
    let size = usize::try_from(record.cursor().u64().ok()?).ok()?;
    record.body.get(8..)?.get(..size)
}

/// How many bytes at the start of `bytes` are whole records; a malformed one counts as whole, so
/// that the reader meets and reports it.
fn whole_records(bytes: &[u8], order: ByteOrder) -> usize {
    let mut position = 0;
    loop {
        match frame(bytes, position, order, 0) {
            Ok((_, next)) => position = next,
            Err(FrameError::Size { .. }) => return bytes.len(),
            Err(_) => return position,
        }
    }
}

/// Compresses records into a stream, flushed after each piece so that a reader can follow.
pub(crate) struct Compressor {
    encoder: zstd::stream::raw::Encoder<'static>,
}

impl Compressor {
    pub(crate) fn new(level: i32) -> std::io::Result<Self> {
        Ok(Self { encoder: zstd::stream::raw::Encoder::new(level)? })
    }

    pub(crate) fn compress(&mut self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut output = Vec::new();
        let mut piece = vec![0; zstd::zstd_safe::compress_bound(bytes.len()).max(1 << 10)];
        let mut input = InBuffer::around(bytes);
        while input.pos() < input.src.len() {
            let mut out = OutBuffer::around(&mut piece[..]);
            self.encoder.run(&mut input, &mut out)?;
            output.extend_from_slice(out.as_slice());
        }
        loop {
            let mut out = OutBuffer::around(&mut piece[..]);
            let left = self.encoder.flush(&mut out)?;
            output.extend_from_slice(out.as_slice());
            if left == 0 {
                return Ok(output);
            }
        }
    }
}
