//! Everything a report warns of, with advice.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use crate::access::Loss;
use crate::perf_data::Damage;

/// Something to keep in mind when reading a report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A part of the recording is damaged.
    Damaged(Damage),
    /// The ring buffers overflowed while recording.
    Lost {
        /// Records that are missing.
        records: u64,
        /// Whether we recorded, and not perf.
        by_hitm: bool,
    },
    /// The kernel throttled the event.
    Throttled {
        /// How often.
        times: u64,
        /// Whether we recorded, and not perf.
        by_hitm: bool,
    },
    /// Samples do not say on which CPU they were taken.
    NoCpu {
        /// How many.
        samples: u64,
    },
    /// No sample has a latency.
    NoLatency,
    /// The line size was not recorded.
    AssumedLineSize {
        /// What is assumed, bytes.
        bytes: u64,
    },
    /// There are stores only.
    NoLoads {
        /// How many stores.
        stores: u64,
    },
    /// Nothing tells which CPU belongs to which node.
    NoNumaTopology,
    /// Accesses of user code to memory without a recorded mapping.
    Unmapped {
        /// How many.
        samples: u64,
        /// Of how many.
        of: u64,
        /// Whether data mappings were asked for.
        has_data_mappings: bool,
    },
    /// Callers were asked for and no call chains recorded.
    NoCallChains,
    /// Records of types that are not known here.
    UnknownRecords {
        /// How many.
        records: u64,
    },
    /// AUX data that is not decoded.
    AuxData {
        /// Pieces of it.
        records: u64,
    },
    /// Clock samples do not say on which CPU they were taken.
    NoCpuInClockSamples {
        /// How many.
        samples: u64,
    },
    /// Clock samples do not say when they were taken.
    NoTimes,
    /// Clock samples with a memory operand that could not be resolved.
    Unresolved {
        /// How many.
        samples: u64,
        /// Of how many in user code.
        of: u64,
        /// Why most of them.
        reason: Loss,
    },
    /// Clock samples leave out the kernel.
    KernelNotSampled,
    /// Mappings of data were not recorded.
    NoDataMappings,
    /// Some listed lines are suspects only.
    Suspects {
        /// How many.
        lines: u64,
        /// Whether nothing but stores was seen at each.
        are_stores_only: bool,
    },
    /// There was no debug register free to watch some suspects with.
    NoDebugRegisters,
    /// Lines are used by hardware threads of one core.
    HardwareThreads {
        /// How many.
        lines: u64,
    },
    /// The hypervisor gave CPUs to others.
    Stolen {
        /// For how long, ns of all CPUs together.
        ns: u64,
        /// Of how much, ns.
        of_ns: u64,
    },
    /// The quota of a cgroup stopped the target.
    QuotaStops {
        /// How often.
        times: u64,
        /// For how long, ns of all CPUs together.
        ns: u64,
    },
    /// Allocations were traced for a part of the time only.
    HeapPaused {
        /// For how long, ns.
        traced_ns: u64,
        /// Of how long, ns.
        of_ns: u64,
    },
    /// Records of allocations found no room while recording.
    HeapLost {
        /// How many.
        records: u64,
    },
    /// There were more allocations than are kept.
    HeapForgotten {
        /// How many were forgotten.
        allocations: u64,
    },
    /// Names of code are missing.
    Names {
        /// Why.
        problem: String,
    },
}

