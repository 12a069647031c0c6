//! x
#![deny(unsafe_code)]
pub mod access;
pub mod kernel;
pub mod lines;
pub mod perf_data;
pub mod process;
