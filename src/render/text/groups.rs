//! Findings of several lines, summed.

use std::io::{self, Write};

use super::TextStyle;
use super::answer::gain_sentence;
use super::layout::{WIDTH, painted, wrapped};
use crate::render::clean::clean;
use crate::render::{counted, grouped, percent};
use crate::report::model::Group;

/// So many groups are told.
const TOLD: usize = 5;
/// So many ranks are named.
const NAMED: usize = 6;

/// Writes what several lines have in common.
pub(super) fn show_groups(
    groups: &[Group],
    style: &TextStyle,
    out: &mut dyn Write,
) -> io::Result<()> {
    let several: Vec<&Group> = groups.iter().filter(|group| group.lines.len() > 1).collect();
    if several.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", painted(style, "1", "Together:"))?;
    let told = if style.verbose { several.len() } else { TOLD };
    for group in several.iter().take(told) {
        for (index, part) in wrapped(&clean(&group_sentence(group)), WIDTH - 5).iter().enumerate() {
            writeln!(out, "{}{part}", if index == 0 { "   " } else { "     " })?;
        }
    }
    let hidden = several.len().saturating_sub(told);
    if hidden > 0 {
        writeln!(out, "   and {hidden} more (-v shows all)")?;
    }
    Ok(())
}

/// What a group is and costs, in a sentence.
pub(in crate::render) fn group_sentence(group: &Group) -> String {
    let lines = counted(group.lines.len() as u64, "line");
    let what = match group.kind {
        "type" => format!("{lines} of {}", group.name),
        "allocation" => format!("{lines} allocated in {}", group.name),
        "site" => format!("{lines} fought over by {}", group.name),
        _ => format!("{lines} of {}", group.name),
    };
    let sharing = match group.verdict {
        Some(verdict @ ("false" | "true" | "mixed")) => format!(", {verdict} sharing"),
        Some("possible") => ", suspects".to_owned(),
        _ => String::new(),
    };
    let cost = match (group.cost.share_high, group.cost.share_waited) {
        (Some(high), Some(waited)) => {
            format!("up to {} of CPU time, {} seen waiting", percent(high), percent(waited))
        }
        _ => format!("{} contended loads", grouped(group.contended_loads)),
    };
    let gain = group.gain.as_ref().and_then(gain_sentence);
    let gain = gain.map(|gain| format!("; {gain}")).unwrap_or_default();
    let mut ranks: Vec<String> =
        group.lines.iter().take(NAMED).map(|rank| format!("#{rank}")).collect();
    if group.lines.len() > NAMED {
        ranks.push("…".to_owned());
    }
    format!("{what} ({}){sharing}: {cost}{gain}", ranks.join(", "))
}
