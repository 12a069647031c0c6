//! One hit of a debug register: a sample of a breakpoint event.

use super::formula::RegisterValues;
use super::memory_access::CodeAddress;
use crate::perf_data::{CpuMode, Event, RawRecord, Recording, SampleError, SamplePosition};
use crate::process::{Cpu, Pid, Tid, Time};

/// `PERF_TYPE_BREAKPOINT`.
const BREAKPOINT: u32 = 5;
/// `HW_BREAKPOINT_W` and `HW_BREAKPOINT_RW`.
const WRITES: u32 = 2;
const ACCESSES: u32 = 3;

/// Whether an event's samples are accesses to watched bytes.
pub fn watches_memory(event: &Event) -> bool {
    event.attr.kind == BREAKPOINT && matches!(event.attr.bp_type, WRITES | ACCESSES)
}

/// What one hit says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WatchHit {
    /// The id of the event, and so the register; 0 where samples have none.
    pub id: u64,
    /// Process.
    pub pid: Pid,
    /// Thread.
    pub tid: Tid,
    /// CPU, if recorded.
    pub cpu: Option<Cpu>,
    /// When.
    pub time: Time,
    /// The instruction after the one that made the access.
    pub next: CodeAddress,
    /// The first watched byte.
    pub address: u64,
    /// How many are watched.
    pub length: u64,
    /// Whether only writes are seen.
    pub writes_only: bool,
    /// User registers after the access.
    pub registers: Option<RegisterValues>,
    /// Where the sample is in the recording.
    pub position: SamplePosition,
}

impl WatchHit {
    /// Reads a sample; `None` if its event does not [watch memory](watches_memory), or the access was
    /// not made in user code.
    ///
    /// # Errors
    ///
    /// [`SampleError`] when the sample cannot be decoded.
    pub fn of(
        recording: &Recording<'_>,
        position: SamplePosition,
        record: &RawRecord<'_>,
    ) -> Result<Option<Self>, SampleError> {
        let (event, sample) = recording.decode(record)?;
        let event = &recording.events()[event];
        if !watches_memory(event) || record.cpu_mode() != CpuMode::User {
            return Ok(None);
        }
        let (pid, tid) = sample.thread.unwrap_or((u32::MAX, u32::MAX));
        let registers = sample.regs_user.filter(|user| user.abi != 0);
        let time = if recording.has_times() { sample.time } else { None };
        Ok(Some(Self {
            id: sample.identifier.or(sample.id).unwrap_or(0),
            pid: Pid(pid),
            tid: Tid(tid),
            cpu: sample.cpu.map(Cpu),
            time: Time(time.unwrap_or(position.ordinal)),
            next: CodeAddress(sample.ip.unwrap_or_default()),
            address: event.attr.config1,
            length: event.attr.config2.clamp(1, 8),
            writes_only: event.attr.bp_type == WRITES,
            registers: registers
                .map(|user| RegisterValues::new(event.attr.sample_regs_user, user.values.iter())),
            position,
        }))
    }
}
