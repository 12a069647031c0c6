//! Intel's precise events: `mem-loads` with a least latency, and `mem-stores`.
//!
//! Encodings come from sysfs (`events/`, `format/`); what follows from the model alone is not
//! guessed. Hybrid machines have a PMU for each kind of core, each with its own events.

use super::attributes::{
    base, cpus_of, exclusions, kernel_note, memory_sample_type, physical_note, set_rate,
    side_suffix, tracking,
};
use super::sampler::{PlannedEvent, Role, SamplerKind, SamplerPlan};
use super::sampler_error::SamplerError;
use super::sampler_options::SamplerOptions;
use crate::perf_data::{EventAttr, SampleType};
use crate::system::{EventWords, Machine, Pmu, Vendor};

/// Least latency of sampled loads, cycles, where none is asked: what perf takes.
const DEFAULT_LDLAT: u32 = 30;
/// No skid at all.
const PRECISE: u8 = 3;

/// Plans PEBS for a machine.
///
/// # Errors
///
/// The machine has no such events, or sysfs describes them in a way that cannot be used.
pub fn plan(machine: &Machine, options: &SamplerOptions) -> Result<SamplerPlan, SamplerError> {
    let mut cores: Vec<&Pmu> = machine
        .pmus
        .iter()
        .filter(|pmu| is_core(pmu) && pmu.event("mem-loads").is_some())
        .collect();
    if machine.cpu.vendor() != Vendor::Intel || cores.is_empty() {
        return Err(not_here(machine));
    }
    // The PMU of the fast cores has the lowest number, and comes first as perf has it.
    cores.sort_by_key(|pmu| pmu.kind);
    let permissions = &machine.permissions;
    let physical = !options.no_physical_addresses && permissions.may_sample_kernel();
    let fields = memory_sample_type(&machine.arch, options, physical);
    let mut notes: Vec<String> = kernel_note(options, permissions).into_iter().collect();
    notes.extend(physical_note(options, permissions));

    let mut events = Vec::new();
    for pmu in &cores {
        events.extend(loads(pmu, machine, options, fields)?);
        if pmu.event("mem-stores").is_some() {
            let attr = attribute(pmu, pmu.event_words("mem-stores")?, machine, options, fields);
            let name = format!("{}/mem-stores/P{}", pmu.name, side_suffix(attr.flags));
            events.push(event(pmu, machine, name, attr, Role::Samples));
        } else {
            notes.push(format!(
                "the PMU {} samples loads only: this CPU has no precise event for stores, so \
                 writers show where they also read",
                pmu.name
            ));
        }
    }
    // Whatever the rate has added to the fields, the dummy has them too.
    let fields = events.first().map_or(fields, |event| event.attr.sample_type);
    events.push(tracking(fields));
    let names: Vec<&str> = cores.iter().map(|pmu| pmu.name.as_str()).collect();
    let kinds = if cores.iter().any(|pmu| pmu.event("mem-stores").is_some()) {
        "mem-loads and mem-stores"
    } else {
        "mem-loads"
    };
    Ok(SamplerPlan {
        kind: SamplerKind::Pebs,
        events,
        reason: format!(
            "PEBS, because {} {kinds}: the hardware says where each sampled load was served from",
            match names[..] {
                [name] => format!("the PMU {name} has"),
                _ => format!("the PMUs {} have", names.join(" and ")),
            }
        ),
        notes,
    })
}

/// Whether it is a PMU of cores: `cpu`, or `cpu_core` and `cpu_atom` and the like of hybrids.
fn is_core(pmu: &Pmu) -> bool {
    pmu.name == "cpu" || pmu.name.starts_with("cpu_")
}

/// The load event, behind its leader where the model needs one: such a model refuses loads with a
/// data source unless an event 0x8203 comes earlier in their group.
fn loads(
    pmu: &Pmu,
    machine: &Machine,
    options: &SamplerOptions,
    fields: SampleType,
) -> Result<Vec<PlannedEvent>, SamplerError> {
    let ldlat = options.ldlat.unwrap_or(DEFAULT_LDLAT);
    let mut words = pmu.event_words("mem-loads")?;
    pmu.set(&mut words, "ldlat", u64::from(ldlat))?;
    let attr = attribute(pmu, words, machine, options, fields);
    let side = side_suffix(attr.flags);
    if pmu.event("mem-loads-aux").is_none() {
        let name = format!("{}/mem-loads,ldlat={ldlat}/P{side}", pmu.name);
        return Ok(vec![event(pmu, machine, name, attr, Role::Samples)]);
    }
    let words = pmu.event_words("mem-loads-aux")?;
    let leader = attribute(pmu, words, machine, options, fields);
    let name = format!("{}/mem-loads-aux/P{side}", pmu.name);
    let mut leader = event(pmu, machine, name, leader, Role::GroupLeader);
    // It has no address to be precise about; that it runs is what counts.
    leader.precise_fallback.push(0);
    let name = format!("{}/mem-loads,ldlat={ldlat}/P{side}", pmu.name);
    Ok(vec![leader, event(pmu, machine, name, attr, Role::GroupMember)])
}

fn attribute(
    pmu: &Pmu,
    words: EventWords,
    machine: &Machine,
    options: &SamplerOptions,
    fields: SampleType,
) -> EventAttr {
    let mut attr = base(pmu.kind, words, fields);
    set_rate(&mut attr, options.rate, &machine.permissions);
    attr.flags |= exclusions(options.privilege, &machine.permissions);
    attr.flags = attr.flags.with_precise_ip(PRECISE);
    attr
}

fn event(pmu: &Pmu, machine: &Machine, name: String, attr: EventAttr, role: Role) -> PlannedEvent {
    PlannedEvent {
        name,
        attr,
        role,
        cpus: cpus_of(pmu, machine),
        aux_bytes: None,
        // Not 0: without PEBS a sample has neither address nor data source.
        precise_fallback: vec![2, 1],
    }
}

fn not_here(machine: &Machine) -> SamplerError {
    let kind = SamplerKind::Pebs;
    let (cause, remedy) = match machine.cpu.vendor() {
        Vendor::Intel if machine.pmus.iter().any(is_core) => (
            "its PMU has no memory events (events/mem-loads is missing in sysfs)".to_owned(),
            super::missing_pmu::without_pmu_remedy(machine),
        ),
        Vendor::Intel => (
            super::missing_pmu::without_pmu_cause(machine),
            super::missing_pmu::without_pmu_remedy(machine),
        ),
        vendor => (
            format!(
                "PEBS is Intel's and this CPU is {}",
                super::missing_pmu::vendor_name(vendor, machine)
            ),
            "use --sampler auto".to_owned(),
        ),
    };
    SamplerError::NotHere { kind, cause, remedy }
}
