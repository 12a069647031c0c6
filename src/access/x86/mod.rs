//! x86-64: which accesses the registers of a sample determine.
//!
//! [`Code`] holds a function's instructions and how control flows between them, [`paths`] lists the
//! ways that lead to a sampled instruction and away from it, [`Values`] follows register values along
//! such a way symbolically, and [`plan`] puts together what can be expressed in sampled registers.

mod code;
mod effect;
mod flow;
mod paths;
mod plan;
mod value;
mod values;
mod wait;

#[cfg(test)]
mod tests;

pub(super) use code::Code;
pub(super) use plan::plan;
