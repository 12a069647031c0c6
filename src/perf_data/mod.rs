//! The perf.data container: a reader and a writer of Linux perf's recordings.
//!
//! [`Input`] holds the bytes, [`Recording`] finds events, features and records in them without
//! copying, and [`Writer`] writes the same structures. File and pipe mode, both byte orders, zstd
//! compression and directories are read alike; [`RawRecord`] is a record in its place, and one
//! structure for each record type decodes and encodes its body.
//!
//! This module depends on nothing else of the crate but the file mapping.
//!
//! ```
//! use hitm::perf_data::{
//!     EventAttr, EventSpec, Features, Input, Recording, Sample, SampleType, Writer, WriterOptions,
//! };
//!
//! let attr = EventAttr { sample_type: SampleType::IP | SampleType::ADDR, ..EventAttr::default() };
//! let event = EventSpec { attr, name: "loads".into(), ids: vec![7] };
//! let file = std::io::Cursor::new(Vec::new());
//! let mut writer = Writer::file(file, vec![event], WriterOptions::default())?;
//! writer.sample(0, 2, &Sample { ip: Some(0x401000), addr: Some(0x7f00_0040), ..Sample::default() })?;
//! let bytes = writer.finish(&Features::default())?.into_inner();
//!
//! let input = Input::from_bytes(bytes);
//! let recording = Recording::open(&input)?;
//! for batch in recording.batches() {
//!     for (_, record) in recording.samples(batch) {
//!         let (event, sample) = recording.decode(&record).expect("a sample of a known event");
//!         assert_eq!(recording.events()[event].name, "loads");
//!         assert_eq!(sample.addr, Some(0x7f00_0040));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attr;
mod compression;
mod cursor;
mod encoder;
mod error;
mod feature;
mod header;
mod heap_turn;
mod input;
mod kernel_records;
mod recent_copy;
mod record;
mod recording;
mod sample;
mod sample_id;
mod user_records;
mod watch_turn;
mod writer;

pub use attr::{
    ATTR_SIZE_DEFAULT, ATTR_SIZE_MAX, ATTR_SIZE_MIN, AttrFlags, EventAttr, ReadFormat, SampleType,
};
pub use cursor::{ByteOrder, Cursor, ShortRead, Words};
pub use encoder::Encoder;
pub use error::{Damage, Error};
pub use feature::{
    Cache, CompressionInfo, CpuTopology, EventDescription, FeatureId, Features, ImageBuildId,
    MemoryTopology, NumaNode, format_cpu_list, parse_cpu_list,
};
pub use header::{FILE_HEADER_SIZE, FeatureBits, Header, MAGIC, PIPE_HEADER_SIZE, Section};
pub use heap_turn::HeapTurn;
pub use input::Input;
pub use kernel_records::{
    Aux, AuxOutputHardwareId, BpfEvent, Cgroup, Comm, ItraceStart, Ksymbol, Lost, LostSamples,
    MappedObject, Mmap, Namespaces, SwitchCpuWide, Task, TextPoke, Throttle,
};
pub use record::{
    CpuMode, MISC_BUILD_ID_SIZE, MISC_EXEC, MISC_MMAP_BUILD_ID, MISC_MMAP_DATA, RECORD_HEADER_SIZE,
    RawRecord, RecordType,
};
pub use recording::{Batch, Event, Recording, SampleError, SamplePosition};
pub use sample::{BranchStack, Registers, Sample, SampleFormat, UserStack};
pub use sample_id::SampleId;
pub use user_records::{
    AuxTrace, AuxTraceError, AuxTraceInfo, BuildIdRecord, Calibration, CapturedCode, CpuMap,
    CpusTaken, EventChange, EventUpdate, HeaderAttr, IdIndex, IdIndexEntry, ThreadBase, ThreadMap,
    TimeConversion, TimeScale,
};
pub use watch_turn::{ArmedRegister, WatchTurn};
pub use writer::{EventSpec, Writer, WriterOptions};
