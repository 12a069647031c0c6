//! The report of a recording with clock samples.

use rustc_hash::FxHashMap;

use super::code_source::ImageCodeSource;
use super::describe::{Counted, Describe, Site, facts};
use super::error::ReportError;
use super::model::{
    Access, Cost, Grade, Hex, Line, OtherLines, Report, SCHEMA, Summary, Unparsable, Unresolved,
    UnresolvedTimed,
};
use super::names::Names;
use super::session::{Progress, Session};
use super::warning::Warning;
use crate::access::{Direction, Loss, samples_the_clock};
use crate::lines::timed::{
    Evidence, Plans, TimedLine, TimedOptions, TimedSite, TimedSurvey, Touches, blame,
    counting_touches,
};
use crate::lines::{Filter, Identity, LineKey, SortKey};
use crate::perf_data::{AttrFlags, Event};
use crate::process::ThreadBases;

/// A line needs five waiting samples to be a finding. With 9.2 expected, five or more come in 95 of
/// 100 runs (Poisson).
const EXPECTED_FOR_A_FINDING: f64 = 9.2;

/// Lines by where time went.
pub(super) fn timed_report(
    session: &Session<'_, '_>,
    sort: SortKey,
    limit: Option<usize>,
    progress: Progress<'_>,
) -> Result<Report, ReportError> {
    session.check()?;
    let recording = session.recording;
    let identity = session.identity();
    let mut names = session.names();
    let mut source = ImageCodeSource::new(recording, &session.processes, &mut names);
    let plans = Plans::of(recording, &identity, &mut source);
    let options =
        TimedOptions { filter: session.options.filter.clone(), bases: ThreadBases::of(recording) };
    let survey = TimedSurvey::of(recording, &identity, &plans, &options, progress);
    if survey.accepted == 0 && !options.filter.is_empty() {
        let samples = recording.sample_count();
        return Err(ReportError::AllFiltered { accepted: survey.accepted, samples });
    }
    let picked = if session.options.show_all { survey.all_lines() } else { survey.suspects() };
    let touches = Touches::of(recording, &identity, &plans, &options, &picked, progress);
    // Without times nothing can be said to happen at once.
    let can_claim = recording.has_times();
    let mut lines = lines(session, &identity, &touches, &picked, can_claim);
    let findings = |line: &&TimedLine| line.evidence() == Some(Evidence::Waiting);
    let contended_lines = lines.iter().filter(findings).count() as u64;
    let is_suspect = |line: &&TimedLine| line.evidence().is_some() && !findings(line);
    let suspects = lines.iter().filter(is_suspect).count();
    let high: f64 = lines
        .iter()
        .filter(|line| line.evidence().is_some())
        .map(TimedLine::weight_high)
        .sum::<f64>()
        + 0.0;
    lines.sort_by_cached_key(|line| line.rank(sort));
    lines.truncate(limit.unwrap_or(usize::MAX));

    let describe = Describe { session, identity: &identity };
    let all = survey.weight.max(1) as f64;
    let listed: Vec<Line> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| listed_line(&describe, index, line, &survey, &mut names))
        .collect();
    let on_listed: u64 = lines.iter().map(|line| line.samples).sum();
    let on_all: u64 = survey.lines.values().map(|line| u64::from(line.samples)).sum();
    let counted = Counted {
        event_samples: &survey.event_samples,
        event_accesses: &survey.event_accesses,
        times: survey.times,
        accepted: survey.accepted,
    };
    Ok(Report {
        schema: SCHEMA.0,
        version: SCHEMA.1,
        recording: facts(session, &counted),
        c2c: None,
        sources: Vec::new(),
        shared: None,
        other_lines: OtherLines {
            lines: (survey.lines.len() - listed.len().min(survey.lines.len())) as u64,
            samples: on_all.saturating_sub(on_listed),
            c2c: None,
        },
        lines: listed,
        unparsable: Unparsable { samples: survey.no_operand, c2c: None },
        groups: Vec::new(),
        summary: Summary {
            contention_low: Some(0.0),
            contention_high: Some(high / all),
            detection_floor: detection_floor(session, &survey),
            resolved: survey.resolved,
            no_operand: survey.no_operand,
            lost: survey.unresolved(),
            in_kernel: survey.in_kernel,
            contended_lines,
            suspects: suspects as u64,
            ..Summary::default()
        },
        unresolved: unresolved(&survey),
        warnings: warnings(session, &survey, suspects as u64, &names),
    })
}

