//! A symbol, as the tables of an image hold it.

/// One named range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) address: u64,
    /// One past the last address.
    pub(super) end: u64,
    pub(super) name: &'static [u8],
}
