//! What all events of a recording have in common.

use super::sampler::{PlannedEvent, Role};
use super::sampler_options::{Privilege, Rate, SamplerOptions};
use crate::perf_data::{ATTR_SIZE_DEFAULT, AttrFlags, EventAttr, ReadFormat, SampleType};
use crate::system::{EventWords, Machine, Permissions, Pmu};

/// `PERF_TYPE_SOFTWARE`.
pub(super) const SOFTWARE: u32 = 1;
/// `PERF_COUNT_SW_DUMMY`.
const DUMMY: u64 = 9;
/// Samples a second of the hardware samplers where none is asked: perf's own default.
const HARDWARE_FREQUENCY: u64 = 4000;

/// The fields of every memory sample. The identifier comes first in every record, so that events
/// with different fields could be told apart in one buffer; all events of a plan have the same.
pub(super) fn memory_sample_type(
    arch: &str,
    options: &SamplerOptions,
    physical_addresses: bool,
) -> SampleType {
    let mut fields = SampleType::IP
        | SampleType::TID
        | SampleType::TIME
        | SampleType::ADDR
        | SampleType::CPU
        | SampleType::DATA_SRC
        | SampleType::IDENTIFIER;
    fields |= match arch {
        // Three latencies in one word.
        "x86_64" | "i686" | "ppc64le" | "ppc64" => SampleType::WEIGHT_STRUCT,
        _ => SampleType::WEIGHT,
    };
    if physical_addresses {
        fields |= SampleType::PHYS_ADDR;
    }
    if options.call_graph {
        fields |= SampleType::CALLCHAIN;
    }
    fields
}

/// An attribute with what every event has: size, identifiers, counts of lost samples.
pub(super) fn base(kind: u32, words: EventWords, sample_type: SampleType) -> EventAttr {
    EventAttr {
        kind,
        size: ATTR_SIZE_DEFAULT as u32,
        config: words.config,
        config1: words.config1,
        config2: words.config2,
        config3: words.config3,
        sample_type,
        read_format: ReadFormat::ID | ReadFormat::LOST,
        flags: AttrFlags::SAMPLE_ID_ALL,
        ..EventAttr::default()
    }
}

/// Sets frequency or period of a hardware event. A frequency has its period in each sample; a
/// period is the same in all.
pub(super) fn set_rate(attr: &mut EventAttr, rate: Rate, permissions: &Permissions) {
    match rate {
        Rate::Period(period) => attr.sample_period = period,
        Rate::Frequency(frequency) => set_frequency(attr, frequency),
        Rate::Default => {
            let limit = permissions.max_sample_rate.unwrap_or(HARDWARE_FREQUENCY);
            set_frequency(attr, HARDWARE_FREQUENCY.min(limit.max(1)));
        }
    }
}

fn set_frequency(attr: &mut EventAttr, frequency: u64) {
    attr.sample_period = frequency;
    attr.flags |= AttrFlags::FREQ;
    attr.sample_type |= SampleType::PERIOD;
}

/// The bits that leave out a side of the system.
pub(super) fn exclusions(privilege: Privilege, permissions: &Permissions) -> AttrFlags {
    match privilege {
        Privilege::Kernel => AttrFlags::EXCLUDE_USER,
        Privilege::User => AttrFlags::EXCLUDE_KERNEL,
        Privilege::Any if permissions.may_sample_kernel() => AttrFlags(0),
        Privilege::Any => AttrFlags::EXCLUDE_KERNEL,
    }
}

/// The sentence about samples in the kernel that this user does not get, if there is one.
pub(super) fn kernel_note(options: &SamplerOptions, permissions: &Permissions) -> Option<String> {
    (options.privilege == Privilege::Any && !permissions.may_sample_kernel()).then(|| {
        format!(
            "time spent in the kernel is not seen: kernel.perf_event_paranoid is {}; {}",
            level(permissions),
            raise_right(1)
        )
    })
}

/// The sentence about physical addresses that this user does not get, if there is one.
pub(super) fn physical_note(options: &SamplerOptions, permissions: &Permissions) -> Option<String> {
    (!options.no_physical_addresses && !permissions.may_sample_kernel()).then(|| {
        format!(
            "there are no physical addresses: kernel.perf_event_paranoid is {}; {}",
            level(permissions),
            raise_right(1)
        )
    })
}

/// The paranoid level as text.
pub(super) fn level(permissions: &Permissions) -> String {
    permissions.paranoid.map_or_else(|| "unknown".to_owned(), |level| level.to_string())
}

/// What gives a right that `perf_event_paranoid` takes away above `level`.
pub(super) fn raise_right(level: i32) -> String {
    format!("run as root, with CAP_PERFMON, or after: sysctl kernel.perf_event_paranoid={level}")
}

/// The dummy that carries mappings (data too), names, forks and exits, with the fields of the
/// others. It counts nothing, so leaving the kernel out costs nothing and needs no right.
pub(super) fn tracking(sample_type: SampleType) -> PlannedEvent {
    let words = EventWords { config: DUMMY, ..EventWords::default() };
    let mut attr = base(SOFTWARE, words, sample_type);
    attr.sample_period = 1;
    attr.flags |= AttrFlags::MMAP
        | AttrFlags::MMAP2
        | AttrFlags::MMAP_DATA
        | AttrFlags::COMM
        | AttrFlags::COMM_EXEC
        | AttrFlags::TASK
        | AttrFlags::EXCLUDE_KERNEL
        | AttrFlags::EXCLUDE_HV;
    PlannedEvent {
        name: "dummy:u".to_owned(),
        attr,
        role: Role::Tracking,
        cpus: None,
        aux_bytes: None,
        precise_fallback: Vec::new(),
    }
}

/// The CPUs of a PMU that are online, as a plan has them: `None` where that is all that are.
pub(super) fn cpus_of(pmu: &Pmu, machine: &Machine) -> Option<Vec<u32>> {
    let mut cpus = pmu.cpus.clone()?;
    if !machine.online_cpus.is_empty() {
        cpus.retain(|cpu| machine.online_cpus.contains(cpu));
    }
    (cpus != machine.online_cpus).then_some(cpus)
}

/// The suffix of an event's name that says which side is left out, as perf writes it.
pub(super) fn side_suffix(flags: AttrFlags) -> &'static str {
    if flags.contains(AttrFlags::EXCLUDE_KERNEL) {
        "u"
    } else if flags.contains(AttrFlags::EXCLUDE_USER) {
        "k"
    } else {
        ""
    }
}
