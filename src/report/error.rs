//! Why there is no report.

use crate::access::{samples_the_clock, watches_memory};
use crate::perf_data::{Features, RecordType, Recording, SampleType};

/// Why a readable recording gives no report. The sentences say what the recording is, so that a user
/// sees what was forgotten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// There are no samples.
    #[error("the recording has no samples ({facts}){damage}")]
    NoSamples {
        /// What the recording is.
        facts: String,
        /// What is wrong with it.
        damage: String,
    },
    /// No sample is a memory access.
    #[error(
        "{} a memory access: {events}; {advice} ({facts}){damage}",
        none_of(.samples)
    )]
    NoMemoryAccesses {
        /// Samples.
        samples: u64,
        /// What each event lacks.
        events: String,
        /// What to do.
        advice: &'static str,
        /// What the recording is.
        facts: String,
        /// What is wrong with it.
        damage: String,
    },
    /// perf's counters were asked for, and the clock was sampled.
    #[error(
        "the {samples} samples are of a clock, which has no data sources for perf's counters to \
         count; leave --format c2c out"
    )]
    ClockOnly {
        /// Samples.
        samples: u64,
    },
    /// All samples are accesses to a few watched bytes.
    #[error(
        "the {samples} samples are accesses to bytes that debug registers watched, as hitm watch keeps \
         them: it listed them when it made this recording, and perf script lists them again; a report \
         of all lines takes a recording of hitm record"
    )]
    WatchedOnly {
        /// Samples.
        samples: u64,
    },
    /// The filter lets no memory access pass.
    #[error(
        "the filter lets {accepted} of {samples} samples pass, and none of them is a memory access"
    )]
    AllFiltered {
        /// Samples that pass.
        accepted: u64,
        /// Samples.
        samples: u64,
    },
    /// The filter lets no sample pass.
    #[error("the filter lets none of the {samples} samples pass")]
    NoneChosen {
        /// Samples.
        samples: u64,
    },
    /// A filter asks for what was not recorded.
    #[error("the samples of this recording have no {what}, so {option} cannot choose among them")]
    NotRecorded {
        /// What.
        what: &'static str,
        /// The option that asks.
        option: &'static str,
    },
}

impl ReportError {
    pub(super) fn no_samples(recording: &Recording<'_>) -> Self {
        Self::NoSamples { facts: facts(recording), damage: damage(recording) }
    }

    pub(super) fn no_memory_accesses(recording: &Recording<'_>, event_samples: &[u64]) -> Self {
        let mut sampled =
            recording.events().iter().zip(event_samples).filter(|(_, n)| **n > 0).peekable();
        if sampled.peek().is_some() && sampled.all(|(event, _)| watches_memory(event)) {
            return Self::WatchedOnly { samples: event_samples.iter().sum() };
        }
        let described = recording.events().iter().zip(event_samples).filter(|(_, n)| **n > 0);
        let mut has_fields = false;
        let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
        for (event, samples) in described {
            let has = |bit| event.attr.sample_type.contains(bit);
            let lacks = match (has(SampleType::ADDR), has(SampleType::DATA_SRC)) {
                (true, true) => {
                    has_fields = true;
                    "\"not available\" as the data source of each sample"
                }
                (true, false) => "no data source",
                (false, true) => "no data address",
                (false, false) => "neither data address nor data source",
            };
            let name = format!("{} ({samples})", event.name);
            match by_reason.iter_mut().find(|(reason, _)| *reason == lacks) {
                Some((_, names)) => names.push(name),
                None => by_reason.push((lacks, vec![name])),
            }
        }
        let events = by_reason.iter().map(|(lacks, names)| {
            let verb = if names.len() == 1 { "has" } else { "have" };
            format!("{} {verb} {lacks}", names.join(", "))
        });
        let events = events.collect::<Vec<_>>().join(", ");
        if described_by_clock(recording, event_samples) {
            return Self::ClockOnly { samples: event_samples.iter().sum() };
        }
        let has_aux = recording.counts().contains_key(&RecordType::AUXTRACE);
        let advice = match () {
            () if has_aux => "its AUX data is not decoded by this version",
            () if has_fields => {
                "this event does not sample memory; record with perf c2c record or perf mem record"
            }
            () if has_plain_clock(recording) => {
                "record the clock with registers and CPUs, as hitm record does, or with perf record \
                 --sample-cpu -d --user-regs=ax,bx,cx,dx,si,di,bp,sp,ip,r8,r9,r10,r11,r12,r13,r14,r15"
            }
            () => "record with hitm record, perf c2c record or perf mem record",
        };
        Self::NoMemoryAccesses {
            samples: event_samples.iter().sum(),
            events,
            advice,
            facts: facts(recording),
            damage: damage(recording),
        }
    }
}

/// Whether a clock or cycles were sampled without registers.
fn has_plain_clock(recording: &Recording<'_>) -> bool {
    recording.events().iter().any(|event| {
        matches!((event.attr.kind, event.attr.config), (0 | 1, 0) | (1, 1))
            && !event.attr.sample_type.contains(SampleType::REGS_USER)
    })
}

/// Whether all samples are of clocks with registers.
fn described_by_clock(recording: &Recording<'_>, event_samples: &[u64]) -> bool {
    let sampled = recording.events().iter().zip(event_samples).filter(|(_, count)| **count > 0);
    sampled.into_iter().all(|(event, _)| samples_the_clock(event))
}

fn none_of(samples: &u64) -> String {
    match samples {
        1 => "the only sample is not".to_owned(),
        count => format!("none of the {count} samples is"),
    }
}

fn damage(recording: &Recording<'_>) -> String {
    let first = recording.damage().first();
    first.map(|damage| format!("; {damage}")).unwrap_or_default()
}

/// What the recording is, in half a sentence.
fn facts(recording: &Recording<'_>) -> String {
    let Features { version, arch, cpu_description, os_release, command_line, .. } =
        recording.features();
    let events: Vec<_> = recording.events().iter().map(|event| event.name.as_str()).collect();
    let mut parts =
        vec![format!("event{} {}", if events.len() == 1 { "" } else { "s" }, events.join(", "))];
    let version = version.as_ref().filter(|version| !version.is_empty());
    parts.extend(version.map(|version| match version.starts_with("hitm ") {
        true => format!("recorded by {version}"),
        false => format!("recorded by perf {version}"),
    }));
    let machine: Vec<&str> =
        [arch, cpu_description].into_iter().flatten().map(String::as_str).collect();
    if !machine.is_empty() {
        parts.push(format!("on {}", machine.join(" ")));
    }
    parts.extend(os_release.as_ref().map(|release| format!("Linux {release}")));
    if !command_line.is_empty() {
        parts.push(format!("command \"{}\"", command_line.join(" ")));
    }
    parts.join(", ")
}