impl Warning {
    /// A short, stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "damaged-recording",
            Self::Lost { .. } => "lost-records",
            Self::Throttled { .. } => "throttled",
            Self::NoCpu { .. } => "no-cpu",
            Self::NoLatency => "no-latency",
            Self::AssumedLineSize { .. } => "assumed-line-size",
            Self::NoLoads { .. } => "no-loads",
            Self::NoNumaTopology => "no-numa-topology",
            Self::Unmapped { .. } => "unmapped",
            Self::NoCallChains => "no-call-chains",
            Self::UnknownRecords { .. } => "unknown-records",
            Self::AuxData { .. } => "aux-data",
            Self::NoCpuInClockSamples { .. } => "no-cpu",
            Self::NoTimes => "no-times",
            Self::Unresolved { .. } => "unresolved",
            Self::KernelNotSampled => "kernel-not-sampled",
            Self::NoDataMappings => "no-data-mappings",
            Self::Suspects { .. } => "suspects",
            Self::NoDebugRegisters => "no-debug-registers",
            Self::HardwareThreads { .. } => "hardware-threads",
            Self::Stolen { .. } => "stolen-time",
            Self::QuotaStops { .. } => "quota",
            Self::HeapPaused { .. } => "heap-paused",
            Self::HeapLost { .. } => "heap-lost",
            Self::HeapForgotten { .. } => "heap-forgotten",
            Self::Names { .. } => "names",
        }
    }

    /// What is the matter, in a sentence.
    pub fn text(&self) -> String {
        match self {
            Self::Damaged(damage) => damage.to_string(),
            Self::Lost { records, .. } => {
                format!("{records} records were lost while recording: counts are too low")
            }
            Self::Throttled { times, .. } => {
                format!(
                    "the kernel throttled sampling {times} times: busy moments are under-counted"
                )
            }
            Self::NoCpu { samples } => {
                format!("{samples} samples do not say on which CPU they were taken")
            }
            Self::NoLatency => "no sample has a latency: lines are ranked by count".to_owned(),
            Self::AssumedLineSize { bytes } => {
                format!(
                    "the recording does not say how long a cache line is; {bytes} bytes are assumed"
                )
            }
            Self::NoLoads { stores } => format!(
                "all {stores} accesses are stores: only loads show HITM, so contention cannot be measured here"
            ),
            Self::NoNumaTopology => {
                "the recording has no NUMA topology: nodes are not shown".to_owned()
            }
            Self::Unmapped { samples, of, .. } => {
                format!("{samples} of {of} accesses go to memory without a recorded mapping")
            }
            Self::NoCallChains => "no call chains were recorded: callers are not known".to_owned(),
            Self::UnknownRecords { records } => {
                format!("{records} records of unknown types were skipped")
            }
            Self::AuxData { records } => {
                format!("{records} pieces of AUX data are not decoded by this version")
            }
            Self::NoCpuInClockSamples { samples } => format!(
                "{samples} clock samples do not say on which CPU they were taken: threads of \
                 one CPU cannot be told from threads of several, so no contention is claimed"
            ),
            Self::NoTimes => {
                "clock samples without times do not tell what happened at once, so no \
                              contention is claimed"
                    .to_owned()
            }
            Self::Unresolved { samples, of, reason } => format!(
                "{samples} of {of} samples in user code access memory that could not be \
                 determined, mostly because {}",
                because(*reason)
            ),
            Self::KernelNotSampled => {
                "time in the kernel was not sampled: shares are of the time in user code".to_owned()
            }
            Self::NoDataMappings => {
                "mappings of data were not recorded: memory that processes share is not known as \
                 such, and objects have no names"
                    .to_owned()
            }
            Self::Suspects { lines: 1, .. } => {
                "1 line is a suspect only, for the reason stated there".to_owned()
            }
            Self::Suspects { lines, .. } => {
                format!("{lines} lines are suspects only, for the reasons stated there")
            }
            Self::NoDebugRegisters => {
                "some suspects were not watched: no debug registers were free to \
                                       prove or clear them"
                    .to_owned()
            }
            Self::HardwareThreads { lines } => format!(
                "on {} hardware threads of one core meet, if the machine's topology is right: they share \
                 its caches, so that no line passes between them",
                if *lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") }
            ),
            Self::Stolen { ns, of_ns } => format!(
                "the hypervisor gave {:.1} % of the CPUs' time to others: loops are stretched by that \
                 in time, which is no contention and in no figure",
                *ns as f64 / (*of_ns).max(1) as f64 * 100.0
            ),
            Self::QuotaStops { times, ns } => format!(
                "the CPU quota of its container or cgroup stopped the target {}, for {:.3} s in all: \
                 that is no contention and in no figure",
                if *times == 1 { "once".to_owned() } else { format!("{times} times") },
                *ns as f64 / 1e9
            ),
            Self::HeapPaused { traced_ns, of_ns } => format!(
                "heap allocations were traced for {:.1} % of the time; objects allocated in the rest have \
                 no site, and what was freed there may be taken for what lies there now",
                *traced_ns as f64 / (*of_ns).max(1) as f64 * 100.0
            ),
            Self::HeapLost { records } => format!(
                "{records} records of heap allocations were lost: some objects have no site, or the one \
                 of what was there before"
            ),
            Self::HeapForgotten { allocations } => format!(
                "{allocations} heap allocations are not kept, the oldest freed ones first: objects in \
                 lines that were contended early may have no site"
            ),
            Self::Names { problem } => problem.clone(),
        }
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Lost { by_hitm: true, .. } => {
                "record with larger buffers (--mmap-pages) or a lower rate (-F)"
            }
            Self::Lost { .. } => "record with larger buffers (perf record -m 16M) or a lower rate",
            Self::Throttled { by_hitm: true, .. } => "record with a lower rate (-F or -c)",
            Self::Throttled { .. } => "record with a lower rate (perf record -F or -c)",
            Self::NoCpu { .. } => "record with --sample-cpu, as perf c2c record does",
            Self::NoCpuInClockSamples { .. } => {
                "record with hitm record, or perf record --sample-cpu"
            }
            Self::NoTimes => "record with hitm record, or perf record -T",
            Self::Unresolved { reason, .. } => remedy(*reason)?,
            Self::KernelNotSampled => {
                "run as root or with CAP_PERFMON, or set kernel.perf_event_paranoid to 1"
            }
            Self::NoDataMappings => "record with hitm record, or perf record -d",
            Self::Suspects { are_stores_only: true, .. } => {
                "compare run times with a build that pads them"
            }
            Self::Suspects { .. } => "record longer, or at a higher rate",
            Self::Stolen { .. } => "compare run times only with runs on a quiet host",
            Self::QuotaStops { .. } => "raise the quota (cpu.max, --cpus), or start fewer threads",
            Self::NoDebugRegisters => {
                "end what holds them (a debugger, hitm watch, perf record -e mem:…) and record again"
            }
            Self::HardwareThreads { .. } => {
                "list them with --show-all; hitm doctor --self-test measures how far CPUs are apart"
            }
            Self::HeapPaused { .. } => "record with a larger --heap-budget",
            Self::HeapLost { .. } => "record with a smaller --heap-budget",
            Self::NoLatency => "record with -W, as perf c2c record does",
            Self::AssumedLineSize { .. } => "give --line-size 64, 128 or 256",
            Self::NoLoads { .. } => {
                "record loads too: perf c2c record without -e, or a lower --ldlat"
            }
            Self::Unmapped { has_data_mappings: false, .. } => {
                "record with -d, so that data mappings are in the recording"
            }
            Self::NoCallChains => "record with -g",
            Self::AuxData { .. } => "read it with perf script or perf c2c report",
            Self::Damaged(_)
            | Self::Unmapped { .. }
            | Self::NoNumaTopology
            | Self::UnknownRecords { .. }
            | Self::HeapForgotten { .. }
            | Self::Names { .. } => return None,
        })
    }
}

