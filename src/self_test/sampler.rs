//! What one sampler does here.

use serde::Serialize;

use super::bench::{Bench, SelfTestError};
use super::contention::Contention;
use super::cost::Cost;
use super::exactness::Exactness;
use super::privacy::without_paths;
use super::reading::Reading;
use super::workload::Workload;
use crate::kernel::{KnownLoop, KnownProgram};
use crate::sampling::{Rate, SamplerKind, SamplerOptions, SamplerPlan, ThisKernel, plan, settle};

/// Samples a second in the loops, unless the kernel allows fewer: more than by default, so that
/// shares are told to a tenth of a percent.
const FREQUENCY: u64 = 4000;
/// How long each loop runs, ms.
const LOOP: u64 = 400;
/// How long two threads fight over a line, ms.
const CONTENTION: u64 = 1000;

/// A sampler, with what was measured of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SamplerResult {
    /// Which.
    pub sampler: SamplerKind,
    /// Its events.
    pub events: Vec<String>,
    /// `precise_ip` of each event, as it opened.
    pub precise_levels: Vec<u8>,
    /// The loops.
    pub loops: Vec<Reading>,
    /// The exactness of all loops together.
    pub certain: Exactness,
    /// The same for accesses that not every path makes.
    pub possible: Exactness,
    /// The contended line and its padded twin; `None` where it could not be measured.
    pub contention: Option<Contention>,
    /// What sampling costs.
    pub cost: Option<Cost>,
    /// What could not be done, in sentences.
    pub failures: Vec<String>,
}

/// A sampler that does not work here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unopened {
    /// Which.
    pub sampler: String,
    /// Why.
    pub reason: String,
}

impl SamplerResult {
    /// Measures a sampler that opens as `default`; two threads fight on `cpus`, if there are two.
    pub(super) fn measure(
        bench: &Bench<'_>,
        default: &SamplerPlan,
        cpus: Option<[u32; 2]>,
        progress: &dyn Fn(&str),
    ) -> Self {
        let events = default.events.iter();
        let mut result = Self {
            sampler: default.kind,
            events: events.clone().map(|event| event.name.clone()).collect(),
            precise_levels: events.map(|event| event.attr.flags.precise_ip()).collect(),
            loops: Vec::new(),
            certain: Exactness::default(),
            possible: Exactness::default(),
            contention: None,
            cost: None,
            failures: Vec::new(),
        };
        let kind = default.kind;
        progress(&format!("{kind}: loops of known accesses"));
        result.measure_loops(bench, default);
        progress(&format!("{kind}: a contended line and its padded twin"));
        match cpus {
            Some(cpus) => {
                let contention = Contention::measure(bench, default, CONTENTION, &cpus);
                result.contention = result.keep("contended line", contention);
            }
            None => result.failures.push("contended line: it takes two CPUs".to_owned()),
        }
        progress(&format!("{kind}: the cost of sampling"));
        let cost = Cost::measure(bench, default);
        result.cost = result.keep("cost", cost);
        result
    }

    fn measure_loops(&mut self, bench: &Bench<'_>, default: &SamplerPlan) {
        if !KnownProgram::IS_WRITTEN {
            self.failures.push(format!("known accesses: {}", SelfTestError::NoKnownCode));
            return;
        }
        let faster = faster(bench, default);
        for kind in KnownLoop::ALL {
            let assignment = bench.assignment(Workload::Loop(kind), LOOP);
            let reading =
                bench.sample(&faster, &assignment).and_then(|sampled| Reading::of(kind, &sampled));
            if let Some(reading) = self.keep("known accesses", reading) {
                self.certain.merge(&reading.certain);
                self.possible.merge(&reading.possible);
                self.loops.push(reading);
            }
        }
    }

    /// A failure is told once, whatever else it hinders.
    fn keep<T>(&mut self, what: &str, answer: Result<T, SelfTestError>) -> Option<T> {
        answer
            .map_err(|error| {
                let sentence = format!("{what}: {}", without_paths(&error.to_string()));
                if !self.failures.contains(&sentence) {
                    self.failures.push(sentence);
                }
            })
            .ok()
    }

    /// How often an access was named that a sample waited for, and how often rightly.
    pub fn waits(&self) -> (u64, u64) {
        let add = |(waits, right), reading: &Reading| {
            (waits + reading.waits, right + reading.waits_right)
        };
        self.loops.iter().fold((0, 0), add)
    }

    /// The samples of all loops by how far behind an access they lie: the share at most one
    /// instruction behind, 0 to 1.
    pub fn share_near(&self) -> Option<f64> {
        let near = |reading: &Reading| {
            let within = reading.skid.by_distance.range(..=1);
            within.map(|(_, samples)| samples).sum::<u64>()
        };
        let all: u64 = self.loops.iter().map(|reading| reading.in_loop).sum();
        let near: u64 = self.loops.iter().map(near).sum();
        (all > 0).then(|| near as f64 / all as f64)
    }
}

/// The same sampler at a higher rate, where it has one.
fn faster(bench: &Bench<'_>, default: &SamplerPlan) -> SamplerPlan {
    let limit = bench.machine.permissions.max_sample_rate.unwrap_or(FREQUENCY);
    let options = SamplerOptions {
        rate: Rate::Frequency(FREQUENCY.min(limit.max(1))),
        ..SamplerOptions::default()
    };
    plan(default.kind, bench.machine, &options)
        .ok()
        .and_then(|plan| settle(&plan, bench.machine, &ThisKernel).ok())
        .unwrap_or_else(|| default.clone())
}
