//! What was armed in a turn of watching: our own kind of EVENT_UPDATE, which perf passes over.
//!
//! Hits are samples of breakpoint events and say by their id which register they are of. That a
//! register saw nothing, and whether its thread ran at all, is only here.

use super::cursor::{Cursor, ShortRead};
use super::encoder::Encoder;

/// A stretch of time in which some words of one process were watched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WatchTurn {
    /// Process.
    pub pid: u32,
    /// When it ended, ns of the recording's clock: not before the last sample of any event that was
    /// seen by then.
    pub time: u64,
    /// How long, ns.
    pub duration: u64,
    /// The registers of all threads; none when the kernel had none free, and nothing was watched.
    pub registers: Vec<ArmedRegister>,
}

/// One debug register of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArmedRegister {
    /// The id of its event.
    pub id: u64,
    /// Thread.
    pub tid: u32,
    /// Bytes: 1, 2, 4 or 8.
    pub length: u16,
    /// `HW_BREAKPOINT_W` 2 or `HW_BREAKPOINT_RW` 3.
    pub kind: u16,
    /// The first byte.
    pub address: u64,
    /// How long the thread was on a CPU meanwhile, ns; [`ArmedRegister::UNKNOWN`] where the kernel
    /// does not tell.
    pub ran: u64,
}

impl ArmedRegister {
    /// The kernel does not tell how long the thread ran.
    pub const UNKNOWN: u64 = u64::MAX;
    /// Bytes of one in a record.
    const SIZE: usize = 32;
}

impl WatchTurn {
    /// So many registers fit into one record.
    pub const MAX_REGISTERS: usize = 2000;

    pub(super) fn decode(cursor: &mut Cursor<'_>) -> Result<Self, ShortRead> {
        let (pid, count) = (cursor.u32()?, cursor.u32()?);
        let (time, duration) = (cursor.u64()?, cursor.u64()?);
        if count as usize > Self::MAX_REGISTERS {
            return Err(ShortRead);
        }
        let mut registers = Vec::with_capacity((count as usize).min(64));
        for _ in 0..count {
            registers.push(ArmedRegister {
                id: cursor.u64()?,
                tid: cursor.u32()?,
                length: cursor.u16()?,
                kind: cursor.u16()?,
                address: cursor.u64()?,
                ran: cursor.u64()?,
            });
        }
        Ok(Self { pid, time, duration, registers })
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        let registers = &self.registers[..self.registers.len().min(Self::MAX_REGISTERS)];
        encoder.u32(self.pid);
        encoder.u32(registers.len() as u32);
        encoder.u64(self.time);
        encoder.u64(self.duration);
        let before = encoder.len();
        for register in registers {
            encoder.u64(register.id);
            encoder.u32(register.tid);
            encoder.u16(register.length);
            encoder.u16(register.kind);
            encoder.u64(register.address);
            encoder.u64(register.ran);
        }
        debug_assert_eq!(encoder.len() - before, registers.len() * ArmedRegister::SIZE);
    }
}