/// Why an operand was not determined, to go behind "because".
fn because(loss: Loss) -> &'static str {
    match loss {
        Loss::Overwritten => "the registers of the address were overwritten",
        Loss::Ambiguous => "it lies on one of several paths through the code",
        Loss::VectorIndex => "gathers index by vectors, which a clock event cannot sample",
        Loss::SegmentBase => "the bases of the threads' segments are not in the recording",
        Loss::CodeMissing => "the code is not at hand",
        Loss::NotCaptured => "the code is in no file and was not captured",
        Loss::Undecodable => "the code could not be decoded",
        Loss::RegistersMissing => "user registers were not recorded",
        Loss::Architecture => "code of this architecture is not decoded",
    }
}

fn remedy(loss: Loss) -> Option<&'static str> {
    match loss {
        Loss::SegmentBase => Some("record with hitm record, which finds them"),
        Loss::CodeMissing => {
            Some("report on the machine that recorded, or give its files with --symfs")
        }
        Loss::NotCaptured => Some("record with hitm record, which captures such code"),
        Loss::RegistersMissing => Some("record with hitm record, or perf record --user-regs"),
        Loss::Overwritten
        | Loss::Ambiguous
        | Loss::VectorIndex
        | Loss::Undecodable
        | Loss::Architecture => None,
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Warning", 3)?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("text", &self.text())?;
        fields.serialize_field("advice", &self.advice())?;
        fields.end()
    }
}
