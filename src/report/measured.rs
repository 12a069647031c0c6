//! The report of a recording with memory samples.

use super::blame::is_code_of_lock;
use super::confidence::{EXPECTED_LOADS, Unseen};
use super::describe::{Counted, Describe, Site, facts, lock_word};
use super::error::ReportError;
use super::explain::explain;
use super::groups::{MOST_GROUPED, groups};
use super::model::{
    Access, Cost, Grade, Hex, Line, MeanCycles, OtherLines, Report, SCHEMA, SharedLines,
    SourceCount, Summary, Unparsable, Unresolved,
};
use super::names::Names;
use super::objects::{name_objects, variables_in};
use super::operand_types::TypedAccess;
use super::session::{Progress, ReportOptions, Session};
use super::site_code::SiteCode;
use crate::access::{Direction, OperandFacts, Source};
use crate::lines::timed::SampledCode;
use crate::lines::{
    AccessKind, AccessSite, ByteUse, ContendedLine, Gathered, Identity, LineIdentity, Sharing,
    SortKey, Survey, Verdict,
};
use crate::perf_data::CpuMode;
use crate::process::{ThreadBases, Time};

const IN_TURNS: &str = "Threads use this line in turns, each for long before the next one comes: what it costs is \
                        to pass it on, which no layout ends.";

