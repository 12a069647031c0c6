//! The report of a recording with clock samples.

use super::blame::is_code_of_lock;
use super::confidence::{EXPECTED_WAITING, Unseen};
use super::describe::{Counted, Describe, Site, facts};
use super::error::ReportError;
use super::explain::explain;
use super::gain::{Prediction, calibration};
use super::groups::{MOST_GROUPED, groups};
use super::model::{
    Access, Cost, Gain, Grade, Hex, Line, OtherLines, Report, SCHEMA, Summary, Unparsable,
    Unresolved, UnresolvedTimed,
};
use super::names::Names;
use super::objects::{name_objects, variables_in};
use super::operand_types::TypedAccess;
use super::session::{Progress, Session};
use super::site_code::SiteCode;
use super::timed_analysis::TimedAnalysis;
use super::warning::Warning;
use super::watched;
use crate::access::{Direction, Loss, samples_the_clock};
use crate::lines::SortKey;
use crate::lines::timed::{
    Evidence, Lack, TimedLine, TimedSite, TimedSurvey, Touch, Touches, time_near,
};
use crate::perf_data::{AttrFlags, Event};
use crate::process::{ThreadBases, Time};

/// Lines by where time went.
pub(super) fn timed_report(
    session: &Session<'_, '_>,
    sort: SortKey,
    limit: Option<usize>,
    progress: Progress<'_>,
) -> Result<Report, ReportError> {
    let identity = session.identity();
    let mut names = session.names();
    let TimedAnalysis { survey, touches, mut lines, watch_hits, were_registers_taken } =
        TimedAnalysis::of(session, &identity, &mut names, progress)?;
    let totals = Totals::of(&lines, &touches);
    if !session.options.show_all {
        lines.retain(|line| line.evidence().is_some_and(Evidence::is_claim));
    }
    lines.sort_by_cached_key(|line| line.rank(sort));
    let limit = limit.unwrap_or(usize::MAX);
    lines.truncate(limit.max(MOST_GROUPED));

    let unseen = Unseen::of(session, survey.times, survey.accepted, survey.unresolved());
    let sites = lines.iter().flat_map(|line| line.sites.iter().map(|site| site.sampled_code()));
    let code = SiteCode::of(session, &mut names, sites);
    let bases = ThreadBases::of(session.recording);
    let describe = Describe { session, identity: &identity, code: &code, bases: &bases };
    let prediction = Prediction {
        recording: session.recording,
        code: &code,
        threads: &survey.threads,
        calibration: calibration(session.recording).filter(|_| is_time(session)),
    };
    let mut listed: Vec<Line> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| listed_line(&describe, index, line, &survey, &unseen, &mut names))
        .collect();
    let mut groups = groups(&listed, session.options.group_by);
    for group in groups.iter_mut().take(limit) {
        let of_group: Vec<(&TimedLine, &[Touch])> = group
            .lines
            .iter()
            .filter_map(|rank| lines.get((*rank as usize).checked_sub(1)?))
            .map(|line| (line, touches.of_line(line.number)))
            .collect();
        group.gain = gain_of(&prediction, group.verdict, &of_group);
        for rank in &group.lines {
            if let Some(line) = (*rank as usize).checked_sub(1).and_then(|at| listed.get_mut(at)) {
                line.gain = group.gain.clone();
            }
        }
    }
    listed.truncate(limit);
    let found = |line: &&TimedLine| line.evidence().is_some_and(Evidence::is_finding);
    for (listed, line) in listed.iter_mut().zip(&lines).filter(|(_, line)| found(line)) {
        let lost = prediction
            .lost_at_least(&[(line, touches.of_line(line.number))])
            .min(line.weight_high());
        listed.cost.share_low = Some(share_of(&survey, lost));
        listed.cost.cpu_ns_low = listed.cost.cpu_ns_low.map(|_| lost as u64);
    }
    let findings: Vec<_> =
        lines.iter().filter(found).map(|line| (line, touches.of_line(line.number))).collect();
    let lost = prediction.lost_at_least(&findings).min(totals.findings_high);
    lines.truncate(limit);
    let on_listed: u64 = lines.iter().map(|line| line.samples).sum();
    let on_all: u64 = survey.lines.values().map(|line| u64::from(line.samples)).sum();
    let counted = Counted {
        event_samples: &survey.event_samples,
        event_accesses: &survey.event_accesses,
        times: survey.times,
        accepted: survey.accepted,
        watch_hits,
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
        groups,
        summary: Summary {
            contention_low: Some(share_of(&survey, lost)),
            contention_waited: Some(share_of(&survey, totals.findings_waited)),
            contention_high: Some(share_of(&survey, totals.claims_high)),
            suspects_high: Some(share_of(&survey, totals.claims_high - totals.findings_high)),
            detection_floor: detection_floor(session, &survey, &unseen),
            resolved: survey.resolved,
            no_operand: survey.no_operand,
            lost: survey.unresolved(),
            in_kernel: survey.in_kernel,
            contended_lines: totals.findings,
            suspects: totals.suspects.len() as u64,
            in_turns: totals.in_turns,
            on_one_core: totals.on_one_core,
            refuted: totals.refuted,
            ..Summary::default()
        },
        unresolved: unresolved(&survey),
        warnings: warnings(session, &survey, &totals, were_registers_taken, &names),
    })
}

