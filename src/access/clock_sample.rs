//! One sample of a clock event: where a thread was, with its registers.

use super::formula::RegisterValues;
use super::memory_access::CodeAddress;
use crate::perf_data::{
    AttrFlags, CpuMode, Event, RawRecord, Recording, SampleError, SamplePosition, SampleType,
};
use crate::process::{Cpu, Pid, Tid, Time};

const PERF_TYPE_HARDWARE: u32 = 0;
const PERF_TYPE_SOFTWARE: u32 = 1;
/// The lower half of a hardware event's number; the upper names a PMU of hybrid CPUs.
const HARDWARE_EVENT: u64 = 0xffff_ffff;
const CPU_CYCLES: u64 = 0;
const REF_CPU_CYCLES: u64 = 9;
const CPU_CLOCK: u64 = 0;
const TASK_CLOCK: u64 = 1;

/// Whether an event's samples tell how time was spent, and accesses can be recovered from them: a
/// clock (or cycles, not precise, so that registers and instruction belong together) with user
/// registers.
pub fn samples_the_clock(event: &Event) -> bool {
    let attr = &event.attr;
    let is_clock = match attr.kind {
        PERF_TYPE_SOFTWARE => matches!(attr.config, CPU_CLOCK | TASK_CLOCK),
        PERF_TYPE_HARDWARE => {
            matches!(attr.config & HARDWARE_EVENT, CPU_CYCLES | REF_CPU_CYCLES)
                && attr.flags.precise_ip() == 0
        }
        _ => false,
    };
    is_clock && attr.sample_type.contains(SampleType::IP | SampleType::TID | SampleType::REGS_USER)
}

/// What one clock sample says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockSample {
    /// Index of the event.
    pub event: u32,
    /// Whether the thread was in the kernel or in user code.
    pub mode: CpuMode,
    /// Process.
    pub pid: Pid,
    /// Thread.
    pub tid: Tid,
    /// CPU, if recorded.
    pub cpu: Option<Cpu>,
    /// When.
    pub time: Time,
    /// The instruction that was about to run.
    pub code: CodeAddress,
    /// The time that it stands for: ns for clocks, cycles for cycles.
    pub weight: u64,
    /// User registers, where user code was interrupted and they were recorded in 64- or 32-bit form.
    pub registers: Option<RegisterValues>,
    /// Where the sample is in the recording.
    pub position: SamplePosition,
}

impl ClockSample {
    /// Reads a sample; `None` if its event does not [sample the clock](samples_the_clock).
    ///
    /// # Errors
    ///
    /// [`SampleError`] when the sample cannot be decoded.
    pub fn of(
        recording: &Recording<'_>,
        position: SamplePosition,
        record: &RawRecord<'_>,
    ) -> Result<Option<Self>, SampleError> {
        let (event_index, sample) = recording.decode(record)?;
        let event = &recording.events()[event_index];
        if !samples_the_clock(event) {
            return Ok(None);
        }
        let (pid, tid) = sample.thread.unwrap_or((u32::MAX, u32::MAX));
        let time = if recording.has_times() { sample.time } else { None };
        let fixed =
            if event.attr.flags.contains(AttrFlags::FREQ) { 1 } else { event.attr.sample_period };
        let mode = record.cpu_mode();
        let registers = sample.regs_user.filter(|user| mode == CpuMode::User && user.abi != 0);
        Ok(Some(Self {
            event: event_index as u32,
            mode,
            pid: Pid(pid),
            tid: Tid(tid),
            cpu: sample.cpu.map(Cpu),
            time: Time(time.unwrap_or(position.ordinal)),
            code: CodeAddress(sample.ip.unwrap_or_default()),
            weight: sample.period.unwrap_or(fixed).max(1),
            registers: registers
                .map(|user| RegisterValues::new(event.attr.sample_regs_user, user.values.iter())),
            position,
        }))
    }

    /// Whether a CPU had nothing to do: the idle task, which belongs to no target.
    pub fn is_idle(&self) -> bool {
        self.pid.0 == 0
    }
}
