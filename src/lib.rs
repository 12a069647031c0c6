//! Finds the cache lines that CPUs fight over, in programs that run and in recordings.
//!
//! Data flows one way: [`sampling`] opens events and drains them into a recording, [`perf_data`] finds
//! records in bytes, [`process`] follows threads and mappings through time, [`access`] reads samples as
//! memory accesses (or works them out from registers and instructions), [`lines`] groups them by cache
//! line, [`report`] gives everything a name (through [`symbols`]) and [`render`] writes it down.
//! [`kernel`] has all that is unsafe, [`system`] reads what a machine says of itself.
//!
//! ```no_run
//! use hitm::lines::SortKey;
//! use hitm::perf_data::{Input, Recording};
//! use hitm::report::{ReportOptions, report};
//!
//! let input = Input::open("perf.data".as_ref())?;
//! let recording = Recording::open(&input)?;
//! let report = report(&recording, &ReportOptions::default(), SortKey::Cost, Some(10), &|_| {})?;
//! for line in &report.lines {
//!     println!("{} {:?}: {} samples", line.address, line.grade, line.samples);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(unsafe_code)]

pub mod access;
pub mod demo;
pub mod kernel;
pub mod lines;
pub mod perf_data;
pub mod process;
pub mod render;
pub mod report;
pub mod sampling;
pub mod self_test;
pub mod symbols;
pub mod system;
