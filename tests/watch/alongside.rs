//! Suspects of a recording, put to the proof while it is made.

use std::process::Stdio;

use serde_json::Value;

use crate::compile::Build;
use crate::outcome::{Outcome, address};
use crate::record::{Program, Turn, hitm};
use crate::said::Said;
use crate::support::perf_oracle::perf;
use crate::uses::{Uses, add, of_program};

/// What came of a program that was recorded, and what the recorder said.
fn recorded(program: &Program, seconds: &str, mode: &str, options: &[&str]) -> (Outcome, String) {
    let mut command = hitm();
    command.args(["record", "-o"]).arg(program.recording()).args(options).arg("--");
    let output = command
        .args(program.command(seconds, mode))
        .stdin(Stdio::null())
        .output()
        .expect("hitm runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    let said = Said::parse(&String::from_utf8_lossy(&output.stdout));
    (program.reported(mode, said), error)
}

/// The line that the program calls contended.
fn contended(outcome: &Outcome) -> &Value {
    let truth = outcome.said.contended[0].addresses[0];
    let is_it = |line: &&Value| address(&line["address"]) == truth;
    outcome.lines().iter().find(is_it).expect("the contended line is listed")
}

/// What debug registers saw of a line.
fn seen(line: &Value) -> Uses {
    let start = address(&line["address"]);
    let mut uses = Uses::new();
    for access in line["watched"]["accesses"].as_array().expect("what was watched") {
        let at = start + access["offset"].as_u64().expect("an offset");
        for thread in access["threads"].as_array().expect("threads") {
            add(&mut uses, &thread["tid"], at, &access["size"], &access["kind"]);
        }
    }
    uses
}

fn count(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} is a count"))
}

/// The contended line is a finding with just the bytes that the program states.
fn assert_confirmed(outcome: &Outcome, grades: &[&str]) {
    let line = contended(outcome);
    let truth = of_program(&outcome.said, address(&line["address"]), 64);
    assert_eq!(seen(line), truth);
    assert_eq!(line["watched"]["outcome"], "confirmed", "{}", line["watched"]);
    assert_eq!((&line["verdict"], count(&line["watched"], "threads")), (&Value::from("false"), 2));
    assert!(grades.contains(&line["grade"].as_str().expect("a grade")), "{}", line["grade"]);
    assert_eq!(outcome.summary("contended_lines"), 1);
    assert_eq!(outcome.summary("suspects"), 0, "the others are cleared, or no suspects");
}

#[test]
fn stores_that_never_wait_become_a_finding() {
    Turn::take(|| {
        let Some(program) = Program::build("store_among_ten", Build::C) else { return };
        let (outcome, _) = recorded(&program, "3", "contended", &[]);
        assert_confirmed(&outcome, &["watched"]);
    });
}

#[test]
fn an_occasional_writer_is_caught() {
    Turn::take(|| {
        let Some(program) = Program::build("occasional_writer", Build::C) else { return };
        let (outcome, _) = recorded(&program, "3", "contended", &[]);
        // With luck the clock alone sees enough of it.
        assert_confirmed(&outcome, &["watched", "timed"]);
    });
}

#[test]
fn waits_are_seen_while_it_is_watched() {
    Turn::take(|| {
        let Some(program) = Program::build("atomic_counters", Build::C) else { return };
        let (outcome, _) = recorded(&program, "2", "contended", &[]);
        let line = contended(&outcome);
        assert_confirmed(&outcome, &["timed"]);
        assert!(count(&line["watched"], "turns") >= 4, "{}", line["watched"]);
        // Nothing but the shared line is ever waited for. Only samples right behind a hit do not tell.
        let cost = &line["cost"];
        let share = |name: &str| cost[name].as_f64().expect("a share");
        assert!(share("share_waited") > 0.9 * share("share_high"), "{cost}");
    });
}

#[test]
fn without_watching_it_stays_a_suspect() {
    Turn::take(|| {
        let Some(program) = Program::build("store_among_ten", Build::C) else { return };
        let (outcome, said) = recorded(&program, "2", "contended", &["--no-watch"]);
        let line = contended(&outcome);
        assert_eq!((&line["verdict"], &line["watched"]), (&Value::from("possible"), &Value::Null));
        assert_eq!(count(&outcome.report["recording"], "watch_hits"), 0);
        assert!(!said.contains("debug registers"), "{said}");
    });
}

#[test]
fn twins_without_sharing_are_left_alone() {
    Turn::take(|| {
        for (name, mode) in [
            ("store_among_ten", "padded"),
            ("occasional_writer", "padded"),
            ("readonly", "readonly"),
        ] {
            let Some(program) = Program::build(name, Build::C) else { return };
            recorded(&program, "2", mode, &[]).0.assert_nothing();
        }
    });
}

#[test]
fn those_that_take_turns_are_cleared() {
    Turn::take(|| {
        let Some(program) = Program::build("turns", Build::C) else { return };
        let (outcome, _) = recorded(&program, "4", "short", &[]);
        assert_eq!(outcome.summary("contended_lines"), 0);
        // The clock may see them as what they are, or suspect them.
        let (refuted, in_turns) = (outcome.summary("refuted"), outcome.summary("in_turns"));
        assert_eq!((refuted + in_turns, outcome.summary("suspects")), (1, 0));
        assert!(outcome.lines().is_empty());
    });
}

/// What is spent is counted before it is spent, and never more than the share of the target's time.
#[test]
fn the_budget_is_kept_and_perf_reads_every_access() {
    Turn::take(|| {
        let Some(program) = Program::build("store_among_ten", Build::C) else { return };
        let mut hits = Vec::new();
        for percent in [1.0, 0.1] {
            let budget = percent.to_string();
            let (outcome, said) =
                recorded(&program, "3", "contended", &["--watch-budget", &budget]);
            let facts = &outcome.report["recording"];
            hits.push(count(facts, "watch_hits"));
            let (_, cost) = said.split_once("at a cost of ").expect("the cost is said");
            let (cost, _) = cost.split_once(" ms").expect("in ms");
            let cost: f64 = cost.parse().expect("a number");
            let most = count(facts, "duration_ns") as f64 / 1e6 * 2.0 * percent / 100.0;
            // Of a tick the kernel tells late.
            assert!(cost <= most * 1.05 + 0.1, "{cost} ms of {most} ms");
            let Some(perf) = perf() else { return };
            let samples = perf.dump(&program.recording()).len() as u64;
            assert_eq!(samples, count(facts, "samples") + count(facts, "watch_hits"));
        }
        assert!(hits[0] > 2 * hits[1] && hits[1] > 0, "{hits:?}");
    });
}
