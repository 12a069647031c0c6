//! What a program would gain if the threads of a line no longer waited for each other.
//!
//! A loop whose rounds are counted by a register tells how long a round takes while the line is fought
//! over. How long it would take alone lies between what its instructions need at the very least, and the
//! time that its other instructions were seen to take plus the line's accesses at their price without
//! contention, which the recorder has measured on that machine.

use rustc_hash::FxHashMap;

use super::model::Gain;
use super::site_code::SiteCode;
use crate::access::{ClockSample, LoopFacts};
use crate::lines::timed::{PaceSample, Role, TimedLine, Touch, pace};
use crate::perf_data::{Calibration, EventChange, EventUpdate, RecordType, Recording};
use crate::process::{Pid, Tid};

/// An access of a vector that waits for a store of the same bytes costs at most so many cycles where it
/// hits (store forwarding, Agner Fog, "The microarchitecture of Intel, AMD, and VIA CPUs").
const VECTOR_CYCLES: f64 = 14.0;
/// Its load waits for the store before it for so many cycles at least.
const VECTOR_FORWARDING_CYCLES: f64 = 4.0;
/// Changing a word takes that much less time than the loop that was measured for it, in other words.
const STORED_SPREAD: f64 = 1.6;
/// Wider accesses are vectors.
const WORD: u32 = 8;
/// No CPU of today retires more instructions in a cycle.
const MOST_PER_CYCLE: f64 = 6.0;
/// An access takes this much more or less than the one that was measured.
const SPREAD: f64 = 1.25;
/// Up to this share of a wait shows at other instructions than the one that follows.
const SMEAR: f64 = 0.3;
/// So much of a thread's time near a line must be in loops whose rounds are counted.
const MOSTLY: f64 = 0.8;

/// The speed of the recorded machine, if the recorder has measured it.
pub(super) fn calibration(recording: &Recording<'_>) -> Option<Calibration> {
    recording
        .other_records()
        .filter(|(_, record)| record.kind == RecordType::EVENT_UPDATE)
        .filter_map(|(_, record)| EventUpdate::decode(&mut record.cursor()).ok())
        .filter_map(|update| match update.change {
            EventChange::Calibration(speed) => Some(speed),
            _ => None,
        })
        .find(|speed| speed.cycle_ps > 0 && speed.locked_ps > 0 && speed.stored_ps > 0)
}

/// What a prediction is made from.
pub(super) struct Prediction<'p> {
    pub(super) recording: &'p Recording<'p>,
    pub(super) code: &'p SiteCode,
    /// Time of each thread, ns.
    pub(super) threads: &'p FxHashMap<(Pid, Tid), u64>,
    pub(super) calibration: Option<Calibration>,
}

/// A thread's time near a line, and what would be left of it, ns.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Near {
    now: f64,
    least: f64,
    most: f64,
    /// Time in loops whose rounds are counted.
    counted: f64,
}

