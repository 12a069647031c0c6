//! Sampling by `ptrace`: that it finds what is contended where the kernel refuses its own events, and
//! that programs behave as without it.
//!
//! The programs of known truth, and how they are judged, are those of the `truth` tests.

#[path = "../support/mod.rs"]
mod support;

#[path = "../truth/compile.rs"]
#[allow(dead_code, reason = "programs come in more forms than are of interest here")]
mod compile;
#[path = "../truth/outcome.rs"]
#[allow(dead_code, reason = "more is judged there")]
mod outcome;
#[path = "../truth/quiet.rs"]
mod quiet;
#[path = "../truth/record.rs"]
#[allow(dead_code, reason = "more is recorded there")]
mod record;
#[path = "../truth/said.rs"]
#[allow(dead_code, reason = "more is asked there")]
mod said;

mod attached;
mod behaviour;
mod locked_out;
mod programs;
mod refusals;
