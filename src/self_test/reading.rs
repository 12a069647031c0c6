//! What the samples of a known loop say, held against what it did.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::bench::{Sampled, SelfTestError};
use super::exactness::{Exactness, Judged};
use super::skid::{Skid, nearest_before};
use super::workload::Told;
use crate::access::{
    Bases, Certainty, ClockSample, DataSource, DecodedFunction, Direction, FunctionCode,
    Instructions, Loss, MemoryAccess, Place, Plan, PlannedAccess, RegisterValues, Wait,
    data_source, samples_the_clock,
};
use crate::kernel::{KnownAccess, KnownCode, KnownLoop};
use crate::perf_data::{CpuMode, Input, RawRecord, Recording, SamplePosition, SampleType};

/// What the samples of one loop say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// The loop.
    pub workload: KnownLoop,
    /// All samples of its process.
    pub samples: u64,
    /// Those in the kernel.
    pub in_kernel: u64,
    /// Those in other user code: the program's start and end.
    pub elsewhere: u64,
    /// Those in the loop; all that follows is about them.
    pub in_loop: u64,
    /// Those with at least one access that every path makes, and none missing that is nearest to them.
    pub resolved: u64,
    /// Those that only tell of accesses that some paths make.
    pub possible_only: u64,
    /// Those without a memory access to tell of.
    pub no_operand: u64,
    /// Those whose nearest access was not determined, by reason.
    pub lost: BTreeMap<Loss, u64>,
    /// Samples that could not be decoded.
    pub malformed: u64,
    /// Records that found no room in a buffer.
    pub lost_records: u64,
    /// How often the kernel throttled sampling.
    pub throttled: u64,
    /// Accesses that every path makes, and all that hardware tells.
    pub certain: Exactness,
    /// Accesses that some paths make.
    pub possible: Exactness,
    /// Samples of which an access is named that they waited for.
    pub waits: u64,
    /// Those where that is the last one before the sample that reads (or one that is under way there),
    /// with its address: a plain store makes nobody wait.
    pub waits_right: u64,
    /// How far behind the accesses the samples lie.
    pub skid: Skid,
}

/// Where the samples of one loop are judged.
struct Judge<'t> {
    code: &'t KnownCode,
    known: &'t [KnownAccess],
    /// Which instructions access memory.
    accessing: Vec<usize>,
    /// Which of them read it.
    reading_ones: Vec<usize>,
    decoded: DecodedFunction,
    plans: HashMap<u64, Plan>,
    reading: Reading,
}

impl Reading {
    /// Reads the recording of a loop.
    ///
    /// # Errors
    ///
    /// The recording cannot be read, or the workload was none of the loops.
    pub(super) fn of(workload: KnownLoop, sampled: &Sampled) -> Result<Self, SelfTestError> {
        let input = Input::open(&sampled.recording)?;
        let reading = Self::of_recording(workload, &sampled.told, &Recording::open(&input)?)?;
        let (lost_records, throttled) = (sampled.recorded.lost, sampled.recorded.throttled);
        Ok(Self { lost_records, throttled, ..reading })
    }

    fn of_recording(
        workload: KnownLoop,
        told: &Told,
        recording: &Recording<'_>,
    ) -> Result<Self, SelfTestError> {
        let code = told.code.as_ref().ok_or(SelfTestError::NoKnownCode)?;
        let mut judge = Judge::new(workload, code, &told.accesses);
        for batch in recording.batches() {
            for (position, record) in recording.samples(batch) {
                judge.sample(recording, position, &record);
            }
        }
        Ok(judge.reading)
    }
}

impl<'t> Judge<'t> {
    fn new(workload: KnownLoop, code: &'t KnownCode, known: &'t [KnownAccess]) -> Self {
        let decoded = DecodedFunction::decode(&FunctionCode {
            instructions: Instructions::X86_64,
            address: code.address,
            bytes: &code.bytes,
            starts_at_boundary: true,
        });
        let instructions = |is_wanted: fn(&KnownAccess) -> bool| {
            let wanted = known.iter().filter(|access| is_wanted(access));
            wanted.map(|access| access.instruction).collect::<Vec<_>>()
        };
        let (accessing, reading_ones) = (instructions(|_| true), instructions(|it| it.reads));
        let reading = Reading {
            workload,
            samples: 0,
            in_kernel: 0,
            elsewhere: 0,
            in_loop: 0,
            resolved: 0,
            possible_only: 0,
            no_operand: 0,
            lost: BTreeMap::new(),
            malformed: 0,
            lost_records: 0,
            throttled: 0,
            certain: Exactness::default(),
            possible: Exactness::default(),
            waits: 0,
            waits_right: 0,
            skid: Skid::default(),
        };
        Self { code, known, accessing, reading_ones, decoded, plans: HashMap::new(), reading }
    }

