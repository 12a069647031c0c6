//! x
#![deny(unsafe_code)]
pub mod kernel;
pub mod perf_data;
