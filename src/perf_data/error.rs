//! What can be wrong with a recording: errors that leave nothing to read, and damage that costs a
//! part.

use std::fmt;
use std::path::PathBuf;

use super::record::RecordType;

/// Why a recording cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened or read.
    #[error("{path} cannot be read: {cause}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system answered. Not the error's `source`: the sentence has it already.
        cause: std::io::Error,
    },
    /// There is not a single byte.
    #[error("the recording is empty (0 bytes); was the recorder stopped before it wrote anything?")]
    Empty,
    /// The first eight bytes are not a perf.data magic.
    #[error(
        "this is not a perf.data file: it starts with {found} at offset 0 where \"PERFILE2\" is expected"
    )]
    NotPerfData {
        /// The first bytes, printable ones as text.
        found: String,
    },
    /// The file ends inside its own header.
    #[error(
        "the perf.data header is cut off: the file has {length} bytes and the header needs {needed}"
    )]
    HeaderTooShort {
        /// Bytes in the file.
        length: usize,
        /// Bytes the header needs.
        needed: usize,
    },
    /// The header gives itself an unknown size.
    #[error(
        "the perf.data header at offset 8 says that it has {size} bytes; known are 104 (72 without features) and 16 (pipe)"
    )]
    UnknownHeaderSize {
        /// The size found.
        size: u64,
    },
    /// A section that everything else needs does not lie in the file.
    #[error(
        "the {section} section (offset {offset}, {size} bytes) does not lie within the file of {length} bytes"
    )]
    SectionOutsideFile {
        /// Which one.
        section: &'static str,
        /// Where it claims to start.
        offset: u64,
        /// How long it claims to be.
        size: u64,
        /// Bytes in the file.
        length: usize,
    },
    /// The size of an attribute entry makes no sense.
    #[error(
        "the attribute entries at offset {offset} have {entry} bytes each, which cannot hold a perf_event_attr (at least 64 bytes) and its id section (16 bytes)"
    )]
    AttributeEntrySize {
        /// Where the entries start.
        offset: u64,
        /// The size of one entry.
        entry: u64,
    },
    /// An attribute gives itself a size that it cannot have.
    #[error(
        "the perf_event_attr at offset {offset} says that it has {size} bytes, of which {available} are there"
    )]
    AttributeSize {
        /// Where it starts.
        offset: u64,
        /// The size it states.
        size: u64,
        /// Bytes that are there.
        available: usize,
    },
    /// No event is described, so no record can be understood.
    #[error("the recording describes no event{}", at(.damage))]
    NoEvents {
        /// The first damage met on the way, if any.
        damage: Option<Box<Damage>>,
    },
    /// A directory that holds no recording.
    #[error("{path}: the directory holds no file named \"data\", so it is not a perf.data directory", path = path.display())]
    NotARecordingDirectory {
        /// The directory.
        path: PathBuf,
    },
}

fn at(damage: &Option<Box<Damage>>) -> String {
    damage.as_ref().map(|damage| format!(": {damage}")).unwrap_or_default()
}