    fn sample(
        &mut self,
        recording: &Recording<'_>,
        position: SamplePosition,
        record: &RawRecord<'_>,
    ) {
        let Ok((event, _)) = recording.decode(record) else {
            self.reading.malformed += 1;
            return;
        };
        let event = &recording.events()[event];
        let is_clock = samples_the_clock(event);
        let is_memory = event.attr.sample_type.contains(SampleType::ADDR | SampleType::DATA_SRC);
        if is_clock {
            match ClockSample::of(recording, position, record) {
                Ok(Some(sample)) if self.is_in_loop(sample.mode, sample.code.0) => {
                    self.clock_sample(sample.code.0, sample.registers.as_ref());
                }
                Ok(_) => {}
                Err(_) => self.reading.malformed += 1,
            }
        } else if is_memory {
            match MemoryAccess::of(recording, position, record) {
                Ok(access) if self.is_in_loop(access.mode, access.code.0) => {
                    self.hardware_sample(&access);
                }
                Ok(_) => {}
                Err(_) => self.reading.malformed += 1,
            }
        }
    }

    /// Counts a sample by where it is.
    fn is_in_loop(&mut self, mode: CpuMode, code: u64) -> bool {
        self.reading.samples += 1;
        let offset = code.wrapping_sub(self.code.address);
        let is_in_loop = mode == CpuMode::User && offset < self.code.bytes.len() as u64;
        match mode {
            CpuMode::User if is_in_loop => self.reading.in_loop += 1,
            CpuMode::User => self.reading.elsewhere += 1,
            _ => self.reading.in_kernel += 1,
        }
        if is_in_loop {
            self.reading.skid.add(&self.code.instructions, &self.accessing, code);
        }
        is_in_loop
    }

    fn plan(&mut self, code: u64) -> &Plan {
        self.plans.entry(code).or_insert_with(|| self.decoded.plan(code))
    }

    fn clock_sample(&mut self, code: u64, registers: Option<&RegisterValues>) {
        let plan = self.plan(code).clone();
        let judged = |access: &PlannedAccess| {
            let data = access.address.evaluate(registers?, &Bases::default())?;
            Some(Judged {
                code: access.code,
                data,
                size: Some(access.size),
                direction: access.direction,
                is_one_half: false,
            })
        };
        let told: Vec<(Certainty, Judged)> = plan
            .accesses
            .iter()
            .filter_map(|access| Some((access.certainty, judged(access)?)))
            .collect();
        let reading = &mut self.reading;
        let is_certain = told.iter().any(|(certainty, _)| *certainty == Certainty::Certain);
        match plan.loss {
            Some(loss) => *reading.lost.entry(loss).or_default() += 1,
            None if is_certain => reading.resolved += 1,
            None if !told.is_empty() => reading.possible_only += 1,
            None if plan.accesses.is_empty() => reading.no_operand += 1,
            None => *reading.lost.entry(Loss::RegistersMissing).or_default() += 1,
        }
        for (certainty, judged) in &told {
            let exactness = match certainty {
                Certainty::Certain => &mut reading.certain,
                Certainty::Possible => &mut reading.possible,
            };
            exactness.add(judged, &self.code.instructions, self.known);
        }
        if let Wait::Access(index) | Wait::Drain(Some(index)) = plan.wait
            && let Some(access) = plan.accesses.get(usize::from(index))
            && let Some(judged) = judged(access)
        {
            self.add_wait(code, access.place, &judged);
        }
    }

    fn add_wait(&mut self, sampled: u64, place: Place, waited: &Judged) {
        let instructions = &self.code.instructions;
        let before = nearest_before(instructions, &self.reading_ones, sampled);
        let before = before.and_then(|index| instructions.get(index)).copied();
        let is_there = match place {
            Place::At => waited.code == sampled,
            _ => before == Some(waited.code),
        };
        let mut exactness = Exactness::default();
        exactness.add(waited, instructions, self.known);
        self.reading.waits += 1;
        self.reading.waits_right += u64::from(is_there && exactness.all == 1);
    }

    fn hardware_sample(&mut self, access: &MemoryAccess) {
        let Some(direction) = direction(access.source).filter(|_| access.data.0 != 0) else {
            self.reading.no_operand += 1;
            return;
        };
        // Hardware tells no size: the instruction does.
        let code = access.code.0;
        let is_it = |planned: &Direction| {
            (!direction.reads() || planned.reads()) && (!direction.writes() || planned.writes())
        };
        let plan = self.plan(code);
        let mut here = plan.accesses.iter().filter(|planned| planned.place == Place::At);
        let size = here.find(|planned| is_it(&planned.direction)).map(|planned| planned.size);
        let judged = Judged { code, data: access.data.0, size, direction, is_one_half: true };
        self.reading.resolved += 1;
        self.reading.certain.add(&judged, &self.code.instructions, self.known);
    }
}

