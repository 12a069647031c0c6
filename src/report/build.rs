//! From a recording to a report.

use std::collections::BTreeSet;

use super::callers::call_chains;
use super::error::ReportError;
use super::model::{
    Access, Cost, EventFacts, Grade, Hex, Inline, Line, MeanCycles, Object, OtherLines,
    RecordingFacts, Report, SharedLines, SourceCount, SourceLine, Summary, ThreadSamples,
    Unparsable, Unresolved,
};
use super::names::Names;
use super::session::{Progress, ReportOptions, Session};
use crate::access::{C2cStats, Source};
use crate::lines::{
    AccessKind, AccessSite, ContendedLine, Gathered, Identity, LineIdentity, SortKey, Survey,
};
use crate::perf_data::{CpuMode, Recording};
use crate::process::{MemoryKind, Pid};

/// Name and version of the JSON form.
const SCHEMA: (&str, u32) = ("hitm-report", 1);

/// Makes the report of a recording; `limit` lines are listed, sorted by `sort`.
///
/// # Errors
///
/// [`ReportError`] when the recording holds no memory accesses, or none passes the filter.
pub fn report(
    recording: &Recording<'_>,
    options: &ReportOptions,
    sort: SortKey,
    limit: Option<usize>,
    progress: Progress<'_>,
) -> Result<Report, ReportError> {
    let session = Session::new(recording, options);
    let identity = session.identity();
    let survey_options = session.survey_options(true);
    let survey = session.survey(&identity, &survey_options, progress)?;
    let picked = if options.show_all { survey.all_lines() } else { survey.suspects() };
    let gathered = Gathered::of(
        recording,
        &identity,
        &survey_options,
        LineIdentity::Own,
        &picked,
        |key| survey.perf_lines.contains(key),
        progress,
    );
    let mut lines = contended_lines(&gathered, &identity, options);
    lines.sort_by_cached_key(|line| line.rank(sort));
    let contended_in_all: u64 = lines.iter().map(|line| line.contended).sum();
    let contended_lines = lines.iter().filter(|line| line.contended > 0).count() as u64;
    lines.truncate(limit.unwrap_or(usize::MAX));

    let mut names = session.names();
    let context = Context { session: &session, identity: &identity };
    let listed: Vec<Line> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| context.line(index, line, contended_in_all, &mut names))
        .collect();
    Ok(Report {
        schema: SCHEMA.0,
        version: SCHEMA.1,
        recording: facts(&session, &survey),
        c2c: Some(survey.totals),
        sources: Source::ALL
            .into_iter()
            .map(|source| SourceCount { source, loads: survey.loads_from(source) })
            .filter(|count| count.loads > 0)
            .collect(),
        shared: SharedLines {
            shared_lines: survey.perf_lines.len() as u64,
            stats: gathered.perf_shared,
        },
        other_lines: other_lines(&survey, &lines),
        lines: listed,
        unparsable: Unparsable {
            samples: survey.unparsable.nr_entries,
            c2c: Some(survey.unparsable),
        },
        groups: Vec::new(),
        summary: Summary {
            resolved: survey.accepted
                - survey.unparsable.nr_entries
                - survey.totals.ld_noadrs
                - survey.totals.st_noadrs,
            no_operand: survey.unparsable.nr_entries,
            lost: session.lost(),
            in_kernel: survey.in_kernel,
            contended_loads: contended_in_all,
            contended_lines,
            ..Summary::default()
        },
        unresolved: Unresolved {
            no_address: survey.totals.ld_noadrs + survey.totals.st_noadrs,
            malformed: survey.malformed,
            unknown_event: survey.unknown_event,
        },
        warnings: session.warnings(&survey, &names),
    })
}

fn contended_lines(
    gathered: &Gathered,
    identity: &Identity<'_>,
    options: &ReportOptions,
) -> Vec<ContendedLine> {
    let line =
        |accesses| ContendedLine::of(accesses, identity, options.version, options.call_graph);
    gathered.by_line().filter_map(line).collect()
}

/// All that is not listed: loads and stores of other lines, and those without an address.
fn other_lines(survey: &Survey, listed: &[ContendedLine]) -> OtherLines {
    let mut rest = survey.totals;
    rest -= survey.unparsable;
    for line in listed {
        rest -= line.stats;
    }
    OtherLines {
        lines: survey.line_count() - listed.len() as u64,
        samples: rest.nr_entries,
        c2c: Some(rest),
    }
}

