//! What debug registers have seen of a line, as the report says it.

use std::collections::BTreeMap;

use super::describe::{Describe, Site};
use super::model::{Access, WatchedFacts};
use super::names::Names;
use crate::access::Direction;
use crate::lines::timed::TimedLine;
use crate::lines::watched::{WatchOutcome, WatchedLine};
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
