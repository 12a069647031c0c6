//! PERF_RECORD_SAMPLE: the one record whose fields depend on the event.
//!
//! The order of the fields is the order in which the kernel writes them (`perf_output_sample()`),
//! which differs from the order of the bits.

use super::attr::{BRANCH_COUNTERS, BRANCH_HW_INDEX, EventAttr, ReadFormat, SampleType};
use super::cursor::{Cursor, ShortRead, Words};
use super::encoder::Encoder;

/// What decides the layout of an event's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SampleFormat {
    /// The fields.
    pub sample_type: SampleType,
    /// The parts of counter values.
    pub read_format: ReadFormat,
    /// What branch records come with.
    pub branch_sample_type: u64,
    /// Registers of user space.
    pub regs_user: u64,
    /// Registers at the interrupt.
    pub regs_intr: u64,
}

impl From<&EventAttr> for SampleFormat {
    fn from(attr: &EventAttr) -> Self {
        Self {
            sample_type: attr.sample_type,
            read_format: attr.read_format,
            branch_sample_type: attr.branch_sample_type,
            regs_user: attr.sample_regs_user,
            regs_intr: attr.sample_regs_intr,
        }
    }
}

/// Registers of one sample: as many values as the event's mask has bits, from the lowest bit up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registers<'a> {
    /// 0 none, 1 32-bit, 2 64-bit.
    pub abi: u64,
    /// The values.
    pub values: Words<'a>,
}

/// Branch records of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BranchStack<'a> {
    /// Index of the newest in hardware.
    pub hardware_index: Option<u64>,
    /// Three words each: from, to, flags.
    pub entries: Words<'a>,
    /// One word each, where counters were asked for.
    pub counters: Option<Words<'a>>,
}

/// A copy of the top of the user stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UserStack<'a> {
    /// The bytes, as many as were asked for.
    pub bytes: &'a [u8],
    /// How many of them are valid.
    pub valid: u64,
}

/// One sample. A field is there when the event asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample<'a> {
    /// Event id, first in the record.
    pub identifier: Option<u64>,
    /// Instruction pointer.
    pub ip: Option<u64>,
    /// Process and thread.
    pub thread: Option<(u32, u32)>,
    /// When, ns.
    pub time: Option<u64>,
    /// Data address.
    pub addr: Option<u64>,
    /// Event id.
    pub id: Option<u64>,
    /// Stream id.
    pub stream_id: Option<u64>,
    /// CPU.
    pub cpu: Option<u32>,
    /// Events since the last sample.
    pub period: Option<u64>,
    /// Counter values, as the read format lays them out.
    pub read: Option<Words<'a>>,
    /// Call chain, innermost first, with context markers (values above `-4096`).
    pub callchain: Option<Words<'a>>,
    /// Raw data.
    pub raw: Option<&'a [u8]>,
    /// Branch records.
    pub branch_stack: Option<BranchStack<'a>>,
    /// Registers of user space.
    pub regs_user: Option<Registers<'a>>,
    /// User stack.
    pub stack_user: Option<UserStack<'a>>,
    /// Latency: all 64 bits with WEIGHT, three numbers with WEIGHT_STRUCT.
    pub weight: Option<u64>,
    /// Data source word.
    pub data_src: Option<u64>,
    /// Transaction flags.
    pub transaction: Option<u64>,
    /// Registers at the interrupt.
    pub regs_intr: Option<Registers<'a>>,
    /// Physical data address.
    pub phys_addr: Option<u64>,
    /// Cgroup id.
    pub cgroup: Option<u64>,
    /// Size of the data page, bytes.
    pub data_page_size: Option<u64>,
    /// Size of the code page, bytes.
    pub code_page_size: Option<u64>,
    /// AUX data.
    pub aux: Option<&'a [u8]>,
}

