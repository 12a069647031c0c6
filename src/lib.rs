//! Finds the cache lines that CPUs fight over, in recordings that Linux perf made.
//!
//! Data flows one way: [`perf_data`] finds records in bytes, [`process`] follows threads and mappings
//! through time, [`access`] reads samples as memory accesses, [`lines`] groups them by cache line,
//! [`report`] gives everything a name (through [`symbols`]) and [`render`] writes it down.
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
//!     println!("{} {} contended loads", line.address, line.contended_loads);
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
pub mod symbols;
pub mod system;
