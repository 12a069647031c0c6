//! What both kinds of report say of a recording, an object in memory and a place in code.

use std::collections::{BTreeMap, BTreeSet};

use super::callers::call_chains;
use super::model::{
    Access, EventFacts, Hex, Inline, Line, Object, RecordingFacts, SourceLine, ThreadSamples,
};
use super::names::Names;
use super::objects::NamedObject;
use super::operand_types::{TypedAccess, merge, typed_objects};
use super::session::Session;
use super::site_code::SiteCode;
use crate::access::{CodeAddress, Direction, LockUse, samples_the_clock};
use crate::lines::timed::SampledCode;
use crate::lines::{Identity, LineAddress};
use crate::perf_data::{Recording, SamplePosition};
use crate::process::{Cpu, MemoryKind, Pid, ThreadBases, Tid, Time};

/// What a first pass counted, of use to the facts of any recording.
pub(super) struct Counted<'c> {
    pub(super) event_samples: &'c [u64],
    pub(super) event_accesses: &'c [u64],
    pub(super) times: Option<(Time, Time)>,
    pub(super) accepted: u64,
    pub(super) watch_hits: u64,
}

pub(super) fn facts(session: &Session<'_, '_>, counted: &Counted<'_>) -> RecordingFacts {
    let recording = session.recording;
    let features = recording.features();
    let counts = counted.event_samples.iter().zip(counted.event_accesses);
    RecordingFacts {
        arch: features.arch.clone(),
        cpu: features.cpu_description.clone(),
        kernel: features.os_release.clone(),
        hostname: features.hostname.clone(),
        cpus: features.cpus.map(|(_, online)| online),
        nodes: features.numa_nodes.as_ref().map(|nodes| nodes.len() as u32),
        samplers: samplers(recording),
        events: recording
            .events()
            .iter()
            .zip(counts)
            .map(|(event, (&samples, &accesses))| EventFacts {
                name: event.name.clone(),
                samples,
                accesses,
            })
            .collect(),
        samples: recording
            .sample_count()
            .saturating_sub(counted.watch_hits + session.heap_samples()),
        watch_hits: counted.watch_hits,
        heap_samples: session.heap_samples(),
        lost: session.lost(),
        duration_ns: counted
            .times
            .filter(|_| recording.has_times())
            .map(|(first, last)| last.0 - first.0),
        recorder: features.version.clone(),
        command_line: features.command_line.clone(),
        line_size: session.line_size.bytes(),
        accepted: counted.accepted,
    }
}

/// What sampled: the clock, or hardware by the CPU's vendor.
fn samplers(recording: &Recording<'_>) -> Vec<&'static str> {
    let mut clocks = recording.events().iter().filter(|event| samples_the_clock(event)).peekable();
    if clocks.peek().is_some() {
        // That event is not the kernel's: hitm names it so, and its samples are taken with ptrace.
        let is_traced = clocks.any(|event| event.name == "ptrace");
        return vec![if is_traced { "ptrace" } else { "clock" }];
    }
    let features = recording.features();
    let arch = features.arch.as_deref().unwrap_or_default();
    let cpuid = features.cpuid.as_deref().unwrap_or_default();
    match (arch, cpuid) {
        _ if cpuid.starts_with("GenuineIntel") => vec!["pebs"],
        _ if cpuid.starts_with("AuthenticAMD") || cpuid.starts_with("HygonGenuine") => vec!["ibs"],
        ("aarch64" | "arm64", _) => vec!["spe"],
        _ => Vec::new(),
    }
}

/// Where code is, who ran it, and how often.
pub(super) struct Site<'s> {
    pub(super) code: CodeAddress,
    pub(super) mapping: Option<u32>,
    pub(super) threads: &'s BTreeMap<(Pid, Tid), u64>,
    pub(super) cpus: &'s BTreeSet<Cpu>,
    pub(super) last_time: Time,
    pub(super) positions: &'s [SamplePosition],
}

/// The word for it in JSON.
pub(super) fn lock_word(lock: LockUse) -> &'static str {
    match lock {
        LockUse::Take => "take",
        LockUse::Draw => "draw",
        LockUse::Spin => "wait",
    }
}

/// The name of a symbol without the version of its interface (`memcpy@@GLIBC_2.14`).
fn without_version(name: &str) -> &str {
    name.split_once("@@").map_or(name, |(name, _)| name)
}