/// What fixing some lines would gain, if a layout can fix them.
fn gain_of(
    prediction: &Prediction<'_>,
    verdict: Option<&'static str>,
    lines: &[(&TimedLine, &[Touch])],
) -> Option<Gain> {
    // Padding parts nothing where all use the same bytes.
    let mut gain = match verdict {
        Some("false" | "mixed") => prediction.gain(lines)?,
        _ => return None,
    };
    // What is truly shared goes on being waited for, and nothing tells for how long.
    if verdict == Some("mixed") {
        gain.low = Some(1.0);
    }
    if lines.len() > 1 {
        gain.basis = format!("all {} lines of its kind together; {}", lines.len(), gain.basis);
    }
    Some(gain)
}

/// A time's share of all that was sampled, 0 to 1.
fn share_of(survey: &TimedSurvey, weight: f64) -> f64 {
    weight / survey.weight.max(1) as f64
}

/// What there is of each kind of line.
#[derive(Default)]
struct Totals {
    findings: u64,
    findings_waited: f64,
    findings_high: f64,
    suspects: Vec<Evidence>,
    claims_high: f64,
    in_turns: u64,
    on_one_core: u64,
    refuted: u64,
}

impl Totals {
    fn of(lines: &[TimedLine], touches: &Touches) -> Self {
        let is_finding = |line: &&TimedLine| line.evidence().is_some_and(Evidence::is_finding);
        let is_claim = |line: &&TimedLine| line.evidence().is_some_and(Evidence::is_claim);
        let mut totals = Self {
            findings_high: time_near(touches, lines.iter().filter(is_finding)),
            claims_high: time_near(touches, lines.iter().filter(is_claim)),
            ..Self::default()
        };
        for line in lines {
            match line.evidence() {
                Some(Evidence::Waiting | Evidence::Watched) => {
                    totals.findings += 1;
                    totals.findings_waited += line.waited_weight;
                }
                Some(suspicion @ (Evidence::Presence(_) | Evidence::Path)) => {
                    totals.suspects.push(suspicion);
                }
                Some(Evidence::Turns) => totals.in_turns += 1,
                Some(Evidence::OneCore) => totals.on_one_core += 1,
                Some(Evidence::Refuted) => totals.refuted += 1,
                Some(Evidence::OneCpu) | None => {}
            }
        }
        totals
    }
}

