//! Recordings by `perf record` give the findings that ours give.

use std::process::Command;

use crate::compile::Build;
use crate::outcome::{Outcome, Standing};
use crate::record::{Program, SECONDS, Turn, hitm};
use crate::support::skipped::skipped;

/// All user registers that perf has on x86-64.
const REGISTERS: &str =
    "--user-regs=ax,bx,cx,dx,si,di,bp,sp,ip,flags,r8,r9,r10,r11,r12,r13,r14,r15";

fn recorded_by_perf(name: &str, build: Build, mode: &str, options: &[&str]) -> Option<Outcome> {
    if Command::new("perf").arg("--version").output().is_err() {
        skipped("there is no perf");
        return None;
    }
    let program = Program::build(name, build)?;
    Some(program.outcome_of_perf(SECONDS, mode, options))
}

#[test]
fn same_findings() {
    Turn::take(|| {
        let programs = [
            ("atomic_counters", Build::C, Standing::Claimed),
            ("plain_stores", Build::C, Standing::Claimed),
            ("heap_structs", Build::Stripped, Standing::Claimed),
            ("library", Build::Library, Standing::Claimed),
            ("rust_heap", Build::Rust, Standing::Claimed),
            ("store_then_lock", Build::C, Standing::Suspected),
        ];
        for (name, build, standing) in programs {
            let options = ["--sample-cpu", REGISTERS];
            let Some(outcome) = recorded_by_perf(name, build, "contended", &options) else {
                return;
            };
            outcome.assert_found(standing);
            let Some(outcome) = recorded_by_perf(name, build, "padded", &options) else { return };
            outcome.assert_nothing();
        }
    });
}

/// Whether two threads ran on different CPUs is not known: that is said, and nothing claimed.
#[test]
fn without_the_cpu() {
    Turn::take(|| {
        let outcome = recorded_by_perf("atomic_counters", Build::C, "contended", &[REGISTERS]);
        let Some(outcome) = outcome else { return };
        assert!(outcome.lines().is_empty(), "{}", outcome.report["lines"]);
        assert_warning(&outcome, "CPU");
        assert!(outcome.summary("resolved") > 300, "{}", outcome.report["summary"]);
    });
}

/// Without registers there are no accesses at all: that is an error with the remedy.
#[test]
fn without_registers() {
    Turn::take(|| {
        let Some(program) = Program::build("atomic_counters", Build::C) else { return };
        let mut command = Command::new("perf");
        command.args(["record", "-q", "-e", "cpu-clock", "--sample-cpu", "-o"]);
        command.arg(program.recording()).arg("--").args(program.command("0.2", "contended"));
        let Ok(recorded) = command.output() else {
            skipped("there is no perf");
            return;
        };
        assert!(recorded.status.success(), "{}", String::from_utf8_lossy(&recorded.stderr));
        let output = hitm().args(["report", "-i"]).arg(program.recording()).output();
        let output = output.expect("hitm runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("cpu-clock") && error.contains("--user-regs"), "{error}");
    });
}

fn assert_warning(outcome: &Outcome, about: &str) {
    let warnings = outcome.report["warnings"].as_array().expect("warnings");
    let is_about = |warning: &serde_json::Value| {
        warning["text"].as_str().is_some_and(|text| text.contains(about))
    };
    assert!(warnings.iter().any(is_about), "no warning speaks of {about}: {warnings:?}");
}
