//! What being sampled costs a program.

use serde::Serialize;

use super::bench::{Bench, SelfTestError};
use super::statistics::{median, quantile};
use super::workload::{Told, Workload};
use crate::sampling::SamplerPlan;

/// Runs with and without the sampler, in turns.
const PAIRS: usize = 7;
/// How long each run takes, ms.
const RUN: u64 = 80;
/// A run that takes more than so many times that has gone wrong.
const MOST: u64 = 10;

/// How much longer the same work takes with sampling, at the sampler's default rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// The median of all pairs of runs, percent; below 0 where other things weigh more.
    pub percent: f64,
    /// A quarter of the pairs are below, percent.
    pub percent_low: f64,
    /// A quarter of the pairs are above, percent.
    pub percent_high: f64,
    /// Pairs of runs.
    pub pairs: usize,
    /// The time of one run without sampling, ms.
    pub run_ms: f64,
}

impl Cost {
    /// Runs the same work with and without the sampler.
    pub(super) fn measure(bench: &Bench<'_>, plan: &SamplerPlan) -> Result<Self, SelfTestError> {
        let trial = bench.run(&bench.assignment(Workload::Counting, RUN))?;
        let mut assignment = bench.assignment(Workload::Counting, RUN * MOST);
        assignment.rounds = Some(trial.rounds);
        let plain = || Ok::<_, SelfTestError>(time_of(&bench.run(&assignment)?));
        let sampled = || Ok::<_, SelfTestError>(time_of(&bench.sample(plan, &assignment)?.told));
        let (mut extra, mut alone) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            // What else the machine does grows and shrinks slowly: each comes first as often.
            let (without, with) = if pair % 2 == 0 {
                let without = plain()?;
                (without, sampled()?)
            } else {
                let with = sampled()?;
                (plain()?, with)
            };
            extra.push((with / without.max(1.0) - 1.0) * 100.0);
            alone.push(without);
        }
        let of = |share| quantile(&extra, share).unwrap_or_default();
        Ok(Self {
            percent: of(0.5),
            percent_low: of(0.25),
            percent_high: of(0.75),
            pairs: extra.len(),
            run_ms: median(&alone).unwrap_or_default() / 1e6,
        })
    }
}

/// The time of a run without that in which other programs had its CPU, ns.
fn time_of(told: &Told) -> f64 {
    told.elapsed_ns.saturating_sub(told.waiting_ns) as f64
}
