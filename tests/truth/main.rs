//! The clock sampler on programs whose truth is known, because they say it themselves.
//!
//! `programs/` has one small program for each idea. Each prints which lines are fought over, and
//! which bytes its threads touch; recordings of it have to say just that. The twin without
//! contention is the same program in another mode, and so are both threads on one CPU.

#[path = "../support/mod.rs"]
mod support;

mod compile;
mod contention;
mod demo;
mod executables;
mod outcome;
mod perf_recordings;
mod phases;
mod quiet;
mod quota;
mod record;
mod said;
mod twins;
