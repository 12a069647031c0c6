//! What each sampler opens on machines that we do not have, bit by bit.

#[path = "../support/mod.rs"]
mod support;

mod choices;
mod expected;
mod recorded;
mod resources;
mod system;
