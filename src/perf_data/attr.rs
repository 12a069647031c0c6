//! `perf_event_attr`: what an event samples, in every size that kernels have given it.
//!
//! Layout and bits: `include/uapi/linux/perf_event.h`. Sizes run from VER0 (64 bytes) to VER9
//! (144); later ones are read as far as they are known here.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign};

use super::cursor::{ByteOrder, Cursor, ShortRead};
use super::encoder::Encoder;

/// The smallest `perf_event_attr` (VER0), bytes.
pub const ATTR_SIZE_MIN: usize = 64;
/// The size that [`EventAttr::encode`] writes by default (VER7: what perf 5.17 to 6.2 read and
/// write), bytes.
pub const ATTR_SIZE_DEFAULT: usize = 128;
/// The largest size with a known layout (VER9), bytes.
pub const ATTR_SIZE_MAX: usize = 144;

macro_rules! bits {
    ($(#[$doc:meta])* $name:ident { $($(#[$bit_doc:meta])* $bit:ident = $shift:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
        pub struct $name(pub u64);

        impl $name {
            $($(#[$bit_doc])* pub const $bit: Self = Self(1 << $shift);)*

            /// The bits that have a name here, with their names.
            pub const NAMES: &'static [(Self, &'static str)] = &[$((Self::$bit, stringify!($bit)),)*];

            /// Whether all bits of `other` are set.
            #[inline]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self { Self(self.0 | other.0) }
        }

        impl BitAnd for $name {
            type Output = Self;
            fn bitand(self, other: Self) -> Self { Self(self.0 & other.0) }
        }

        impl BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) { self.0 |= other.0 }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut separator = "";
                for (bit, name) in Self::NAMES {
                    if self.contains(*bit) {
                        write!(f, "{separator}{name}")?;
                        separator = "|";
                    }
                }
                let unnamed = Self::NAMES.iter().fold(self.0, |rest, (bit, _)| rest & !bit.0);
                if unnamed != 0 || self.0 == 0 {
                    write!(f, "{separator}{unnamed:#x}")?;
                }
                Ok(())
            }
        }
    };
}

bits! {
    /// Which fields a sample has (`PERF_SAMPLE_*`).
    SampleType {
        /// Instruction pointer.
        IP = 0;
        /// Process and thread id.
        TID = 1;
        /// Time in nanoseconds of the event's clock.
        TIME = 2;
        /// Data address.
        ADDR = 3;
        /// Counter values.
        READ = 4;
        /// Call chain.
        CALLCHAIN = 5;
        /// Id of the event.
        ID = 6;
        /// CPU.
        CPU = 7;
        /// Period.
        PERIOD = 8;
        /// Id of the event's stream.
        STREAM_ID = 9;
        /// Raw data of the PMU or tracepoint.
        RAW = 10;
        /// Branch records.
        BRANCH_STACK = 11;
        /// Registers of user space.
        REGS_USER = 12;
        /// A copy of the user stack.
        STACK_USER = 13;
        /// Latency, one 64-bit number.
        WEIGHT = 14;
        /// Data source word.
        DATA_SRC = 15;
        /// Id of the event, first in the record.
        IDENTIFIER = 16;
        /// Transaction flags.
        TRANSACTION = 17;
        /// Registers at the interrupt.
        REGS_INTR = 18;
        /// Physical data address.
        PHYS_ADDR = 19;
        /// AUX data.
        AUX = 20;
        /// Cgroup id.
        CGROUP = 21;
        /// Size of the data page.
        DATA_PAGE_SIZE = 22;
        /// Size of the code page.
        CODE_PAGE_SIZE = 23;
        /// Latencies, three numbers in 64 bits.
        WEIGHT_STRUCT = 24;
    }
}

bits! {
    /// What counter values come with (`PERF_FORMAT_*`).
    ReadFormat {
        /// Time the event was enabled.
        TOTAL_TIME_ENABLED = 0;
        /// Time the event ran.
        TOTAL_TIME_RUNNING = 1;
        /// Id of the event.
        ID = 2;
        /// Values of the whole group.
        GROUP = 3;
        /// Number of lost samples.
        LOST = 4;
    }
}

