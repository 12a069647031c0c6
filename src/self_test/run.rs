//! All parts of the self-test, one after the other.

use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::bench::{Bench, SelfTestError};
use super::claim::Groups;
use super::line_passing::LinePassing;
use super::machine::MachineFacts;
use super::privacy::without_paths;
use super::sampler::{SamplerResult, Unopened};
use super::trap::Traps;
use crate::kernel::allowed_cpus;
use crate::sampling::{SamplerTrial, ThisKernel, diagnose, probe};
use crate::system::{Machine, caches, nodes, topology};

/// Name and version of the JSON form.
pub const SCHEMA: &str = "hitm-self-test-1";

/// Everything that was measured. Names no user, host or path.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SelfTest {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// Version of hitm.
    pub hitm: &'static str,
    /// The machine.
    pub machine: MachineFacts,
    /// How long a line takes from CPU to CPU.
    pub line_passing: LinePassing,
    /// The samplers that open, best first.
    pub samplers: Vec<SamplerResult>,
    /// The samplers that do not.
    pub not_opened: Vec<Unopened>,
    /// What debug registers cost.
    pub traps: Traps,
    /// How long all of it took, s.
    pub seconds: f64,
}

/// Measures this machine. `worker` is a command that hands its last argument to
/// [`work`](super::work); `progress` is told what is being measured.
///
/// # Errors
///
/// There is no place for recordings, or the CPUs on which this process may run are not known. What a
/// sampler cannot do is in its result.
pub fn self_test(
    machine: &Machine,
    worker: Vec<OsString>,
    progress: &dyn Fn(&str),
) -> Result<SelfTest, SelfTestError> {
    let start = Instant::now();
    let root = Path::new("/");
    let bench = Bench::new(machine, worker)?;
    let allowed = allowed_cpus().map_err(|cause| SelfTestError::System {
        what: "the CPUs on which this process may run are not known",
        cause,
    })?;
    progress("lines passed between CPUs");
    let groups = Groups::new(&topology(root), &caches(root), &nodes(root));
    let mut line_passing = LinePassing::measure(&allowed, &groups);
    progress("debug registers");
    let traps = Traps::measure();
    let trials = probe(root, machine, &ThisKernel);
    let diagnosis = diagnose(machine, &trials);
    let cpus = line_passing.farthest();
    let (mut samplers, mut not_opened) = (Vec::new(), Vec::new());
    for ((_, trial), verdict) in trials.samplers.iter().zip(&diagnosis.samplers) {
        match trial {
            SamplerTrial::Opens(plan) => {
                samplers.push(SamplerResult::measure(&bench, plan, cpus, progress));
            }
            _ => not_opened.push(Unopened {
                sampler: verdict.name.clone(),
                reason: without_paths(&verdict.why),
            }),
        }
    }
    progress("lines passed between CPUs, again");
    line_passing.measure_again();
    Ok(SelfTest {
        schema: SCHEMA,
        hitm: env!("CARGO_PKG_VERSION"),
        machine: MachineFacts::of(machine),
        line_passing,
        samplers,
        not_opened,
        traps,
        seconds: start.elapsed().as_secs_f64(),
    })
}
