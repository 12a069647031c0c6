//! The two address spaces of an image: where a byte lies in the file, and where it says it lives.

use std::fmt;

/// An offset into the file that holds an image, as recorded mappings state it.
///
/// A sample's offset is `address - mapping start + mapping page offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileOffset(pub u64);

/// An address as the image itself states it, in its symbol tables and its DWARF.
///
/// For a position-independent image this counts from a base of zero; it is neither a file offset
/// nor the address at which the image ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageAddress(pub u64);

impl fmt::Display for FileOffset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}

impl fmt::Display for ImageAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}