fn direction(source: DataSource) -> Option<Direction> {
    let has = |bit| source.op() & bit != 0;
    match (has(data_source::op::LOAD), has(data_source::op::STORE)) {
        (true, true) => Some(Direction::ReadModifyWrite),
        (true, false) => Some(Direction::Load),
        (false, true) => Some(Direction::Store),
        (false, false) => None,
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::kernel::KnownProgram;
    use crate::perf_data::{EventAttr, EventSpec, Features, Sample, Writer, WriterOptions};

    /// `PERF_RECORD_MISC_USER`.
    const USER: u16 = 2;
    /// `PERF_RECORD_MISC_KERNEL`.
    const KERNEL: u16 = 1;

    /// What hardware would tell: mode, instruction, address and operation.
    type ToldSample = (u16, u64, u64, u64);

    fn read(kind: KnownLoop, told: &Told, samples: &[ToldSample]) -> Reading {
        let sample_type = SampleType::IDENTIFIER
            | SampleType::IP
            | SampleType::TID
            | SampleType::ADDR
            | SampleType::DATA_SRC;
        // `PERF_TYPE_RAW`: a CPU's own event.
        let attr = EventAttr { kind: 4, sample_type, ..EventAttr::default() };
        let event = EventSpec { attr, name: "memory".into(), ids: vec![7] };
        let file = std::io::Cursor::new(Vec::new());
        let mut writer =
            Writer::file(file, vec![event], WriterOptions::default()).expect("a writer");
        for (misc, ip, addr, op) in samples {
            let sample = Sample {
                identifier: Some(7),
                ip: Some(*ip),
                thread: Some((9, 9)),
                addr: Some(*addr),
                data_src: Some(*op),
                ..Sample::default()
            };
            writer.sample(0, *misc, &sample).expect("written");
        }
        let bytes = writer.finish(&Features::default()).expect("written").into_inner();
        let input = Input::from_bytes(bytes);
        let recording = Recording::open(&input).expect("read");
        Reading::of_recording(kind, told, &recording).expect("a loop")
    }

    fn told(kind: KnownLoop) -> Told {
        let mut program = KnownProgram::new(kind).expect("written for this architecture");
        let code = Some(program.run(1));
        Told { code, accesses: program.accesses(), ..Told::default() }
    }

    #[test]
    fn samples_of_hardware_are_judged_like_those_of_the_clock() {
        use data_source::op::{LOAD, STORE};
        let kind = KnownLoop::LockedIncrement;
        let told = told(kind);
        let code = told.code.as_ref().expect("a loop has code");
        let at = |index: usize| code.instructions[index];
        let (first, second) = (told.accesses[0].address, told.accesses[1].address);
        let reading = read(
            kind,
            &told,
            &[
                (USER, at(0), first, LOAD),
                (USER, at(5), second, STORE),
                (USER, at(5), second, LOAD | STORE),
                // One instruction behind, as precise_ip 1 has it.
                (USER, at(1), first, LOAD),
                (USER, at(0), second, LOAD),
                (USER, at(0), 0, LOAD),
                (USER, at(2), 0, 0),
                (USER, at(0) - 0x1000, first, LOAD),
                (KERNEL, 0xffff_ffff_8000_0000, first, LOAD),
            ],
        );
        assert_eq!(
            (reading.samples, reading.in_kernel, reading.elsewhere, reading.in_loop),
            (9, 1, 1, 7)
        );
        assert_eq!((reading.resolved, reading.no_operand), (5, 2));
        let expected = Exactness {
            accesses: 5,
            code: 4,
            address: 4,
            size_told: 4,
            size: 3,
            direction: 3,
            all: 3,
        };
        assert_eq!(reading.certain, expected);
        assert_eq!(reading.possible, Exactness::default());
        assert_eq!(reading.skid.by_distance, BTreeMap::from([(0, 5), (1, 1), (2, 1)]));
    }

    #[test]
    fn hardware_that_follows_pointers_is_exact() {
        let told = told(KnownLoop::PointerChase);
        let load = told.code.as_ref().expect("a loop has code").instructions[0];
        let node = told.accesses[0].address + 64 * 1000;
        let op = data_source::op::LOAD;
        let samples = [(USER, load, node, op), (USER, load, node + 8, op)];
        let reading = read(KnownLoop::PointerChase, &told, &samples);
        assert_eq!((reading.certain.accesses, reading.certain.all), (2, 1));
    }
}
