//! Which sampler: the best that the machine has, or the one that was asked for.

use super::sampler::{SamplerKind, SamplerPlan};
use super::sampler_error::SamplerError;
use super::sampler_options::SamplerOptions;
use super::{clock, ibs, pebs, ptrace, spe};
use crate::system::{Machine, Vendor};

/// Which sampler the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SamplerChoice {
    /// The best that opens.
    #[default]
    Auto,
    /// This one and no other.
    Only(SamplerKind),
}

/// The samplers to try, in order: the hardware's where its PMU is in sysfs, then the clock, then
/// `ptrace`, which asks the kernel for no event. Whether one opens shows when it is opened.
///
/// # Errors
///
/// What was asked is impossible here: a rate, an option that the best sampler does not have, or a
/// sampler that this machine has not.
pub fn choose(
    machine: &Machine,
    choice: SamplerChoice,
    options: &SamplerOptions,
) -> Result<Vec<SamplerPlan>, SamplerError> {
    options.check(&machine.permissions)?;
    match choice {
        SamplerChoice::Only(kind) => {
            let mut plan = plan(kind, machine, options)?;
            plan.reason = format!("{kind}, as asked");
            Ok(vec![plan])
        }
        SamplerChoice::Auto => {
            let mut plans = Vec::new();
            let mut passed_over = Vec::new();
            for kind in [SamplerKind::Pebs, SamplerKind::Ibs, SamplerKind::Spe] {
                match plan(kind, machine, options) {
                    Ok(plan) => plans.push(plan),
                    Err(SamplerError::NotHere { .. }) => {}
                    Err(error @ SamplerError::NotPermitted { .. }) => {
                        passed_over.push(error.to_string())
                    }
                    Err(error) => return Err(error),
                }
            }
            match clock::plan(machine, options) {
                Ok(mut plan) => {
                    if let Some(first) = plans.first() {
                        plan.reason = format!("the clock, because {} does not open", first.kind);
                    } else if let Some(cause) = passed_over.first() {
                        plan.reason = format!("the clock, because {cause}");
                    }
                    plans.push(plan);
                }
                // An option for hardware samplers leaves the clock out where there is one of them.
                Err(SamplerError::Option { .. } | SamplerError::NotHere { .. })
                    if !plans.is_empty() => {}
                Err(error) => return Err(error),
            }
            // An option that it does not have merely leaves out this last resort.
            plans.extend(ptrace::plan(machine, options));
            Ok(plans)
        }
    }
}

/// Plans one sampler.
///
/// # Errors
///
/// Why this machine, this user or these options cannot have it.
pub fn plan(
    kind: SamplerKind,
    machine: &Machine,
    options: &SamplerOptions,
) -> Result<SamplerPlan, SamplerError> {
    match kind {
        SamplerKind::Pebs => pebs::plan(machine, options),
        SamplerKind::Ibs => ibs::plan(machine, options),
        SamplerKind::Spe => spe::plan(machine, options),
        SamplerKind::Clock => clock::plan(machine, options),
        SamplerKind::Ptrace => ptrace::plan(machine, options),
    }
}

/// The sampler that this vendor's hardware has, if any.
pub fn hardware_sampler(machine: &Machine) -> Option<SamplerKind> {
    match machine.cpu.vendor() {
        Vendor::Intel => Some(SamplerKind::Pebs),
        Vendor::Amd => Some(SamplerKind::Ibs),
        Vendor::Arm => Some(SamplerKind::Spe),
        Vendor::Other => None,
    }
}
