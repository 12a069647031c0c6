//! Recordings as `perf c2c record` would make them on a machine that this one is not.
//!
//! [`Synthetic`] says what to make; the same model is written as a file or into a pipe, compressed
//! or not, in both byte orders, or as a directory. It holds what makes a report hard: rows with
//! equal counts, processes that fork and exec while they are sampled, memory shared at different
//! addresses, accesses without a mapping, records that are out of order within a round.

use std::io::{self, Cursor};
use std::path::Path;

use hitm::perf_data::{
    ByteOrder, Comm, CpuMode, Encoder, Features, MISC_EXEC, MISC_MMAP_DATA, MappedObject, Mmap,
    RecordType, Sample, SampleId, SampleType, Task, Words, Writer, WriterOptions,
};

use super::data_source_words as words;
use super::machine;
use super::processes::{Image, Program, REGION_SIZE, RegionKind};
use super::random::Random;

/// `misc`: the instruction pointer is exact.
const MISC_EXACT_IP: u16 = 1 << 14;
const KERNEL_TEXT: u64 = 0xffff_ffff_8100_0000;
const KERNEL_DATA: u64 = 0xffff_8881_0000_0000;
/// Marks in call chains that say where the following addresses belong.
const CHAIN_KERNEL: u64 = -128_i64 as u64;
const CHAIN_USER: u64 = -512_i64 as u64;

/// Time between two drains of a CPU's buffer, ns.
const ROUND: u64 = 1_000_000;
/// How much later each CPU's buffer is drained than the one before, ns.
const DRAIN_DELAY: u64 = 20_000;
/// Samples of one CPU between two drains, on average.
const SAMPLES_PER_DRAIN: usize = 50;
const START: u64 = 5_000_000_000_000;

const SERVER: u32 = 1000;
const WORKER: u32 = 2000;
const PARENT: u32 = 3000;
const CHILD: u32 = 3001;
/// A process of which no record but its samples tells.
const STRANGER: u32 = 5000;
/// A thread with a name of its own, which has blanks.
const NAMED_THREAD: u32 = 2002;
/// A thread of the server that starts during the run.
const LATE_THREAD: u32 = 1006;

/// What to make.
#[derive(Debug, Clone)]
pub struct Synthetic {
    /// Samples in the recording.
    pub samples: usize,
    /// Which of the many recordings of this kind.
    pub seed: u64,
    /// Whether samples have call chains.
    pub callchains: bool,
    /// [`SampleType::WEIGHT_STRUCT`] or [`SampleType::WEIGHT`].
    pub weight: SampleType,
    /// Byte order.
    pub order: ByteOrder,
    /// zstd level of the records, if they are compressed.
    pub compression_level: Option<i32>,
    /// The image of the server and the worker, where it should be a real one.
    pub image: Option<Image>,
    /// Cache lines that several threads use.
    pub contended_lines: usize,
    /// Whether there is a third event, without addresses.
    pub cycles: bool,
    /// Whether some samples are of a hypervisor or do not say where they are.
    pub odd_modes: bool,
    /// Whether mappings of images have build ids instead of inodes.
    pub build_ids: bool,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self {
            samples: 10_000,
            seed: 1,
            callchains: false,
            weight: SampleType::WEIGHT_STRUCT,
            order: ByteOrder::Little,
            compression_level: None,
            image: None,
            contended_lines: 40,
            cycles: false,
            odd_modes: false,
            build_ids: false,
        }
    }
}

impl Synthetic {
    /// The recording as a file.
    ///
    /// # Errors
    ///
    /// What the writer answers.
    pub fn file(&self) -> io::Result<Vec<u8>> {
        let model = Model::new(self);
        let mut writer = Writer::file(Cursor::new(Vec::new()), self.events(), self.options())?;
        model.write(&mut writer)?;
        Ok(writer.finish(&model.features())?.into_inner())
    }

