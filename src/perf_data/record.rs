//! Records: type numbers, the header that each begins with, and the frame of one in its place.

use std::fmt;

use super::cursor::{ByteOrder, Cursor};

/// Bytes of a record's header.
pub const RECORD_HEADER_SIZE: usize = 8;

/// The type number of a record: below 64 written by the kernel, from 64 on by perf itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u32);

macro_rules! record_types {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        impl RecordType {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Its name, if it is a known one.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

record_types! {
    /// A mapping, without inode.
    MMAP = 1;
    /// Records that did not fit into the ring buffer.
    LOST = 2;
    /// A thread's name.
    COMM = 3;
    /// A thread ended.
    EXIT = 4;
    /// Sampling was throttled.
    THROTTLE = 5;
    /// Sampling goes on.
    UNTHROTTLE = 6;
    /// A thread started.
    FORK = 7;
    /// Counter values.
    READ = 8;
    /// A sample.
    SAMPLE = 9;
    /// A mapping, with inode or build id.
    MMAP2 = 10;
    /// New data in the AUX buffer.
    AUX = 11;
    /// Instruction trace starts.
    ITRACE_START = 12;
    /// Samples that the PMU lost.
    LOST_SAMPLES = 13;
    /// A context switch of the thread.
    SWITCH = 14;
    /// A context switch on the CPU.
    SWITCH_CPU_WIDE = 15;
    /// A thread's namespaces.
    NAMESPACES = 16;
    /// A kernel symbol came or went.
    KSYMBOL = 17;
    /// A BPF program came or went.
    BPF_EVENT = 18;
    /// A cgroup.
    CGROUP = 19;
    /// Kernel text was changed.
    TEXT_POKE = 20;
    /// Hardware id of AUX output.
    AUX_OUTPUT_HW_ID = 21;
    /// The user part of a call chain, later.
    CALLCHAIN_DEFERRED = 22;
    /// An event's attribute (pipe).
    HEADER_ATTR = 64;
    /// An event type's name (obsolete).
    HEADER_EVENT_TYPE = 65;
    /// Formats of tracepoints (pipe).
    HEADER_TRACING_DATA = 66;
    /// A build id (pipe).
    HEADER_BUILD_ID = 67;
    /// All buffers were read once.
    FINISHED_ROUND = 68;
    /// Which id belongs to which CPU and thread.
    ID_INDEX = 69;
    /// What the AUX data is.
    AUXTRACE_INFO = 70;
    /// A piece of AUX data.
    AUXTRACE = 71;
    /// AUX data that could not be decoded.
    AUXTRACE_ERROR = 72;
    /// The threads that were asked for.
    THREAD_MAP = 73;
    /// The CPUs that were asked for.
    CPU_MAP = 74;
    /// Settings of `perf stat`.
    STAT_CONFIG = 75;
    /// A value of `perf stat`.
    STAT = 76;
    /// A round of `perf stat`.
    STAT_ROUND = 77;
    /// More about an event: name, unit, scale, CPUs.
    EVENT_UPDATE = 78;
    /// How to convert time stamp counter to time.
    TIME_CONV = 79;
    /// A feature (pipe).
    HEADER_FEATURE = 80;
    /// Compressed records.
    COMPRESSED = 81;
    /// What already ran has been described.
    FINISHED_INIT = 82;
    /// Compressed records, padded.
    COMPRESSED2 = 83;
    /// Metadata of BPF programs.
    BPF_METADATA = 84;
    /// Scheduler statistics of a CPU.
    SCHEDSTAT_CPU = 85;
    /// Scheduler statistics of a domain.
    SCHEDSTAT_DOMAIN = 86;
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "type {}", self.0),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the CPU was (`PERF_RECORD_MISC_CPUMODE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum CpuMode {
    /// Not said.
    Unknown = 0,
    /// In the kernel.
    Kernel = 1,
    /// In user space.
    User = 2,
    /// In the hypervisor.
    Hypervisor = 3,
    /// In a guest's kernel.
    GuestKernel = 4,
    /// In a guest's user space.
    GuestUser = 5,
}

impl CpuMode {
    /// From a record's `misc`.
    #[inline]
    pub fn from_misc(misc: u16) -> Self {
        match misc & 7 {
            1 => Self::Kernel,
            2 => Self::User,
            3 => Self::Hypervisor,
            4 => Self::GuestKernel,
            5 => Self::GuestUser,
            _ => Self::Unknown,
        }
    }
}

/// `misc`: the mapping is one of data (MMAP, MMAP2).
pub const MISC_MMAP_DATA: u16 = 1 << 13;
/// `misc`: the name is new because of exec (COMM); the fork was followed by exec (FORK).
pub const MISC_EXEC: u16 = 1 << 13;
/// `misc`: the mapping has a build id instead of an inode (MMAP2).
pub const MISC_MMAP_BUILD_ID: u16 = 1 << 14;
/// `misc`: the build id's size is valid (HEADER_BUILD_ID).
pub const MISC_BUILD_ID_SIZE: u16 = 1 << 15;

/// A record in its place, not yet decoded.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    /// Type.
    pub kind: RecordType,
    /// Flags; what they mean depends on the type.
    pub misc: u16,
    /// What follows the header.
    pub body: &'a [u8],
    /// What follows the record without being counted in its size (AUXTRACE, HEADER_TRACING_DATA).
    pub payload: &'a [u8],
    /// Where the record starts: bytes from the start of its file, or of the file's decompressed
    /// records.
    pub offset: u64,
    /// Byte order.
    pub order: ByteOrder,
}

impl<'a> RawRecord<'a> {
    /// A cursor over the body.
    #[inline]
    pub fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.body, self.order)
    }

    /// Where the CPU was.
    #[inline]
    pub fn cpu_mode(&self) -> CpuMode {
        CpuMode::from_misc(self.misc)
    }
}

/// Why there is no next record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// All bytes were read.
    End,
    /// Fewer bytes than a header are left.
    Trailing { count: usize },
    /// The record is longer than what is left.
    CutOff { kind: RecordType, size: u64, available: u64 },
    /// The record is shorter than a header.
    Size { kind: RecordType, size: u16 },
}

/// The record that starts at `position` of `bytes`, and where the next one starts.
#[inline]
pub(crate) fn frame(
    bytes: &[u8],
    position: usize,
    order: ByteOrder,
    base: u64,
) -> Result<(RawRecord<'_>, usize), FrameError> {
    let rest = bytes.get(position..).unwrap_or_default();
    let mut cursor = Cursor::new(rest, order);
    let header = (|| {
        let kind = RecordType(cursor.u32()?);
        let misc = cursor.u16()?;
        let size = cursor.u16()?;
        Ok::<_, super::cursor::ShortRead>((kind, misc, size))
    })();
    let Ok((kind, misc, size)) = header else {
        return Err(match rest.len() {
            0 => FrameError::End,
            count => FrameError::Trailing { count },
        });
    };
    let length = usize::from(size);
    if length < RECORD_HEADER_SIZE {
        return Err(FrameError::Size { kind, size });
    }
    let cut_off = |size: u64| FrameError::CutOff { kind, size, available: rest.len() as u64 };
    let body = rest.get(RECORD_HEADER_SIZE..length).ok_or_else(|| cut_off(u64::from(size)))?;
    let extra = match kind {
        RecordType::AUXTRACE => Cursor::new(body, order).u64().unwrap_or(0),
        RecordType::HEADER_TRACING_DATA => u64::from(Cursor::new(body, order).u32().unwrap_or(0)),
        _ => 0,
    };
    let payload = usize::try_from(extra)
        .ok()
        .and_then(|extra| rest.get(length..length.checked_add(extra)?))
        .ok_or_else(|| cut_off(extra.saturating_add(u64::from(size))))?;
    let record = RawRecord { kind, misc, body, payload, offset: base + position as u64, order };
    Ok((record, position + length + payload.len()))
}
