//! `--format text`: for people, within 100 columns.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

use super::clean::{clean, keep_end, keep_start};
use crate::report::Report;
use crate::report::model::{Access, Grade, Line, RecordingFacts, SourceCount};

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

/// The widest line.
const WIDTH: usize = 100;
/// So many accesses of a line are shown unless asked for all.
const SHOWN_ACCESSES: usize = 8;

/// Writes the report.
///
/// # Errors
///
/// What the writer answers.
pub fn text(report: &Report, style: &TextStyle, out: &mut dyn Write) -> io::Result<()> {
    answer(report, style, out)?;
    facts(&report.recording, out)?;
    sources(report, out)?;
    if style.lines {
        let mut is_contended = true;
        for line in &report.lines {
            writeln!(out)?;
            if is_contended && !is_finding(line) {
                is_contended = false;
                writeln!(out, "{}\n", heading_of_the_rest(line))?;
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

fn is_finding(line: &Line) -> bool {
    match line.grade {
        Grade::Measured => line.contended_loads > 0,
        Grade::Timed => line.verdict.is_none(),
    }
}

/// What the lines that come after the findings are.
fn heading_of_the_rest(line: &Line) -> &'static str {
    match (line.grade, line.verdict) {
        (Grade::Measured, _) if line.writers > 1 => {
            "Without a contended load among the samples, but several threads write:"
        }
        (Grade::Measured, _) => "Without a contended load:",
        (Grade::Timed, Some("possible")) => {
            "Suspects: threads were at these lines at once, but hardly any waiting was seen:"
        }
        (Grade::Timed, _) => "Without contention:",
    }
}

fn painted(style: &TextStyle, code: &str, text: &str) -> String {
    if style.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// The first line is the answer.
fn answer(report: &Report, style: &TextStyle, out: &mut dyn Write) -> io::Result<()> {
    let sentence = match report.c2c {
        Some(stats) => measured_answer(report, stats.load),
        None => timed_answer(report),
    };
    for line in wrapped(&sentence, WIDTH) {
        writeln!(out, "{}", painted(style, "1", &line))?;
    }
    Ok(())
}

fn timed_answer(report: &Report) -> String {
    let summary = &report.summary;
    let most = percent(summary.contention_high.unwrap_or_default());
    let lines =
        |count: u64| format!("{} cache line{}", grouped(count), if count == 1 { "" } else { "s" });
    let Some(floor) = summary.detection_floor.map(percent) else {
        return "These samples do not tell whether lines are contended; the warnings say why."
            .to_owned();
    };
    match (summary.contended_lines, summary.suspects) {
        (0, 0) => format!(
            "No contention seen; waiting for a line for more than {floor} of this run would have \
             been."
        ),
        (0, suspects) => format!(
            "No waiting for contended lines seen; {} may be ({most} of CPU time at most).",
            lines(suspects)
        ),
        (findings, 0) => {
            format!("Contention on {} took up to {most} of this run's CPU time.", lines(findings))
        }
        (findings, suspects) => format!(
            "Contention on {}, and maybe on {suspects} more, took up to {most} of this run's CPU \
             time.",
            lines(findings)
        ),
    }
}

fn measured_answer(report: &Report, loads: u64) -> String {
    let (contended, lines) = (report.summary.contended_loads, report.summary.contended_lines);
    match (loads, contended) {
        (0, _) => "No loads were sampled, so contention cannot be measured.".to_owned(),
        (loads, 0) => format!("No contention seen in {} sampled loads.", grouped(loads)),
        (loads, contended) => format!(
            "{} of {} sampled loads ({:.1} %) had to fetch a line from another CPU's cache, on {} cache {}.",
            grouped(contended),
            grouped(loads),
            contended as f64 / loads as f64 * 100.0,
            grouped(lines),
            if lines == 1 { "line" } else { "lines" }
        ),
    }
}

/// A share of 0 to 1.
fn percent(share: f64) -> String {
    match share * 100.0 {
        small if small < 0.95 => format!("{small:.2} %"),
        percent => format!("{percent:.1} %"),
    }
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

fn show_line(line: &Line, style: &TextStyle, out: &mut dyn Write) -> io::Result<()> {
    let object = line.objects.first();
    let place = object.map_or("unmapped memory".to_owned(), |object| {
        match (object.kind, object.name.as_deref()) {
            ("kernel", None) => "kernel memory".to_owned(),
            (_, None) => "unmapped memory".to_owned(),
            ("unknown", Some("//anon")) => "anonymous memory".to_owned(),
            ("unknown", Some(name)) => keep_end(&clean(name), 40),
            (kind, Some(name)) if name.starts_with('[') && name[1..].starts_with(kind) => {
                kind.to_owned()
            }
            (kind, Some(name)) => format!("{kind} {}", keep_end(&clean(name), 40)),
        }
    });
    let owner = line.pid.map(|pid| format!(" of process {}", pid as i32)).unwrap_or_default();
    let title = format!("#{} {} in {place}{owner}", line.rank, line.address);
    writeln!(out, "{}", painted(style, "1", &title))?;
    let sentence = match line.grade {
        Grade::Measured => measured_sentence(line),
        Grade::Timed => timed_sentence(line),
    };
    for part in wrapped(&sentence, WIDTH - 3) {
        writeln!(out, "   {part}")?;
    }
    let busiest = shown_accesses(line, style);
    write_table(&access_table(&busiest, style), out)?;
    let hidden = line.accesses.len() - busiest.len();
    if hidden > 0 {
        writeln!(out, "   and {hidden} accesses more (-v shows all)")?;
    }
    for access in busiest.iter().filter(|access| !access.callers.is_empty()) {
        writeln!(out, "   callers at {:#x} {}:", access.offset, code(access, style))?;
        for chain in &access.callers {
            let frames =
                chain.frames.iter().map(|frame| clean(frame)).collect::<Vec<_>>().join(" < ");
            writeln!(out, "     {:>6}  {}", chain.samples, keep_start(&frames, WIDTH - 14))?;
        }
    }
    Ok(())
}

fn counted(count: u64, word: &str) -> String {
    format!("{} {word}{}", grouped(count), if count == 1 { "" } else { "s" })
}

fn measured_sentence(line: &Line) -> String {
    let cycles = line
        .contended_cycles
        .map(|cycles| format!(" ({} cycles)", grouped(cycles)))
        .unwrap_or_default();
    format!(
        "{}{cycles}, {:.1} % of all; {}; threads: {} read, {} write",
        counted(line.contended_loads, "contended load"),
        line.contended_share * 100.0,
        counted(line.samples, "sample"),
        grouped(line.readers),
        grouped(line.writers),
    )
}

fn timed_sentence(line: &Line) -> String {
    let seconds = line.cost.cpu_ns_high.map(|ns| format!(" ({:.3} s)", ns as f64 / 1e9));
    format!(
        "up to {}{} of CPU time; {} waited for it, {} near it; threads: {} read, {} write",
        percent(line.cost.share_high.unwrap_or_default()),
        seconds.unwrap_or_default(),
        counted(line.waited.unwrap_or_default().round() as u64, "sample"),
        grouped(line.samples),
        grouped(line.readers),
        grouped(line.writers),
    )
}

/// The accesses that matter most: those that wait, and those that write and so make others wait.
fn shown_accesses<'l>(line: &'l Line, style: &TextStyle) -> Vec<&'l Access> {
    let (mut stores, mut loads): (Vec<&Access>, Vec<&Access>) =
        line.accesses.iter().partition(|access| access.kind == "store");
    if !style.verbose {
        let waits =
            |access: &Access| access.waited.map_or(access.contended, |waited| waited as u64);
        loads.sort_by_key(|access| std::cmp::Reverse((waits(access), access.samples)));
        stores.sort_by_key(|access| std::cmp::Reverse((waits(access), access.samples)));
        let stores_shown = stores.len().min(SHOWN_ACCESSES - loads.len().min(SHOWN_ACCESSES / 2));
        loads.truncate(SHOWN_ACCESSES - stores_shown);
        stores.truncate(stores_shown);
    }
    let mut shown = [loads, stores].concat();
    shown.sort_by_key(|access| access.offset);
    shown
}

fn access_table(accesses: &[&Access], style: &TextStyle) -> Table {
    let is_timed = accesses.iter().any(|access| access.waited.is_some());
    let mut table = new_table();
    let header = match is_timed {
        true => ["Offset", "", "Bytes", "Samples", "Waited", "Threads", "Code", "Source"],
        false => ["Offset", "", "Samples", "Contended", "Cycles", "Threads", "Code", "Source"],
    };
    table.set_header(header);
    for access in accesses {
        let [first, second, third] = if is_timed {
            let size = access.size.map(grouped).unwrap_or_default();
            let waited = access.waited.unwrap_or_default().round() as u64;
            [size, grouped(access.samples), grouped(waited)]
        } else {
            let cycles = access.mean_cycles.as_ref().and_then(|mean| mean.contended.or(mean.load));
            let is_load = access.kind == "load";
            let contended = if is_load { grouped(access.contended) } else { String::new() };
            let cycles = cycles.map(|cycles| format!("{cycles:.0}")).unwrap_or_default();
            [grouped(access.samples), contended, cycles]
        };
        table.add_row(vec![
            format!("{:#x}", access.offset),
            access.kind.to_owned(),
            first,
            second,
            third,
            threads(access),
            code(access, style),
            source(access, style),
        ]);
    }
    for index in [0, 2, 3, 4] {
        align_right(&mut table, index);
    }
    if !style.full_names {
        let widths: Vec<(usize, u16)> = vec![(5, 20), (6, 28), (7, 24)];
        for (index, width) in widths {
            if let Some(column) = table.column_mut(index) {
                column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(width)));
            }
        }
    }
    table
}

/// One name for several threads of it.
fn threads(access: &Access) -> String {
    let Some(first) = access.threads.first() else {
        return String::new();
    };
    let name = first
        .comm
        .as_deref()
        .map_or_else(|| (first.tid as i32).to_string(), |comm| clean(comm).into_owned());
    let name = keep_start(&name, 11);
    match access.threads.len() {
        1 if first.comm.is_some() => format!("{name} {}", first.tid as i32),
        1 => name,
        count => format!("{name} ×{count}"),
    }
}

fn code(access: &Access, style: &TextStyle) -> String {
    let text = clean(&access.label);
    if style.full_names { text.into_owned() } else { keep_start(&text, 26) }
}

/// Whether a file belongs to a language's own library, where atomics and the like are inlined from.
fn is_of_a_language(file: &str) -> bool {
    let folders = [
        "/rustc/",
        "/rustlib/src/rust/library/",
        "/usr/include/",
        "/usr/lib/gcc/",
        "/usr/lib/llvm",
    ];
    folders.iter().any(|folder| file.contains(folder))
}

/// The innermost source line that is the program's own, if there is one.
fn source(access: &Access, style: &TextStyle) -> String {
    let inlined = access.inlines.iter().filter_map(|frame| frame.source.as_ref());
    let own = inlined.chain(&access.source).find(|place| !is_of_a_language(&place.file));
    let Some(place) = own.or(access.source.as_ref()) else {
        return String::new();
    };
    let inlined = if access.inlines.is_empty() { "" } else { " (inl)" };
    let file = place.file.rsplit('/').next().unwrap_or(&place.file);
    let file = if style.full_names { &place.file } else { file };
    let line = format!(":{}{inlined}", place.line);
    if style.full_names {
        return format!("{}{line}", clean(file));
    }
    format!("{}{line}", keep_end(&clean(file), 22 - line.len().min(16)))
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
        let lines = grouped(other.lines);
        return writeln!(out, "Not listed: {lines} lines without contention or of less cost.");
    }
    writeln!(
        out,
        "Not listed: {} lines with {} samples, {} of them contended loads.",
        grouped(other.lines),
        grouped(other.samples),
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
        (timed.vector_index, "samples: gathers, whose vector registers cannot be sampled"),
        (timed.segment_base, "samples: relative to a segment whose base is not known"),
        (timed.code_missing, "samples: the code is not at hand"),
        (timed.undecodable, "samples: the code could not be decoded"),
        (timed.registers_missing, "samples have no user registers"),
        (timed.architecture, "samples: code of an architecture that is not decoded"),
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

fn new_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH as u16 - 2)
        .force_no_tty();
    table
}

fn align_right(table: &mut Table, index: usize) {
    if let Some(column) = table.column_mut(index) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn write_table(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    table.lines().try_for_each(|line| writeln!(out, "  {}", line.trim_end()))
}

/// Words over lines of at most `width` characters; a longer word keeps a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_laid_out() {
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(12), "12");
        assert_eq!(wrapped("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrapped("aaaaaaa b", 5), ["aaaaaaa", "b"]);
    }
}
