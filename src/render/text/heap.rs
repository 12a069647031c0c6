//! Objects on the heap that lie in a line: who allocated them, and when.

use std::io::{self, Write};

use super::TextStyle;
use super::layout::{WIDTH, wrapped};
use crate::render::clean::{clean, keep_start};
use crate::report::HeapFacts;
use crate::report::model::{Line, Object};

/// Two lines at most for each object: what it is and where it was allocated, and when.
pub(super) fn show_objects(line: &Line, style: &TextStyle, out: &mut dyn Write) -> io::Result<()> {
    let traced = line.objects.iter().filter_map(|object| Some((object, object.heap.as_ref()?)));
    for (object, facts) in traced {
        let width = WIDTH - 3;
        let what = what(object, facts, line);
        match style.full_names {
            true => wrapped(&what, width).iter().try_for_each(|it| writeln!(out, "   {it}"))?,
            false => writeln!(out, "   {}", keep_start(&what, width))?,
        }
        writeln!(out, "     {}", keep_start(&when(facts), width - 2))?;
    }
    Ok(())
}

/// `at 0x10: 24 bytes from main program.c:12`.
fn what(object: &Object, facts: &HeapFacts, line: &Line) -> String {
    let base = object.base.map_or(0, |base| base.0);
    let place = match base.checked_sub(line.address.0) {
        Some(offset) => format!("at {offset:#x}"),
        None => format!("from {:#x} before", line.address.0 - base),
    };
    let bytes = match object.size {
        Some(1) => "1 byte".to_owned(),
        size => format!("{} bytes", crate::render::grouped(size.unwrap_or(0))),
    };
    let callers: Vec<_> = object.allocated_at.iter().map(|frame| clean(frame)).collect();
    let from = match callers.is_empty() {
        true => format!("{} of an unknown caller", clean(&facts.function)),
        false => callers.join(" < "),
    };
    format!("{place}: {bytes} from {from}")
}

fn when(facts: &HeapFacts) -> String {
    let seconds = |ns: u64| format!("{:.3} s", ns as f64 / 1e9);
    let name = facts.comm.as_deref().map(|name| format!(" ({})", clean(name))).unwrap_or_default();
    let end = match (facts.to_ns, facts.freed_by) {
        (Some(to), Some(tid)) => format!("freed by thread {tid} at {}", seconds(to)),
        (Some(to), None) => format!("gone unseen by {}", seconds(to)),
        (None, _) => match facts.certain_until_ns {
            Some(until) => format!("not traced after {}", seconds(until)),
            None => "never freed".to_owned(),
        },
    };
    format!(
        "allocated {} into the run by thread {}{name}, {end}",
        seconds(facts.from_ns),
        facts.tid
    )
}