fn listed_line(
    describe: &Describe<'_>,
    index: usize,
    line: &TimedLine,
    survey: &TimedSurvey,
    unseen: &Unseen,
    names: &mut Names<'_>,
) -> Line {
    let (readers, writers) = line.readers_and_writers();
    let object = describe.object(line.address, line.data_mapping);
    let in_ns = is_time(describe.session);
    let high = line.weight_high();
    let evidence = line.evidence();
    let mut listed = Line {
        rank: index as u64 + 1,
        address: Hex(line.address.0),
        line_size: describe.session.line_size.bytes(),
        pid: (!line.is_between_processes).then_some(line.pid.0),
        grade: if evidence == Some(Evidence::Watched) { Grade::Watched } else { Grade::Timed },
        verdict: match evidence {
            Some(Evidence::Waiting | Evidence::Watched) => None,
            Some(Evidence::Presence(_) | Evidence::Path) => Some("possible"),
            Some(Evidence::Turns) => Some("migrating"),
            Some(Evidence::OneCore | Evidence::OneCpu | Evidence::Refuted) | None => Some("none"),
        },
        reason: reason(line),
        confidence: confidence(line, unseen),
        samples: line.samples,
        contended_loads: 0,
        contended_cycles: None,
        contended_share: 0.0,
        waited: Some(line.waited),
        cost: Cost {
            share_low: Some(0.0),
            share_waited: Some(share_of(survey, line.waited_weight)),
            share_high: Some(share_of(survey, high)),
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
        watched: watched::watched_facts(describe, line, names),
        parts: Vec::new(),
    };
    let sharing = match evidence {
        Some(Evidence::Waiting) => line.sharing(|site| {
            let code = site.sampled_code();
            is_code_of_lock(&names.code(code.mapping, code.code, code.pid))
        }),
        Some(Evidence::Watched) => line.watched().and_then(|watched| {
            watched.sharing(|site| {
                let pid = site.threads.keys().next().map_or(line.pid, |(pid, _)| *pid);
                is_code_of_lock(&names.code(site.mapping, site.code, pid))
            })
        }),
        _ => None,
    };
    let time = line.sites.last().map_or(Time(0), |site| site.last_time);
    let mut code: Vec<u32> = line.sites.iter().filter_map(|site| site.mapping).collect();
    code.sort_unstable();
    code.dedup();
    let mut objects = variables_in(&listed, (line.pid, time), &code, describe.bases, names);
    describe.add_heap(&mut objects, (line.pid, line.address), &line.contended_times(), names);
    let accesses: Vec<TypedAccess> = line
        .sites
        .iter()
        .map(|site| TypedAccess {
            code: site.sampled_code(),
            direction: site.direction,
            data: line.address.0.saturating_add(u64::from(site.offset.0)),
            size: site.size,
        })
        .collect();
    describe.add_typed(&mut objects, &listed, &accesses, names);
    name_objects(&mut listed, &objects);
    explain(&mut listed, &objects, sharing.as_ref());
    listed
}

/// How sure it is that threads met at a line and waited for it, or, for a suspect, that they met there
/// while one wrote.
fn confidence(line: &TimedLine, unseen: &Unseen) -> Option<f64> {
    let samples = line.meetings.contended_samples() as f64;
    let writes = line.contended_writes() as f64;
    match line.evidence()? {
        Evidence::Waiting => Some(unseen.confidence(&[samples, writes, line.waited])),
        Evidence::Presence(_) | Evidence::Path => Some(unseen.suspicion(&[samples, writes])),
        Evidence::Watched => {
            let interleaved = line.watched().map_or(0, |watched| watched.interleaved);
            Some(unseen.confidence(&[interleaved as f64]))
        }
        Evidence::Turns | Evidence::OneCore | Evidence::OneCpu | Evidence::Refuted => None,
    }
}

/// Why a line is not called contended, or, where it takes more than the clock to call it so, why it is.
fn reason(line: &TimedLine) -> Option<String> {
    let at_once = "Threads on different CPUs were at this line at once";
    let samples = line.meetings.contended_samples();
    Some(match line.evidence() {
        Some(Evidence::Waiting | Evidence::Watched) => return None,
        Some(Evidence::Refuted) => "Debug registers have watched all of this line while it was \
                                    suspected, and saw no threads on different CPUs come to it in \
                                    between each other with one of them writing."
            .to_owned(),
        Some(Evidence::Presence(Lack::Loads)) => format!(
            "{at_once} and all seen to store to it. Stores wait in the store buffer and not where \
             they are made: a build with the line padded tells what they cost."
        ),
        Some(Evidence::Presence(Lack::Writes)) => format!(
            "{at_once}, but only {} of {samples} samples there write it: too few to tell what that \
             costs.",
            line.contended_writes()
        ),
        Some(Evidence::Presence(Lack::Waiting)) => {
            format!(
                "{at_once} and at least one writes it, but hardly any of {samples} samples there \
                     waited for it."
            )
        }
        Some(Evidence::Presence(Lack::Simultaneity)) => format!(
            "Threads on different CPUs use this line in turns most of the time; {samples} samples \
             where they may have been there at once are too few to say more."
        ),
        Some(Evidence::Path) => format!(
            "{at_once} and at least one writes it, if their code took one of several paths; the \
             samples do not tell which."
        ),
        Some(Evidence::Turns) => "Threads on different CPUs use this line in turns, each for long \
                                  before the next one comes, as those do that hold a lock: that is \
                                  no contention."
            .to_owned(),
        Some(Evidence::OneCore) => {
            "Threads use this line at once on hardware threads of one core, \
                                    which share its caches: no line passes between them."
                .to_owned()
        }
        Some(Evidence::OneCpu) => {
            "Threads that share a CPU use this line, one at a time.".to_owned()
        }
        None => "No two threads on different CPUs were seen at this line at once with one writing."
            .to_owned(),
    })
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
        lock: describe.lock(&site.sampled_code(), site.direction),
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

/// The smallest share of the sampled time that waiting for one line must take to be found; `None`
/// where nothing can be claimed.
fn detection_floor(
    session: &Session<'_, '_>,
    survey: &TimedSurvey,
    unseen: &Unseen,
) -> Option<f64> {
    if survey.without_cpu > 0
        || !session.recording.has_times()
        || survey.resolved + survey.unresolved() == 0
    {
        return None;
    }
    unseen.floor(EXPECTED_WAITING, survey.accepted)
}

fn unresolved(survey: &TimedSurvey) -> Unresolved {
    let lost = |loss: Loss| survey.lost[loss as usize];
    Unresolved {
        malformed: survey.malformed,
        unknown_event: survey.unknown_event,
        timed: UnresolvedTimed {
            overwritten: lost(Loss::Overwritten),
            ambiguous: lost(Loss::Ambiguous),
            vector_index: lost(Loss::VectorIndex),
            segment_base: lost(Loss::SegmentBase),
            code_missing: lost(Loss::CodeMissing),
            not_captured: lost(Loss::NotCaptured),
            undecodable: lost(Loss::Undecodable),
            registers_missing: lost(Loss::RegistersMissing),
            architecture: lost(Loss::Architecture),
            in_guest: survey.in_guest,
        },
        ..Unresolved::default()
    }
}

fn warnings(
    session: &Session<'_, '_>,
    survey: &TimedSurvey,
    totals: &Totals,
    were_registers_taken: bool,
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
    let not_user = survey.in_kernel + survey.in_guest;
    let (user, lost) = (survey.accepted - not_user, survey.unresolved());
    warn_if(
        lost > 0 && lost * 50 >= user,
        Warning::Unresolved { samples: lost, of: user, reason: main_reason(survey) },
    );
    let excludes_kernel = |event: &Event| event.attr.flags.contains(AttrFlags::EXCLUDE_KERNEL);
    warn_if(clocks(session).any(excludes_kernel), Warning::KernelNotSampled);
    warn_if(!session.has_data_mappings(), Warning::NoDataMappings);
    let (stores_only, suspects) = (Evidence::Presence(Lack::Loads), &totals.suspects);
    warn_if(
        !suspects.is_empty(),
        Warning::Suspects {
            lines: suspects.len() as u64,
            are_stores_only: suspects.iter().all(|it| *it == stores_only),
        },
    );
    warn_if(were_registers_taken, Warning::NoDebugRegisters);
    warn_if(totals.on_one_core > 0, Warning::HardwareThreads { lines: totals.on_one_core });
    warnings.extend(session.gaps(survey.times, survey.without_cpu == 0, names));
    warnings
}

fn main_reason(survey: &TimedSurvey) -> Loss {
    let most = Loss::ALL.into_iter().max_by_key(|loss| survey.lost[*loss as usize]);
    most.unwrap_or(Loss::CodeMissing)
}