    /// The recording as it would come through a pipe.
    ///
    /// # Errors
    ///
    /// What the writer answers.
    pub fn pipe(&self) -> io::Result<Vec<u8>> {
        let model = Model::new(self);
        let features = model.features();
        let mut writer = Writer::pipe(Vec::new(), self.events(), &features, self.options())?;
        model.write(&mut writer)?;
        writer.finish_pipe()
    }

    /// The recording as a directory, which must not exist: as `perf record --threads` writes it,
    /// each recording thread's records in a file of their own.
    ///
    /// # Errors
    ///
    /// What the writer and the file system answer.
    pub fn directory(&self, path: &Path) -> io::Result<()> {
        let model = Model::new(self);
        std::fs::create_dir(path)?;
        let main = std::fs::File::create(path.join("data"))?;
        let mut writer = Writer::file(main, self.events(), self.options())?;
        model.write_start(&mut writer)?;
        writer.finish(&Features { directory_format: Some(1), ..model.features() })?;
        for node in 0..2 {
            // The part of a node's thread is a recording of its own, less header and features.
            let file = Cursor::new(Vec::new());
            let mut writer = Writer::file(file, self.events(), self.options())?;
            for drain in model.drains.iter().filter(|drain| drain.cpu / 8 == node) {
                model.write_drain(&mut writer, drain)?;
            }
            let bytes = writer.finish(&Features::default())?.into_inner();
            let number = |at: usize| {
                let mut cursor = hitm::perf_data::Cursor::new(&bytes[at..], self.order);
                cursor.u64().map(|number| number as usize).map_err(io::Error::other)
            };
            let (offset, size) = (number(40)?, number(48)?);
            std::fs::write(path.join(format!("data.{node}")), &bytes[offset..offset + size])?;
        }
        Ok(())
    }

    fn events(&self) -> Vec<hitm::perf_data::EventSpec> {
        machine::events(self.weight, self.callchains, self.cycles)
    }

    fn options(&self) -> WriterOptions {
        WriterOptions { order: self.order, compression_level: self.compression_level }
    }
}

/// One sample.
#[derive(Debug, Clone)]
struct Hit {
    event: usize,
    misc: u16,
    pid: u32,
    tid: u32,
    ip: u64,
    addr: u64,
    data_src: u64,
    phys_addr: u64,
    weight: u64,
    chain: Vec<u64>,
}

/// What one CPU wrote into its buffer.
#[derive(Debug, Clone)]
enum Item {
    Hit(Hit),
    /// A thread starts: process, thread, parent process.
    Fork(u32, u32, u32),
    /// A process runs another program.
    Exec(u32, Box<Program>),
    /// Part of a process's memory becomes another mapping.
    Remap(u32, Box<Program>),
    /// A thread ends.
    Exit(u32, u32),
}

/// What was read from one CPU's buffer at once.
#[derive(Debug)]
struct Drain {
    cpu: u32,
    ends_round: bool,
    items: Vec<(u64, Item)>,
}

/// A place in memory, independent of the process that looks at it.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In a region of whichever program runs.
    Region(RegionKind, u64),
    /// In the kernel.
    Kernel(u64),
}

/// How one thread uses a contended line.
#[derive(Debug, Clone)]
struct Use {
    pid: u32,
    tid: u32,
    code: Vec<u64>,
    offset: u64,
    writes: bool,
}

/// A line that several threads use.
#[derive(Debug)]
struct Line {
    place: Place,
    node: usize,
    uses: Vec<Use>,
    /// What its loads meet.
    meets: &'static [&'static [u64]],
}

/// The run: programs, lines, and what each CPU recorded.
struct Model {
    order: ByteOrder,
    build_ids: bool,
    programs: Vec<(u32, Program)>,
    drains: Vec<Drain>,
    span: (u64, u64),
}

impl Model {
    fn new(what: &Synthetic) -> Self {
        Run::new(what).model()
    }

    fn features(&self) -> Features {
        Features { sample_time: Some(self.span), ..machine::features() }
    }

    fn write<W: io::Write>(&self, writer: &mut Writer<W>) -> io::Result<()> {
        self.write_start(writer)?;
        for drain in &self.drains {
            self.write_drain(writer, drain)?;
            if drain.ends_round {
                writer.finished_round()?;
            }
        }
        Ok(())
    }

