//! What debug registers saw, for people.

use std::io::{self, Write};

use comfy_table::{ColumnConstraint, Table, Width};

use super::TextStyle;
use super::layout::{WIDTH, align_right, new_table, painted, wrapped, write_table};
use crate::render::clean::{clean, keep_end, keep_start};
use crate::render::{counted, grouped};
use crate::report::{WatchReport, WatchedAccess, WatchedCode};

/// Writes who touched the bytes, in order and in sum; of the accesses in order so many at most.
///
/// # Errors
///
/// What the writer answers.
pub fn watch_text(
    report: &WatchReport,
    shown: usize,
    style: &TextStyle,
    out: &mut dyn Write,
) -> io::Result<()> {
    for line in wrapped(&answer(report), WIDTH) {
        writeln!(out, "{}", painted(style, "1", &line))?;
    }
    if report.unwatched > 0 {
        writeln!(
            out,
            "  {} could not be watched: they had ended, or their debug registers are taken",
            counted(report.unwatched, "thread")
        )?;
    }
    if report.lost > 0 {
        writeln!(out, "  {} more found no room and are missing", grouped(report.lost))?;
    }
    if report.accesses.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nIn order:")?;
    let listed = &report.accesses[..report.accesses.len().min(shown)];
    write_table(&in_order(listed, style), out)?;
    let hidden = report.accesses.len() - listed.len();
    if hidden > 0 {
        writeln!(out, "  and {} more (--limit)", grouped(hidden as u64))?;
    }
    writeln!(out, "\nIn sum:")?;
    write_table(&in_sum(report, style), out)
}

fn answer(report: &WatchReport) -> String {
    let what = match &report.variable {
        Some(name) => format!("{} ({})", clean(name), report.address),
        None => report.address.to_string(),
    };
    let bytes = counted(report.length, "byte");
    let seconds = report.duration_ns as f64 / 1e9;
    let mut threads: Vec<u32> = report.accesses.iter().map(|access| access.tid).collect();
    threads.sort_unstable();
    threads.dedup();
    match report.accesses.len() as u64 {
        0 => format!(
            "None of {} of process {} touched {what}, {bytes}, within {seconds:.3} s.",
            counted(report.threads, "thread"),
            report.pid,
        ),
        count => format!(
            "{} of process {} touched {what}, {bytes}, {} within {seconds:.3} s; {} times one came \
             right after another and one of the two wrote.",
            counted(threads.len() as u64, "thread"),
            report.pid,
            match count {
                1 => "once".to_owned(),
                count => format!("{} times", grouped(count)),
            },
            grouped(report.handovers),
        ),
    }
}

fn in_order(accesses: &[WatchedAccess], style: &TextStyle) -> Table {
    let mut table = new_table();
    let has_callers = accesses.iter().any(|access| !access.callers.is_empty());
    let mut header = vec!["Time µs", "Thread", "CPU", "", "Offset", "Bytes", "Code", "Source"];
    header.extend(has_callers.then_some("Callers"));
    table.set_header(header);
    for access in accesses {
        let mut row = vec![
            format!("{:.3}", access.time_ns as f64 / 1e3),
            thread(access.comm.as_deref(), access.tid),
            access.cpu.map(|cpu| cpu.to_string()).unwrap_or_default(),
            access.kind.unwrap_or("?").to_owned(),
            format!("{:#x}", access.offset),
            access.size.map(|size| size.to_string()).unwrap_or_default(),
            code(&access.code, style),
            source(&access.code, style),
        ];
        if has_callers {
            let frames: Vec<_> = access.callers.iter().map(|frame| clean(frame)).collect();
            let frames = frames.join(" < ");
            row.push(if style.full_names { frames } else { keep_start(&frames, 30) });
        }
        table.add_row(row);
    }
    for index in [0, 2, 4, 5] {
        align_right(&mut table, index);
    }
    limit_widths(&mut table, &[(1, 22), (6, 26), (7, 24), (8, 30)], style);
    table
}

fn in_sum(report: &WatchReport, style: &TextStyle) -> Table {
    let mut table = new_table();
    table.set_header(vec!["Accesses", "Thread", "CPUs", "", "Offset", "Bytes", "Code", "Source"]);
    for sum in &report.summary {
        let cpus: Vec<String> = sum.cpus.iter().map(u32::to_string).collect();
        table.add_row(vec![
            grouped(sum.accesses),
            thread(sum.comm.as_deref(), sum.tid),
            keep_start(&cpus.join(","), 10),
            sum.kind.unwrap_or("?").to_owned(),
            format!("{:#x}", sum.offset),
            sum.size.map(|size| size.to_string()).unwrap_or_default(),
            code(&sum.code, style),
            source(&sum.code, style),
        ]);
    }
    for index in [0, 4, 5] {
        align_right(&mut table, index);
    }
    limit_widths(&mut table, &[(1, 22), (6, 26), (7, 24)], style);
    table
}

fn limit_widths(table: &mut Table, widths: &[(usize, u16)], style: &TextStyle) {
    if style.full_names {
        return;
    }
    for &(index, width) in widths {
        if let Some(column) = table.column_mut(index) {
            column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(width)));
        }
    }
}

fn thread(comm: Option<&str>, tid: u32) -> String {
    match comm {
        Some(comm) => format!("{} {tid}", keep_start(&clean(comm), 11)),
        None => tid.to_string(),
    }
}

fn code(code: &WatchedCode, style: &TextStyle) -> String {
    let text = clean(&code.label);
    let text = if style.full_names { text.into_owned() } else { keep_start(&text, 22) };
    // What is not exact is the next instruction.
    if code.is_exact { text } else { format!("{text} ↓") }
}

fn source(code: &WatchedCode, style: &TextStyle) -> String {
    let Some(place) = &code.source else {
        return String::new();
    };
    if style.full_names {
        return format!("{}:{}", clean(&place.file), place.line);
    }
    let file = place.file.rsplit('/').next().unwrap_or(&place.file);
    format!("{}:{}", keep_end(&clean(file), 16), place.line)
}
