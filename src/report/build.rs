//! From a recording to a report.

use super::error::ReportError;
use super::measured::measured_report;
use super::model::Report;
use super::session::{Progress, ReportOptions, Session};
use super::timed::timed_report;
use crate::access::{C2cStats, samples_the_clock};
use crate::lines::SortKey;
use crate::perf_data::{Event, Recording, SampleType};

/// Makes the report of a recording; `limit` lines are listed, sorted by `sort`.
///
/// # Errors
///
/// [`ReportError`] when the recording holds neither memory accesses nor clock samples, or none passes
/// the filter.
pub fn report(
    recording: &Recording<'_>,
    options: &ReportOptions,
    sort: SortKey,
    limit: Option<usize>,
    progress: Progress<'_>,
) -> Result<Report, ReportError> {
    let session = Session::new(recording, options);
    // With -d, perf asks the clock for data sources too, and gets none.
    let is_measured = |event: &Event| {
        event.attr.sample_type.contains(SampleType::DATA_SRC) && !samples_the_clock(event)
    };
    let events = recording.events();
    if events.iter().any(samples_the_clock) && !events.iter().any(is_measured) {
        timed_report(&session, sort, limit, progress)
    } else {
        measured_report(&session, sort, limit, progress)
    }
}

/// The counters of all lines and of what is not in lines, for checks that they re-add.
pub fn sum_of_parts(report: &Report) -> C2cStats {
    let mut sum = C2cStats::default();
    let parts = report.lines.iter().map(|line| line.c2c);
    for part in parts.chain([report.other_lines.c2c, report.unparsable.c2c]).flatten() {
        sum += part;
    }
    sum
}