    /// What perf synthesises before it samples: the kernel, and the processes that already run.
    fn write_start<W: io::Write>(&self, writer: &mut Writer<W>) -> io::Result<()> {
        let id = SampleId::default();
        let kernel = Mmap {
            pid: u32::MAX,
            tid: 0,
            start: KERNEL_TEXT,
            length: 0x100_0000,
            page_offset: KERNEL_TEXT,
            object: MappedObject::Unknown,
            protection: 0,
            flags: 0,
            name: b"[kernel.kallsyms]_text",
        };
        writer.mmap(CpuMode::Kernel as u16, &kernel, &id)?;
        let started = |pid: &u32| ![CHILD, STRANGER].contains(pid);
        for (pid, program) in self.programs.iter().filter(|(pid, _)| started(pid)) {
            for tid in threads_of(*pid).filter(|tid| *tid != LATE_THREAD) {
                let task = Task { pid: *pid, ppid: *pid, tid, ptid: *pid, time: 0 };
                writer.task(RecordType::FORK, 0, &task, &id)?;
                let name: &[u8] = match tid {
                    NAMED_THREAD => b"pool worker 2",
                    _ => program.comm.as_bytes(),
                };
                writer.comm(0, &Comm { pid: *pid, tid, name }, &id)?;
            }
            self.write_mappings(writer, *pid, program, &id)?;
        }
        writer.record(RecordType::FINISHED_INIT, 0, &[])
    }

    fn write_drain<W: io::Write>(&self, writer: &mut Writer<W>, drain: &Drain) -> io::Result<()> {
        let cpu = drain.cpu;
        for (time, item) in &drain.items {
            let time = *time;
            let id = |pid, tid| SampleId {
                thread: Some((pid, tid)),
                time: Some(time),
                id: Some(100 + u64::from(cpu)),
                cpu: Some(cpu),
                ..SampleId::default()
            };
            match item {
                Item::Hit(hit) => write_hit(writer, self.order, hit, time, cpu)?,
                Item::Fork(pid, tid, ppid) => {
                    let task = Task { pid: *pid, ppid: *ppid, tid: *tid, ptid: *ppid, time };
                    writer.task(RecordType::FORK, 0, &task, &id(*ppid, *ppid))?;
                }
                Item::Exit(pid, tid) => {
                    let task = Task { pid: *pid, ppid: *pid, tid: *tid, ptid: *pid, time };
                    writer.task(RecordType::EXIT, 0, &task, &id(*pid, *tid))?;
                }
                Item::Exec(pid, program) => {
                    let name = program.comm.as_bytes();
                    let comm = Comm { pid: *pid, tid: *pid, name };
                    writer.comm(MISC_EXEC, &comm, &id(*pid, *pid))?;
                    self.write_mappings(writer, *pid, program, &id(*pid, *pid))?;
                }
                Item::Remap(pid, program) => {
                    let mapping = remapped(program, *pid);
                    let misc = CpuMode::User as u16 | MISC_MMAP_DATA;
                    writer.mmap(misc, &mapping, &id(*pid, *pid))?;
                }
            }
        }
        Ok(())
    }

    fn write_mappings<W: io::Write>(
        &self,
        writer: &mut Writer<W>,
        pid: u32,
        program: &Program,
        id: &SampleId,
    ) -> io::Result<()> {
        let build_id = [program.image.inode as u8; 20];
        let mut text = program.text_mapping(pid);
        if self.build_ids {
            text.object = MappedObject::BuildId(&build_id);
        }
        writer.mmap(CpuMode::User as u16, &text, id)?;
        for region in &program.regions {
            let misc = CpuMode::User as u16 | MISC_MMAP_DATA;
            let mut mapping = program.data_mapping(pid, *region);
            if self.build_ids && region.kind == RegionKind::ImageData {
                mapping.object = MappedObject::BuildId(&build_id);
            }
            writer.mmap(misc, &mapping, id)?;
        }
        Ok(())
    }
}

