//! What the machine says of the distance between two CPUs, and whether what was measured agrees.

use std::collections::BTreeMap;

use serde::Serialize;

use super::line_passing::PassedLine;
use super::statistics::median;
use crate::system::{CacheLevel, NodeMemory, Topology, parse_cpu_list};

/// The nearest thing that two CPUs share, as the machine says; nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// Threads of one core.
    SmtSiblings,
    /// Cores with a cache of this level in common.
    SharedCache(u32),
    /// Cores of one node without a cache in common.
    SameNode,
    /// Cores of different nodes.
    OtherNode,
}

impl std::fmt::Display for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SmtSiblings => f.write_str("SMT siblings"),
            Self::SharedCache(level) => write!(f, "same L{level}"),
            Self::SameNode => f.write_str("same node"),
            Self::OtherNode => f.write_str("other node"),
        }
    }
}

impl Serialize for Relation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The groups of CPUs that a machine tells of.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    cores: Vec<Vec<u32>>,
    caches: Vec<(u32, Vec<u32>)>,
    nodes: Vec<Vec<u32>>,
}

impl Groups {
    pub(super) fn new(topology: &Topology, caches: &[CacheLevel], nodes: &[NodeMemory]) -> Self {
        let list = |text: &String| parse_cpu_list(text).ok();
        let mut caches: Vec<(u32, Vec<u32>)> =
            caches.iter().filter_map(|cache| Some((cache.level, list(&cache.cpus)?))).collect();
        caches.sort();
        let places = match nodes.is_empty() {
            // A kernel without NUMA: a package is what comes nearest.
            true => topology.packages.iter().filter_map(list).collect(),
            false => nodes.iter().map(|node| node.cpus.clone()).collect(),
        };
        Self { cores: topology.cores.iter().filter_map(list).collect(), caches, nodes: places }
    }

    /// The nearest thing that two CPUs share.
    pub(super) fn relation(&self, a: u32, b: u32) -> Relation {
        let has_both = |cpus: &Vec<u32>| cpus.contains(&a) && cpus.contains(&b);
        if self.cores.iter().any(has_both) {
            return Relation::SmtSiblings;
        }
        let shared = self.caches.iter().find(|(_, cpus)| has_both(cpus));
        if let Some((level, _)) = shared {
            return Relation::SharedCache(*level);
        }
        let is_told = |cpu: u32| self.nodes.iter().any(|cpus| cpus.contains(&cpu));
        match self.nodes.iter().any(has_both) || !is_told(a) || !is_told(b) {
            true => Relation::SameNode,
            false => Relation::OtherNode,
        }
    }
}

/// Pairs that are said to be alike and differ by this factor are not alike.
const CLUSTER_FACTOR: f64 = 3.0;
/// Pairs that are said to be nearer and are slower by this factor are not nearer.
const INVERSION_FACTOR: f64 = 1.5;
/// Threads of one core pass a line within 5 to 10 ns, cores never (17 ns and more, by tables of
/// published measurements): below this they are threads of one core.
const FASTEST_BETWEEN_CORES: f64 = 12.0;
/// Above this they are not.
const SLOWEST_WITHIN_A_CORE: f64 = 40.0;
/// A pair whose times differ by this factor some seconds later is not the same two cores.
const MOVED_FACTOR: f64 = 2.0;
/// So many pairs are named in a sentence.
const NAMED: usize = 8;

/// A pair of CPUs, the smaller number first.
type Pair = (u32, u32);

/// Sentences about where the measurements contradict what the machine says.
pub fn contradictions(passed: &[PassedLine]) -> Vec<String> {
    let mut by_pair: BTreeMap<(Relation, Pair), Vec<f64>> = BTreeMap::new();
    for line in passed {
        let pair = (line.from.min(line.to), line.from.max(line.to));
        let times = by_pair.entry((line.claim, pair)).or_default();
        times.extend(line.nanoseconds.into_iter().chain(line.nanoseconds_later));
    }
    let mut by_claim: BTreeMap<Relation, Vec<(f64, Pair)>> = BTreeMap::new();
    for ((claim, pair), times) in by_pair {
        // The best of both directions and both times: noise only adds.
        if let Some(best) = times.into_iter().min_by(f64::total_cmp) {
            by_claim.entry(claim).or_default().push((best, pair));
        }
    }
    let mut sentences = Vec::new();
    for (claim, pairs) in &mut by_claim {
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        sentences.extend(clusters(*claim, pairs));
        sentences.extend(absolute(*claim, pairs));
    }
    let middles: Vec<(Relation, f64)> = by_claim
        .iter()
        .filter_map(|(claim, pairs)| {
            let times: Vec<f64> = pairs.iter().map(|(time, _)| *time).collect();
            Some((*claim, median(&times)?))
        })
        .collect();
    for (index, (near, near_ns)) in middles.iter().enumerate() {
        for (far, far_ns) in &middles[index + 1..] {
            if *near_ns > far_ns * INVERSION_FACTOR {
                sentences.push(format!(
                    "the topology says that \"{near}\" is nearer than \"{far}\", but a line takes \
                     {near_ns:.0} ns there and {far_ns:.0} ns here: it does not describe this machine"
                ));
            }
        }
    }
    sentences.extend(moved(passed));
    sentences
}

