//! The file header: magic, sections and the bitmap of features.

use super::cursor::{ByteOrder, Cursor};
use super::encoder::Encoder;
use super::error::Error;

/// Bytes of the header of a file with features.
pub const FILE_HEADER_SIZE: u64 = 104;
/// Bytes of the header of a file of the first version, without features.
const OLD_FILE_HEADER_SIZE: u64 = 72;
/// Bytes of the header of a pipe recording.
pub const PIPE_HEADER_SIZE: u64 = 16;
/// The magic, as bytes in the file's own order.
pub const MAGIC: [u8; 8] = *b"PERFILE2";
const MAGIC_SWAPPED: [u8; 8] = *b"2ELIFREP";
const MAGIC_VERSION_1: [u8; 8] = *b"PERFFILE";

/// A part of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Section {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

impl Section {
    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, super::cursor::ShortRead> {
        Ok(Self { offset: cursor.u64()?, size: cursor.u64()? })
    }

    /// Writes offset and size.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.u64(self.offset);
        encoder.u64(self.size);
    }

    /// The section's bytes, if it lies within `file`.
    pub fn of<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let start = usize::try_from(self.offset).ok()?;
        let length = usize::try_from(self.size).ok()?;
        file.get(start..start.checked_add(length)?)
    }
}

/// The features that a file has: bit n of 256 for feature n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeatureBits(pub [u64; 4]);

impl FeatureBits {
    /// Whether bit `bit` is set.
    pub fn contains(&self, bit: u32) -> bool {
        self.0.get(bit as usize / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// Sets bit `bit`, which is below 256.
    pub fn insert(&mut self, bit: u32) {
        if let Some(word) = self.0.get_mut(bit as usize / 64) {
            *word |= 1 << (bit % 64);
        }
    }

    /// The bits that are set, ascending.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..256).filter(move |&bit| self.contains(bit))
    }
}

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// A file: sections by offset.
    File {
        /// Byte order of everything.
        order: ByteOrder,
        /// Bytes of one attribute entry.
        attr_entry_size: u64,
        /// The attribute entries.
        attrs: Section,
        /// The records; size 0 when the recorder did not finish.
        data: Section,
        /// The features.
        features: FeatureBits,
    },
    /// A pipe: records from here on.
    Pipe {
        /// Byte order of everything.
        order: ByteOrder,
    },
}

impl Header {
    /// Reads the header at the start of `file`.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`], [`Error::NotPerfData`], [`Error::HeaderTooShort`] or
    /// [`Error::UnknownHeaderSize`].
    pub fn decode(file: &[u8]) -> Result<Self, Error> {
        if file.is_empty() {
            return Err(Error::Empty);
        }
        let not_perf_data = || Error::NotPerfData { found: printable(file) };
        let magic: [u8; 8] = *file.first_chunk().ok_or_else(not_perf_data)?;
        let order = match magic {
            MAGIC => ByteOrder::Little,
            MAGIC_SWAPPED => ByteOrder::Big,
            MAGIC_VERSION_1 => order_of_version_1(file),
            _ => return Err(not_perf_data()),
        };
        let too_short =
            |needed: u64| Error::HeaderTooShort { length: file.len(), needed: needed as usize };
        let mut cursor = Cursor::new(&file[8..], order);
        let size = cursor.u64().map_err(|_| too_short(PIPE_HEADER_SIZE))?;
        match size {
            PIPE_HEADER_SIZE => return Ok(Self::Pipe { order }),
            FILE_HEADER_SIZE | OLD_FILE_HEADER_SIZE => {}
            size => return Err(Error::UnknownHeaderSize { size }),
        }
        (|| {
            let attr_entry_size = cursor.u64()?;
            let attrs = Section::decode(&mut cursor)?;
            let data = Section::decode(&mut cursor)?;
            Section::decode(&mut cursor)?;
            let mut words = [0; 4];
            if size == FILE_HEADER_SIZE {
                for word in &mut words {
                    *word = cursor.u64()?;
                }
            }
            let features = FeatureBits(words);
            Ok::<_, super::cursor::ShortRead>(Self::File {
                order,
                attr_entry_size,
                attrs,
                data,
                features,
            })
        })()
        .map_err(|_| too_short(size))
    }

    /// Writes the header.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.bytes(match encoder.order() {
            ByteOrder::Little => &MAGIC,
            ByteOrder::Big => &MAGIC_SWAPPED,
        });
        match self {
            Self::Pipe { .. } => encoder.u64(PIPE_HEADER_SIZE),
            Self::File { attr_entry_size, attrs, data, features, .. } => {
                encoder.u64(FILE_HEADER_SIZE);
                encoder.u64(*attr_entry_size);
                attrs.encode(encoder);
                data.encode(encoder);
                Section::default().encode(encoder);
                features.0.iter().for_each(|word| encoder.u64(*word));
            }
        }
    }

    /// The byte order of everything.
    pub fn order(&self) -> ByteOrder {
        match self {
            Self::File { order, .. } | Self::Pipe { order } => *order,
        }
    }
}

/// Version 1 has one magic for both orders; its header size tells them apart.
fn order_of_version_1(file: &[u8]) -> ByteOrder {
    match Cursor::new(file.get(8..).unwrap_or_default(), ByteOrder::Big).u64() {
        Ok(FILE_HEADER_SIZE | OLD_FILE_HEADER_SIZE | PIPE_HEADER_SIZE) => ByteOrder::Big,
        _ => ByteOrder::Little,
    }
}

fn printable(file: &[u8]) -> String {
    let start = &file[..file.len().min(8)];
    if start.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        format!("\"{}\"", String::from_utf8_lossy(start))
    } else {
        start.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
    }
}