/// Half of a program's anonymous region becomes part of the shared file.
fn remapped(program: &Program, pid: u32) -> Mmap<'_> {
    let shared = program.regions.iter().find(|region| region.kind == RegionKind::SharedFile);
    let shared = *shared.expect("every program has every kind of region");
    Mmap {
        start: program.region(RegionKind::Anonymous) + REGION_SIZE / 2,
        length: REGION_SIZE / 4,
        page_offset: 0x20_0000,
        ..program.data_mapping(pid, shared)
    }
}

fn write_hit<W: io::Write>(
    writer: &mut Writer<W>,
    order: ByteOrder,
    hit: &Hit,
    time: u64,
    cpu: u32,
) -> io::Result<()> {
    let mut chain = Encoder::new(order);
    hit.chain.iter().for_each(|address| chain.u64(*address));
    let sample = Sample {
        ip: Some(hit.ip),
        thread: Some((hit.pid, hit.tid)),
        time: Some(time),
        addr: Some(hit.addr),
        id: Some(100 * (hit.event as u64 + 1) + u64::from(cpu)),
        cpu: Some(cpu),
        period: Some(1),
        callchain: Some(Words::new(chain.as_slice(), order)),
        weight: Some(hit.weight),
        data_src: Some(hit.data_src),
        phys_addr: Some(hit.phys_addr),
        ..Sample::default()
    };
    writer.sample(hit.event, hit.misc | MISC_EXACT_IP, &sample)
}

/// The threads of a process.
fn threads_of(pid: u32) -> std::ops::Range<u32> {
    match pid {
        SERVER => SERVER..LATE_THREAD + 1,
        WORKER => WORKER..WORKER + 4,
        PARENT => PARENT..PARENT + 1,
        other => other..other + 1,
    }
}

/// The making of a model.
struct Run<'a> {
    what: &'a Synthetic,
    random: Random,
    programs: Vec<(u32, Program)>,
    lines: Vec<Line>,
    /// What the child runs in the end.
    next_program: Program,
    fork_time: u64,
    exec_time: u64,
    thread_time: u64,
    exit_time: u64,
    remap_time: u64,
    end: u64,
}

impl<'a> Run<'a> {
    fn new(what: &'a Synthetic) -> Self {
        let rounds =
            what.samples.div_ceil(SAMPLES_PER_DRAIN * machine::CPUS as usize).max(4) as u64;
        let length = rounds * ROUND;
        let image =
            |path: &str, inode| what.image.clone().unwrap_or_else(|| Image::imaginary(path, inode));
        let parent = Program::new("parent", Image::imaginary("/srv/synthetic/parent", 43), 4);
        let mut run = Self {
            what,
            random: Random::new(what.seed),
            programs: vec![
                (SERVER, Program::new("server", image("/opt/synthetic/server", 41), 0)),
                (WORKER, Program::new("worker", image("/opt/synthetic/server", 41), 2)),
                (CHILD, parent.clone()),
                (PARENT, parent),
                (STRANGER, Program::new("", Image::imaginary("/opt/synthetic/none", 44), 8)),
            ],
            lines: Vec::new(),
            // Another program of the same file name.
            next_program: Program::new("after", Image::imaginary("/srv/synthetic/server", 45), 6),
            fork_time: START + length * 3 / 10,
            exec_time: START + length * 6 / 10,
            thread_time: START + length * 5 / 10,
            exit_time: START + length * 9 / 10,
            remap_time: START + length * 4 / 10,
            end: START + length,
        };
        run.lines = (0..what.contended_lines).map(|index| run.line(index)).collect();
        run
    }

    fn program(&self, pid: u32, time: u64) -> &Program {
        if pid == CHILD && time > self.exec_time {
            return &self.next_program;
        }
        // The idle thread runs no program; what it is given is not used.
        let found = self.programs.iter().find(|(other, _)| *other == pid);
        &found.unwrap_or(&self.programs[0]).1
    }

