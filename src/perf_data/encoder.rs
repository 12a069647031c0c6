//! Writing fixed-size fields, the mirror of [`Cursor`](super::Cursor).

use super::cursor::ByteOrder;

/// Bytes under construction, in a chosen byte order.
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
    order: ByteOrder,
}

impl Encoder {
    /// An empty encoder.
    pub fn new(order: ByteOrder) -> Self {
        Self { bytes: Vec::new(), order }
    }

    /// The byte order it writes in.
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// What was written.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// What was written, taken out.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Forgets what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes one byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Writes a 16-bit number.
    pub fn u16(&mut self, value: u16) {
        match self.order {
            ByteOrder::Little => self.bytes(&value.to_le_bytes()),
            ByteOrder::Big => self.bytes(&value.to_be_bytes()),
        }
    }

    /// Writes a 32-bit number.
    pub fn u32(&mut self, value: u32) {
        match self.order {
            ByteOrder::Little => self.bytes(&value.to_le_bytes()),
            ByteOrder::Big => self.bytes(&value.to_be_bytes()),
        }
    }

    /// Writes a 64-bit number.
    pub fn u64(&mut self, value: u64) {
        match self.order {
            ByteOrder::Little => self.bytes(&value.to_le_bytes()),
            ByteOrder::Big => self.bytes(&value.to_be_bytes()),
        }
    }

    /// Writes NULs until the length is a multiple of `alignment`.
    pub fn pad_to(&mut self, alignment: usize) {
        let length = self.bytes.len().next_multiple_of(alignment);
        self.bytes.resize(length, 0);
    }

    /// Writes a string with its NUL, padded to a multiple of 8 bytes.
    pub fn padded_c_string(&mut self, text: &[u8]) {
        self.bytes(text);
        let padded = (text.len() + 1).next_multiple_of(8);
        self.bytes.resize(self.bytes.len() + padded - text.len(), 0);
    }
}
