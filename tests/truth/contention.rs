//! What is contended is found, exactly; what is not, is not.

use crate::compile::Build;
use crate::outcome::{Outcome, Standing};
use crate::record::{Program, SECONDS, Turn};
use crate::support::skipped::skipped;

/// One module for each program, one test for each of its modes.
macro_rules! programs {
    ($($name:ident: $build:ident { $($mode:ident: $expectation:ident),+ $(,)? })+) => {
        $(mod $name {
            $(#[test]
            fn $mode() {
                super::check(stringify!($name), super::Build::$build, stringify!($mode), super::$expectation);
            })+
        })+
    };
}

programs! {
    atomic_counters: C { contended: found, single: found, padded: nothing, pinned: nothing }
    plain_stores: C { contended: found, padded: nothing, pinned: nothing }
    vector_stores: C { contended: found, padded: nothing, pinned: nothing }
    library: Library { contended: found, padded: nothing, pinned: nothing }
    split_access: C { contended: found, padded: nothing, pinned: nothing }
    stack_variable: C { contended: found, padded: nothing, pinned: nothing }
    heap_structs: C { contended: found, padded: nothing, pinned: nothing }
    spinlock: C { contended: found, padded: nothing, pinned: nothing }
    thread_local: C { lent: found, private: nothing, pinned: nothing }
    two_processes: C { contended: found, padded: nothing, pinned: nothing }
    message_flags: C { contended: found, pinned: nothing }
    pointer_chase: C { contended: found, padded: nothing, pinned: nothing }
    generated_code: C { contended: found, padded: nothing, pinned: nothing }
    short_threads: C { contended: found_threads, padded: nothing, pinned: nothing }
    copies: C { contended: found, string: found, padded: nothing, pinned: nothing }
    objects: CPlusPlus { contended: found, padded: nothing, pinned: nothing }
    rust_static: Rust { contended: found, padded: nothing, pinned: nothing }
    merged_paths: C { contended: found, padded: nothing, pinned: nothing }
    rust_heap: Rust { contended: found, padded: nothing, pinned: nothing }

    // What the store buffer hides, and what is seldom written.
    store_then_lock: C { contended: suspected, padded: nothing, pinned: nothing }
    store_among_ten: C { contended: suspected, padded: nothing, pinned: nothing }
    occasional_writer: C { contended: suspected, padded: nothing, pinned: nothing }

    // Shared, and not fought over.
    readonly: C { readonly: nothing, pinned: nothing }
    handover: C { handover: nothing, pinned: nothing }
    turns: C { turns: used_in_turns, short: used_in_short_turns, pinned: nothing }
    private_heap: C { private: nothing, pinned: nothing }
}

fn check(name: &str, build: Build, mode: &str, expectation: fn(&Outcome)) {
    Turn::take(|| {
        let Some(program) = Program::build(name, build) else { return };
        // On one CPU all programs do the same: take turns.
        let seconds = match (name, mode) {
            (_, "pinned") => "0.6",
            // Interrupts are taken where a string instruction has done 64 bytes: few show at the first line.
            ("copies", "string") => "4",
            _ => SECONDS,
        };
        expectation(&program.outcome(seconds, mode));
    });
}

fn found(outcome: &Outcome) {
    outcome.assert_found(Standing::Claimed);
}

fn found_threads(outcome: &Outcome) {
    outcome.assert_found(Standing::Threads);
}

fn suspected(outcome: &Outcome) {
    outcome.assert_found(Standing::Suspected);
}

/// Nothing is contended, and the line that threads use in turns is known as such.
fn used_in_turns(outcome: &Outcome) {
    outcome.assert_nothing();
    assert!(outcome.summary("in_turns") >= 1, "{}: {}", outcome.name, outcome.report["summary"]);
}

/// Turns of a few samples each: on a busy machine some of them may look like being there at once.
fn used_in_short_turns(outcome: &Outcome) {
    let is_finding = |line: &serde_json::Value| line["verdict"].is_null();
    let findings: Vec<_> = outcome.lines().iter().filter(|line| is_finding(line)).collect();
    assert!(findings.is_empty(), "{}: {findings:?}", outcome.name);
    let known = outcome.summary("in_turns") + outcome.summary("suspects");
    assert!(known >= 1, "{}: {}", outcome.name, outcome.report["summary"]);
}

fn nothing(outcome: &Outcome) {
    outcome.assert_nothing();
}

/// A gather's addresses are in a vector register, which the samples do not have: these samples are
/// lost, said to be, and nothing is made up for them.
#[test]
fn gathers_are_lost_and_counted() {
    Turn::take(|| {
        let Some(program) = Program::build("gather", Build::C) else { return };
        let outcome = program.outcome(SECONDS, "contended");
        if outcome.said.remarks.iter().any(|remark| remark == "no avx2") {
            skipped("gathers take AVX2");
            return;
        }
        assert!(outcome.lines().is_empty(), "{}: {}", outcome.name, outcome.report["lines"]);
        // The reader's thread is half of the samples; those at its look at the flag are few.
        let (lost, samples) = (outcome.unresolved("vector_index"), outcome.samples());
        assert!(lost * 100 > samples * 30, "{lost} of {samples} samples are lost to gathers");
        assert_eq!(outcome.lost_samples(), lost, "{}", outcome.report["unresolved"]);
    });
}

/// Resolved, nothing within reach, lost: a program with all three.
#[test]
fn three_outcomes_of_a_sample() {
    Turn::take(|| {
        let Some(program) = Program::build("outcomes", Build::C) else { return };
        let outcome = program.outcome(SECONDS, "private");
        outcome.assert_nothing();
        let counts = [
            outcome.summary("resolved"),
            outcome.unresolved("overwritten"),
            outcome.summary("no_operand"),
        ];
        // 40 of some 400 instructions are as far as decoding goes to either side.
        for count in counts {
            assert!(count * 100 > outcome.samples() * 5, "{counts:?} of {}", outcome.samples());
        }
        assert_eq!(outcome.lost_samples(), outcome.unresolved("overwritten"));
    });
}

/// The outcomes add up to all samples.
#[test]
fn outcomes_add_up() {
    Turn::take(|| {
        let programs = [
            ("spinlock", "contended"),
            ("gather", "contended"),
            ("copies", "padded"),
            ("outcomes", "private"),
        ];
        for (name, mode) in programs {
            let Some(program) = Program::build(name, Build::C) else { return };
            let outcome = program.outcome("0.5", mode);
            let parts = ["resolved", "no_operand", "in_kernel"];
            let sum: u64 = parts.iter().map(|part| outcome.summary(part)).sum();
            let sum = sum + outcome.lost_samples();
            assert_eq!(sum, outcome.samples(), "{}: {}", outcome.name, outcome.report["summary"]);
        }
    });
}
