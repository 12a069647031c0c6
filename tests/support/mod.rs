//! What several tests share. Each test binary uses a part of it.
#![allow(dead_code, reason = "each test binary compiles all of it and uses a part")]

pub mod compiled;
pub mod counters;
pub mod data_source_words;
pub mod fixture_machine;
pub mod machine;
pub mod perf_oracle;
pub mod processes;
pub mod random;
pub mod skipped;
pub mod synthetic;
pub mod watched;