fn lines(
    session: &Session<'_, '_>,
    identity: &Identity<'_>,
    touches: &Touches,
    picked: &FxHashMap<LineKey, u32>,
    can_claim: bool,
) -> Vec<TimedLine> {
    let mut counting = Vec::new();
    let mut windows = vec![Vec::new(); picked.len()];
    let mut rests_on_paths = vec![false; picked.len()];
    for of_line in touches.all().chunk_by(|a, b| a.line == b.line) {
        let number = of_line[0].line as usize;
        let (mut touches, contended, on_paths) = counting_touches(of_line);
        if can_claim {
            (windows[number], rests_on_paths[number]) = (contended, on_paths);
        }
        counting.append(&mut touches);
    }
    let blames = blame(&counting, &windows);
    let mut start = 0;
    let mut lines = Vec::new();
    for of_line in counting.chunk_by(|a, b| a.line == b.line) {
        let blames = &blames[start..start + of_line.len()];
        start += of_line.len();
        let number = of_line[0].line as usize;
        let contended = (std::mem::take(&mut windows[number]), rests_on_paths[number]);
        let keep_samples = session.options.call_graph;
        lines.extend(TimedLine::of(of_line, blames, contended, identity, keep_samples));
    }
    if !session.options.show_all {
        lines.retain(|line| line.evidence().is_some());
    }
    lines
}

fn listed_line(
    describe: &Describe<'_>,
    index: usize,
    line: &TimedLine,
    survey: &TimedSurvey,
    names: &mut Names<'_>,
) -> Line {
    let (readers, writers) = line.readers_and_writers();
    let object = describe.object(line.address, line.data_mapping);
    let all = survey.weight.max(1) as f64;
    let in_ns = is_time(describe.session);
    let high = line.weight_high();
    let evidence = line.evidence();
    Line {
        rank: index as u64 + 1,
        address: Hex(line.address.0),
        line_size: describe.session.line_size.bytes(),
        pid: (!line.is_between_processes).then_some(line.pid.0),
        grade: Grade::Timed,
        verdict: match evidence {
            Some(Evidence::Waiting) => None,
            Some(Evidence::Presence | Evidence::Path) => Some("possible"),
            None => Some("none"),
        },
        reason: match evidence {
            Some(Evidence::Waiting) => None,
            Some(Evidence::Presence) => Some(
                "Threads on different CPUs were at this line at once and at least one writes it, \
                 but too few samples waited for it or wrote it to call it contended."
                    .to_owned(),
            ),
            Some(Evidence::Path) => Some(
                "Threads on different CPUs were at this line at once, and at least one writes it, \
                 if their code took one of several paths; the samples do not tell which."
                    .to_owned(),
            ),
            None => Some(
                "No two threads on different CPUs were seen at this line at once with one writing."
                    .to_owned(),
            ),
        },
        confidence: None,
        samples: line.samples,
        contended_loads: 0,
        contended_cycles: None,
        contended_share: 0.0,
        waited: Some(line.waited),
        cost: Cost {
            share_low: Some(0.0),
            share_high: Some(high / all),
            cpu_ns_low: in_ns.then_some(0),
            cpu_ns_high: in_ns.then_some(high as u64),
            lost_cycles: None,
        },
        c2c: None,
        objects: vec![object],
        fields: Vec::new(),
        readers: readers.len() as u64,
        writers: writers.len() as u64,
        accesses: line.sites.iter().map(|site| access(describe, site, names)).collect(),
        pairs: Vec::new(),
        advice: Vec::new(),
        gain: None,
    }
}

