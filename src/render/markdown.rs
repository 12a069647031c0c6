//! `--format markdown`: for a review or a ticket.

use std::io::{self, Write};

use super::clean::clean;
use super::text::{answer_sentence, group_sentence, line_sentences, line_title, source_of};
use super::{grouped, percent};
use crate::report::Report;
use crate::report::model::{Access, Line};

/// So many accesses of a line are shown.
const SHOWN_ACCESSES: usize = 12;

/// Writes the report.
///
/// # Errors
///
/// What the writer answers.
pub fn markdown(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## Cache-line contention\n\n**{}**\n", prose(&answer_sentence(report)))?;
    let facts = &report.recording;
    if !facts.command_line.is_empty() {
        writeln!(out, "Recorded by {}", code(&facts.command_line.join(" ")))?;
    }
    let machine = [&facts.cpu, &facts.kernel].into_iter().flatten().map(|it| prose(it));
    writeln!(
        out,
        "({}; {} samples, {} lost; sampler: {}).\n",
        machine.collect::<Vec<_>>().join(", Linux "),
        grouped(facts.samples),
        grouped(facts.lost),
        facts.samplers.join(", "),
    )?;
    if !report.lines.is_empty() {
        overview(&report.lines, out)?;
    }
    let several = report.groups.iter().filter(|group| group.lines.len() > 1);
    let several: Vec<String> = several.map(|group| prose(&group_sentence(group))).collect();
    if !several.is_empty() {
        writeln!(out, "Together:\n\n- {}\n", several.join("\n- "))?;
    }
    for line in &report.lines {
        show_line(line, out)?;
    }
    if !report.warnings.is_empty() {
        writeln!(out, "### Keep in mind\n")?;
        for warning in &report.warnings {
            let advice = warning.advice().map(|advice| format!(" → {advice}")).unwrap_or_default();
            writeln!(out, "- {}", prose(&format!("{}{advice}", warning.text())))?;
        }
    }
    Ok(())
}

fn overview(lines: &[Line], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "| | where | sharing | cost | confidence |\n| --: | --- | --- | --: | --: |")?;
    for line in lines {
        let cost = line.cost.share_high.map_or_else(
            || format!("{} loads", grouped(line.contended_loads)),
            |high| format!("≤ {}", percent(high)),
        );
        let sure = line
            .confidence
            .map_or_else(String::new, |sure| format!("{:.0} %", (sure * 100.0).min(99.0)));
        let names: Vec<&str> =
            line.objects.iter().filter_map(|object| object.name.as_deref()).collect();
        let place = match names.is_empty() {
            true => line.address.to_string(),
            false => names.join(", "),
        };
        let verdict = line.verdict.unwrap_or("not known");
        writeln!(out, "| {} | {} | {verdict} | {cost} | {sure} |", line.rank, code(&place))?;
    }
    writeln!(out)
}

fn show_line(line: &Line, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "### {}\n", prose(&line_title(line)))?;
    for sentence in line_sentences(line) {
        writeln!(out, "{}\n", prose(&sentence))?;
    }
    writeln!(
        out,
        "| offset | | bytes | samples | waits | threads | code | source | field |\n\
         | --: | --- | --: | --: | --: | --: | --- | --- | --- |"
    )?;
    for access in line.accesses.iter().take(SHOWN_ACCESSES) {
        let source = source_of(access).map(|place| code(&place)).unwrap_or_default();
        writeln!(
            out,
            "| {:#x} | {} | {} | {} | {} | {} | {} | {source} | {} |",
            access.offset,
            access.kind,
            access.size.map(grouped).unwrap_or_default(),
            grouped(access.samples),
            grouped(waits(access)),
            access.threads.len(),
            code(&access.label),
            access.field.as_deref().map(code).unwrap_or_default(),
        )?;
    }
    let hidden = line.accesses.len().saturating_sub(SHOWN_ACCESSES);
    if hidden > 0 {
        writeln!(out, "\nand {hidden} more.")?;
    }
    writeln!(out)?;
    for advice in &line.advice {
        writeln!(out, "**To do:** {}\n", prose(&advice.text))?;
        if let Some(text) = &advice.code {
            let fence = fence_for(text);
            writeln!(out, "{fence}\n{}\n{fence}\n", lines_of(text))?;
        }
    }
    Ok(())
}

fn waits(access: &Access) -> u64 {
    access.waited.map_or(access.contended, |waited| waited.round() as u64)
}

/// Text without any meaning to Markdown or HTML, but for names in backquotes, which stay code.
fn prose(text: &str) -> String {
    let text = clean(text);
    let is_paired = text.matches('`').count().is_multiple_of(2) && !text.contains("``");
    let mut escaped = String::with_capacity(text.len());
    let mut is_code = false;
    for letter in text.chars() {
        match letter {
            '`' if is_paired => {
                is_code = !is_code;
                escaped.push('`');
            }
            other if is_code => escaped.push(other),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// A name as code, also within a table.
fn code(text: &str) -> String {
    let text = clean(text).replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// A fence that the text does not contain.
fn fence_for(text: &str) -> String {
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

fn lines_of(text: &str) -> String {
    text.lines().map(|line| clean(line).into_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_nothing_to_markdown() {
        assert_eq!(prose("<img src=x> *a* b|c"), "&lt;img src=x&gt; \\*a\\* b\\|c");
        assert_eq!(prose("`a<b>` is <i>"), "`a<b>` is &lt;i&gt;");
        assert_eq!(prose("`a<b> is"), "\\`a&lt;b&gt; is", "a lone quote opens nothing");
        assert_eq!(prose("``<b>` `"), "\\`\\`&lt;b&gt;\\` \\`");
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("a`b"), "`` a`b ``");
        assert_eq!(fence_for("a ```` b"), "`````");
        assert_eq!(prose("a\u{1b}[31m"), "a?\\[31m");
    }
}