/// What is wrong with a part of a recording whose rest is read all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The header's data size is 0: the recorder was killed before it could finish the file.
    Unfinished {
        /// Where the data starts.
        offset: u64,
    },
    /// The data section is longer than what the file holds of it.
    DataCutOff {
        /// Where the data starts.
        offset: u64,
        /// How long it claims to be.
        size: u64,
        /// How much of it is there.
        available: u64,
    },
    /// A record reaches past the end of the data.
    RecordCutOff {
        /// Where the record starts.
        offset: u64,
        /// Its type.
        kind: RecordType,
        /// Its size by its header.
        size: u64,
        /// Bytes that are left.
        available: u64,
    },
    /// A record is smaller than its own header.
    RecordSize {
        /// Where the record starts.
        offset: u64,
        /// Its type.
        kind: RecordType,
        /// Its size by its header.
        size: u16,
    },
    /// A few bytes are left after the last record.
    TrailingBytes {
        /// Where they start.
        offset: u64,
        /// How many there are.
        count: usize,
    },
    /// Compressed data does not decompress.
    Compression {
        /// Where the compressed record starts.
        offset: u64,
        /// What the decompressor said.
        reason: String,
    },
    /// A feature section cannot be read.
    Feature {
        /// Its name.
        name: String,
        /// Where it starts.
        offset: u64,
        /// Its size.
        size: u64,
    },
    /// The table of feature sections does not lie in the file.
    FeatureTable {
        /// Where it should start.
        offset: u64,
    },
    /// The ids of an event cannot be read.
    EventIds {
        /// The event's index.
        event: usize,
        /// Where they should start.
        offset: u64,
        /// The size they should have.
        size: u64,
    },
    /// Records whose contents do not fit their declared size.
    Malformed {
        /// Their type.
        kind: RecordType,
        /// The first one's place.
        offset: u64,
        /// How many there are.
        count: u64,
    },
    /// Mappings that replace each other in so many ways that they are not followed.
    Mappings {
        /// The first one's place.
        offset: u64,
        /// How many there are.
        count: u64,
    },
    /// Samples whose id belongs to no event of the recording.
    UnknownEventId {
        /// The first one's place.
        offset: u64,
        /// How many there are.
        count: u64,
    },
}

impl Damage {
    /// Notes a record that could not be read, together with others of its type.
    pub(crate) fn add_malformed(damage: &mut Vec<Self>, kind: RecordType, offset: u64) {
        let same = damage.iter_mut().find_map(|known| match known {
            Self::Malformed { kind: known, count, .. } if *known == kind => Some(count),
            _ => None,
        });
        match same {
            Some(count) => *count += 1,
            None => damage.push(Self::Malformed { kind, offset, count: 1 }),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished { offset } => write!(
                f,
                "the recorder did not finish this file (data size 0 in the header); records are read from offset {offset} to the end of the file"
            ),
            Self::DataCutOff { offset, size, available } => write!(
                f,
                "the data section at offset {offset} should have {size} bytes and has {available}: the file is cut off"
            ),
            Self::RecordCutOff { offset, kind, size, available } => write!(
                f,
                "the {kind} record at offset {offset} should have {size} bytes and {available} are left; what came before it is reported"
            ),
            Self::RecordSize { offset, kind, size } => write!(
                f,
                "the {kind} record at offset {offset} says that it has {size} bytes, less than its own header; what came before it is reported"
            ),
            Self::TrailingBytes { offset, count } => {
                write!(f, "{count} bytes after the last record, at offset {offset}, are no record")
            }
            Self::Compression { offset, reason } => write!(
                f,
                "the compressed record at offset {offset} does not decompress ({reason}); what came before it is reported"
            ),
            Self::Feature { name, offset, size } => write!(
                f,
                "the {name} feature section (offset {offset}, {size} bytes) cannot be read and is left out"
            ),
            Self::FeatureTable { offset } => write!(
                f,
                "the table of feature sections should start at offset {offset} and is not there; machine facts are missing"
            ),
            Self::EventIds { event, offset, size } => write!(
                f,
                "the ids of event {event} (offset {offset}, {size} bytes) do not fit into the file"
            ),
            Self::Malformed { kind, offset, count } => write!(
                f,
                "{count} {kind} record{} could not be read, the first at offset {offset}",
                if *count == 1 { "" } else { "s" }
            ),
            Self::Mappings { offset, count } => write!(
                f,
                "{count} mapping{}, the first at offset {offset}, overlap others too often to be followed",
                if *count == 1 { "" } else { "s" }
            ),
            Self::UnknownEventId { offset, count } => write!(
                f,
                "{count} sample{} of unknown events, the first at offset {offset}, are left out",
                if *count == 1 { "" } else { "s" }
            ),
        }
    }
}