impl Prediction<'_> {
    /// How many times as fast the program would be without the contention of these lines: the slowest
    /// thread decides. `None` where no thread was seen there.
    pub(super) fn gain(&self, lines: &[(&TimedLine, &[Touch])]) -> Option<Gain> {
        let samples = by_thread(lines);
        let (mut now, mut least, mut most) = (0.0f64, 0.0f64, 0.0f64);
        let mut is_counted = true;
        let mut has_near = false;
        for (thread, time) in self.threads {
            let time = *time as f64;
            let near = samples.get(thread).map(|samples| self.near(samples)).unwrap_or_default();
            let elsewhere = (time - near.now).max(0.0);
            has_near |= near.now > 0.0;
            is_counted &= near.counted >= near.now * MOSTLY;
            now = now.max(time);
            least = least.max(elsewhere + near.least);
            most = most.max(elsewhere + near.most);
        }
        if !has_near || now <= 0.0 {
            return None;
        }
        let times = |after: f64| (after > 0.0).then(|| (now / after).max(1.0));
        Some(if is_counted {
            Gain {
                low: times(most),
                high: times(least),
                basis:
                    "rounds of the loops at the line, counted by their registers, and the price of \
                        their accesses without contention as measured on this machine; the slowest \
                        thread decides"
                        .to_owned(),
            }
        } else {
            Gain {
                low: Some(1.0),
                high: times(least),
                basis:
                    "at most: all time near the line; rounds of the loops there are not counted \
                        by a register, so it is not known what would be left"
                        .to_owned(),
            }
        })
    }

    /// The time that threads lose at these lines at least, ns: what their loops take beyond what they would
    /// take at most without contention, where that is known.
    pub(super) fn lost_at_least(&self, lines: &[(&TimedLine, &[Touch])]) -> f64 {
        by_thread(lines)
            .values()
            .map(|samples| self.near(samples))
            .map(|near| (near.now - near.most).max(0.0))
            .sum()
    }

    /// What is left of a thread's time near a line; its samples there are in order of time.
    fn near(&self, samples: &[&[Touch]]) -> Near {
        let mut near = Near::default();
        let mut loops: FxHashMap<u64, (Vec<LoopFacts>, Vec<&[Touch]>)> = FxHashMap::default();
        let mut known: FxHashMap<u64, Option<(u64, Vec<LoopFacts>)>> = FxHashMap::default();
        for sample in samples {
            let touch = &sample[0];
            near.now += touch.weight as f64;
            let found = known.entry(touch.code.0).or_insert_with(|| self.loops_of(touch)).clone();
            if let Some((header, facts)) = found {
                loops.entry(header).or_insert_with(|| (facts, Vec::new())).1.push(sample);
            }
        }
        near.most = near.now;
        for (facts, samples) in loops.values() {
            if let Some(of_loop) = self.of_loop(facts, samples) {
                near.counted += of_loop.now;
                near.least += of_loop.least;
                near.most += of_loop.most - of_loop.now;
            }
        }
        near
    }

    /// The loops around an access, and where the smallest begins in the process.
    fn loops_of(&self, touch: &Touch) -> Option<(u64, Vec<LoopFacts>)> {
        let function = self.code.function(touch.code_mapping, touch.pid, touch.code)?;
        let code = touch.code.0.wrapping_sub(function.load_bias);
        let loops = function.decoded.loops(code);
        Some((loops.first()?.header.wrapping_add(function.load_bias), loops))
    }

    /// Rounds of the smallest loop in a ns: counted by a register of its own, or of a loop around it if
    /// those between make the same number of rounds each time.
    fn rounds_per_ns(&self, loops: &[LoopFacts], samples: &[&[Touch]]) -> Option<f64> {
        let in_order: Vec<PaceSample> =
            samples.iter().filter_map(|sample| self.pace_sample(&sample[0])).collect();
        let mut of_inner = 1.0;
        for facts in loops {
            if let Some(pace) = pace(&in_order, &facts.counters) {
                return Some(pace.per_ns() * of_inner);
            }
            of_inner *= facts.trip? as f64;
        }
        None
    }

    /// What is left of the time in one loop; `None` where its rounds are not counted.
    fn of_loop(&self, loops: &[LoopFacts], samples: &[&[Touch]]) -> Option<Near> {
        let calibration = self.calibration?;
        let facts = loops.first()?;
        let round = 1.0 / self.rounds_per_ns(loops, samples)?;
        let now: f64 = samples.iter().map(|sample| sample[0].weight as f64).sum();
        let waits = |sample: &&&[Touch]| sample.iter().any(|touch| touch.role < Role::Present);
        let waited = samples.iter().filter(waits).count() as f64 / samples.len().max(1) as f64;
        let (cycle, locked) =
            (calibration.cycle_ps as f64 / 1e3, calibration.locked_ps as f64 / 1e3);
        let others = round * (1.0 - waited);
        let smear = SMEAR * waited * round;
        let atomic = f64::from(facts.locked) * locked;
        let stored = calibration.stored_ps as f64 / 1e3;
        let all = || samples.iter().flat_map(|sample| sample.iter());
        // A word that is changed in each round is waited for from round to round.
        let is_changed = all().any(|touch| touch.direction.writes())
            && all().any(|touch| touch.direction.reads());
        let (forwarded, plain) = match all().any(|touch| touch.size > WORD) {
            true => (VECTOR_FORWARDING_CYCLES * cycle, VECTOR_CYCLES * cycle),
            false => (stored / STORED_SPREAD, stored.max(cycle) * SPREAD),
        };
        // No loop is faster than the least that its parts take: then these were not measured rightly, by a
        // recorder that was built without optimisation for instance.
        if atomic / SPREAD > round || (is_changed && forwarded > round) {
            return None;
        }
        let at_least = (f64::from(facts.always) / MOST_PER_CYCLE * cycle)
            .max(atomic / SPREAD)
            .max(if is_changed { forwarded } else { 0.0 })
            .max(others - smear);
        let at_most = others + atomic * SPREAD + plain;
        let share = |of_round: f64| now * (of_round / round).min(1.0);
        Some(Near { now, least: share(at_least), most: share(at_most), counted: now })
    }

    fn pace_sample(&self, touch: &Touch) -> Option<PaceSample> {
        let record = self.recording.sample_at(touch.position)?;
        let sample = ClockSample::of(self.recording, touch.position, &record).ok()??;
        Some(PaceSample { time: sample.time, registers: sample.registers? })
    }
}

/// The samples near some lines while these were contended, by thread and in order of time, each once.
fn by_thread<'t>(lines: &[(&TimedLine, &'t [Touch])]) -> FxHashMap<(Pid, Tid), Vec<&'t [Touch]>> {
    let mut samples: FxHashMap<(Pid, Tid), Vec<&[Touch]>> = FxHashMap::default();
    for (line, touches) in lines {
        for sample in touches.chunk_by(|a, b| a.position == b.position) {
            let first = &sample[0];
            if first.is_wanted && line.meetings.is_contended_at(first.time) {
                samples.entry((first.pid, first.tid)).or_default().push(sample);
            }
        }
    }
    // A sample may be near several of the lines.
    for of_thread in samples.values_mut() {
        of_thread.sort_by_key(|sample| (sample[0].time, sample[0].position));
        of_thread.dedup_by_key(|sample| sample[0].position);
    }
    samples
}