    /// The line number `index`: kinds of memory, sharers and what they meet take turns.
    fn line(&mut self, index: usize) -> Line {
        const MEETS: [&[&[u64]]; 6] = [
            &[words::LOCAL_HITM],
            &[words::REMOTE_HITM],
            &[words::LOCAL_HITM, words::REMOTE_HITM],
            &[words::PEERS],
            &[words::LOCAL_HITM, words::PLAIN_LOADS],
            &[words::REMOTE_HITM, words::PEERS, words::PLAIN_LOADS],
        ];
        use RegionKind::*;
        const KINDS: [RegionKind; 8] =
            [Heap, SharedFile, ImageData, Anonymous, SharedAnonymous, SysV, Huge, Stack];
        let kind = KINDS[index % KINDS.len()];
        // Regions are used from far apart, and anonymous memory also where it is remapped.
        let place = match index % 11 {
            10 => Place::Kernel(KERNEL_DATA + index as u64 * 64),
            _ => Place::Region(kind, (index as u64 * 0x5040) & !63),
        };
        let candidates: &[u32] = match kind {
            SharedFile | SharedAnonymous | SysV | ImageData => &[SERVER, WORKER, PARENT, CHILD],
            Heap | Huge => &[SERVER],
            Anonymous => &[WORKER, CHILD],
            Stack => &[SERVER, WORKER],
        };
        let count = 2 + self.random.index(5);
        let uses = (0..count).map(|_| self.a_use(candidates)).collect();
        Line {
            place,
            node: self.random.index(2),
            uses,
            meets: MEETS[self.random.index(MEETS.len())],
        }
    }

    fn a_use(&mut self, candidates: &[u32]) -> Use {
        let pid = *self.random.pick(candidates);
        let threads = threads_of(pid);
        let tid = threads.start + self.random.below(u64::from(threads.end - threads.start)) as u32;
        let offsets = self.program(pid, START).image.code.clone();
        let code = (0..1 + self.random.index(2)).map(|_| *self.random.pick(&offsets)).collect();
        let offset = *self.random.pick(&[0, 0, 8, 8, 16, 20, 24, 32, 40, 48, 60]);
        Use { pid, tid, code, offset, writes: self.random.chance(50) }
    }

    fn model(mut self) -> Model {
        let mut drains = Vec::new();
        let mut left = self.what.samples;
        let cpus = machine::CPUS as usize;
        let rounds = self.what.samples.div_ceil(SAMPLES_PER_DRAIN * cpus).max(4);
        let mut events = self.task_events();
        for round in 0..rounds as u64 {
            for cpu in 0..machine::CPUS {
                let drains_left = (rounds - round as usize) * cpus - cpu as usize;
                let average = left.div_ceil(drains_left);
                let is_last = drains_left == 1;
                let wanted = self.random.below(2 * average as u64 + 1) as usize;
                let count = if is_last { left } else { wanted.min(left) };
                left -= count;
                let delay = u64::from(cpu) * DRAIN_DELAY;
                let from = START + round * ROUND + delay;
                let to = if round + 1 == rounds as u64 { self.end } else { from + ROUND };
                let from = if round == 0 { START } else { from };
                let mut times: Vec<u64> =
                    (0..count).map(|_| from + self.random.below(to - from)).collect();
                times.sort_unstable();
                let mut items: Vec<(u64, Item)> = Vec::with_capacity(count);
                for time in times {
                    // Times ascend strictly within a CPU.
                    let time = items.last().map_or(time, |(last, _)| time.max(last + 1));
                    items.push((time, Item::Hit(self.hit(cpu, time))));
                }
                events.retain(|(time, event_cpu, item)| {
                    let is_here = *event_cpu == cpu && (from..to).contains(time);
                    if is_here {
                        items.push((*time, item.clone()));
                    }
                    !is_here
                });
                items.sort_by_key(|(time, _)| *time);
                drains.push(Drain { cpu, ends_round: cpu + 1 == machine::CPUS, items });
            }
        }
        Model {
            order: self.what.order,
            build_ids: self.what.build_ids,
            programs: self.programs,
            drains,
            span: (START, self.end),
        }
    }

