//! `hitm report --format c2c` against the installed `perf c2c report --stdio`: the same recordings
//! and options, section by section, row by row, word by word.

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod compare;
mod halves;
mod modules;
mod programs;
mod report_text;
