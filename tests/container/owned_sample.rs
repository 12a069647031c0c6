//! Samples that own their bytes, so that a test can make them up and keep them.

use hitm::perf_data::{
    BranchStack, ByteOrder, Encoder, EventAttr, ReadFormat, Registers, Sample, SampleFormat,
    SampleType, UserStack, Words,
};

use crate::support::random::Random;

/// Bits of `branch_sample_type` that change the layout of a sample.
const BRANCH_HARDWARE_INDEX: u64 = 1 << 17;
const BRANCH_COUNTERS: u64 = 1 << 19;

/// Words in a byte order.
#[derive(Debug, Clone)]
pub struct OwnedWords {
    bytes: Vec<u8>,
    order: ByteOrder,
}

impl OwnedWords {
    fn new(words: impl IntoIterator<Item = u64>, order: ByteOrder) -> Self {
        let mut encoder = Encoder::new(order);
        words.into_iter().for_each(|word| encoder.u64(word));
        Self { bytes: encoder.into_bytes(), order }
    }

    fn random(random: &mut Random, count: usize, order: ByteOrder) -> Self {
        Self::new((0..count).map(|_| random.next()), order)
    }

    fn words(&self) -> Words<'_> {
        Words::new(&self.bytes, self.order)
    }
}

/// A sample whose variable parts are its own.
#[derive(Debug)]
pub struct OwnedSample {
    fixed: Sample<'static>,
    read: OwnedWords,
    callchain: OwnedWords,
    raw: Vec<u8>,
    branches: OwnedWords,
    branch_counters: OwnedWords,
    registers_user: OwnedWords,
    registers_interrupt: OwnedWords,
    abis: (u64, u64),
    stack: Vec<u8>,
    aux: Vec<u8>,
    format: SampleFormat,
}

impl OwnedSample {
    /// A sample with every field that `attr` asks for.
    pub fn random(random: &mut Random, attr: &EventAttr, id: u64, order: ByteOrder) -> Self {
        let format = SampleFormat::from(attr);
        let has = |bit: SampleType| format.sample_type.contains(bit);
        let mut number = |bit: SampleType| has(bit).then(|| random.next());
        let weight = number(SampleType::WEIGHT).or(number(SampleType::WEIGHT_STRUCT));
        let fixed = Sample {
            identifier: has(SampleType::IDENTIFIER).then_some(id),
            ip: number(SampleType::IP),
            thread: number(SampleType::TID).map(|both| (both as u32, (both >> 32) as u32)),
            time: number(SampleType::TIME),
            addr: number(SampleType::ADDR),
            id: has(SampleType::ID).then_some(id),
            stream_id: number(SampleType::STREAM_ID),
            cpu: number(SampleType::CPU).map(|cpu| cpu as u32),
            period: number(SampleType::PERIOD),
            weight,
            data_src: number(SampleType::DATA_SRC),
            transaction: number(SampleType::TRANSACTION),
            phys_addr: number(SampleType::PHYS_ADDR),
            cgroup: number(SampleType::CGROUP),
            data_page_size: number(SampleType::DATA_PAGE_SIZE),
            code_page_size: number(SampleType::CODE_PAGE_SIZE),
            ..Sample::default()
        };
        let abis = (random.below(3), random.below(3));
        let registers = |random: &mut Random, abi, mask: u64| {
            let count = if abi == 0 { 0 } else { mask.count_ones() as usize };
            OwnedWords::random(random, count, order)
        };
        let branches = random.index(6);
        // RAW is padded so that its size and bytes fill whole words; make it so from the start.
        let raw_length = 8 * random.index(5) + 4;
        Self {
            fixed,
            read: read_values(random, format.read_format, order),
            callchain: { OwnedWords::random(random, branches * 3, order) },
            raw: bytes(random, raw_length),
            branches: OwnedWords::random(random, branches * 3, order),
            branch_counters: OwnedWords::random(random, branches, order),
            registers_user: registers(random, abis.0, format.regs_user),
            registers_interrupt: registers(random, abis.1, format.regs_intr),
            abis,
            stack: {
                let length = 8 * random.index(9);
                bytes(random, length)
            },
            aux: {
                let length = 8 * random.index(9);
                bytes(random, length)
            },
            format,
        }
    }

    /// The sample as the writer takes it and the reader gives it.
    pub fn sample(&self) -> Sample<'_> {
        let has = |bit: SampleType| self.format.sample_type.contains(bit);
        let branch = |bit: u64| self.format.branch_sample_type & bit != 0;
        Sample {
            read: has(SampleType::READ).then(|| self.read.words()),
            callchain: has(SampleType::CALLCHAIN).then(|| self.callchain.words()),
            raw: has(SampleType::RAW).then_some(&self.raw[..]),
            branch_stack: has(SampleType::BRANCH_STACK).then(|| BranchStack {
                hardware_index: branch(BRANCH_HARDWARE_INDEX).then_some(7),
                entries: self.branches.words(),
                counters: branch(BRANCH_COUNTERS).then(|| self.branch_counters.words()),
            }),
            regs_user: has(SampleType::REGS_USER)
                .then(|| Registers { abi: self.abis.0, values: self.registers_user.words() }),
            stack_user: has(SampleType::STACK_USER).then(|| UserStack {
                bytes: &self.stack,
                // Without bytes the kernel writes no count of valid ones either.
                valid: self.stack.len() as u64 / 2,
            }),
            regs_intr: has(SampleType::REGS_INTR)
                .then(|| Registers { abi: self.abis.1, values: self.registers_interrupt.words() }),
            aux: has(SampleType::AUX).then_some(&self.aux[..]),
            ..self.fixed
        }
    }
}

fn bytes(random: &mut Random, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.next() as u8).collect()
}

/// Counter values with as many words as the read format asks for.
fn read_values(random: &mut Random, format: ReadFormat, order: ByteOrder) -> OwnedWords {
    let has = |bit: ReadFormat| usize::from(format.contains(bit));
    let times = has(ReadFormat::TOTAL_TIME_ENABLED) + has(ReadFormat::TOTAL_TIME_RUNNING);
    let extras = has(ReadFormat::ID) + has(ReadFormat::LOST);
    if !format.contains(ReadFormat::GROUP) {
        return OwnedWords::random(random, 1 + times + extras, order);
    }
    let members = random.index(4);
    let rest: Vec<u64> = (0..times + members * (1 + extras)).map(|_| random.next()).collect();
    OwnedWords::new(std::iter::once(members as u64).chain(rest), order)
}

/// An event that asks for `sample_type`, and at random for what the fields can come with.
pub fn random_attr(random: &mut Random, sample_type: SampleType) -> EventAttr {
    let has = |bit: SampleType| sample_type.contains(bit);
    let branch_types = [0, BRANCH_HARDWARE_INDEX, BRANCH_COUNTERS, 1, 1 | BRANCH_HARDWARE_INDEX];
    EventAttr {
        kind: 4,
        size: *random.pick(&[128, 136, 144]),
        config: random.next(),
        sample_period: random.next(),
        sample_type,
        read_format: ReadFormat(random.below(32)),
        flags: hitm::perf_data::AttrFlags::SAMPLE_ID_ALL,
        branch_sample_type: if has(SampleType::BRANCH_STACK) {
            *random.pick(&branch_types)
        } else {
            0
        },
        sample_regs_user: if has(SampleType::REGS_USER) { random.next() } else { 0 },
        sample_regs_intr: if has(SampleType::REGS_INTR) { random.next() } else { 0 },
        ..EventAttr::default()
    }
}
