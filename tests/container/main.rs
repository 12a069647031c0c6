//! The perf.data container: what is written is read back, real recordings are read as perf reads
//! them, and nothing that a file may hold makes the reader panic, hang or eat the memory.

#[path = "../support/mod.rs"]
mod support;

mod features;
mod hostile;
mod limits;
mod owned_sample;
mod real_recordings;
mod recordings_made_here;
mod records;
mod samples;
mod synthetic_forms;
