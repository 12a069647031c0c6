//! Cases, run and recorded by the clock.

use crate::cases::{Case, case};
use crate::judge::Judgement;
use crate::outcome::Outcome;
use crate::record::{Program, Turn};

/// Where the programs are.
pub const FOLDER: &str = "tests/verdicts/programs";
/// How long each runs.
pub const SECONDS: &str = "1";

/// The program of a case; `None`, said aloud, where its compiler is missing.
pub fn build(case: &Case) -> Option<Program> {
    Program::build_in(FOLDER, case.program, case.build)
}

/// Runs and records it.
pub fn outcome(program: &Program, case: &Case) -> Outcome {
    program.outcome(SECONDS, case.mode)
}

/// Everything about a case has to be right: the verdict of each contended line and of no other, the
/// objects, all fields of variables that have names, and the advice. Fields on the heap may be unknown.
pub fn check(name: &str) {
    let case = case(name);
    Turn::take(|| {
        let Some(program) = build(case) else { return };
        let judgement = Judgement::of(case, &outcome(&program, case));
        let wrong = judgement.failures(case);
        assert!(wrong.is_empty(), "{name}:\n  {}", wrong.join("\n  "));
    });
}