fn access(describe: &Describe<'_>, site: &TimedSite, names: &mut Names<'_>) -> Access {
    let described = Site {
        code: site.code,
        mapping: site.mapping,
        threads: &site.threads,
        cpus: &site.cpus,
        last_time: site.last_time,
        positions: &site.positions,
    };
    Access {
        offset: u64::from(site.offset.0),
        size: Some(u64::from(site.size)),
        kind: match site.direction {
            Direction::Load => "load",
            Direction::Store => "store",
            Direction::ReadModifyWrite => "rmw",
        },
        samples: site.samples,
        waited: Some(site.waited),
        ..describe.access(&described, names)
    }
}

/// Whether weights are ns: the events are software clocks.
fn is_time(session: &Session<'_, '_>) -> bool {
    const PERF_TYPE_SOFTWARE: u32 = 1;
    clocks(session).all(|event| event.attr.kind == PERF_TYPE_SOFTWARE)
}

fn clocks<'s>(session: &'s Session<'_, '_>) -> impl Iterator<Item = &'s Event> {
    session.recording.events().iter().filter(|event| samples_the_clock(event))
}

/// The smallest share of the run's CPU time that waiting for one line must take to be found, but for
/// 1 of 20 runs: from the samples taken, those lost and those that could not be resolved.
fn detection_floor(session: &Session<'_, '_>, survey: &TimedSurvey) -> Option<f64> {
    if survey.without_cpu > 0 || !session.recording.has_times() || survey.accepted == 0 {
        return None;
    }
    if hides_partners(&session.options.filter) {
        return None;
    }
    let looked_at = survey.resolved + survey.unresolved();
    let resolved = match looked_at {
        0 => return None,
        of => survey.resolved as f64 / of as f64,
    };
    Some((EXPECTED_FOR_A_FINDING / (survey.accepted as f64 * resolved).max(1e-9)).min(1.0))
}

/// Whether a filter may leave out the threads with which others contend.
fn hides_partners(filter: &Filter) -> bool {
    let Filter { pids, tids, comms, cpus, objects, .. } = filter;
    !(pids.is_empty()
        && tids.is_empty()
        && comms.is_empty()
        && cpus.is_empty()
        && objects.is_empty())
}

fn unresolved(survey: &TimedSurvey) -> Unresolved {
    let lost = |loss: Loss| survey.lost[loss as usize];
    Unresolved {
        malformed: survey.malformed,
        unknown_event: survey.unknown_event,
        timed: UnresolvedTimed {
            overwritten: lost(Loss::Overwritten),
            vector_index: lost(Loss::VectorIndex),
            segment_base: lost(Loss::SegmentBase),
            code_missing: lost(Loss::CodeMissing),
            undecodable: lost(Loss::Undecodable),
            registers_missing: lost(Loss::RegistersMissing),
            architecture: lost(Loss::Architecture),
        },
        ..Unresolved::default()
    }
}

fn warnings(
    session: &Session<'_, '_>,
    survey: &TimedSurvey,
    suspects: u64,
    names: &Names<'_>,
) -> Vec<Warning> {
    let mut warnings = session.damage(survey.malformed, survey.unknown_event);
    let mut warn_if = |condition: bool, warning: Warning| {
        if condition {
            warnings.push(warning);
        }
    };
    warn_if(survey.without_cpu > 0, Warning::NoCpuInClockSamples { samples: survey.without_cpu });
    warn_if(!session.recording.has_times(), Warning::NoTimes);
    warn_if(hides_partners(&session.options.filter), Warning::FilterHidesPartners);
    let (user, lost) = (survey.accepted - survey.in_kernel, survey.unresolved());
    warn_if(
        lost > 0 && lost * 50 >= user,
        Warning::Unresolved { samples: lost, of: user, reason: main_reason(survey) },
    );
    let excludes_kernel = |event: &Event| event.attr.flags.contains(AttrFlags::EXCLUDE_KERNEL);
    warn_if(clocks(session).any(excludes_kernel), Warning::KernelNotSampled);
    warn_if(!session.has_data_mappings(), Warning::NoDataMappings);
    warn_if(suspects > 0, Warning::Suspects { lines: suspects });
    warnings.extend(session.gaps(survey.without_cpu == 0, names));
    warnings
}

fn main_reason(survey: &TimedSurvey) -> Loss {
    let most = Loss::ALL.into_iter().max_by_key(|loss| survey.lost[*loss as usize]);
    most.unwrap_or(Loss::CodeMissing)
}
