//! Layouts of types: against `pahole` on whole programs, against the compiler on a Rust program, and
//! in every form in which debug information comes.

#[path = "../support/skipped.rs"]
#[allow(dead_code)]
mod skipped;

mod command;
mod compiled;
mod forms;
mod pahole;
mod pahole_text;
mod rust;