bits! {
    /// The one-bit settings of an event.
    AttrFlags {
        /// Starts disabled.
        DISABLED = 0;
        /// Children inherit it.
        INHERIT = 1;
        /// Always on the PMU.
        PINNED = 2;
        /// Alone on the PMU.
        EXCLUSIVE = 3;
        /// Not in user space.
        EXCLUDE_USER = 4;
        /// Not in the kernel.
        EXCLUDE_KERNEL = 5;
        /// Not in the hypervisor.
        EXCLUDE_HV = 6;
        /// Not when idle.
        EXCLUDE_IDLE = 7;
        /// Records executable mappings.
        MMAP = 8;
        /// Records names of threads.
        COMM = 9;
        /// The period is a frequency.
        FREQ = 10;
        /// Counts per task are inherited.
        INHERIT_STAT = 11;
        /// Starts at exec.
        ENABLE_ON_EXEC = 12;
        /// Records fork and exit.
        TASK = 13;
        /// The wake-up is in bytes.
        WATERMARK = 14;
        /// Low bit of the precise level.
        PRECISE_IP_LOW = 15;
        /// High bit of the precise level.
        PRECISE_IP_HIGH = 16;
        /// Records data mappings.
        MMAP_DATA = 17;
        /// Every record ends with its sample id.
        SAMPLE_ID_ALL = 18;
        /// Not on the host.
        EXCLUDE_HOST = 19;
        /// Not in guests.
        EXCLUDE_GUEST = 20;
        /// No kernel part in call chains.
        EXCLUDE_CALLCHAIN_KERNEL = 21;
        /// No user part in call chains.
        EXCLUDE_CALLCHAIN_USER = 22;
        /// Mappings with inode and protection.
        MMAP2 = 23;
        /// Names tell exec from renaming.
        COMM_EXEC = 24;
        /// Uses `clockid`.
        USE_CLOCKID = 25;
        /// Records context switches.
        CONTEXT_SWITCH = 26;
        /// Ring buffer is written backwards.
        WRITE_BACKWARD = 27;
        /// Records namespaces.
        NAMESPACES = 28;
        /// Records kernel symbols that come and go.
        KSYMBOL = 29;
        /// Records BPF programs.
        BPF_EVENT = 30;
        /// Writes to the AUX buffer of another event.
        AUX_OUTPUT = 31;
        /// Records cgroups.
        CGROUP = 32;
        /// Records changes of kernel text.
        TEXT_POKE = 33;
        /// Mappings with build id.
        BUILD_ID = 34;
        /// Only threads inherit it.
        INHERIT_THREAD = 35;
        /// Removed at exec.
        REMOVE_ON_EXEC = 36;
        /// Sends SIGTRAP.
        SIGTRAP = 37;
    }
}

impl AttrFlags {
    /// The precise level, 0 (any skid) to 3 (none).
    pub const fn precise_ip(self) -> u8 {
        ((self.0 >> 15) & 3) as u8
    }

    /// With the precise level set to `level` (0 to 3).
    #[must_use]
    pub const fn with_precise_ip(self, level: u8) -> Self {
        Self(self.0 & !(3 << 15) | ((level as u64 & 3) << 15))
    }
}

/// Bit of `branch_sample_type` that puts the hardware index before the entries.
pub(crate) const BRANCH_HW_INDEX: u64 = 1 << 17;
/// Bit of `branch_sample_type` that puts counters behind the entries.
pub(crate) const BRANCH_COUNTERS: u64 = 1 << 19;

/// One event's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventAttr {
    /// PMU type: 0 hardware, 1 software, 2 tracepoint, 3 cache, 4 raw, 5 breakpoint, else from sysfs.
    pub kind: u32,
    /// Bytes that the recording machine's structure had.
    pub size: u32,
    /// Event encoding.
    pub config: u64,
    /// Period in events, or frequency in Hz with [`AttrFlags::FREQ`].
    pub sample_period: u64,
    /// Fields of a sample.
    pub sample_type: SampleType,
    /// Fields of counter values.
    pub read_format: ReadFormat,
    /// One-bit settings.
    pub flags: AttrFlags,
    /// Wake-up after so many events, or bytes with [`AttrFlags::WATERMARK`].
    pub wakeup: u32,
    /// Breakpoint type.
    pub bp_type: u32,
    /// More of the event encoding (`ldlat` on Intel), or breakpoint address.
    pub config1: u64,
    /// More of the event encoding, or breakpoint length.
    pub config2: u64,
    /// Which branches, and what of them.
    pub branch_sample_type: u64,
    /// Mask of user registers.
    pub sample_regs_user: u64,
    /// Bytes of user stack.
    pub sample_stack_user: u32,
    /// Clock of the time stamps with [`AttrFlags::USE_CLOCKID`].
    pub clockid: i32,
    /// Mask of registers at the interrupt.
    pub sample_regs_intr: u64,
    /// AUX wake-up, bytes.
    pub aux_watermark: u32,
    /// Longest call chain.
    pub sample_max_stack: u16,
    /// AUX bytes in a sample.
    pub aux_sample_size: u32,
    /// AUX start, pause and resume.
    pub aux_action: u32,
    /// Data of the signal.
    pub sig_data: u64,
    /// More of the event encoding.
    pub config3: u64,
    /// More of the event encoding.
    pub config4: u64,
}

