//! Where `perf_event_open` is refused, as nobody: what is contended is found all the same.

use serde_json::Value;

use crate::compile::Build;
use crate::outcome::Standing;
use crate::programs::{alone, locked_out, open, program, said};
use crate::record::{Program, SECONDS, Turn};
use crate::support::perf_oracle::perf;

/// Contended and padded, recorded by what `auto` falls back to.
fn found_and_its_twin_not(name: &str, seconds: &str) {
    let _alone = alone();
    Turn::take(|| {
        let Some(program) = Program::build(name, Build::C) else { return };
        open(program.directory.path());
        let outcome = |mode: &str| {
            let mut record = locked_out().expect("there is a compiler");
            record.args(["record", "--quiet"]);
            let outcome = program.outcome_of(record, seconds, mode);
            assert_eq!(outcome.report["recording"]["samplers"], serde_json::json!(["ptrace"]));
            outcome
        };
        outcome("contended").assert_found(Standing::Claimed);
        outcome("padded").assert_nothing();
    });
}

#[test]
fn fields_with_atomic_counters_are_found() {
    found_and_its_twin_not("atomic_counters", "2");
}

#[test]
fn fields_with_plain_stores_are_found() {
    found_and_its_twin_not("plain_stores", "2");
}

/// Eight contended lines want more samples than a second gives at the default rate.
#[test]
fn structs_on_the_heap_are_found() {
    found_and_its_twin_not("heap_structs", "5");
}

#[test]
fn threads_that_live_for_twenty_milliseconds_are_found() {
    let _alone = alone();
    Turn::take(|| {
        let Some(program) = Program::build("short_threads", Build::C) else { return };
        open(program.directory.path());
        let mut record = locked_out().expect("there is a compiler");
        record.args(["record", "--quiet", "-F", "500"]);
        program.outcome_of(record, SECONDS, "contended").assert_found(Standing::Threads);
    });
}

#[test]
fn the_demo_finds_its_line_and_says_why_it_stops_threads() {
    let _alone = alone();
    if program("locked_out").is_none() {
        return;
    }
    Turn::take(|| {
        let mut demo = locked_out().expect("there is a compiler");
        let output = demo.args(["demo", "--seconds", "1"]).output().expect("it runs");
        assert!(output.status.success(), "{}", said(&output));
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("Contention on 1 cache line costs"), "{text}");
        assert!(text.contains("  events   ptrace: "), "{text}");
        for place in ["      0x0  ", "      0x8  ", "rmw", "requests", "bytes", "false sharing: "] {
            assert!(text.contains(place), "no {place:?}: {text}");
        }
        for sentence in [
            "the system call filter (seccomp)",
            "threads were stopped with ptrace, 125 times in a second of CPU time, which costs about",
        ] {
            assert!(said(&output).contains(sentence), "{}", said(&output));
        }
    });
}

/// The samples are a software event's, and perf reads them as we do.
#[test]
fn perf_reads_the_recording() {
    let _alone = alone();
    let (Some(mut record), Some(perf)) = (locked_out(), perf()) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path());
    let path = folder.path().join("it.data");
    // perf reads files of its own user only.
    let own = folder.path().join("own.data");
    record
        .args(["record", "-F", "1000", "-o"])
        .arg(&path)
        .arg("--")
        .arg(program("behaves").expect("it is there"));
    let output = record.arg("becomes").output().expect("it runs");
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert!(said(&output).contains("ptrace, because the kernel refuses"), "{}", said(&output));
    std::fs::copy(&path, &own).expect("a copy");
    let dumped = perf.dump(&own);
    assert_eq!(dumped.len(), crate::programs::samples(&path));
    assert!(dumped.len() >= 5, "{} samples", dumped.len());
    // Each stands for the CPU time since the one before it.
    assert!(
        dumped.iter().all(|sample| sample.period > 0 && sample.ip != 0 && sample.cpu.is_some())
    );
}

#[test]
fn the_doctor_knows_what_is_left() {
    let Some(mut doctor) = locked_out() else { return };
    let output = doctor.args(["doctor", "--json"]).output().expect("it runs");
    let diagnosis: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(diagnosis["best"], "ptrace", "{diagnosis}");
    let samplers = diagnosis["samplers"].as_array().expect("samplers");
    let works = |name: &str| {
        let found = samplers.iter().find(|sampler| sampler["name"] == name);
        found.unwrap_or_else(|| panic!("{name} in {samplers:?}"))["works"].clone()
    };
    assert_eq!((works("clock"), works("ptrace")), (false.into(), true.into()));
}
