//! What is known of a process beyond the kernel's records.

use super::error::SamplingError;
use super::output::Output;
use crate::perf_data::{
    ByteOrder, Calibration, CapturedCode, CpusTaken, Encoder, EventChange, EventUpdate, HeapTurn,
    RecordType, ThreadBase,
};
use crate::system::{TakenTime, TakenTimeReader};

/// A fact that is written besides the kernel's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    Base(ThreadBase),
    CpusTaken(CpusTaken),
    Calibration(Calibration),
    Heap(HeapTurn),
    Code { pid: u32, time: u64, address: u64, bytes: Vec<u8> },
}

/// Writes facts, as changes of the event with this id.
pub(super) fn write_facts(
    output: &mut Output,
    facts: &[Fact],
    id: u64,
) -> Result<(), SamplingError> {
    for fact in facts {
        let change = match fact {
            Fact::Base(base) => EventChange::ThreadBase(*base),
            Fact::CpusTaken(taken) => EventChange::CpusTaken(*taken),
            Fact::Calibration(speed) => EventChange::Calibration(*speed),
            Fact::Heap(turn) => EventChange::Heap(*turn),
            Fact::Code { pid, time, address, bytes } => {
                EventChange::Code(CapturedCode { pid: *pid, time: *time, address: *address, bytes })
            }
        };
        write_change(output, id, change)?;
    }
    Ok(())
}

/// Writes a change of the event with this id.
pub(super) fn write_change(
    output: &mut Output,
    id: u64,
    change: EventChange<'_>,
) -> Result<(), SamplingError> {
    let mut body = Encoder::new(ByteOrder::NATIVE);
    EventUpdate { id, change }.encode(&mut body);
    output.write(|writer| writer.record(RecordType::EVENT_UPDATE, 0, body.as_slice()))
}

/// What was taken from the CPUs of a target since a reader was made.
pub(super) fn taken_since_start(reader: &TakenTimeReader) -> Fact {
    let TakenTime { stolen_ns, quota_stops, quota_ns } = reader.since_start();
    Fact::CpusTaken(CpusTaken { stolen_ns, quota_stops, quota_ns })
}