    /// What processes do during the run, and on which CPU.
    fn task_events(&self) -> Vec<(u64, u32, Item)> {
        let server = self.program(SERVER, START).clone();
        vec![
            (self.fork_time, 3, Item::Fork(CHILD, CHILD, PARENT)),
            (self.exec_time, 12, Item::Exec(CHILD, Box::new(self.next_program.clone()))),
            (self.thread_time, 5, Item::Fork(SERVER, LATE_THREAD, SERVER)),
            (self.remap_time, 1, Item::Remap(SERVER, Box::new(server))),
            (self.exit_time, 9, Item::Exit(WORKER, WORKER + 3)),
        ]
    }

    fn lives(&self, pid: u32, tid: u32, time: u64) -> bool {
        match (pid, tid) {
            (CHILD, _) => time > self.fork_time,
            (_, LATE_THREAD) => time > self.thread_time,
            (WORKER, tid) if tid == WORKER + 3 => time < self.exit_time,
            _ => true,
        }
    }

    fn hit(&mut self, cpu: u32, time: u64) -> Hit {
        match self.random.below(100) {
            0..50 => self.contended_hit(cpu, time),
            50..92 => self.private_hit(time),
            _ => self.odd_hit(time),
        }
    }

    fn contended_hit(&mut self, cpu: u32, time: u64) -> Hit {
        // Lower numbers are hotter, the last ones are used once or twice: many rows with equal counts.
        let bound = 1 + self.random.index(self.lines.len());
        let index = self.random.index(bound);
        let line = &self.lines[index];
        let (place, node, meets) = (line.place, line.node, line.meets);
        let chosen = self.random.pick(&line.uses).clone();
        if !self.lives(chosen.pid, chosen.tid, time) {
            return self.private_hit(time);
        }
        let is_store = chosen.writes && self.random.chance(60);
        // A remote hit needs a CPU of the other node; which one is right for half of the CPUs.
        let is_near = cpu as usize / 8 == node;
        let source = if is_store {
            *self.random.pick(words::STORES)
        } else if is_near && self.random.chance(30) {
            *self.random.pick(words::PLAIN_LOADS)
        } else {
            let table = *self.random.pick(meets);
            *self.random.pick(table)
        };
        let code = *self.random.pick(&chosen.code);
        let program = self.program(chosen.pid, time);
        let kernel = matches!(place, Place::Kernel(_));
        let address = match place {
            Place::Kernel(address) => address,
            Place::Region(kind, at) => program.region(kind) + at % REGION_SIZE,
        } + chosen.offset;
        let ip = if kernel { KERNEL_TEXT + code } else { program.code_address(code) };
        let physical = machine::NODE_MEMORY[node] + (index as u64 + 16) * 4096 + (address & 0xfff);
        let phys_addr = match self.random.below(100) {
            0..4 => 0,
            4 => machine::MEMORY_HOLE + (address & 0xfff),
            5..8 => physical + (1 << 30),
            _ => physical,
        };
        let mode = if kernel { CpuMode::Kernel } else { CpuMode::User };
        self.finish(mode, (chosen.pid, chosen.tid), ip, address, source, phys_addr, time)
    }

    /// An access that nothing else comes near to.
    fn private_hit(&mut self, time: u64) -> Hit {
        let (pid, tid) = self.thread(time);
        let choice = self.random.next() as usize;
        let within = self.random.below(REGION_SIZE / 8) * 8;
        let program = self.program(pid, time);
        let address = program.regions[choice % program.regions.len()].start + within;
        let codes = &program.image.code;
        let ip = program.code_address(codes[choice / 8 % codes.len()]);
        let source = match self.random.below(100) {
            0..40 => *self.random.pick(words::STORES),
            40..41 => *self.random.pick(words::LOCAL_HITM),
            _ => *self.random.pick(words::PLAIN_LOADS),
        };
        let node = self.random.index(2);
        let phys_addr = machine::NODE_MEMORY[node] + self.random.below(machine::NODE_MEMORY_SIZE);
        self.finish(CpuMode::User, (pid, tid), ip, address, source, phys_addr, time)
    }

