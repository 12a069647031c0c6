//! The sampler that `auto` ends up with: the first candidate that opens for real.

use super::probe::{OpenEvent, settle};
use super::refusal::{Asked, explain};
use super::sampler::{SamplerKind, SamplerPlan};
use crate::system::Machine;

/// Candidates that the kernel refuses, each with a sentence of cause and remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("; "))]
pub struct NothingOpens(pub Vec<(SamplerKind, String)>);

/// The first of the candidates whose events open on this process, in the form in which they do; what
/// was passed over is in its notes. Events of other targets may still be refused: that shows when they
/// are opened.
///
/// # Errors
///
/// [`NothingOpens`].
pub fn first_that_opens(
    candidates: &[SamplerPlan],
    machine: &Machine,
    kernel: &dyn OpenEvent,
) -> Result<SamplerPlan, NothingOpens> {
    let mut passed_over = Vec::new();
    for plan in candidates {
        match settle(plan, machine, kernel) {
            Ok(mut plan) => {
                plan.notes.extend(passed_over.into_iter().map(|(_, text)| text));
                return Ok(plan);
            }
            Err(unopened) => {
                let refusal = explain(unopened.errno, Asked::Sampler(plan.kind), machine);
                let text = format!(
                    "{}: {} does not open: {}; {}",
                    plan.kind, unopened.event, refusal.why, refusal.remedy
                );
                passed_over.push((plan.kind, text));
            }
        }
    }
    Err(NothingOpens(passed_over))
}
