//! What debug registers have seen of a line, as the report says it.

use std::collections::BTreeMap;

use super::describe::{Describe, Site};
use super::model::{Access, WatchedFacts};
use super::names::Names;
use crate::access::Direction;
use crate::lines::timed::TimedLine;
use crate::lines::watched::{WatchOutcome, WatchVerdict, WatchedLine};
use crate::process::{Pid, Tid};

/// The facts of a line that was watched.
pub(super) fn watched_facts(
    describe: &Describe<'_>,
    line: &TimedLine,
    names: &mut Names<'_>,
) -> Option<WatchedFacts> {
    let watched = line.watched.as_ref()?;
    Some(WatchedFacts {
        turns: u64::from(watched.turns),
        hits: watched.hits,
        interleaved: watched.interleaved,
        outcome: match line.watch_outcome() {
            WatchOutcome::Confirmed => "confirmed",
            WatchOutcome::Refuted => "refuted",
            WatchOutcome::Undecided => "undecided",
        },
        threads: watched.threads().len() as u64,
        writers: writers(watched) as u64,
        cpus: watched.cpus().into_iter().map(|cpu| cpu.0).collect(),
        accesses: accesses(describe, watched, names),
    })
}

/// Whether threads interleaved on the same bytes, where debug registers have seen them interleave.
pub(super) fn verdict(line: &TimedLine) -> Option<&'static str> {
    let watched = line.watched.as_ref();
    let watched = watched.filter(|_| line.watch_outcome() == WatchOutcome::Confirmed)?;
    Some(match watched.verdict()? {
        WatchVerdict::False => "false",
        WatchVerdict::True => "true",
        WatchVerdict::Mixed => "mixed",
    })
}

/// What was seen, in a sentence.
pub(super) fn reason(watched: &WatchedLine) -> String {
    let bytes = match watched.verdict() {
        Some(WatchVerdict::False) => "each at bytes of its own",
        Some(WatchVerdict::True) => "at the same bytes",
        Some(WatchVerdict::Mixed) => "at the same bytes and at others",
        None => "at bytes that their instructions do not tell",
    };
    format!(
        "Debug registers saw {} threads on different CPUs come to this line in between each other, \
         {} times within {} accesses, {bytes}; {} of them wrote.",
        watched.threads().len(),
        watched.interleaved,
        watched.hits,
        writers(watched),
    )
}

fn writers(watched: &WatchedLine) -> usize {
    let sites = watched.sites.iter().filter(|site| site.direction.is_some_and(Direction::writes));
    let threads: BTreeMap<&(Pid, Tid), &u64> = sites.flat_map(|site| &site.threads).collect();
    threads.len()
}

fn accesses(describe: &Describe<'_>, watched: &WatchedLine, names: &mut Names<'_>) -> Vec<Access> {
    let mut sites: Vec<_> = watched.sites.iter().collect();
    sites.sort_by_key(|site| (site.offset, std::cmp::Reverse(site.hits), site.code));
    sites
        .into_iter()
        .map(|site| {
            let described = Site {
                code: site.code,
                mapping: site.mapping,
                threads: &site.threads,
                cpus: &site.cpus,
                last_time: site.last_time,
                positions: &[],
            };
            Access {
                offset: u64::from(site.offset.0),
                size: site.size.map(u64::from),
                kind: match site.direction {
                    Some(Direction::Load) => "load",
                    Some(Direction::Store) => "store",
                    Some(Direction::ReadModifyWrite) => "rmw",
                    None => "unknown",
                },
                samples: site.hits,
                ..describe.access(&described, names)
            }
        })
        .collect()
}