    /// Zero addresses, kernel code, unknown threads and addresses, words that are no access.
    fn odd_hit(&mut self, time: u64) -> Hit {
        let (pid, tid) = self.thread(time);
        let program = self.program(pid, time);
        let user_ip = program.code_address(program.image.code[0]);
        let heap = program.region(RegionKind::Heap);
        let heap = heap + 0x40 * self.random.below(16);
        let kernel_ip = KERNEL_TEXT + 0x1000 + 16 * self.random.below(16);
        let kernel_address = KERNEL_DATA + 8 * self.random.below(4096);
        let table = *self.random.pick(&[words::PLAIN_LOADS, words::STORES, words::LOCAL_HITM]);
        let source = *self.random.pick(table);
        let (user, kernel) = (CpuMode::User, CpuMode::Kernel);
        let (mode, thread, ip, address, source) = match self.random.below(9) {
            0 => (user, (pid, tid), user_ip, 0, source),
            1 | 2 => (kernel, (pid, tid), kernel_ip, kernel_address, source),
            3 => (kernel, (pid, tid), kernel_ip, heap, source),
            4 => (kernel, (0, 0), kernel_ip, kernel_address, source),
            5 => (user, (STRANGER, STRANGER), user_ip, heap, source),
            6 => (user, (pid, tid), 0x1234_5678, heap, source),
            7 => (user, (pid, tid), user_ip, 0x6000_0000_0000 + heap % 4096, source),
            _ => (user, (pid, tid), user_ip, heap, *self.random.pick(words::NO_ACCESS)),
        };
        self.finish(mode, thread, ip, address, source, 0, time)
    }

    /// A thread that lives.
    fn thread(&mut self, time: u64) -> (u32, u32) {
        loop {
            let pid = *self.random.pick(&[SERVER, SERVER, WORKER, PARENT, CHILD]);
            let threads = threads_of(pid);
            let count = u64::from(threads.end - threads.start);
            let tid = threads.start + self.random.below(count) as u32;
            if self.lives(pid, tid, time) {
                return (pid, tid);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "they are the fields of a sample")]
    fn finish(
        &mut self,
        mode: CpuMode,
        (pid, tid): (u32, u32),
        ip: u64,
        addr: u64,
        source: u64,
        phys_addr: u64,
        time: u64,
    ) -> Hit {
        let decoration = if source == 0 { 0 } else { *self.random.pick(words::DECORATIONS) };
        let latency = 30 + self.random.below(700);
        let weight = match self.what.weight {
            SampleType::WEIGHT_STRUCT => {
                latency | self.random.below(900) << 32 | self.random.below(90) << 48
            }
            _ => latency,
        };
        let weight = if self.random.chance(5) { 0 } else { weight };
        // Each process calls from two places, so that graphs fork.
        let choice = pid as usize % 8 + 9 * self.random.index(2);
        let program = self.program(pid, time);
        let caller = program.code_address(program.image.code[choice % program.image.code.len()]);
        let chain = match (self.what.callchains, mode) {
            (false, _) => Vec::new(),
            (true, CpuMode::Kernel) => {
                vec![CHAIN_KERNEL, ip, KERNEL_TEXT + 0x40, CHAIN_USER, caller]
            }
            (true, _) => vec![CHAIN_USER, ip, caller, caller + 8 * (ip % 3)],
        };
        let is_store = source & 6 == 4;
        let is_cycle = self.what.cycles && self.random.chance(10);
        let event = if is_cycle { 2 } else { usize::from(is_store) };
        const ODD_MODES: [CpuMode; 2] = [CpuMode::Unknown, CpuMode::Hypervisor];
        let is_odd = self.what.odd_modes && self.random.chance(3);
        let mode = if is_odd { *self.random.pick(&ODD_MODES) } else { mode };
        Hit {
            event,
            misc: mode as u16,
            pid,
            tid,
            ip,
            addr,
            data_src: source | decoration,
            phys_addr,
            weight,
            chain,
        }
    }
}
