//! The sampler that `auto` ends up with: the first candidate that opens for real.

use super::probe::{OpenEvent, settle};
use super::ptrace;
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
        if plan.kind == SamplerKind::Ptrace {
            match with_ptrace(plan, machine, kernel, passed_over.last()) {
                Ok(plan) => return Ok(plan),
                Err(text) => {
                    passed_over.push((plan.kind, text));
                    continue;
                }
            }
        }
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

/// The plan to sample with `ptrace`, if that may be done; in place of another if there was one.
fn with_ptrace(
    plan: &SamplerPlan,
    machine: &Machine,
    kernel: &dyn OpenEvent,
    in_place_of: Option<&(SamplerKind, String)>,
) -> Result<SamplerPlan, String> {
    kernel.may_trace().map_err(|error| {
        let refusal = ptrace::explain(machine, &error, false);
        format!("{}: {}; {}", plan.kind, refusal.why, refusal.remedy)
    })?;
    let mut plan = plan.clone();
    if let Some((_, text)) = in_place_of {
        plan.reason = "ptrace, because the kernel refuses its own events".to_owned();
        plan.notes.push(text.clone());
    }
    Ok(plan)
}
