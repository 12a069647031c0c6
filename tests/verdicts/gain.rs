//! Whether the predicted gain is what the padded twin gains: the README's table.

use serde_json::Value;

use crate::cases::wanted;
use crate::live::{FOLDER, SECONDS};
use crate::outcome::address;
use crate::quiet::wait_for_two_cpus;
use crate::record::{Program, Turn};
use crate::said::Said;

const PAIRS: usize = 5;
/// Seconds of each run.
const RUN: &str = "0.5";

/// For each case with a twin: what the twin gains, and what was predicted.
///
/// The work is what both threads did in a run of the contended program; the twin has done it when its
/// slower thread has. Runs of program and twin take turns.
#[test]
#[ignore = "a measurement: four minutes to itself, on an idle machine"]
fn gain() {
    println!("| case | measured | range of pairs | predicted | inside | width |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let (mut pairs, mut inside, mut open) = (0, 0, 0);
    let mut errors = Vec::new();
    for case in wanted() {
        let Some(twin) = case.twin else { continue };
        let Some(program) = Program::build_in(FOLDER, case.program, case.build) else { continue };
        let measured = std::cell::RefCell::new((Vec::new(), None));
        wait_for_two_cpus();
        Turn::take(|| {
            let mut ratios: Vec<f64> = (0..PAIRS)
                .map(|_| speed_up(&program.run(RUN, case.mode), &program.run(RUN, twin)))
                .collect();
            ratios.sort_by(f64::total_cmp);
            let outcome = program.outcome(SECONDS, case.mode);
            let is_it = |line: &&Value| {
                let at = address(&line["address"]);
                outcome.said.contended.iter().any(|truth| truth.addresses.contains(&at))
            };
            // Where several lines are contended, all have to be fixed.
            let lines: Vec<&Value> = outcome.lines().iter().filter(is_it).collect();
            *measured.borrow_mut() = (ratios, prediction(&lines));
        });
        let (ratios, predicted) = measured.into_inner();
        let Some(median) = ratios.get(PAIRS / 2).copied() else { return };
        pairs += 1;
        let (text, verdict, width) = match predicted {
            None => ("none".to_owned(), "–", "–".to_owned()),
            Some((low, high)) => {
                let is_inside =
                    low.is_none_or(|low| low <= median) && high.is_none_or(|high| median <= high);
                let text = match (low, high) {
                    (Some(low), Some(high)) => format!("{low:.2} … {high:.2}"),
                    (None, Some(high)) => format!("at most {high:.2}"),
                    (Some(low), None) => format!("at least {low:.2}"),
                    (None, None) => "open".to_owned(),
                };
                let width = low.zip(high).map(|(low, high)| {
                    inside += usize::from(is_inside);
                    errors.push(((low * high).sqrt() / median - 1.0).abs());
                    format!("{:.2}", high / low)
                });
                open += usize::from(width.is_none());
                (text, if is_inside { "yes" } else { "**no**" }, width.unwrap_or("open".to_owned()))
            }
        };
        println!(
            "| {} | {median:.2} | {:.2} … {:.2} | {text} | {verdict} | {width} |",
            case.name,
            ratios[0],
            ratios[PAIRS - 1],
        );
    }
    errors.sort_by(f64::total_cmp);
    let error =
        errors.get(errors.len() / 2).map_or("–".to_owned(), |e| format!("{:.0} %", e * 100.0));
    println!(
        "\n{inside} of {pairs} inside the range, {open} with an open range; median error of the range's middle {error}."
    );
}

/// How many times sooner the twin has done what the program did in its time.
fn speed_up(program: &Said, twin: &Said) -> f64 {
    let of = |(name, work): (&String, &u64)| twin.work[name] as f64 / *work as f64;
    program.work.iter().map(of).fold(f64::INFINITY, f64::min)
}

/// The predicted speed-up if all these lines were fixed; an end is `None` where it is open.
fn prediction(lines: &[&Value]) -> Option<(Option<f64>, Option<f64>)> {
    if lines.is_empty() || lines.iter().all(|line| line["gain"].is_null()) {
        return None;
    }
    // Times add up: what remains of the run is the run less what each line costs.
    let all = |name: &str| -> Option<f64> {
        let gains = lines.iter().map(|line| line["gain"][name].as_f64());
        let saved: f64 = gains.map(|gain| Some(1.0 - 1.0 / gain?)).sum::<Option<f64>>()?;
        (saved < 1.0).then(|| 1.0 / (1.0 - saved))
    };
    // A range that is open below begins where nothing is gained.
    let is_open = |line: &&Value| {
        line["gain"]["basis"].as_str().is_some_and(|basis| basis.starts_with("at most"))
    };
    let low = if lines.iter().any(is_open) { None } else { all("low") };
    Some((low, all("high")))
}
