//! How sure a claim is, and how large something must be to be seen.

use rustc_hash::FxHashMap;

use super::session::Session;
use crate::perf_data::{RecordType, Throttle};
use crate::process::Time;

/// A line needs five waiting samples to be a finding. With 9.2 expected, five or more come in 95 of
/// 100 runs (Poisson).
pub(super) const EXPECTED_WAITING: f64 = 9.2;

/// One contended load makes a line contended. With three expected, at least one comes in 95 of 100
/// runs (Poisson).
pub(super) const EXPECTED_LOADS: f64 = 3.0;

/// A suspicion is never surer than this: it may be chance.
const MOST_FOR_A_SUSPICION: f64 = 0.5;

/// The parts of what happened that no sample shows, as shares of 0 to 1. What happened there may have
/// been anything.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Unseen {
    /// Of the samples, those that found no room while recording.
    pub(super) lost: f64,
    /// Of the time, that in which the kernel had stopped the event.
    pub(super) throttled: f64,
    /// Of the samples, those that do not say what was accessed.
    pub(super) undetermined: f64,
}

impl Unseen {
    /// Of a recording with so many samples between two times, of which so many do not say what was
    /// accessed.
    pub(super) fn of(
        session: &Session<'_, '_>,
        times: Option<(Time, Time)>,
        samples: u64,
        undetermined: u64,
    ) -> Self {
        let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        let lost = session.lost();
        Self {
            lost: share(lost, samples.saturating_add(lost)),
            throttled: times.map_or(0.0, |times| throttled_share(session, times)),
            undetermined: share(undetermined, samples),
        }
    }

    /// All of it together.
    fn share(&self) -> f64 {
        (self.lost + self.throttled + self.undetermined).min(1.0)
    }

    /// The smallest share that is seen in 95 of 100 runs, if so many samples are needed for that on
    /// average and so many were taken; `None` without samples.
    pub(super) fn floor(&self, needed: f64, samples: u64) -> Option<f64> {
        (samples > 0).then(|| (needed / samples as f64 + self.share()).min(1.0))
    }

    /// How sure it is that what these counts show is so, 0 to 1. Each of them is one condition.
    pub(super) fn confidence(&self, counts: &[f64]) -> f64 {
        let weakest = counts.iter().copied().map(half_or_more).fold(1.0, f64::min);
        weakest * (1.0 - self.share())
    }

    /// The same where something is missing to call it so.
    pub(super) fn suspicion(&self, counts: &[f64]) -> f64 {
        MOST_FOR_A_SUSPICION * self.confidence(counts)
    }
}

/// How likely it is that what was counted `count` times would, on average, be counted at least half as
/// often: the counts are Poisson distributed, and no average is likelier than another beforehand.
fn half_or_more(count: f64) -> f64 {
    // The average then has a gamma distribution, whose tail from x on is a sum of Poisson terms.
    const SURE: f64 = 200.0;
    if count >= SURE {
        return 1.0;
    }
    let half = count / 2.0;
    let mut term = (-half).exp();
    let mut tail = 0.0;
    for step in 0..count.floor() as u32 {
        tail += term;
        term *= half / f64::from(step + 1);
    }
    tail
}

/// For which share of the time of all CPUs sampling was throttled: from each THROTTLE to the next
/// UNTHROTTLE of the same event on the same CPU, or to the end.
fn throttled_share(session: &Session<'_, '_>, (first, last): (Time, Time)) -> f64 {
    let mut since: FxHashMap<u64, u64> = FxHashMap::default();
    let (mut total, mut last) = (0u64, last.0);
    for (_, record) in session.recording.other_records() {
        if !matches!(record.kind, RecordType::THROTTLE | RecordType::UNTHROTTLE) {
            continue;
        }
        let Ok(it) = Throttle::decode(&mut record.cursor()) else { continue };
        last = last.max(it.time);
        if record.kind == RecordType::THROTTLE {
            since.entry(it.stream_id).or_insert(it.time);
        } else if let Some(begin) = since.remove(&it.stream_id) {
            total = total.saturating_add(it.time.saturating_sub(begin));
        }
    }
    for begin in since.values() {
        total = total.saturating_add(last.saturating_sub(*begin));
    }
    let cpus = session.recording.features().cpus.map_or(1, |(_, online)| online.max(1));
    let all = last.saturating_sub(first.0).saturating_mul(u64::from(cpus));
    if all == 0 { 0.0 } else { (total as f64 / all as f64).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_make_sure() {
        assert_eq!(half_or_more(0.0), 0.0);
        // e^-0.5, and e^-1 (1 + 1).
        assert!((half_or_more(1.0) - 0.606_53).abs() < 1e-5);
        assert!((half_or_more(2.0) - 0.735_76).abs() < 1e-5);
        assert!(half_or_more(5.0) < half_or_more(6.0));
        assert!(half_or_more(30.0) > 0.99 && half_or_more(30.0) < 1.0);
        assert_eq!(half_or_more(1e9), 1.0);
    }

    #[test]
    fn what_is_not_seen_may_be_anything() {
        let all = Unseen::default();
        assert_eq!(all.floor(9.2, 0), None);
        assert_eq!(all.floor(9.2, 1), Some(1.0));
        let about = |floor: Option<f64>, value: f64| (floor.unwrap_or(0.0) - value).abs() < 1e-9;
        let half = Unseen { lost: 0.25, throttled: 0.125, undetermined: 0.125 };
        assert!(about(half.floor(9.2, 920), 0.51));
        assert!(about(all.floor(9.2, 920), 0.01));
        assert_eq!(half.confidence(&[1e9, 1e9]), 0.5);
        assert_eq!(half.suspicion(&[1e9]), 0.25);
        assert!((all.confidence(&[1e9, 1.0]) - 0.606_53).abs() < 1e-5);
    }
}