fn facts(session: &Session<'_, '_>, survey: &Survey) -> RecordingFacts {
    let recording = session.recording;
    let features = recording.features();
    let counts = survey.event_samples.iter().zip(&survey.event_accesses);
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
        samples: recording.sample_count(),
        lost: session.lost(),
        duration_ns: survey
            .times
            .filter(|_| recording.has_times())
            .map(|(first, last)| last.0 - first.0),
        recorder: features.version.clone(),
        command_line: features.command_line.clone(),
        line_size: session.line_size.bytes(),
        accepted: survey.accepted,
    }
}

/// Which hardware sampled, by the CPU's vendor.
fn samplers(recording: &Recording<'_>) -> Vec<&'static str> {
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

struct Context<'c> {
    session: &'c Session<'c, 'c>,
    identity: &'c Identity<'c>,
}

impl Context<'_> {
    fn line(&self, index: usize, line: &ContendedLine, all: u64, names: &mut Names<'_>) -> Line {
        let (readers, writers) = line.readers_and_writers();
        let object = self.object(line);
        let is_own = !line.is_between_processes && object.kind != "kernel";
        Line {
            rank: index as u64 + 1,
            address: Hex(line.address.0),
            line_size: self.session.line_size.bytes(),
            pid: is_own.then_some(line.pid.0),
            grade: Grade::Measured,
            verdict: None,
            reason: None,
            confidence: None,
            samples: line.samples,
            contended_loads: line.contended,
            contended_cycles: (line.contended_cycles > 0).then_some(line.contended_cycles),
            contended_share: if all == 0 { 0.0 } else { line.contended as f64 / all as f64 },
            cost: Cost::default(),
            c2c: Some(line.stats),
            objects: vec![object],
            fields: Vec::new(),
            readers: readers.len() as u64,
            writers: writers.len() as u64,
            accesses: line.sites.iter().map(|site| self.access(site, names)).collect(),
            pairs: Vec::new(),
            advice: Vec::new(),
            gain: None,
        }
    }

    /// What the mapping alone says about the memory.
    fn object(&self, line: &ContendedLine) -> Object {
        let mapping = self.identity.mapping(line.data_mapping);
        let kind = match mapping.map(|mapping| mapping.kind) {
            _ if line.address.0 >> 63 == 1 => "kernel",
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
        }
    }

    fn access(&self, site: &AccessSite, names: &mut Names<'_>) -> Access {
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
            offset: u64::from(site.offset.0),
            size: None,
            kind: match site.kind {
                AccessKind::Load => "load",
                AccessKind::Store => "store",
            },
            code_address: Hex(site.code.0),
            symbol: name.symbol.clone(),
            label: name.label(site.code),
            object: name.object.as_ref().map(|object| object.to_string()),
            in_kernel: site.mode == CpuMode::Kernel,
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
            threads,
            cpus: site.cpus.iter().map(|cpu| cpu.0).collect(),
            nodes: nodes.into_iter().collect(),
            callers: call_chains(
                self.session.recording,
                &self.session.processes,
                names,
                &site.positions,
            ),
            samples: site.samples,
            contended: site.contended,
            c2c: Some(site.stats),
            mean_cycles: mean_cycles(site),
        }
    }
}

fn mean_cycles(site: &AccessSite) -> Option<MeanCycles> {
    let means = MeanCycles {
        rmt_hitm: site.mean_cycles(Source::RemoteHitm),
        lcl_hitm: site.mean_cycles(Source::LocalHitm),
        rmt_peer: site.mean_cycles(Source::RemotePeer),
        lcl_peer: site.mean_cycles(Source::LocalPeer),
        load: site.mean_uncontended_cycles(),
        contended: site.mean_contended_cycles(),
    };
    (means.contended.is_some() || means.load.is_some()).then_some(means)
}

/// The counters of all lines and of what is not in lines, for checks that they re-add.
pub fn sum_of_parts(report: &Report) -> C2cStats {
    let mut sum = C2cStats::default();
    let parts = report.lines.iter().map(|line| line.c2c);
    for part in parts.chain([report.other_lines.c2c, report.unparsable.c2c]).flatten() {
        sum += part;
    }
    sum
}