/// Whether some pairs pass a line much faster or slower some time later.
fn moved(passed: &[PassedLine]) -> Option<String> {
    let mut by_pair: BTreeMap<Pair, [f64; 2]> = BTreeMap::new();
    for line in passed {
        let (Some(first), Some(later)) = (line.nanoseconds, line.nanoseconds_later) else {
            continue;
        };
        let pair = (line.from.min(line.to), line.from.max(line.to));
        let best = by_pair.entry(pair).or_insert([f64::INFINITY; 2]);
        *best = [best[0].min(first), best[1].min(later)];
    }
    let factor =
        |times: &[f64; 2]| times[0].max(times[1]) / times[0].min(times[1]).max(f64::MIN_POSITIVE);
    let moved: Vec<(f64, Pair)> = by_pair
        .iter()
        .map(|(pair, times)| (factor(times), *pair))
        .filter(|(factor, _)| *factor >= MOVED_FACTOR)
        .collect();
    let (largest, pair) = moved.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0))?;
    let [first, later] = by_pair[&pair];
    Some(format!(
        "{} of {} pairs of CPUs ({}) changed while this ran, {}-{} the most, by a factor of \
         {largest:.1}: {first:.0} ns first and {later:.0} ns later: virtual CPUs that are moved between \
         cores do that, and no topology describes them",
        moved.len(),
        by_pair.len(),
        names(&moved),
        pair.0,
        pair.1
    ))
}

/// Whether pairs that are said to be alike fall into a fast and a slow group; ascending.
fn clusters(claim: Relation, pairs: &[(f64, Pair)]) -> Option<String> {
    let gap = |at: usize| pairs[at].0 / pairs[at - 1].0.max(f64::MIN_POSITIVE);
    let at = (1..pairs.len()).max_by(|a, b| gap(*a).total_cmp(&gap(*b)))?;
    let factor = gap(at);
    if factor < CLUSTER_FACTOR {
        return None;
    }
    let (fast, slow) = pairs.split_at(at);
    Some(format!(
        "the topology says \"{claim}\" of {} pairs of CPUs, but {} of them ({}) pass a line at least \
         {factor:.1} times as fast as the others ({:.0} ns at most, against {:.0} ns at least): they \
         share more than is said",
        pairs.len(),
        fast.len(),
        names(fast),
        fast[fast.len() - 1].0,
        slow[0].0,
    ))
}

/// What no pair of that kind can do, whatever others do; ascending.
fn absolute(claim: Relation, pairs: &[(f64, Pair)]) -> Option<String> {
    if claim == Relation::SmtSiblings {
        let slow = &pairs[pairs.partition_point(|(time, _)| *time <= SLOWEST_WITHIN_A_CORE)..];
        let slowest = slow.last()?;
        return Some(format!(
            "the topology says that {} are threads of one core, but a line takes up to {:.0} ns \
             between them: these are different cores",
            names(slow),
            slowest.0
        ));
    }
    let fast = &pairs[..pairs.partition_point(|(time, _)| *time < FASTEST_BETWEEN_CORES)];
    let fastest = fast.first()?;
    Some(format!(
        "the topology says \"{claim}\" of {}, but a line takes only {:.1} ns between them: they are \
         threads of one core",
        names(fast),
        fastest.0
    ))
}

