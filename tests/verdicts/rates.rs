//! How often the answers are right: the README's table.

use std::collections::BTreeMap;

use crate::cases::{Case, wanted};
use crate::judge::{Judgement, Tally};
use crate::live::{build, outcome};
use crate::quiet::wait_for_two_cpus;
use crate::record::Turn;

/// Runs every case once and prints what came of it, then precision and recall of each verdict.
#[test]
#[ignore = "a measurement: three minutes to itself, on an idle machine"]
fn rates() {
    let mut all: Vec<(&Case, Judgement)> = Vec::new();
    println!("| case | verdict | objects | fields | advice |");
    println!("| --- | --- | --- | --- | --- |");
    for case in wanted() {
        let Some(program) = build(case) else { continue };
        wait_for_two_cpus();
        let result = std::cell::RefCell::new(None);
        Turn::take(|| {
            *result.borrow_mut() = Some(Judgement::of(case, &outcome(&program, case)));
        });
        let Some(judgement) = result.into_inner() else { return };
        println!("{}", row(case, &judgement));
        for wrong in &judgement.wrong {
            eprintln!("{}: {wrong}", case.name);
        }
        all.push((case, judgement));
    }
    summary(&all);
}

fn row(case: &Case, judgement: &Judgement) -> String {
    let mut said = judgement.expected.clone();
    said.extend(judgement.made_up.iter().map(|verdict| format!("{verdict} elsewhere")));
    said.sort();
    said.dedup();
    let mut said = if said.is_empty() { "none".to_owned() } else { said.join(", ") };
    if judgement.suspects > 0 {
        said += &format!(", {} suspects", judgement.suspects);
    }
    if !judgement.is_verdict_right(case) {
        said = format!("**{said}** instead of {}", case.verdict);
    }
    let [objects, fields, advice] =
        [judgement.objects, judgement.fields, judgement.advice].map(|tally| match tally {
            tally if tally.total() == 0 => "–".to_owned(),
            Tally { right, unknown, wrong: 0 } => match unknown {
                0 => format!("{right} right"),
                _ => format!("{right} right, {unknown} unknown"),
            },
            Tally { right, unknown, wrong } => {
                format!("{right} right, {unknown} unknown, **{wrong} wrong**")
            }
        });
    format!("| {} | {said} | {objects} | {fields} | {advice} |", case.name)
}

fn summary(all: &[(&Case, Judgement)]) {
    let right = all.iter().filter(|(case, judgement)| judgement.is_verdict_right(case)).count();
    println!("\n| verdict | cases | right | lines | precision | recall |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for verdict in ["false", "true", "mixed", "none"] {
        let own: Vec<_> = all.iter().filter(|(case, _)| case.verdict == verdict).collect();
        let own_right =
            own.iter().filter(|(case, judgement)| judgement.is_verdict_right(case)).count();
        let lines: usize = own.iter().map(|(_, judgement)| judgement.expected.len()).sum();
        let (mut hits, mut claims) = (0, 0);
        for (case, judgement) in all {
            for said in judgement.expected.iter().filter(|said| *said == verdict) {
                claims += 1;
                hits += usize::from(said == case.verdict);
            }
            claims += judgement.made_up.iter().filter(|said| *said == verdict).count();
        }
        let rate = |part: usize, of: usize| match of {
            0 => "–".to_owned(),
            _ => format!("{:.0} % ({part} of {of})", 100.0 * part as f64 / of as f64),
        };
        println!(
            "| {verdict} | {} | {own_right} | {lines} | {} | {} |",
            own.len(),
            rate(hits, claims),
            rate(hits, lines)
        );
    }
    let made_up: usize = all.iter().map(|(_, judgement)| judgement.made_up.len()).sum();
    let suspects: usize = all.iter().map(|(_, judgement)| judgement.suspects).sum();
    println!(
        "\n{right} of {} cases have the right verdict; {made_up} lines were made up, {suspects} wrongly suspected.",
        all.len()
    );
    println!("\n| | asked | right | unknown | wrong |\n| --- | --- | --- | --- | --- |");
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for (case, judgement) in all.iter().filter(|(case, _)| case.verdict != "none") {
        let place = if case.kind == "global" { "of variables" } else { "elsewhere" };
        for (what, tally) in [
            (format!("objects {place}"), judgement.objects),
            (format!("fields {place}"), judgement.fields),
            ("advice".to_owned(), judgement.advice),
        ] {
            let sum = tallies.entry(what).or_default();
            *sum = sum.sum(tally);
        }
    }
    for (what, tally) in tallies {
        println!(
            "| {what} | {} | {} | {} | {} |",
            tally.total(),
            tally.right,
            tally.unknown,
            tally.wrong
        );
    }
}