impl SampleFormat {
    /// Reads a sample's body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when a field reaches past its end.
    #[inline]
    pub fn decode<'a>(&self, mut cursor: Cursor<'a>) -> Result<Sample<'a>, ShortRead> {
        let has = |bit: SampleType| self.sample_type.contains(bit);
        let mut sample = Sample::default();
        if has(SampleType::IDENTIFIER) {
            sample.identifier = Some(cursor.u64()?);
        }
        if has(SampleType::IP) {
            sample.ip = Some(cursor.u64()?);
        }
        if has(SampleType::TID) {
            sample.thread = Some((cursor.u32()?, cursor.u32()?));
        }
        if has(SampleType::TIME) {
            sample.time = Some(cursor.u64()?);
        }
        if has(SampleType::ADDR) {
            sample.addr = Some(cursor.u64()?);
        }
        if has(SampleType::ID) {
            sample.id = Some(cursor.u64()?);
        }
        if has(SampleType::STREAM_ID) {
            sample.stream_id = Some(cursor.u64()?);
        }
        if has(SampleType::CPU) {
            sample.cpu = Some(cursor.u32()?);
            cursor.u32()?;
        }
        if has(SampleType::PERIOD) {
            sample.period = Some(cursor.u64()?);
        }
        if has(SampleType::READ) {
            sample.read = Some(self.read_values(&mut cursor)?);
        }
        if has(SampleType::CALLCHAIN) {
            let count = cursor.u64()?;
            sample.callchain = Some(cursor.words(count)?);
        }
        if has(SampleType::RAW) {
            let size = cursor.u32()?;
            sample.raw = Some(cursor.bytes(size as usize)?);
        }
        if has(SampleType::BRANCH_STACK) {
            sample.branch_stack = Some(self.branch_stack(&mut cursor)?);
        }
        if has(SampleType::REGS_USER) {
            sample.regs_user = Some(registers(&mut cursor, self.regs_user)?);
        }
        if has(SampleType::STACK_USER) {
            sample.stack_user = Some(user_stack(&mut cursor)?);
        }
        if has(SampleType::WEIGHT) || has(SampleType::WEIGHT_STRUCT) {
            sample.weight = Some(cursor.u64()?);
        }
        if has(SampleType::DATA_SRC) {
            sample.data_src = Some(cursor.u64()?);
        }
        if has(SampleType::TRANSACTION) {
            sample.transaction = Some(cursor.u64()?);
        }
        if has(SampleType::REGS_INTR) {
            sample.regs_intr = Some(registers(&mut cursor, self.regs_intr)?);
        }
        if has(SampleType::PHYS_ADDR) {
            sample.phys_addr = Some(cursor.u64()?);
        }
        if has(SampleType::CGROUP) {
            sample.cgroup = Some(cursor.u64()?);
        }
        if has(SampleType::DATA_PAGE_SIZE) {
            sample.data_page_size = Some(cursor.u64()?);
        }
        if has(SampleType::CODE_PAGE_SIZE) {
            sample.code_page_size = Some(cursor.u64()?);
        }
        if has(SampleType::AUX) {
            let size = usize::try_from(cursor.u64()?).map_err(|_| ShortRead)?;
            sample.aux = Some(cursor.bytes(size)?);
        }
        Ok(sample)
    }

    /// Where in a sample's body the event id is: the index of a 64-bit word, or `None` when the
    /// event has no id in its samples.
    pub fn id_position(&self) -> Option<usize> {
        if self.sample_type.contains(SampleType::IDENTIFIER) {
            return Some(0);
        }
        let before = SampleType::IP | SampleType::TID | SampleType::TIME | SampleType::ADDR;
        self.sample_type
            .contains(SampleType::ID)
            .then(|| (self.sample_type & before).0.count_ones() as usize)
    }

    fn read_values<'a>(&self, cursor: &mut Cursor<'a>) -> Result<Words<'a>, ShortRead> {
        let has = |bit: ReadFormat| u64::from(self.read_format.contains(bit));
        let times = has(ReadFormat::TOTAL_TIME_ENABLED) + has(ReadFormat::TOTAL_TIME_RUNNING);
        let extras = has(ReadFormat::ID) + has(ReadFormat::LOST);
        let count = if self.read_format.contains(ReadFormat::GROUP) {
            let members = Cursor::new(cursor.rest(), cursor.order()).u64()?;
            members
                .checked_mul(1 + extras)
                .and_then(|n| n.checked_add(1 + times))
                .ok_or(ShortRead)?
        } else {
            1 + times + extras
        };
        cursor.words(count)
    }

    fn branch_stack<'a>(&self, cursor: &mut Cursor<'a>) -> Result<BranchStack<'a>, ShortRead> {
        let count = cursor.u64()?;
        let hardware_index = match self.branch_sample_type & BRANCH_HW_INDEX {
            0 => None,
            _ => Some(cursor.u64()?),
        };
        let entries = cursor.words(count.checked_mul(3).ok_or(ShortRead)?)?;
        let counters = match self.branch_sample_type & BRANCH_COUNTERS {
            0 => None,
            _ => Some(cursor.words(count)?),
        };
        Ok(BranchStack { hardware_index, entries, counters })
    }

    /// Writes a sample's body: every field that the format has, missing ones as 0.
    pub fn encode(&self, sample: &Sample<'_>, encoder: &mut Encoder) {
        let has = |bit: SampleType| self.sample_type.contains(bit);
        let number = |encoder: &mut Encoder, bit: SampleType, value: Option<u64>| {
            if has(bit) {
                encoder.u64(value.unwrap_or_default());
            }
        };
        number(encoder, SampleType::IDENTIFIER, sample.identifier.or(sample.id));
        number(encoder, SampleType::IP, sample.ip);
        if has(SampleType::TID) {
            let (pid, tid) = sample.thread.unwrap_or_default();
            encoder.u32(pid);
            encoder.u32(tid);
        }
        number(encoder, SampleType::TIME, sample.time);
        number(encoder, SampleType::ADDR, sample.addr);
        number(encoder, SampleType::ID, sample.id.or(sample.identifier));
        number(encoder, SampleType::STREAM_ID, sample.stream_id);
        if has(SampleType::CPU) {
            encoder.u32(sample.cpu.unwrap_or_default());
            encoder.u32(0);
        }
        number(encoder, SampleType::PERIOD, sample.period);
        if has(SampleType::READ) {
            write_words(encoder, sample.read.unwrap_or_default());
        }
        if has(SampleType::CALLCHAIN) {
            let chain = sample.callchain.unwrap_or_default();
            encoder.u64(chain.len() as u64);
            write_words(encoder, chain);
        }
        if has(SampleType::RAW) {
            let raw = sample.raw.unwrap_or_default();
            let padded = (raw.len() + 4).next_multiple_of(8) - 4;
            encoder.u32(padded as u32);
            encoder.bytes(raw);
            encoder.bytes(&[0; 8][..padded - raw.len()]);
        }
        if has(SampleType::BRANCH_STACK) {
            let stack = sample.branch_stack.unwrap_or_default();
            encoder.u64(stack.entries.len() as u64 / 3);
            if self.branch_sample_type & BRANCH_HW_INDEX != 0 {
                encoder.u64(stack.hardware_index.unwrap_or_default());
            }
            write_words(encoder, stack.entries);
            if self.branch_sample_type & BRANCH_COUNTERS != 0 {
                write_words(encoder, stack.counters.unwrap_or_default());
            }
        }
        if has(SampleType::REGS_USER) {
            write_registers(encoder, sample.regs_user);
        }
        if has(SampleType::STACK_USER) {
            let stack = sample.stack_user.unwrap_or_default();
            encoder.u64(stack.bytes.len() as u64);
            encoder.bytes(stack.bytes);
            if !stack.bytes.is_empty() {
                encoder.u64(stack.valid);
            }
        }
        if has(SampleType::WEIGHT) || has(SampleType::WEIGHT_STRUCT) {
            encoder.u64(sample.weight.unwrap_or_default());
        }
        number(encoder, SampleType::DATA_SRC, sample.data_src);
        number(encoder, SampleType::TRANSACTION, sample.transaction);
        if has(SampleType::REGS_INTR) {
            write_registers(encoder, sample.regs_intr);
        }
        number(encoder, SampleType::PHYS_ADDR, sample.phys_addr);
        number(encoder, SampleType::CGROUP, sample.cgroup);
        number(encoder, SampleType::DATA_PAGE_SIZE, sample.data_page_size);
        number(encoder, SampleType::CODE_PAGE_SIZE, sample.code_page_size);
        if has(SampleType::AUX) {
            let aux = sample.aux.unwrap_or_default();
            encoder.u64(aux.len() as u64);
            encoder.bytes(aux);
        }
    }
}

fn registers<'a>(cursor: &mut Cursor<'a>, mask: u64) -> Result<Registers<'a>, ShortRead> {
    let abi = cursor.u64()?;
    let count = if abi == 0 { 0 } else { mask.count_ones() };
    Ok(Registers { abi, values: cursor.words(u64::from(count))? })
}

fn user_stack<'a>(cursor: &mut Cursor<'a>) -> Result<UserStack<'a>, ShortRead> {
    let size = usize::try_from(cursor.u64()?).map_err(|_| ShortRead)?;
    if size == 0 {
        return Ok(UserStack::default());
    }
    Ok(UserStack { bytes: cursor.bytes(size)?, valid: cursor.u64()? })
}

fn write_words(encoder: &mut Encoder, words: Words<'_>) {
    words.iter().for_each(|word| encoder.u64(word));
}

fn write_registers(encoder: &mut Encoder, registers: Option<Registers<'_>>) {
    let registers = registers.unwrap_or_default();
    encoder.u64(registers.abi);
    write_words(encoder, registers.values);
}
