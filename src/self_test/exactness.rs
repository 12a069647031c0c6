//! What samples say of accesses, held against the truth.

use serde::Serialize;

use crate::access::Direction;
use crate::kernel::KnownAccess;

/// An access as a sample tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The instruction.
    pub code: u64,
    /// The data.
    pub data: u64,
    /// Bytes; `None` where nobody told.
    pub size: Option<u32>,
    /// What was done.
    pub direction: Direction,
    /// Whether `direction` may be one half of a read-modify-write: hardware samples each half by itself.
    pub is_one_half: bool,
}

/// How many accesses were told, and how many exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Exactness {
    /// Accesses that samples told.
    pub accesses: u64,
    /// The instruction is one that accesses memory, and does so there or elsewhere.
    pub code: u64,
    /// That instruction accesses this address (where the instruction is wrong: another one does).
    pub address: u64,
    /// Those that told a size.
    pub size_told: u64,
    /// The size is right for that instruction and address.
    pub size: u64,
    /// The direction is.
    pub direction: u64,
    /// All of that is right; a size that nobody told is not wrong.
    pub all: u64,
}

impl Exactness {
    /// Holds an access against those that the program makes; `instructions` are its code.
    pub fn add(&mut self, told: &Judged, instructions: &[u64], known: &[KnownAccess]) {
        let code_of = |access: &KnownAccess| instructions.get(access.instruction).copied();
        let is_there = |access: &&KnownAccess| access.begins_at(told.data);
        let of_code = || known.iter().filter(|access| code_of(access) == Some(told.code));
        let is_code = of_code().next().is_some();
        // A string instruction makes two accesses: what is right must be right of one of them.
        let size_is_right = |access: &KnownAccess| told.size == Some(access.size);
        let direction_is_right = |access: &KnownAccess| told.direction_fits(access);
        let size = of_code().filter(is_there).any(size_is_right);
        let direction = of_code().filter(is_there).any(direction_is_right);
        let whole = of_code().filter(is_there).any(|access| {
            direction_is_right(access) && (told.size.is_none() || size_is_right(access))
        });
        let address = match is_code {
            true => of_code().any(|access| is_there(&access)),
            false => known.iter().any(|access| is_there(&access)),
        };
        self.accesses += 1;
        self.code += u64::from(is_code);
        self.address += u64::from(address);
        self.size_told += u64::from(told.size.is_some());
        self.size += u64::from(size);
        self.direction += u64::from(direction);
        self.all += u64::from(whole);
    }

    /// Adds another count.
    pub fn merge(&mut self, other: &Self) {
        self.accesses += other.accesses;
        self.code += other.code;
        self.address += other.address;
        self.size_told += other.size_told;
        self.size += other.size;
        self.direction += other.direction;
        self.all += other.all;
    }
}

impl Judged {
    fn direction_fits(&self, access: &KnownAccess) -> bool {
        let (reads, writes) = (self.direction.reads(), self.direction.writes());
        match self.is_one_half {
            true => (!reads || access.reads) && (!writes || access.writes),
            false => (reads, writes) == (access.reads, access.writes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: [u64; 3] = [0x10, 0x13, 0x17];

    fn known() -> Vec<KnownAccess> {
        let access = |instruction, address, addresses, reads, writes| KnownAccess {
            instruction,
            address,
            addresses,
            stride: 8,
            size: 8,
            reads,
            writes,
        };
        vec![
            access(0, 0x1000, 4, true, false),
            access(0, 0x2000, 4, false, true),
            access(2, 0x3000, 1, true, true),
        ]
    }

    fn judge(told: Judged) -> [u64; 6] {
        let mut exactness = Exactness::default();
        exactness.add(&told, &CODE, &known());
        let Exactness { accesses, code, address, size, direction, all, .. } = exactness;
        [accesses, code, address, size, direction, all]
    }

    #[test]
    fn each_part_is_judged_by_itself() {
        let right = Judged {
            code: 0x10,
            data: 0x1008,
            size: Some(8),
            direction: Direction::Load,
            is_one_half: false,
        };
        assert_eq!(judge(right), [1, 1, 1, 1, 1, 1]);
        assert_eq!(
            judge(Judged { data: 0x2018, ..right }),
            [1, 1, 1, 1, 0, 0],
            "that is the store"
        );
        assert_eq!(judge(Judged { size: Some(4), ..right }), [1, 1, 1, 0, 1, 0]);
        assert_eq!(judge(Judged { size: None, ..right }), [1, 1, 1, 0, 1, 1]);
        assert_eq!(judge(Judged { data: 0x1020, ..right }), [1, 1, 0, 0, 0, 0]);
        assert_eq!(judge(Judged { data: 0x3000, ..right }), [1, 1, 0, 0, 0, 0], "another's");
        assert_eq!(judge(Judged { code: 0x13, ..right }), [1, 0, 1, 0, 0, 0], "skid");
    }

    #[test]
    fn hardware_samples_halves_of_a_locked_access() {
        let half = Judged {
            code: 0x17,
            data: 0x3000,
            size: Some(8),
            direction: Direction::Store,
            is_one_half: true,
        };
        assert_eq!(judge(half), [1, 1, 1, 1, 1, 1]);
        assert_eq!(judge(Judged { is_one_half: false, ..half }), [1, 1, 1, 1, 0, 0]);
        let load_only = Judged { code: 0x10, data: 0x1000, ..half };
        assert_eq!(judge(load_only), [1, 1, 1, 1, 0, 0]);
    }
}
