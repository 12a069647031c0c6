//! `--format text`: for people, within 100 columns.

mod answer;
mod groups;
mod heap;
mod layout;
mod line;
mod watch;

use std::io::{self, Write};

pub(super) use answer::answer_sentence;
use answer::{answer, heading};
pub(super) use groups::group_sentence;
use groups::show_groups;
use layout::{WIDTH, align_right, new_table, painted, wrapped, write_table};
use line::show_line;
pub(super) use line::{line_sentences, line_title, source_of};
pub use watch::watch_text;

use super::clean::{clean, keep_start};
use super::{counted, grouped, percent};
use crate::report::Report;
use crate::report::model::{RecordingFacts, SourceCount};

/// How the text looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextStyle {
    /// Whether to colour.
    pub colour: bool,
    /// Whether to show every access of a line.
    pub verbose: bool,
    /// Whether names stay whole; lines may then get long.
    pub full_names: bool,
    /// Whether to show lines, or totals only.
    pub lines: bool,
}

/// Writes the report.
///
/// # Errors
///
/// What the writer answers.
pub fn text(report: &Report, style: &TextStyle, out: &mut dyn Write) -> io::Result<()> {
    answer(report, style, out)?;
    facts(&report.recording, out)?;
    outcomes(report, out)?;
    sources(report, out)?;
    if style.lines {
        show_groups(&report.groups, style, out)?;
        // What comes first are findings, unless the order or the choice is another.
        let mut current = "Contended:";
        for line in &report.lines {
            writeln!(out)?;
            if heading(line) != current {
                current = heading(line);
                writeln!(out, "{current}\n")?;
            }
            show_line(line, style, out)?;
        }
        hidden_lines(report, out)?;
    }
    if style.verbose {
        unresolved(report, out)?;
    }
    warnings(report, style, out)
}

