//! Allocations of programs that say themselves what they allocate where, traced while they are recorded.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod c_family;
mod languages;
mod over_time;
mod program;