fn names(pairs: &[(f64, Pair)]) -> String {
    let mut named: Vec<Pair> = pairs.iter().map(|(_, pair)| *pair).collect();
    named.sort_unstable();
    let rest = named.len().saturating_sub(NAMED);
    named.truncate(NAMED);
    let names: Vec<String> = named.iter().map(|(a, b)| format!("{a}-{b}")).collect();
    match rest {
        0 => names.join(", "),
        rest => format!("{} and {rest} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both directions of every pair of `count` CPUs.
    fn matrix(
        count: u32,
        claim: impl Fn(u32, u32) -> Relation,
        time: impl Fn(u32, u32) -> f64,
    ) -> Vec<PassedLine> {
        let cpus = 0..count;
        let pairs = cpus.clone().flat_map(|from| cpus.clone().map(move |to| (from, to)));
        pairs
            .filter(|(from, to)| from != to)
            .map(|(from, to)| PassedLine {
                from,
                to,
                claim: claim(from, to),
                nanoseconds: Some(time(from.min(to), from.max(to))),
                nanoseconds_later: None,
                batches: 9,
                reason: None,
            })
            .collect()
    }

    fn same_l3(_: u32, _: u32) -> Relation {
        Relation::SharedCache(3)
    }

    #[test]
    fn an_even_matrix_contradicts_nothing() {
        // Within what one mesh has: 45 to 72 ns.
        let even = matrix(8, same_l3, |a, b| 45.0 + f64::from((a * 7 + b * 5) % 28));
        assert_eq!(contradictions(&even), Vec::<String>::new());
    }

    #[test]
    fn hidden_siblings_show() {
        // A virtual machine that calls 8 threads of 4 cores 8 cores.
        let time = |a: u32, b: u32| if a / 2 == b / 2 { 16.0 } else { 60.0 + f64::from(a) };
        let found = contradictions(&matrix(8, same_l3, time));
        let [sentence] = &found[..] else { panic!("{found:?}") };
        assert!(sentence.contains("4 of them (0-1, 2-3, 4-5, 6-7)"), "{sentence}");
        assert!(sentence.contains("\"same L3\" of 28 pairs"), "{sentence}");
        assert!(sentence.contains("at least 3.8 times"), "{sentence}");
        // Two CPUs cannot be compared with others, but no two cores are that fast.
        let found = contradictions(&matrix(2, same_l3, |_, _| 7.0));
        let [sentence] = &found[..] else { panic!("{found:?}") };
        assert!(sentence.contains("0-1") && sentence.contains("threads of one core"), "{sentence}");
    }

    #[test]
    fn hidden_packages_show() {
        let time = |a: u32, b: u32| if a / 4 == b / 4 { 50.0 } else { 310.0 };
        let found = contradictions(&matrix(8, same_l3, time));
        let [sentence] = &found[..] else { panic!("{found:?}") };
        assert!(
            sentence.contains("12 of them (0-1, 0-2, 0-3, 1-2, 1-3, 2-3, 4-5, 4-6 and 4 more)")
        );
    }

    #[test]
    fn said_packages_contradict_nothing_and_wrong_ones_do() {
        let claim = |a, b| {
            if a / 4 == b / 4 { Relation::SharedCache(3) } else { Relation::OtherNode }
        };
        let right = |a: u32, b: u32| if a / 4 == b / 4 { 50.0 } else { 310.0 };
        assert_eq!(contradictions(&matrix(8, claim, right)), Vec::<String>::new());
        let wrong = |a: u32, b: u32| if a / 4 == b / 4 { 150.0 } else { 60.0 };
        let found = contradictions(&matrix(8, claim, wrong));
        let [sentence] = &found[..] else { panic!("{found:?}") };
        assert!(sentence.contains("\"same L3\" is nearer than \"other node\""), "{sentence}");
    }

    #[test]
    fn siblings_that_are_none_show() {
        let claim = |a, b| {
            if a / 2 == b / 2 { Relation::SmtSiblings } else { Relation::SharedCache(3) }
        };
        let found = contradictions(&matrix(4, claim, |_, _| 55.0));
        let [sentence] = &found[..] else { panic!("{found:?}") };
        assert!(sentence.contains("0-1, 2-3 are threads of one core"), "{sentence}");
        let right = |a: u32, b: u32| if a / 2 == b / 2 { 9.0 } else { 55.0 };
        assert_eq!(contradictions(&matrix(4, claim, right)), Vec::<String>::new());
    }

    #[test]
    fn cpus_that_are_moved_show() {
        let mut passed = matrix(3, same_l3, |_, _| 48.0);
        for line in &mut passed {
            line.nanoseconds_later = Some(if line.from + line.to == 3 { 160.0 } else { 50.0 });
        }
        let found = contradictions(&passed);
        let [sentence] = &found[..] else { panic!("{found:?}") };
        assert!(sentence.starts_with("1 of 3 pairs of CPUs (1-2) changed"), "{sentence}");
        assert!(sentence.contains("factor of 3.3: 48 ns first and 160 ns later"), "{sentence}");
    }

    #[test]
    fn pairs_that_were_not_measured_say_nothing() {
        let mut none = matrix(3, same_l3, |_, _| 1.0);
        none.iter_mut().for_each(|line| line.nanoseconds = None);
        assert_eq!(contradictions(&none), Vec::<String>::new());
        assert_eq!(contradictions(&[]), Vec::<String>::new());
    }

    #[test]
    fn relations_come_from_the_nearest_thing_shared() {
        let cache = |level, cpus: &str| CacheLevel {
            level,
            line_size: 64,
            sets: 1,
            ways: 1,
            kind: "Unified".into(),
            size: "1M".into(),
            cpus: cpus.into(),
        };
        let topology = Topology {
            cores: vec!["0,4".into(), "1".into(), "2".into(), "3".into()],
            packages: vec!["0-2,4".into(), "3".into()],
            ..Topology::default()
        };
        let caches = [cache(3, "0-1,4"), cache(1, "0,4"), cache(2, "2-3")];
        let groups = Groups::new(&topology, &caches, &[]);
        assert_eq!(groups.relation(4, 0), Relation::SmtSiblings);
        assert_eq!(groups.relation(0, 1), Relation::SharedCache(3));
        assert_eq!(groups.relation(2, 3), Relation::SharedCache(2));
        assert_eq!(groups.relation(1, 2), Relation::SameNode);
        assert_eq!(groups.relation(1, 3), Relation::OtherNode);
        assert_eq!(groups.relation(1, 9), Relation::SameNode, "nothing is said of that CPU");
    }
}