impl EventAttr {
    /// Reads an attribute from the start of `bytes`; its own size field says how much of it there
    /// is, and what it lacks is 0.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when the stated size is below 64 or exceeds `bytes`.
    pub fn decode(bytes: &[u8], order: ByteOrder) -> Result<Self, ShortRead> {
        let mut cursor = Cursor::new(bytes, order);
        let kind = cursor.u32()?;
        // A size of 0 is what the first kernels wrote; it means VER0.
        let size = match cursor.u32()? {
            0 => ATTR_SIZE_MIN as u32,
            size => size,
        };
        let length = size as usize;
        if length < ATTR_SIZE_MIN || length > bytes.len() {
            return Err(ShortRead);
        }
        // Fields beyond the stated size read as 0, as the kernel treats them.
        let mut whole = [0; ATTR_SIZE_MAX];
        let known = length.min(ATTR_SIZE_MAX);
        whole[..known].copy_from_slice(&bytes[..known]);
        let mut cursor = Cursor::new(&whole[8..], order);
        Ok(Self {
            kind,
            size,
            config: cursor.u64()?,
            sample_period: cursor.u64()?,
            sample_type: SampleType(cursor.u64()?),
            read_format: ReadFormat(cursor.u64()?),
            flags: flags_from_file(cursor.u64()?, order),
            wakeup: cursor.u32()?,
            bp_type: cursor.u32()?,
            config1: cursor.u64()?,
            config2: cursor.u64()?,
            branch_sample_type: cursor.u64()?,
            sample_regs_user: cursor.u64()?,
            sample_stack_user: cursor.u32()?,
            clockid: cursor.u32()? as i32,
            sample_regs_intr: cursor.u64()?,
            aux_watermark: cursor.u32()?,
            sample_max_stack: {
                let value = cursor.u16()?;
                cursor.u16()?;
                value
            },
            aux_sample_size: cursor.u32()?,
            aux_action: cursor.u32()?,
            sig_data: cursor.u64()?,
            config3: cursor.u64()?,
            config4: cursor.u64()?,
        })
    }

    /// Writes the attribute in its [`size`](Self::size), or in [`ATTR_SIZE_DEFAULT`] where that is
    /// 0. Sizes outside 64 to 144 are brought into that range.
    pub fn encode(&self, encoder: &mut Encoder) {
        let size = match self.size as usize {
            0 => ATTR_SIZE_DEFAULT,
            size => size.clamp(ATTR_SIZE_MIN, ATTR_SIZE_MAX),
        };
        let order = encoder.order();
        let mut whole = Encoder::new(order);
        whole.u32(self.kind);
        whole.u32(size as u32);
        whole.u64(self.config);
        whole.u64(self.sample_period);
        whole.u64(self.sample_type.0);
        whole.u64(self.read_format.0);
        whole.u64(flags_to_file(self.flags, order));
        whole.u32(self.wakeup);
        whole.u32(self.bp_type);
        whole.u64(self.config1);
        whole.u64(self.config2);
        whole.u64(self.branch_sample_type);
        whole.u64(self.sample_regs_user);
        whole.u32(self.sample_stack_user);
        whole.u32(self.clockid as u32);
        whole.u64(self.sample_regs_intr);
        whole.u32(self.aux_watermark);
        whole.u16(self.sample_max_stack);
        whole.u16(0);
        whole.u32(self.aux_sample_size);
        whole.u32(self.aux_action);
        whole.u64(self.sig_data);
        whole.u64(self.config3);
        whole.u64(self.config4);
        encoder.bytes(&whole.as_slice()[..size]);
    }

    /// Whether every record of this event ends with a sample id.
    pub fn sample_id_all(&self) -> bool {
        self.flags.contains(AttrFlags::SAMPLE_ID_ALL)
    }

