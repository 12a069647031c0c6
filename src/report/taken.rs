//! CPUs that were taken away while recording.

use super::warning::Warning;
use crate::perf_data::{CpusTaken, EventChange, EventUpdate, RecordType, Recording};

/// Less is the noise of any virtual machine.
const MENTIONED_SHARE: f64 = 0.01;

/// What to say of time that a hypervisor or a quota took, during `duration_ns`.
pub(super) fn warnings(recording: &Recording<'_>, duration_ns: u64) -> Vec<Warning> {
    let mut taken = CpusTaken::default();
    for (_, record) in recording.other_records() {
        if record.kind != RecordType::EVENT_UPDATE {
            continue;
        }
        if let Ok(EventUpdate { change: EventChange::CpusTaken(it), .. }) =
            EventUpdate::decode(&mut record.cursor())
        {
            taken = it;
        }
    }
    let cpus = recording.features().cpus.map_or(1, |(_, online)| online.max(1));
    let all = duration_ns.saturating_mul(u64::from(cpus));
    let mut warnings = Vec::new();
    if all > 0 && taken.stolen_ns as f64 >= all as f64 * MENTIONED_SHARE {
        warnings.push(Warning::Stolen { ns: taken.stolen_ns, of_ns: all });
    }
    if taken.quota_stops > 0 && taken.quota_ns > 0 {
        warnings.push(Warning::QuotaStops { times: taken.quota_stops, ns: taken.quota_ns });
    }
    warnings
}
