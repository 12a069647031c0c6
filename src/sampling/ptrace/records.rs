//! Records as the kernel writes them into its rings.

use crate::kernel::ptrace::ThreadRegisters;
use crate::perf_data::{
    ByteOrder, Comm, Encoder, EventAttr, MISC_MMAP_BUILD_ID, MappedObject, RECORD_HEADER_SIZE,
    RecordType, Registers, Sample, SampleFormat, Task, Words,
};
use crate::sampling::synthesis::{mmap_record, sample_id};
use crate::symbols::BuildId;
use crate::system::MapLine;

const MISC_KERNEL: u16 = 1;
const MISC_USER: u16 = 2;
const MISC_COMM_EXEC: u16 = 1 << 13;
/// `PERF_SAMPLE_REGS_ABI_32` and `_64`.
const REGISTERS_32: u64 = 1;
const REGISTERS_64: u64 = 2;

/// One sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<'r> {
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) time: u64,
    pub(super) cpu: u32,
    /// Nanoseconds of CPU time.
    pub(super) period: u64,
    pub(super) registers: &'r ThreadRegisters,
}

/// Records that wait to be written.
#[derive(Debug)]
pub(super) struct Records {
    attr: EventAttr,
    format: SampleFormat,
    id: u64,
    body: Encoder,
    bytes: Encoder,
}

impl Records {
    pub(super) fn new(attr: &EventAttr, id: u64) -> Self {
        Self {
            attr: *attr,
            format: SampleFormat::from(attr),
            id,
            body: Encoder::new(ByteOrder::NATIVE),
            bytes: Encoder::new(ByteOrder::NATIVE),
        }
    }

    /// What waits.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// It was written.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn comm(&mut self, pid: u32, tid: u32, name: &[u8], time: u64, is_exec: bool) {
        let misc = if is_exec { MISC_COMM_EXEC } else { 0 };
        self.put(RecordType::COMM, misc, (pid, tid, time), |body| {
            Comm { pid, tid, name }.encode(body);
        });
    }

    /// FORK or EXIT.
    pub(super) fn task(&mut self, kind: RecordType, task: &Task) {
        self.put(kind, 0, (task.pid, task.tid, task.time), |body| task.encode(body));
    }

    pub(super) fn mmap(
        &mut self,
        pid: u32,
        mapping: &MapLine,
        build_id: Option<&BuildId>,
        time: u64,
    ) {
        let (mut misc, record) = mmap_record(pid, mapping, build_id);
        if matches!(record.object, MappedObject::BuildId(_)) {
            misc |= MISC_MMAP_BUILD_ID;
        }
        self.put(RecordType::MMAP2, misc, (pid, pid, time), |body| record.encode2(body));
    }

    pub(super) fn sample(&mut self, taken: &Taken<'_>) {
        let registers = taken.registers;
        let mut values = Encoder::new(ByteOrder::NATIVE);
        for value in registers.sampled() {
            values.u64(value);
        }
        let sample = Sample {
            identifier: Some(self.id),
            ip: Some(registers.instruction()),
            thread: Some((taken.pid, taken.tid)),
            time: Some(taken.time),
            cpu: Some(taken.cpu),
            period: Some(taken.period),
            regs_user: Some(Registers {
                abi: if registers.is_32_bit() { REGISTERS_32 } else { REGISTERS_64 },
                values: Words::new(values.as_slice(), ByteOrder::NATIVE),
            }),
            ..Sample::default()
        };
        self.body.clear();
        self.format.encode(&sample, &mut self.body);
        // In a system call these are the registers that the program called with, not the kernel's.
        let misc = if registers.system_call().is_some() { MISC_KERNEL } else { MISC_USER };
        self.put_body(RecordType::SAMPLE, misc);
    }

    fn put(
        &mut self,
        kind: RecordType,
        misc: u16,
        (pid, tid, time): (u32, u32, u64),
        encode: impl FnOnce(&mut Encoder),
    ) {
        self.body.clear();
        encode(&mut self.body);
        sample_id(pid, tid, time, self.id).encode(&mut self.body, self.attr.sample_type);
        self.put_body(kind, misc);
    }

    /// A record that is too long for its size field is none that the kernel would write: names of
    /// files end at 4 KiB.
    fn put_body(&mut self, kind: RecordType, misc: u16) {
        if let Ok(size) = u16::try_from(self.body.len() + RECORD_HEADER_SIZE) {
            self.bytes.u32(kind.0);
            self.bytes.u16(misc);
            self.bytes.u16(size);
            self.bytes.bytes(self.body.as_slice());
        }
    }
}
