//! One sample as a memory access.

use super::data_source::DataSource;
use super::weight::Latency;
use crate::perf_data::{CpuMode, RawRecord, Recording, SampleError, SamplePosition};
use crate::process::{Cpu, Pid, Tid, Time};

/// An address of data in a process or the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct DataAddress(pub u64);

/// An address of code in a process or the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CodeAddress(pub u64);

/// A physical address; 0 where the recorder did not get one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PhysicalAddress(pub u64);

/// What one sample says about one access. Fields that the event did not record have perf's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryAccess {
    /// Index of the event.
    pub event: u32,
    /// Whether kernel or user code made it.
    pub mode: CpuMode,
    /// Process.
    pub pid: Pid,
    /// Thread.
    pub tid: Tid,
    /// CPU, if recorded.
    pub cpu: Option<Cpu>,
    /// When.
    pub time: Time,
    /// The instruction that made it.
    pub code: CodeAddress,
    /// The data it touched.
    pub data: DataAddress,
    /// The same, physical.
    pub physical: PhysicalAddress,
    /// Where the data came from.
    pub source: DataSource,
    /// How long it took.
    pub latency: Latency,
    /// Where the sample is in the recording.
    pub position: SamplePosition,
}

impl MemoryAccess {
    /// Reads a sample.
    ///
    /// # Errors
    ///
    /// [`SampleError`] when the sample cannot be decoded.
    #[inline]
    pub fn of(
        recording: &Recording<'_>,
        position: SamplePosition,
        record: &RawRecord<'_>,
    ) -> Result<Self, SampleError> {
        let (event, sample) = recording.decode(record)?;
        let format = &recording.events()[event].format;
        let (pid, tid) = sample.thread.unwrap_or((u32::MAX, u32::MAX));
        let time = if recording.has_times() { sample.time } else { None };
        Ok(Self {
            event: event as u32,
            mode: record.cpu_mode(),
            pid: Pid(pid),
            tid: Tid(tid),
            cpu: sample.cpu.map(Cpu),
            time: Time(time.unwrap_or(position.ordinal)),
            code: CodeAddress(sample.ip.unwrap_or_default()),
            data: DataAddress(sample.addr.unwrap_or_default()),
            physical: PhysicalAddress(sample.phys_addr.unwrap_or_default()),
            source: sample.data_src.map_or(DataSource::NOT_AVAILABLE, DataSource),
            latency: Latency::from_weight(sample.weight.unwrap_or_default(), format),
            position,
        })
    }
}