fn facts(facts: &RecordingFacts, out: &mut dyn Write) -> io::Result<()> {
    let known = |text: &Option<String>| text.as_deref().map(|text| clean(text).into_owned());
    let machine: Vec<String> = [
        known(&facts.hostname),
        known(&facts.cpu),
        facts.cpus.map(|cpus| format!("{cpus} CPUs")),
        facts.nodes.map(|nodes| format!("{nodes} node{}", if nodes == 1 { "" } else { "s" })),
        known(&facts.kernel).map(|kernel| format!("Linux {kernel}")),
        known(&facts.arch),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !machine.is_empty() {
        writeln!(out, "  machine  {}", keep_start(&machine.join(", "), WIDTH - 11))?;
    }
    if !facts.command_line.is_empty() {
        let command = facts.command_line.join(" ");
        writeln!(out, "  command  {}", keep_start(&clean(&command), WIDTH - 11))?;
    }
    // Events without samples only carry mappings and names.
    let sampled = facts.events.iter().filter(|event| event.samples > 0 || facts.events.len() == 1);
    for (index, event) in sampled.enumerate() {
        let label = if index == 0 { "events" } else { "" };
        let name = keep_start(&clean(&event.name), 50);
        let (samples, accesses) = (grouped(event.samples), grouped(event.accesses));
        writeln!(out, "  {label:<7}  {name}: {samples} samples, {accesses} accesses")?;
    }
    let duration = facts.duration_ns.map(|ns| format!(" over {:.3} s", ns as f64 / 1e9));
    let of = match facts.accepted == facts.samples {
        true => String::new(),
        false => format!("{} chosen of ", grouped(facts.accepted)),
    };
    writeln!(
        out,
        "  samples  {of}{}{}, {} lost; cache lines of {} bytes",
        grouped(facts.samples),
        duration.unwrap_or_default(),
        grouped(facts.lost),
        facts.line_size
    )
}

/// What became of clock samples.
fn outcomes(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.c2c.is_some() {
        return Ok(());
    }
    let summary = &report.summary;
    let in_kernel = summary.in_kernel as f64 / report.recording.accepted.max(1) as f64;
    writeln!(
        out,
        "  decoded  {} at known accesses, {} at none, {} undetermined; {} ({}) in the kernel, not \
         decoded",
        grouped(summary.resolved),
        grouped(summary.no_operand),
        grouped(summary.lost),
        grouped(summary.in_kernel),
        percent(in_kernel)
    )
}

/// Where loads were served from, each counted once, and what became of stores.
fn sources(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Some(stats) = report.c2c else {
        return Ok(());
    };
    let (contended, others): (Vec<_>, Vec<_>) =
        report.sources.iter().partition(|count| count.source.is_contended());
    let named = |counts: &[&SourceCount]| -> Vec<(&str, u64)> {
        counts.iter().map(|count| (count.source.name(), count.loads)).collect()
    };
    let stores = [
        ("all", stats.store),
        ("hit first level", stats.st_l1hit),
        ("missed first level", stats.st_l1miss),
        ("level not known", stats.st_na),
    ];
    let stores = stores.into_iter().filter(|(_, count)| *count > 0).collect();
    let columns: [Vec<(&str, u64)>; 3] = [named(&contended), named(&others), stores];
    let mut table = new_table();
    table.set_header(vec!["Loads from other CPUs", "", "Other loads", "", "Stores", ""]);
    for row in 0..columns.iter().map(Vec::len).max().unwrap_or(0) {
        table.add_row(columns.iter().flat_map(|column| match column.get(row) {
            Some((name, count)) => [(*name).to_owned(), grouped(*count)],
            None => [String::new(), String::new()],
        }));
    }
    for index in [1, 3, 5] {
        align_right(&mut table, index);
    }
    writeln!(out)?;
    write_table(&table, out)
}

fn hidden_lines(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let other = &report.other_lines;
    if other.lines == 0 && other.samples == 0 {
        return Ok(());
    }
    let listed: u64 = report.lines.iter().map(|line| line.contended_loads).sum();
    let contended = report.summary.contended_loads - listed;
    writeln!(out)?;
    if report.c2c.is_none() {
        let in_turns = match report.summary.in_turns {
            0 => String::new(),
            count => format!(", {} of them used in turns", grouped(count)),
        };
        let refuted = match report.summary.refuted {
            0 => String::new(),
            count => {
                format!(", {} of them suspected and cleared by debug registers", grouped(count))
            }
        };
        let lines = counted(other.lines, "line");
        let sentence = format!(
            "Not listed: {lines} without contention or of less cost{in_turns}{refuted} (--show-all)."
        );
        return wrapped(&sentence, WIDTH).iter().try_for_each(|line| writeln!(out, "{line}"));
    }
    writeln!(
        out,
        "Not listed: {} with {}, {} of them contended loads.",
        counted(other.lines, "line"),
        counted(other.samples, "sample"),
        grouped(contended)
    )
}

/// What is on no line, by reason.
fn unresolved(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let unresolved = &report.unresolved;
    let timed = &unresolved.timed;
    let no_operand = match report.c2c {
        Some(_) => "samples are neither loads nor stores",
        None => "samples have no memory operand within reach",
    };
    for (count, what) in [
        (report.unparsable.samples, no_operand),
        (timed.overwritten, "samples: the registers of the address were overwritten"),
        (timed.ambiguous, "samples: the access lies on one of several paths"),
        (timed.vector_index, "samples: gathers, whose vector registers cannot be sampled"),
        (timed.segment_base, "samples: relative to a segment whose base is not known"),
        (timed.code_missing, "samples: the code is not at hand"),
        (timed.not_captured, "samples: the code is in no file and was not captured"),
        (timed.undecodable, "samples: the code could not be decoded"),
        (timed.registers_missing, "samples have no user registers"),
        (timed.architecture, "samples: code of an architecture that is not decoded"),
        (timed.in_guest, "samples are of virtual machines"),
        (unresolved.no_address, "loads and stores have no address"),
        (unresolved.malformed, "samples could not be decoded"),
        (unresolved.unknown_event, "samples belong to no known event"),
    ] {
        if count > 0 {
            writeln!(out, "On no line: {} {what}.", grouped(count))?;
        }
    }
    Ok(())
}

fn warnings(report: &Report, style: &TextStyle, out: &mut dyn Write) -> io::Result<()> {
    if report.warnings.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    for warning in &report.warnings {
        let advice = warning.advice().map(|advice| format!(" → {advice}")).unwrap_or_default();
        let sentence = format!("{}{advice}", clean(&warning.text()));
        for (index, line) in wrapped(&sentence, WIDTH - 9).iter().enumerate() {
            let label = if index == 0 { painted(style, "33", "warning:") } else { " ".repeat(8) };
            writeln!(out, "{label} {line}")?;
        }
    }
    Ok(())
}
