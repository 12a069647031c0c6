//! Build-ids: which build of an image a file is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use object::Object;

use super::error::ParseBuildIdError;
use crate::kernel::MappedFile;

/// The GNU build-id of an image: up to 20 bytes that name one build of it.
///
/// Linkers write 20 (SHA-1), 16 (MD5, UUID) or 8 bytes; recordings hold at most 20, so that a longer
/// one is known by its first 20 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId {
    // The bytes past `size` stay zero, which makes the derived equality one of contents.
    bytes: [u8; Self::MAX],
    size: u8,
}

/// The build-id of the file at `path`, if it is a regular one, an image, and has one.
#[must_use]
pub fn build_id_of_file(path: &Path) -> Option<BuildId> {
    let mapped = MappedFile::open(path).ok()?;
    let image = object::File::parse(&*mapped).ok()?;
    image.build_id().ok().flatten().and_then(BuildId::new)
}

impl BuildId {
    /// The most bytes that a recording holds.
    pub const MAX: usize = 20;

    /// The build-id with these bytes, of which those past the first 20 are dropped.
    ///
    /// `None` when there is no byte, or none but zeros: that is how "no build-id" is recorded.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.iter().all(|&byte| byte == 0) {
            return None;
        }
        let mut id = Self { bytes: [0; Self::MAX], size: 0 };
        for (to, &from) in id.bytes.iter_mut().zip(bytes) {
            *to = from;
            id.size += 1;
        }
        Some(id)
    }

    /// The build-id in a 20-byte field that was padded with zeros and whose size was not recorded.
    ///
    /// The size is taken to be the smallest of 8, 16 and 20 that leaves out zeros only. An id that
    /// really ends in so many zeros is one in 2³², and [`BuildId::matches`] still knows it.
    #[must_use]
    pub fn from_padded(field: &[u8; Self::MAX]) -> Option<Self> {
        let used = Self::MAX - field.iter().rev().take_while(|&&byte| byte == 0).count();
        let size = [8, 16].into_iter().find(|&size| used <= size);
        Self::new(field.get(..size.unwrap_or(Self::MAX))?)
    }

    /// The bytes, without padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.size)).unwrap_or_default()
    }

    /// Whether both name the same build: equal but for trailing zeros, which one side may have
    /// gained as padding and the other lost.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }

    /// The path of this build in a tree that is keyed by build-id: `xx/yyyy` and a suffix.
    pub(super) fn key_path(&self, suffix: &str) -> PathBuf {
        let hex = self.to_string();
        let (directory, rest) = hex.split_at_checked(2).unwrap_or((&hex, ""));
        let mut path = PathBuf::from(directory);
        path.push(format!("{rest}{suffix}"));
        path
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BuildId({self})")
    }
}

impl FromStr for BuildId {
    type Err = ParseBuildIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseBuildIdError { text: text.chars().take(64).collect() };
        if text.len() > 2 * Self::MAX || !text.len().is_multiple_of(2) {
            return Err(error());
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let mut bytes = Vec::with_capacity(Self::MAX);
        for pair in text.as_bytes().chunks_exact(2) {
            let &[high, low] = pair else {
                return Err(error());
            };
            let value = digit(high).zip(digit(low)).map(|(high, low)| high * 16 + low);
            bytes.push(value.and_then(|v| u8::try_from(v).ok()).ok_or_else(error)?);
        }
        Self::new(&bytes).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_lowercase_hex() {
        let id: BuildId = "00FFa1".parse().expect("a build-id");
        assert_eq!(id.as_bytes(), [0x00, 0xff, 0xa1]);
        assert_eq!(id.to_string(), "00ffa1");
        assert_eq!(id.key_path(".debug"), PathBuf::from("00/ffa1.debug"));
        for bad in ["", "0", "0g", "+1", "0000", &"a".repeat(42), "é"] {
            assert!(bad.parse::<BuildId>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn padding_does_not_matter_for_the_match_but_stays_out_of_the_name() {
        let mut field = [0; 20];
        field[..16].copy_from_slice(&[7; 16]);
        let md5 = BuildId::from_padded(&field).expect("a build-id");
        assert_eq!(md5.as_bytes().len(), 16);
        assert!(md5.matches(&BuildId::new(&field).expect("a build-id")));

        let mut sha1 = [9; 20];
        sha1[19] = 0;
        let sha1 = BuildId::from_padded(&sha1).expect("a build-id");
        assert_eq!(sha1.as_bytes().len(), 20);
        assert!(!sha1.matches(&md5));
        assert_eq!(BuildId::from_padded(&[0; 20]), None);
    }

    #[test]
    fn long_ids_are_known_by_their_first_bytes() {
        let long = BuildId::new(&[3; 32]).expect("a build-id");
        assert_eq!(long.as_bytes(), [3; 20]);
    }
}