    /// A name from the encoding alone, for recordings that store none: `cycles`, `cpu-clock`,
    /// `raw 0x1cd`, `pmu 9 config 0x0`.
    pub fn fallback_name(&self) -> String {
        const HARDWARE: [&str; 10] = [
            "cycles",
            "instructions",
            "cache-references",
            "cache-misses",
            "branches",
            "branch-misses",
            "bus-cycles",
            "stalled-cycles-frontend",
            "stalled-cycles-backend",
            "ref-cycles",
        ];
        const SOFTWARE: [&str; 12] = [
            "cpu-clock",
            "task-clock",
            "page-faults",
            "context-switches",
            "cpu-migrations",
            "minor-faults",
            "major-faults",
            "alignment-faults",
            "emulation-faults",
            "dummy",
            "bpf-output",
            "cgroup-switches",
        ];
        let known = |names: &[&'static str]| {
            usize::try_from(self.config).ok().and_then(|config| names.get(config).copied())
        };
        match (self.kind, known(&HARDWARE), known(&SOFTWARE)) {
            (0, Some(name), _) | (1, _, Some(name)) => name.to_owned(),
            (2, ..) => format!("tracepoint {}", self.config),
            (4, ..) => format!("raw {:#x}", self.config),
            (5, ..) => format!("mem:{:#x}", self.config1),
            (kind, ..) => format!("pmu {kind} config {:#x}", self.config),
        }
    }
}

/// The C compiler lays bit-fields out from the other end on big-endian machines, so the flags of
/// such a recording come with all 64 bits reversed, and the two bits of the precise level swapped.
fn flags_from_file(value: u64, order: ByteOrder) -> AttrFlags {
    match order {
        ByteOrder::Little => AttrFlags(value),
        ByteOrder::Big => AttrFlags(swap_precise_bits(value.reverse_bits())),
    }
}

fn flags_to_file(flags: AttrFlags, order: ByteOrder) -> u64 {
    match order {
        ByteOrder::Little => flags.0,
        ByteOrder::Big => swap_precise_bits(flags.0).reverse_bits(),
    }
}

fn swap_precise_bits(value: u64) -> u64 {
    value & !(3 << 15) | (value >> 1) & (1 << 15) | (value << 1) & (1 << 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use perf_event_open_sys::bindings;

    #[test]
    fn bits_agree_with_the_kernel_header() {
        assert_eq!(SampleType::IP.0, u64::from(bindings::PERF_SAMPLE_IP));
        assert_eq!(SampleType::IDENTIFIER.0, u64::from(bindings::PERF_SAMPLE_IDENTIFIER));
        assert_eq!(SampleType::PHYS_ADDR.0, u64::from(bindings::PERF_SAMPLE_PHYS_ADDR));
        assert_eq!(SampleType::AUX.0, u64::from(bindings::PERF_SAMPLE_AUX));
        assert_eq!(SampleType::WEIGHT_STRUCT.0, u64::from(bindings::PERF_SAMPLE_WEIGHT_STRUCT));
        assert_eq!(ReadFormat::LOST.0, u64::from(bindings::PERF_FORMAT_LOST));
        let mut attr = bindings::perf_event_attr::default();
        attr.set_precise_ip(2);
        attr.set_sigtrap(1);
        attr.set_sample_id_all(1);
        let expected = AttrFlags::SIGTRAP | AttrFlags::SAMPLE_ID_ALL;
        assert_eq!(attr._bitfield_1.get(0, 38), expected.with_precise_ip(2).0);
    }

    #[test]
    fn every_size_round_trips_in_both_orders() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for size in [64, 72, 80, 96, 104, 112, 120, 128, 136, 144] {
                let attr = EventAttr {
                    kind: 4,
                    size,
                    config: 0x1cd,
                    sample_period: 4000,
                    sample_type: SampleType::IP | SampleType::ADDR,
                    flags: (AttrFlags::FREQ | AttrFlags::SAMPLE_ID_ALL).with_precise_ip(1),
                    config1: 30,
                    ..EventAttr::default()
                };
                let mut encoder = Encoder::new(order);
                attr.encode(&mut encoder);
                assert_eq!(encoder.len(), size as usize);
                assert_eq!(EventAttr::decode(encoder.as_slice(), order), Ok(attr));
            }
        }
    }

    #[test]
    fn a_size_that_lies_is_refused_and_a_larger_one_is_read_as_far_as_known() {
        let mut bytes = vec![0; 160];
        bytes[4] = 160;
        assert_eq!(EventAttr::decode(&bytes, ByteOrder::Little).map(|attr| attr.size), Ok(160));
        bytes[4] = 161;
        assert_eq!(EventAttr::decode(&bytes, ByteOrder::Little), Err(ShortRead));
        bytes[4] = 63;
        assert_eq!(EventAttr::decode(&bytes, ByteOrder::Little), Err(ShortRead));
    }
}