/// Lines by what the hardware saw.
pub(super) fn measured_report(
    session: &Session<'_, '_>,
    sort: SortKey,
    limit: Option<usize>,
    progress: Progress<'_>,
) -> Result<Report, ReportError> {
    let (recording, options) = (session.recording, session.options);
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
    let limit = limit.unwrap_or(usize::MAX);
    lines.truncate(limit.max(MOST_GROUPED));

    let loads = survey.totals.load;
    let unseen = Unseen::of(session, survey.times, loads, survey.totals.ld_noadrs);
    let mut names = session.names();
    let user = |site: &&AccessSite| site.mode == CpuMode::User;
    let sites = lines.iter().flat_map(|line| line.sites.iter().filter(user));
    let code = SiteCode::of(session, &mut names, sites.map(AccessSite::sampled_code));
    let bases = ThreadBases::of(session.recording);
    let describe = Describe { session, identity: &identity, code: &code, bases: &bases };
    let mut listed: Vec<Line> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            listed_line(&describe, index, line, contended_in_all, &unseen, &mut names)
        })
        .collect();
    let groups = groups(&listed, options.group_by);
    listed.truncate(limit);
    lines.truncate(limit);
    Ok(Report {
        schema: SCHEMA.0,
        version: SCHEMA.1,
        recording: facts(
            session,
            &Counted {
                event_samples: &survey.event_samples,
                event_accesses: &survey.event_accesses,
                times: survey.times,
                accepted: survey.accepted,
                watch_hits: 0,
            },
        ),
        c2c: Some(survey.totals),
        sources: Source::ALL
            .into_iter()
            .map(|source| SourceCount { source, loads: survey.loads_from(source) })
            .filter(|count| count.loads > 0)
            .collect(),
        shared: Some(SharedLines {
            shared_lines: survey.perf_lines.len() as u64,
            stats: gathered.perf_shared,
        }),
        other_lines: other_lines(&survey, &lines),
        lines: listed,
        unparsable: Unparsable {
            samples: survey.unparsable.nr_entries,
            c2c: Some(survey.unparsable),
        },
        groups,
        summary: Summary {
            resolved: survey.accepted
                - survey.unparsable.nr_entries
                - survey.totals.ld_noadrs
                - survey.totals.st_noadrs,
            no_operand: survey.unparsable.nr_entries,
            lost: session.lost(),
            in_kernel: survey.in_kernel,
            detection_floor: unseen.floor(EXPECTED_LOADS, loads),
            contended_loads: contended_in_all,
            contended_lines,
            ..Summary::default()
        },
        unresolved: Unresolved {
            no_address: survey.totals.ld_noadrs + survey.totals.st_noadrs,
            malformed: survey.malformed,
            unknown_event: survey.unknown_event,
            ..Unresolved::default()
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

fn listed_line(
    describe: &Describe<'_>,
    index: usize,
    line: &ContendedLine,
    all: u64,
    unseen: &Unseen,
    names: &mut Names<'_>,
) -> Line {
    let (readers, writers) = line.readers_and_writers();
    let object = describe.object(line.address, line.data_mapping);
    let is_own = !line.is_between_processes && object.kind != "kernel";
    let mut listed = Line {
        rank: index as u64 + 1,
        address: Hex(line.address.0),
        line_size: describe.session.line_size.bytes(),
        pid: is_own.then_some(line.pid.0),
        grade: Grade::Measured,
        verdict: None,
        reason: None,
        confidence: (line.contended > 0).then(|| unseen.confidence(&[line.contended as f64])),
        samples: line.samples,
        contended_loads: line.contended,
        contended_cycles: (line.contended_cycles > 0).then_some(line.contended_cycles),
        waited: None,
        contended_share: if all == 0 { 0.0 } else { line.contended as f64 / all as f64 },
        cost: Cost {
            lost_cycles: line.lost_cycles().filter(|_| line.contended > 0),
            ..Cost::default()
        },
        c2c: Some(line.stats),
        objects: vec![object],
        fields: Vec::new(),
        readers: readers.len() as u64,
        writers: writers.len() as u64,
        accesses: line.sites.iter().map(|site| access(describe, site, names)).collect(),
        pairs: Vec::new(),
        advice: Vec::new(),
        gain: None,
        watched: None,
        parts: Vec::new(),
    };
    let is_judged = line.contended > 0 && !line.is_in_turns;
    let sharing = if is_judged { sharing(describe, line, names) } else { None };
    let time = line.sites.last().map_or(Time(0), |site| site.last_time);
    let mut code: Vec<u32> = line.sites.iter().filter_map(|site| site.mapping).collect();
    code.sort_unstable();
    code.dedup();
    let mut objects = variables_in(&listed, (line.pid, time), &code, describe.bases, names);
    let always = [Time(0)..Time(u64::MAX)];
    describe.add_heap(&mut objects, (line.pid, line.address), &always, names);
    let users = line.sites.iter().filter(|site| site.mode == CpuMode::User);
    let accesses: Vec<TypedAccess> = users
        .filter_map(|site| {
            Some(TypedAccess {
                code: site.sampled_code(),
                direction: direction(site),
                data: line.address.0.saturating_add(u64::from(site.offset.0)),
                size: operand(describe, site)?.size,
            })
        })
        .collect();
    describe.add_typed(&mut objects, &listed, &accesses, names);
    name_objects(&mut listed, &objects);
    explain(&mut listed, &objects, sharing.as_ref());
    if line.contended > 0 && line.is_in_turns {
        listed.verdict = Some("migrating");
        listed.reason = Some(IN_TURNS.to_owned());
    }
    listed
}

/// How threads share a line. Where the size of an access is not known nothing is claimed that depends on
/// it.
fn sharing(
    describe: &Describe<'_>,
    line: &ContendedLine,
    names: &mut Names<'_>,
) -> Option<Sharing> {
    let mut knows_sizes = true;
    let mut uses = Vec::new();
    for site in line.sites.iter().filter(|site| !site.while_contended.is_empty()) {
        let operand = operand(describe, site);
        let pid = site.sampled_code().pid;
        knows_sizes &= operand.is_some();
        uses.push(ByteUse {
            offset: u32::from(site.offset.0),
            size: operand.as_ref().map_or(1, |operand| operand.size),
            direction: operand.map_or_else(|| direction(site), |operand| operand.direction),
            is_of_lock: is_code_of_lock(&names.code(site.mapping, site.code, pid)),
            threads: site.while_contended.clone(),
        });
    }
    Sharing::of(&uses).filter(|sharing| knows_sizes || sharing.verdict == Verdict::True)
}

fn direction(site: &AccessSite) -> Direction {
    match site.kind {
        AccessKind::Load => Direction::Load,
        AccessKind::Store => Direction::Store,
    }
}

/// The operand of a site's instruction. An access that ends in the next line counts there with its first
/// byte alone, as the hardware names it.
fn operand(describe: &Describe<'_>, site: &AccessSite) -> Option<OperandFacts> {
    if site.mode != CpuMode::User {
        return None;
    }
    let SampledCode { mapping, pid, code, .. } = site.sampled_code();
    describe.code.operand(mapping, pid, code, direction(site))
}

fn access(describe: &Describe<'_>, site: &AccessSite, names: &mut Names<'_>) -> Access {
    let described = Site {
        code: site.code,
        mapping: site.mapping,
        threads: &site.threads,
        cpus: &site.cpus,
        last_time: site.last_time,
        positions: &site.positions,
    };
    let operand = operand(describe, site);
    Access {
        offset: u64::from(site.offset.0),
        size: operand.as_ref().map(|operand| u64::from(operand.size)),
        kind: match operand.as_ref().map_or_else(|| direction(site), |operand| operand.direction) {
            Direction::Load => "load",
            Direction::Store => "store",
            Direction::ReadModifyWrite => "rmw",
        },
        lock: operand.as_ref().and_then(|operand| operand.lock).map(lock_word),
        in_kernel: site.mode == CpuMode::Kernel,
        samples: site.samples,
        contended: site.contended,
        c2c: Some(site.stats),
        mean_cycles: mean_cycles(site),
        ..describe.access(&described, names)
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
