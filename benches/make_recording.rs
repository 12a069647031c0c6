//! Writes a PEBS-like recording of any size, for measurements.
//!
//! ```text
//! cargo run --release --example make_recording -- -o /tmp/million.data --samples 1000000
//! ```
//!
//! Threads of one process load and store on shared lines, where they meet, and on private ones; one
//! sample in a few is a HITM.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use clap::Parser;
use hitm::perf_data::{
    AttrFlags, Cache, Comm, EventAttr, EventSpec, Features, MISC_MMAP_DATA, MappedObject,
    MemoryTopology, Mmap, NumaNode, Sample, SampleId, SampleType, Writer, WriterOptions,
};

const PID: u32 = 1000;
const CODE: u64 = 0x40_0000;
const SHARED: u64 = 0x7f00_0000_0000;
const PRIVATE: u64 = 0x7f10_0000_0000;
const USER: u16 = 2;
/// Load that hit the first level; load of a line modified on this node, on another one; store that
/// hit the first level: as Skylake's PEBS encodes them.
const L1_HIT: u64 = 0x2_0010_0142;
const LOCAL_HITM: u64 = 0x6_0080_0842;
const REMOTE_HITM: u64 = 0x36_0080_0042;
const STORE_HIT: u64 = 0x2_0000_0144;

/// Writes a PEBS-like recording.
#[derive(Parser)]
struct Arguments {
    /// Where to
    #[arg(short, long)]
    output: PathBuf,
    /// Samples
    #[arg(long, default_value_t = 1_000_000)]
    samples: u64,
    /// Lines that all threads use
    #[arg(long, default_value_t = 2_000)]
    shared: u64,
    /// Lines that one thread uses, in all
    #[arg(long, default_value_t = 250_000)]
    private: u64,
    /// Threads, one a CPU
    #[arg(long, default_value_t = 8)]
    threads: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let sample_type = SampleType::IP
        | SampleType::TID
        | SampleType::TIME
        | SampleType::ADDR
        | SampleType::ID
        | SampleType::CPU
        | SampleType::DATA_SRC
        | SampleType::PHYS_ADDR
        | SampleType::WEIGHT_STRUCT;
    let event = |config, name: &str, id| EventSpec {
        attr: EventAttr {
            kind: 4,
            config,
            sample_period: 1000,
            sample_type,
            flags: AttrFlags::SAMPLE_ID_ALL | AttrFlags::MMAP | AttrFlags::COMM,
            ..EventAttr::default()
        },
        name: name.to_owned(),
        ids: vec![id],
    };
    let events =
        vec![event(0x1cd, "cpu/mem-loads,ldlat=30/P", 1), event(0x82d0, "cpu/mem-stores/P", 2)];
    let out = BufWriter::with_capacity(1 << 20, File::create(&arguments.output)?);
    let mut writer = Writer::file(out, events, WriterOptions::default())?;
    let nobody = SampleId::default();
    for thread in 0..arguments.threads {
        let tid = PID + thread as u32;
        writer.comm(0, &Comm { pid: PID, tid, name: b"worker" }, &nobody)?;
    }
    for (start, length, protection, misc, name) in [
        (CODE, 0x10_0000, 5, USER, &b"/opt/bench/server"[..]),
        (SHARED, 1 << 36, 3, USER | MISC_MMAP_DATA, b"//anon"),
    ] {
        let file = u64::from(name != b"//anon");
        let object = MappedObject::Inode {
            major: 8 * file as u32,
            minor: file as u32,
            inode: 77 * file,
            generation: 0,
        };
        let mmap = Mmap {
            pid: PID,
            tid: PID,
            start,
            length,
            page_offset: 0,
            object,
            protection,
            flags: 2,
            name,
        };
        writer.mmap(misc, &mmap, &nobody)?;
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for number in 0..arguments.samples {
        let thread = random.below(arguments.threads);
        let is_shared = random.below(4) == 0;
        let is_store = random.below(4) == 0;
        let (line, offset) = if is_shared {
            // The square makes some lines hotter than others.
            let place = random.below(arguments.shared) * random.below(arguments.shared);
            (SHARED + place / arguments.shared.max(1) * 64, thread * 8 % 64)
        } else {
            let own = arguments.private / arguments.threads;
            (PRIVATE + (thread * own + random.below(own)) * 64, random.below(8) * 8)
        };
        let source = match (is_store, is_shared, random.below(4)) {
            (true, ..) => STORE_HIT,
            (false, true, 0) => LOCAL_HITM,
            (false, true, 1) => REMOTE_HITM,
            _ => L1_HIT,
        };
        let sample = Sample {
            // A few instructions for each thread, as in a real program.
            ip: Some(CODE + 0x1000 + thread * 64 + u64::from(is_store) * 32 + random.below(2) * 8),
            thread: Some((PID, PID + thread as u32)),
            time: Some(1_000_000_000 + number * 1000),
            addr: Some(line + offset),
            cpu: Some(thread as u32),
            weight: Some(30 + random.below(400)),
            data_src: Some(source),
            phys_addr: Some((line & 0xffff_ffff) + offset),
            ..Sample::default()
        };
        writer.sample(usize::from(is_store), USER, &sample)?;
        if number % 50_000 == 49_999 {
            writer.finished_round()?;
        }
    }
    writer.finish(&features(arguments.threads as u32))?;
    Ok(())
}

fn features(cpus: u32) -> Features {
    let half = cpus.div_ceil(2);
    let node = |id, cpus: std::ops::Range<u32>| NumaNode {
        id,
        total_kib: 1 << 24,
        free_kib: 1 << 20,
        cpus: cpus.collect(),
    };
    Features {
        hostname: Some("bench".to_owned()),
        os_release: Some("6.1.0".to_owned()),
        version: Some("6.1".to_owned()),
        arch: Some("x86_64".to_owned()),
        cpus: Some((cpus, cpus)),
        cpu_description: Some("Intel(R) Xeon(R), made up".to_owned()),
        cpuid: Some("GenuineIntel,6,85,4".to_owned()),
        numa_nodes: Some(vec![node(0, 0..half), node(1, half..cpus)]),
        memory_topology: Some(MemoryTopology {
            block_size: 1 << 27,
            nodes: vec![(0, vec![(0, 15)]), (1, vec![(16, 31)])],
        }),
        caches: vec![Cache {
            level: 1,
            line_size: 64,
            sets: 64,
            ways: 8,
            kind: "Data".to_owned(),
            size: "32K".to_owned(),
            cpus: format!("0-{}", cpus.saturating_sub(1)),
        }],
        ..Features::default()
    }
}

/// xorshift64*: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit.max(1)
    }
}
