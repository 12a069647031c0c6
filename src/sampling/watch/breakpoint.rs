//! A debug register as an event: a sample for each access to a few bytes.

use crate::perf_data::{ATTR_SIZE_DEFAULT, AttrFlags, EventAttr, ReadFormat, SampleType};

/// `PERF_TYPE_BREAKPOINT`.
const BREAKPOINT: u32 = 5;

/// How many debug registers a thread has (x86: DR0 to DR3; arm64 has as many or more).
pub const REGISTERS: usize = 4;

/// Bytes that one register covers at most.
pub const REGISTER_BYTES: u64 = 8;

/// Which accesses are seen. x86 cannot watch for reads alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WatchKind {
    /// Writes (`HW_BREAKPOINT_W`).
    Writes,
    /// Reads and writes (`HW_BREAKPOINT_RW`).
    Accesses,
}

impl WatchKind {
    /// Its number in `bp_type`.
    pub fn number(self) -> u32 {
        match self {
            Self::Writes => 2,
            Self::Accesses => 3,
        }
    }
}

/// Bytes that one debug register watches: 1, 2, 4 or 8, at a multiple of their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Watchpoint {
    /// The first.
    pub address: u64,
    /// How many.
    pub length: u64,
    /// Which accesses to them.
    pub kind: WatchKind,
}

impl Watchpoint {
    /// Its name, as perf writes breakpoints.
    pub fn name(&self) -> String {
        let what = match self.kind {
            WatchKind::Writes => "w",
            WatchKind::Accesses => "rw",
        };
        format!("mem:{:#x}/{}:{what}", self.address, self.length)
    }

    /// The event, with the fields of a recording's first event `like` as far as they say something
    /// about an access, so that the same report reads both.
    pub fn attr(&self, like: &EventAttr) -> EventAttr {
        let shared = SampleType::IP
            | SampleType::TID
            | SampleType::TIME
            | SampleType::CPU
            | SampleType::PERIOD
            | SampleType::IDENTIFIER
            | SampleType::CALLCHAIN
            | SampleType::REGS_USER;
        EventAttr {
            kind: BREAKPOINT,
            size: ATTR_SIZE_DEFAULT as u32,
            sample_period: 1,
            sample_type: (like.sample_type & shared) | SampleType::ADDR,
            read_format: ReadFormat::ID | (like.read_format & ReadFormat::LOST),
            flags: AttrFlags::DISABLED
                | AttrFlags::SAMPLE_ID_ALL
                | AttrFlags::EXCLUDE_KERNEL
                | AttrFlags::EXCLUDE_HV
                | AttrFlags::EXCLUDE_CALLCHAIN_KERNEL,
            bp_type: self.kind.number(),
            config1: self.address,
            config2: self.length,
            sample_regs_user: like.sample_regs_user,
            ..EventAttr::default()
        }
    }
}

/// The registers that cover `length` bytes from `address` on, each as large as alignment allows;
/// `None` when it takes more than there are.
pub fn covering(address: u64, length: u64, kind: WatchKind) -> Option<Vec<Watchpoint>> {
    let end = address.checked_add(length)?;
    let mut points = Vec::new();
    let mut next = address;
    while next < end {
        let mut size = REGISTER_BYTES;
        while !next.is_multiple_of(size) || size > end - next {
            size /= 2;
        }
        points.push(Watchpoint { address: next, length: size, kind });
        if points.len() > REGISTERS {
            return None;
        }
        next += size;
    }
    Some(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_cover_just_what_is_asked_for() {
        let of = |address, length| {
            covering(address, length, WatchKind::Accesses)
                .map(|points| points.iter().map(|it| (it.address, it.length)).collect::<Vec<_>>())
        };
        assert_eq!(of(0x1000, 8), Some(vec![(0x1000, 8)]));
        assert_eq!(of(0x1000, 1), Some(vec![(0x1000, 1)]));
        assert_eq!(of(0x1006, 4), Some(vec![(0x1006, 2), (0x1008, 2)]));
        assert_eq!(of(0x1001, 7), Some(vec![(0x1001, 1), (0x1002, 2), (0x1004, 4)]));
        assert_eq!(of(0x1000, 32).map(|points| points.len()), Some(4));
        assert_eq!(of(0x1000, 33), None);
        assert_eq!(of(0x1004, 32), None);
        assert_eq!(of(u64::MAX, 8), None);
    }

    #[test]
    fn an_event_has_the_fields_of_the_recording_and_the_address() {
        let like = EventAttr {
            sample_type: SampleType::IP
                | SampleType::TID
                | SampleType::IDENTIFIER
                | SampleType::DATA_SRC
                | SampleType::REGS_USER,
            sample_regs_user: 0xff,
            ..EventAttr::default()
        };
        let point = Watchpoint { address: 0x40, length: 4, kind: WatchKind::Writes };
        let attr = point.attr(&like);
        let fields =
            SampleType::IP | SampleType::TID | SampleType::IDENTIFIER | SampleType::REGS_USER;
        assert_eq!(attr.sample_type, fields | SampleType::ADDR);
        assert_eq!((attr.kind, attr.bp_type, attr.config1, attr.config2), (5, 2, 0x40, 4));
        assert_eq!(attr.sample_regs_user, 0xff);
        assert_eq!(point.name(), "mem:0x40/4:w");
    }
}
