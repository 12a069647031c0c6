//! x
#![deny(unsafe_code)]
pub mod access;
pub mod kernel;
pub mod lines;
pub mod perf_data;
pub mod process;
pub mod render;
pub mod report;
pub mod symbols;
pub mod system;
