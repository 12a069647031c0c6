//! What clock samples, and debug registers beside them, say of every line.

use super::code_source::ImageCodeSource;
use super::error::ReportError;
use super::names::Names;
use super::session::{Progress, Session};
use crate::lines::timed::{Plans, TimedLine, TimedOptions, TimedSurvey, Touches, timed_lines};
use crate::lines::watched::WatchedLines;
use crate::lines::{Identity, LineKey};
use crate::process::ThreadBases;

/// A recording's lines, before any is left out.
pub(super) struct TimedAnalysis {
    pub(super) survey: TimedSurvey,
    /// What happened on the lines that may be.
    pub(super) touches: Touches,
    /// Those that may be contended; all when every line is asked for.
    pub(super) lines: Vec<TimedLine>,
    /// Accesses that debug registers saw.
    pub(super) watch_hits: u64,
    /// Whether the kernel had no debug register free where one was wanted.
    pub(super) were_registers_taken: bool,
}

impl TimedAnalysis {
    pub(super) fn of<'p>(
        session: &'p Session<'_, '_>,
        identity: &Identity<'_>,
        names: &mut Names<'p>,
        progress: Progress<'_>,
    ) -> Result<Self, ReportError> {
        session.check()?;
        let recording = session.recording;
        let mut source = ImageCodeSource::new(recording, &session.processes, names);
        let plans = Plans::of(recording, identity, &mut source);
        let options = TimedOptions {
            filter: session.options.filter.clone(),
            bases: ThreadBases::of(recording),
        };
        let mut watched =
            WatchedLines::of(recording, identity, &mut source, &options.bases, &session.cores);
        let survey = TimedSurvey::of(recording, identity, &plans, &options, progress);
        if survey.accepted == 0 && !options.filter.is_empty() {
            let samples = recording.sample_count();
            return Err(ReportError::NoneChosen { samples });
        }
        let picked = if session.options.show_all { survey.all_lines() } else { survey.suspects() };
        let mut touches = Touches::of(recording, identity, &plans, &options, &picked, progress);
        // The clock's interrupt comes as late as the trap of a debug register takes.
        touches.forget_waits(|pid, tid, time| watched.has_disturbed(pid, tid, time));
        // Without times nothing can be said to happen at once.
        let cores = recording.has_times().then_some(&session.cores);
        let mut lines = timed_lines(&touches, identity, cores, session.options.call_graph);
        let mut keys: Vec<Option<LineKey>> = vec![None; picked.len()];
        picked.iter().for_each(|(key, number)| keys[*number as usize] = Some(*key));
        for line in &mut lines {
            let key = keys.get(line.number as usize).copied().flatten();
            if let Some(seen) = key.and_then(|key| watched.lines.remove(&key)) {
                line.take_watched(seen);
            }
        }
        Ok(Self {
            survey,
            touches,
            lines,
            watch_hits: watched.hits,
            were_registers_taken: watched.were_registers_taken,
        })
    }
}
