//! `hitm record` and `hitm run` on real programs: what is sampled, how it ends, what is in the file.
//!
//! Nothing here depends on how fast anything is: waits have generous ends, and programs run until
//! they are done.

#[path = "../support/mod.rs"]
mod support;

mod containers;
mod endings;
mod exit_codes;
mod file;
mod program;
mod targets;
