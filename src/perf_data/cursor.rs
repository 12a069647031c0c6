//! Reading fixed-size fields out of bytes, in the byte order of the recording machine.

use std::fmt;

/// The byte order of the machine that recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteOrder {
    /// Least significant byte first (x86, arm64).
    #[default]
    Little,
    /// Most significant byte first (s390x, older Power).
    Big,
}

impl ByteOrder {
    /// This machine's own.
    pub const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
}

/// A field does not lie within the bytes that should hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortRead;

impl fmt::Display for ShortRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field reaches past the end of its record")
    }
}

impl std::error::Error for ShortRead {}

/// A position in a slice of bytes; every read checks the length first.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

impl<'a> Cursor<'a> {
    /// Starts at the first of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8], order: ByteOrder) -> Self {
        Self { bytes, order }
    }

    /// What has not been read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The byte order it reads in.
    #[inline]
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when fewer are left.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], ShortRead> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(ShortRead)?;
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ShortRead> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(ShortRead)?;
        self.bytes = rest;
        Ok(*taken)
    }

    /// The next byte.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when none is left.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, ShortRead> {
        Ok(self.array::<1>()?[0])
    }

    /// The next 16-bit number.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when fewer than 2 bytes are left.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, ShortRead> {
        let bytes = self.array()?;
        Ok(match self.order {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        })
    }

    /// The next 32-bit number.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when fewer than 4 bytes are left.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, ShortRead> {
        let bytes = self.array()?;
        Ok(match self.order {
            ByteOrder::Little => u32::from_le_bytes(bytes),
            ByteOrder::Big => u32::from_be_bytes(bytes),
        })
    }

    /// The next 64-bit number.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when fewer than 8 bytes are left.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, ShortRead> {
        let bytes = self.array()?;
        Ok(match self.order {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        })
    }

    /// `count` 64-bit numbers, left in place.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when fewer are left; `count` is checked before it is used.
    #[inline]
    pub fn words(&mut self, count: u64) -> Result<Words<'a>, ShortRead> {
        let length =
            usize::try_from(count).ok().and_then(|count| count.checked_mul(8)).ok_or(ShortRead)?;
        Ok(Words { bytes: self.bytes(length)?, order: self.order })
    }

    /// A string that ends at its NUL or, lacking one, at the end; takes everything that is left.
    #[inline]
    pub fn c_string_to_end(&mut self) -> &'a [u8] {
        let bytes = std::mem::take(&mut self.bytes);
        until_nul(bytes)
    }

    /// A string that is padded with NULs to a multiple of 8 bytes; the padding is taken too.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when no NUL is left.
    #[inline]
    pub fn padded_c_string(&mut self) -> Result<&'a [u8], ShortRead> {
        let length = self.bytes.iter().position(|&b| b == 0).ok_or(ShortRead)?;
        let padded = (length + 1).next_multiple_of(8).min(self.bytes.len());
        Ok(&self.bytes(padded)?[..length])
    }
}

/// The bytes before the first NUL.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

/// 64-bit numbers in a record, in the recording's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Words<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

impl<'a> Words<'a> {
    /// Words that lie in `bytes`; a rest of less than 8 bytes is ignored.
    pub fn new(bytes: &'a [u8], order: ByteOrder) -> Self {
        Self { bytes, order }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / 8
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one at `index`.
    pub fn get(&self, index: usize) -> Option<u64> {
        let start = index.checked_mul(8)?;
        Cursor::new(self.bytes.get(start..)?, self.order).u64().ok()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + use<'a> {
        let order = self.order;
        self.bytes.chunks_exact(8).map(move |chunk| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(chunk);
            match order {
                ByteOrder::Little => u64::from_le_bytes(bytes),
                ByteOrder::Big => u64::from_be_bytes(bytes),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_orders_and_checks_every_length() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(Cursor::new(&bytes, ByteOrder::Little).u64(), Ok(0x0807_0605_0403_0201));
        assert_eq!(Cursor::new(&bytes, ByteOrder::Big).u64(), Ok(0x0102_0304_0506_0708));
        let mut cursor = Cursor::new(&bytes, ByteOrder::Little);
        assert_eq!(cursor.u16(), Ok(0x0201));
        assert_eq!(cursor.bytes(8), Err(ShortRead));
        assert_eq!(cursor.words(u64::MAX), Err(ShortRead));
        assert_eq!(cursor.words(u64::MAX / 8 + 2), Err(ShortRead));
        assert_eq!(cursor.bytes(7), Ok(&bytes[2..]));
        assert_eq!(cursor.u8(), Err(ShortRead));
    }

    #[test]
    fn strings_end_at_their_nul() {
        let mut cursor = Cursor::new(b"ab\0\0\0\0\0\0rest", ByteOrder::Little);
        assert_eq!(cursor.padded_c_string(), Ok(&b"ab"[..]));
        assert_eq!(cursor.padded_c_string(), Err(ShortRead));
        assert_eq!(cursor.c_string_to_end(), b"rest");
    }
}
