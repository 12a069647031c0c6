//! perf c2c's report, with names: what `--format c2c` prints.

use std::sync::Arc;

use super::callers::call_chains;
use super::error::ReportError;
use super::model::CallChain;
use super::names::CodeName;
use super::session::{Progress, ReportOptions, Session};
use super::warning::Warning;
use crate::access::C2cStats;
use crate::lines::{
    C2cLine, C2cMachine, C2cOptions, C2cRow, C2cTable, Coalesce, Display, Gathered, LineIdentity,
};
use crate::perf_data::Recording;
use crate::process::{Cpu, Node};

/// A row with its names.
#[derive(Debug, Clone)]
pub struct NamedRow {
    /// The row.
    pub row: C2cRow,
    /// Name of its thread.
    pub comm: Option<Arc<str>>,
    /// Names of its code.
    pub code: Arc<CodeName>,
    /// Callers, where asked for.
    pub callers: Vec<CallChain>,
}

/// A line with its rows.
#[derive(Debug, Clone)]
pub struct NamedLine {
    /// The line; its rows are in `rows`.
    pub line: C2cLine,
    /// Its rows.
    pub rows: Vec<NamedRow>,
}

/// All that perf c2c prints.
#[derive(Debug, Clone)]
pub struct C2cReport {
    /// Counters of all samples.
    pub totals: C2cStats,
    /// Lines that perf calls shared.
    pub shared_lines: u64,
    /// Their counters.
    pub shared: C2cStats,
    /// Names of the events.
    pub events: Vec<String>,
    /// What lines are ranked by.
    pub display: Display,
    /// What tells rows apart.
    pub coalesce: Vec<Coalesce>,
    /// The lines that are shown.
    pub lines: Vec<NamedLine>,
    /// CPUs of each node.
    pub nodes: Vec<(Node, Vec<Cpu>)>,
    /// What to keep in mind.
    pub warnings: Vec<Warning>,
}

/// Makes perf c2c's report of a recording.
///
/// # Errors
///
/// [`ReportError`] when the recording holds no memory accesses, or none passes the filter.
pub fn c2c_report(
    recording: &Recording<'_>,
    options: &ReportOptions,
    display: Option<Display>,
    coalesce: &[Coalesce],
    limit: Option<usize>,
    progress: Progress<'_>,
) -> Result<C2cReport, ReportError> {
    let session = Session::new(recording, options);
    let identity = session.identity();
    let survey_options = session.survey_options(false);
    let survey = session.survey(&identity, &survey_options, progress)?;
    let picked = survey.perf_lines.iter().zip(0..).map(|(key, number)| (*key, number)).collect();
    let gathered = Gathered::of(
        recording,
        &identity,
        &survey_options,
        LineIdentity::Perf,
        &picked,
        |_| false,
        progress,
    );
    let is_arm = matches!(recording.features().arch.as_deref(), Some("aarch64" | "arm64"));
    let display = display.unwrap_or(if is_arm { Display::Peer } else { Display::Tot });
    let table_options = C2cOptions {
        display,
        coalesce: coalesce.to_vec(),
        show_all: options.show_all,
        line_size: session.line_size,
        version: options.version,
    };
    let mut table = C2cTable::of(
        gathered.by_line(),
        &identity,
        C2cMachine {
            node_of_cpu: &session.node_of_cpu,
            memory: recording.features().memory_topology.as_ref(),
        },
        &table_options,
        options.call_graph,
    );
    table.lines.truncate(limit.unwrap_or(usize::MAX));
    let (mut names, processes) = (session.names(), &session.processes);
    let lines = std::mem::take(&mut table.lines)
        .into_iter()
        .map(|mut line| {
            let rows = std::mem::take(&mut line.rows);
            let named = rows.into_iter().map(|row| NamedRow {
                comm: processes.last_name(row.tid).cloned(),
                code: names.code(row.code.mapping, row.code.address, row.pid),
                callers: call_chains(recording, processes, &mut names, &row.samples),
                row,
            });
            NamedLine { rows: named.collect(), line }
        })
        .collect();
    let nodes = recording.features().numa_nodes.iter().flatten();
    Ok(C2cReport {
        totals: survey.totals,
        shared_lines: table.shared_lines,
        shared: table.shared,
        events: recording.events().iter().map(|event| event.name.clone()).collect(),
        display,
        coalesce: coalesce.to_vec(),
        lines,
        nodes: nodes
            .map(|node| (Node(node.id), node.cpus.iter().map(|&cpu| Cpu(cpu)).collect()))
            .collect(),
        warnings: session.warnings(&survey, &names),
    })
}
