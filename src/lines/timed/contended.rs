//! From touches to lines.

use rustc_hash::{FxHashMap, FxHashSet};

use super::blame::blame;
use super::line::{TimedLine, counting_touches};
use super::touches::Touches;
use super::windows::Meetings;
use crate::lines::Identity;
use crate::process::Cores;

/// The lines of all touches that the filter let pass, in the order of their numbers. Without `cores`
/// nothing is known to be contended. With `keep_samples` each site keeps its samples' positions.
pub fn timed_lines(
    touches: &Touches,
    identity: &Identity<'_>,
    cores: Option<&Cores>,
    keep_samples: bool,
) -> Vec<TimedLine> {
    let by_line = || touches.all().chunk_by(|a, b| a.line == b.line);
    let most = touches.all().last().map_or(0, |touch| touch.line as usize + 1);
    let mut counting = Vec::new();
    let mut meetings = vec![Meetings::default(); most];
    let mut rests_on_paths = vec![false; most];
    for of_line in by_line() {
        let number = of_line[0].line as usize;
        let mut found = counting_touches(of_line, cores.unwrap_or(&Cores::default()));
        if cores.is_some() {
            (meetings[number], rests_on_paths[number]) = (found.meetings, found.rests_on_paths);
        }
        counting.append(&mut found.touches);
    }
    let blames = blame(&counting, &meetings);
    let mut start = 0;
    let mut lines: FxHashMap<u32, TimedLine> = FxHashMap::default();
    for of_line in counting.chunk_by(|a, b| a.line == b.line) {
        let blames = &blames[start..start + of_line.len()];
        start += of_line.len();
        let number = of_line[0].line as usize;
        let contended = (std::mem::take(&mut meetings[number]), rests_on_paths[number]);
        let line = TimedLine::of(of_line, blames, contended, identity, keep_samples);
        lines.extend(line.map(|line| (of_line[0].line, line)));
    }
    by_line()
        .filter_map(|of_line| {
            let mut line = lines.remove(&of_line[0].line)?;
            line.take_time_near(of_line);
            (line.samples > 0).then_some(line)
        })
        .collect()
}

/// The time of all samples that may have waited for one of these lines while it was contended, each
/// sample once.
pub fn time_near<'l>(touches: &Touches, lines: impl Iterator<Item = &'l TimedLine>) -> f64 {
    let lines: FxHashMap<u32, &TimedLine> = lines.map(|line| (line.number, line)).collect();
    let mut taken = FxHashSet::default();
    let mut time = 0u128;
    for touch in touches.all() {
        let may_have_waited = || lines.get(&touch.line).is_some_and(|it| it.may_have_waited(touch));
        if may_have_waited() && taken.insert(touch.position.ordinal) {
            time += u128::from(touch.weight);
        }
    }
    time as f64
}
