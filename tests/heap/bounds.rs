//! What tracing may cost, and what it leaves behind.

use crate::program::{Program, hitm, turn};

#[test]
fn a_million_allocations_cost_what_they_may() {
    let Some(_turn) = turn() else { return };
    let Some(program) = Program::build("many.c", &[]) else { return };
    let run = program.run(&[], &["0.3"]);
    // What was allocated first, before the budget was spent, has its sites.
    run.assert_objects(&program);
    let said = &run.said_by_hitm;
    let (_, cost) = said.split_once("samples, at a cost of ").expect("the cost is said");
    let (cost, _) = cost.split_once(" ms").expect("in ms");
    let cost: f64 = cost.parse().expect("a number");
    let duration = run.report["recording"]["duration_ns"].as_u64().expect("a duration");
    // 200 ms at first, a tenth of the time of two CPUs, and what is spent before it is noticed.
    let most = 200.0 + duration as f64 / 1e6 * 2.0 * 0.1 + 100.0;
    assert!(cost > 100.0 && cost < most, "{cost} ms of {most} ms");
    assert!(said.contains("stopped"), "{said}");
    let warnings = run.report["warnings"].as_array().expect("warnings");
    let paused = warnings.iter().find(|it| it["code"] == "heap-paused").expect("a warning");
    let text = paused["text"].as_str().expect("a sentence");
    let percent = text.split_once("traced for ").and_then(|(_, rest)| rest.split_once(" %"));
    let percent: f64 = percent.expect("a share").0.parse().expect("a number");
    assert!(percent > 1.0 && percent < 99.0, "{text}");
    for object in run.objects() {
        assert!(object["heap"]["certain_until_ns"].is_u64(), "{object}");
    }
}

#[test]
fn no_probe_is_left() {
    let Some(_turn) = turn() else { return };
    let Some(program) = Program::build("c_family.c", &[]) else { return };
    program.run(&[], &["0.1", "0", "1"]);
    // They are removed behind our back, one after the other.
    wait_until(|| !probes().iter().any(|line| line.contains("hitm_heap_")));
}

#[test]
fn no_probe_is_left_by_a_recorder_that_is_killed() {
    let Some(_turn) = turn() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let mut recorder = hitm()
        .args(["record", "--heap", "-q", "-o"])
        .arg(directory.path().join("hitm.data"))
        .args(["--", "sleep", "10"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("hitm starts");
    let group = format!("hitm_heap_{}/", recorder.id());
    let are_there = || probes().iter().any(|line| line.contains(&group));
    wait_until(are_there);
    // Once its file is there it has defined them all.
    wait_until(|| directory.path().join("hitm.data").exists());
    recorder.kill().expect("it runs");
    recorder.wait().expect("it ends");
    wait_until(|| !are_there());
}

fn wait_until(condition: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(started.elapsed().as_secs() < 60, "{:?}", probes());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn probes() -> Vec<String> {
    hitm::sampling::heap::defined_probes()
        .expect("tracefs opens")
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_cannot_be_traced_is_refused_before_the_command_runs() {
    for (arguments, cause) in [
        (&["-a", "--duration", "1"][..], "--heap takes a command, -p or -t"),
        (&["--sampler", "ptrace", "--", "true"], "sampled with ptrace"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let output = hitm()
            .args(["record", "--heap", "-o"])
            .arg(directory.path().join("hitm.data"))
            .args(arguments)
            .output()
            .expect("hitm starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{said}");
        assert!(said.contains(cause), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!directory.path().join("hitm.data").exists());
    }
}