/// Describes objects and code of one recording.
pub(super) struct Describe<'c> {
    pub(super) session: &'c Session<'c, 'c>,
    pub(super) identity: &'c Identity<'c>,
    pub(super) code: &'c SiteCode,
    pub(super) bases: &'c ThreadBases,
}

impl Describe<'_> {
    /// What the mapping alone says about the memory.
    pub(super) fn object(&self, address: LineAddress, data_mapping: Option<u32>) -> Object {
        let mapping = self.identity.mapping(data_mapping);
        let kind = match mapping.map(|mapping| mapping.kind) {
            _ if address.0 >> 63 == 1 => "kernel",
            Some(MemoryKind::Heap) => "heap",
            Some(MemoryKind::Stack) => "stack",
            Some(MemoryKind::Kernel) => "kernel",
            Some(MemoryKind::Shared) => "shared",
            Some(MemoryKind::File) if mapping.is_some_and(|mapping| mapping.is_shared) => "shared",
            _ => "unknown",
        };
        Object {
            kind,
            name: mapping.map(|mapping| mapping.name.to_string()),
            type_name: None,
            base: None,
            size: None,
            allocated_at: Vec::new(),
            heap: None,
        }
    }

    /// Adds what the types of operands say of memory that has no name.
    pub(super) fn add_typed(
        &self,
        objects: &mut Vec<NamedObject>,
        line: &Line,
        accesses: &[TypedAccess],
        names: &mut Names<'_>,
    ) {
        let is_named = objects.iter().any(|object| object.name.is_some() && object.kind != "stack");
        if is_named || !self.session.options.names.source_lines {
            return;
        }
        let is_stack = objects.iter().any(|object| object.kind == "stack");
        let kind = match line.objects.first().map(|object| (object.kind, object.name.as_deref())) {
            _ if is_stack => "stack",
            Some(("unknown", Some("//anon"))) => "heap",
            Some((kind, _)) => kind,
            None => "unknown",
        };
        merge(objects, typed_objects(accesses, self.code, names), kind);
    }

    /// What a site's instruction does to a lock.
    pub(super) fn lock(&self, site: &SampledCode, direction: Direction) -> Option<&'static str> {
        let operand = self.code.operand(site.mapping, site.pid, site.code, direction)?;
        operand.lock.map(lock_word)
    }

    /// An access with its names, threads, CPUs and callers; what the samples say of it is left to
    /// fill in.
    pub(super) fn access(&self, site: &Site<'_>, names: &mut Names<'_>) -> Access {
        let pid = site.threads.keys().next().map_or(Pid(u32::MAX), |(pid, _)| *pid);
        let name = names.code(site.mapping, site.code, pid);
        let source_line = |source: &Option<(String, u32)>| {
            source.as_ref().map(|(file, line)| SourceLine { file: file.clone(), line: *line })
        };
        let nodes: BTreeSet<u32> = site
            .cpus
            .iter()
            .filter_map(|cpu| self.session.node_of_cpu.get(cpu))
            .map(|node| node.0)
            .collect();
        let mut threads: Vec<_> = site
            .threads
            .iter()
            .map(|(&(pid, tid), &samples)| ThreadSamples {
                pid: pid.0,
                tid: tid.0,
                comm: self.session.processes.name(tid, site.last_time).map(|name| name.to_string()),
                samples,
            })
            .collect();
        threads.sort_by_key(|thread| (std::cmp::Reverse(thread.samples), thread.pid, thread.tid));
        Access {
            offset: 0,
            size: None,
            kind: "",
            code_address: Hex(site.code.0),
            symbol: name.symbol.as_deref().map(|name| without_version(name).to_owned()),
            label: without_version(&name.label(site.code)).to_owned(),
            object: name.object.as_ref().map(|object| object.to_string()),
            in_kernel: false,
            source: source_line(&name.source),
            inlines: name
                .inlined
                .iter()
                .map(|frame| Inline {
                    symbol: frame.function.clone(),
                    source: source_line(&frame.source),
                })
                .collect(),
            field: None,
            lock: None,
            threads,
            cpus: site.cpus.iter().map(|cpu| cpu.0).collect(),
            nodes: nodes.into_iter().collect(),
            callers: call_chains(
                self.session.recording,
                &self.session.processes,
                names,
                site.positions,
            ),
            samples: 0,
            contended: 0,
            waited: None,
            c2c: None,
            mean_cycles: None,
        }
    }
}
