//! Whether a line that two threads fight over is found, and its padded twin left alone.

use serde::Serialize;

use super::bench::{Bench, Sampled, SelfTestError};
use super::workload::{Told, ToldPair, Workload};
use crate::lines::SortKey;
use crate::perf_data::{Input, Recording};
use crate::report::model::{Grade, Line};
use crate::report::{Report, ReportOptions, report};
use crate::sampling::SamplerPlan;

/// Both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contention {
    /// Two words of one line.
    pub shared: Side,
    /// The same words, each with lines to itself.
    pub padded: Side,
    /// How many times as fast the padded twin counted, both while sampled.
    pub padded_speed_up: f64,
    /// Whether the report names the shared line as contended, with both words, each with its thread.
    pub is_found: bool,
    /// Whether the report on the twin names no line as contended, and none of its own as a suspect.
    pub twin_is_clean: bool,
}

/// What the report says of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Side {
    /// Samples.
    pub samples: u64,
    /// Records that found no room in a buffer.
    pub lost_records: u64,
    /// Rounds in a microsecond.
    pub rounds_per_us: f64,
    /// Whether a line with one of the words is called contended.
    pub is_claimed: bool,
    /// Whether one is only suspected.
    pub is_suspected: bool,
    /// Words that the report lists in those lines, of the two.
    pub words: u64,
    /// Those of them that it gives to the right thread and no other.
    pub right_threads: u64,
    /// Other lines that are called contended.
    pub other_claims: u64,
    /// How sure the report is of the claimed line, 0 to 1, where it says so.
    pub confidence: Option<f64>,
    /// The smallest share of the run that contention costs, as the report says, 0 to 1.
    pub share_low: Option<f64>,
    /// The largest share of the run that contention may cost, as the report says, 0 to 1.
    pub share_high: Option<f64>,
    /// The smallest share that would have been seen.
    pub detection_floor: Option<f64>,
}

impl Contention {
    /// Samples both.
    pub(super) fn measure(
        bench: &Bench<'_>,
        plan: &SamplerPlan,
        milliseconds: u64,
        cpus: &[u32],
    ) -> Result<Self, SelfTestError> {
        let side = |workload| {
            let mut assignment = bench.assignment(workload, milliseconds);
            assignment.cpus = cpus.to_vec();
            Side::of(&bench.sample(plan, &assignment)?)
        };
        Ok(Self::of(side(Workload::SharedLine)?, side(Workload::PaddedLines)?))
    }

    fn of(shared: Side, padded: Side) -> Self {
        Self {
            padded_speed_up: padded.rounds_per_us / shared.rounds_per_us.max(f64::MIN_POSITIVE),
            is_found: shared.is_claimed && shared.words == 2 && shared.right_threads == 2,
            twin_is_clean: !padded.is_claimed && !padded.is_suspected && padded.other_claims == 0,
            shared,
            padded,
        }
    }
}

impl Side {
    fn of(sampled: &Sampled) -> Result<Self, SelfTestError> {
        let input = Input::open(&sampled.recording)?;
        let recording = Recording::open(&input)?;
        let options = ReportOptions::default();
        let report = report(&recording, &options, SortKey::Cost, None, &|_| {})?;
        let missing = SelfTestError::Workload { status: "nothing said of its threads".to_owned() };
        let pair = sampled.told.pair.as_ref().ok_or(missing)?;
        Ok(Self {
            samples: sampled.recorded.samples,
            lost_records: sampled.recorded.lost,
            rounds_per_us: rounds_per_us(&sampled.told),
            ..Self::from_report(&report, pair)
        })
    }

    fn from_report(report: &Report, pair: &ToldPair) -> Self {
        let mut side = Self {
            share_low: report.summary.contention_low,
            share_high: report.summary.contention_high,
            detection_floor: report.summary.detection_floor,
            ..Self::default()
        };
        let is_own =
            |line: &Line, word: u64| word.wrapping_sub(line.address.0) < line.line_size.max(1);
        let mut words = [(0, 0); 2];
        for line in &report.lines {
            if !pair.words.iter().any(|word| is_own(line, *word)) {
                side.other_claims += u64::from(is_claimed(line));
                continue;
            }
            if is_claimed(line) {
                side.is_claimed = true;
                side.confidence = line.confidence;
            }
            side.is_suspected |= line.verdict == Some("possible");
            for access in &line.accesses {
                let address = line.address.0 + access.offset;
                for ((word, thread), (right, wrong)) in
                    pair.words.iter().zip(pair.threads).zip(&mut words)
                {
                    for sampled in access.threads.iter().filter(|_| *word == address) {
                        *if sampled.tid == thread { &mut *right } else { &mut *wrong } +=
                            sampled.samples;
                    }
                }
            }
        }
        side.words = words.iter().filter(|(right, wrong)| right + wrong > 0).count() as u64;
        side.right_threads =
            words.iter().filter(|(right, wrong)| *right > 0 && *wrong == 0).count() as u64;
        side
    }
}

/// Whether a report calls a line contended.
fn is_claimed(line: &Line) -> bool {
    match line.grade {
        Grade::Measured => line.contended_loads > 0,
        _ => !matches!(line.verdict, Some("possible" | "migrating" | "none")),
    }
}

fn rounds_per_us(told: &Told) -> f64 {
    told.rounds as f64 * 1000.0 / told.elapsed_ns.max(1) as f64
}
