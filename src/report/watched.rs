//! What debug registers have seen of a line, as the report says it.

use std::collections::BTreeSet;

use super::describe::{Describe, Site};
use super::model::{Access, WatchedFacts};
use super::names::Names;
use crate::access::Direction;
use crate::lines::timed::TimedLine;
use crate::lines::watched::{WatchOutcome, WatchedLine};
use crate::process::{Cpu, Pid, Tid};

/// The facts of a line that was watched.
pub(super) fn watched_facts(
    describe: &Describe<'_>,
    line: &TimedLine,
    names: &mut Names<'_>,
) -> Option<WatchedFacts> {
    let watched = line.watched()?;
    let those = those_that_count(watched);
    let of = || those.iter().filter_map(|thread| watched.threads.get(thread));
    let cpus: BTreeSet<Cpu> = of().flat_map(|thread| thread.cpus.iter().copied()).collect();
    let those_hits: u64 = of().map(|thread| thread.hits).sum();
    Some(WatchedFacts {
        turns: u64::from(watched.turns),
        hits: watched.hits,
        interleaved: watched.interleaved,
        outcome: match line.watch_outcome() {
            WatchOutcome::Confirmed => "confirmed",
            WatchOutcome::Refuted => "refuted",
            WatchOutcome::Undecided => "undecided",
        },
        threads: those.len() as u64,
        writers: writers(watched, &those) as u64,
        cpus: cpus.into_iter().map(|cpu| cpu.0).collect(),
        others: (watched.threads.len() - those.len()) as u64,
        others_hits: watched.hits.saturating_sub(those_hits),
        accesses: accesses(describe, watched, names),
    })
}

/// The threads that came in between each other; where none did, all that were there.
fn those_that_count(watched: &WatchedLine) -> BTreeSet<(Pid, Tid)> {
    let those: BTreeSet<(Pid, Tid)> = watched.interleaved_threads().map(|(it, _)| *it).collect();
    if those.is_empty() { watched.threads.keys().copied().collect() } else { those }
}

fn writers(watched: &WatchedLine, of: &BTreeSet<(Pid, Tid)>) -> usize {
    let sites = watched.sites.iter().filter(|site| site.direction.is_some_and(Direction::writes));
    let writers: BTreeSet<&(Pid, Tid)> = sites.flat_map(|site| site.threads.keys()).collect();
    writers.into_iter().filter(|thread| of.contains(thread)).count()
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
