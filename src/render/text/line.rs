//! One cache line: who does what where.

use std::io::{self, Write};

use comfy_table::{ColumnConstraint, Table, Width};

use super::TextStyle;
use super::answer::{gain_sentence, sentence, watched_sentence};
use super::heap::show_objects;
use super::layout::{WIDTH, align_right, new_table, painted, wrapped, write_table};
use crate::render::clean::{clean, keep_end, keep_start};
use crate::render::grouped;
use crate::report::model::{Access, Line, Object, SourceLine};

/// So many accesses of a line are shown unless asked for all.
const SHOWN_ACCESSES: usize = 8;

/// Writes one line: its name, what it costs, and who does what where.
pub(super) fn show_line(line: &Line, style: &TextStyle, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", painted(style, "1", &clean(&line_title(line))))?;
    for sentence in line_sentences(line) {
        for part in wrapped(&clean(&sentence), WIDTH - 3) {
            writeln!(out, "   {part}")?;
        }
    }
    show_objects(line, style, out)?;
    show_accesses(line, style, out)?;
    for advice in &line.advice {
        let text = wrapped(&clean(&format!("to do: {}", advice.text)), WIDTH - 3);
        text.iter().try_for_each(|part| writeln!(out, "   {part}"))?;
        let code = advice.code.iter().filter(|_| style.verbose);
        for part in code.flat_map(|code| code.lines()) {
            writeln!(out, "     {}", clean(part))?;
        }
    }
    Ok(())
}

fn show_accesses(line: &Line, style: &TextStyle, out: &mut dyn Write) -> io::Result<()> {
    let all = if style.verbose { line.accesses.clone() } else { merged(&line.accesses) };
    let busiest = shown_accesses(&all, style);
    write_table(&access_table(&busiest, style), out)?;
    let hidden = all.len() - busiest.len();
    if hidden > 0 {
        let noun = if hidden == 1 { "access" } else { "accesses" };
        writeln!(out, "   and {hidden} {noun} more (-v shows all)")?;
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

/// A line's place in the ranking, its address and what lies there.
pub(in crate::render) fn line_title(line: &Line) -> String {
    let owner = line.pid.map(|pid| format!(" of process {}", pid as i32)).unwrap_or_default();
    format!("#{} {} in {}{owner}", line.rank, line.address, place(&line.objects))
}

/// The objects that are touched, or the memory that it is.
fn place(objects: &[Object]) -> String {
    /// More names would fill the line.
    const NAMED: usize = 2;
    let mut named: Vec<String> = objects
        .iter()
        .filter(|object| object.base.is_some())
        .map(|object| {
            let name = object.name.as_deref().map(|name| keep_end(name, 40));
            let typed = object.type_name.as_deref().map(|of| format!(" ({})", keep_start(of, 40)));
            match name {
                Some(name) => format!("{} {name}{}", object.kind, typed.unwrap_or_default()),
                None => format!("{}{}", object.kind, typed.unwrap_or_default()),
            }
        })
        .collect();
    // Objects without a name are told apart below.
    named.dedup();
    if !named.is_empty() {
        let hidden = named.len().saturating_sub(NAMED);
        let told = named.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        return if hidden == 0 { told } else { format!("{told} and {hidden} more") };
    }
    objects.first().map_or("unmapped memory".to_owned(), |object| {
        match (object.kind, object.name.as_deref()) {
            ("kernel", None) => "kernel memory".to_owned(),
            (_, None) => "unmapped memory".to_owned(),
            ("unknown", Some("//anon")) => "anonymous memory".to_owned(),
            ("unknown", Some(name)) => keep_end(name, 40),
            (kind, Some(name)) if name.starts_with('[') && name[1..].starts_with(kind) => {
                kind.to_owned()
            }
            (kind, Some(name)) => format!("{kind} {}", keep_end(name, 40)),
        }
    })
}

/// What is said of a line in sentences.
pub(in crate::render) fn line_sentences(line: &Line) -> Vec<String> {
    let reason = line.reason.as_deref().map(|reason| match line.verdict {
        Some(verdict @ ("false" | "true" | "mixed")) => format!("{verdict} sharing: {reason}"),
        _ => format!("Why not: {reason}"),
    });
    let gain = line.gain.as_ref().and_then(gain_sentence);
    std::iter::once(sentence(line))
        .chain(watched_sentence(line))
        .chain(reason)
        .chain(gain)
        .collect()
}

/// Accesses of one line of source to the same bytes are one access to who reads it: a loop that was
/// unrolled has many. Each sample is near all of them, and waited for one.
fn merged(accesses: &[Access]) -> Vec<Access> {
    let mut merged: Vec<Access> = Vec::new();
    for access in accesses {
        let is_same = |known: &Access| {
            known.source.is_some()
                && known.source == access.source
                && (known.offset, known.size, known.kind)
                    == (access.offset, access.size, access.kind)
                && known.label == access.label
                && known.threads.iter().map(|it| it.tid).eq(access.threads.iter().map(|it| it.tid))
        };
        match merged.iter_mut().find(|known| known.waited.is_some() && is_same(known)) {
            Some(known) => {
                known.samples = known.samples.max(access.samples);
                known.waited = known.waited.zip(access.waited).map(|(one, other)| one + other);
            }
            None => merged.push(access.clone()),
        }
    }
    merged
}

/// The accesses that matter most: those that wait, and those that write and so make others wait.
fn shown_accesses<'l>(accesses: &'l [Access], style: &TextStyle) -> Vec<&'l Access> {
    let (mut stores, mut loads): (Vec<&Access>, Vec<&Access>) =
        accesses.iter().partition(|access| access.kind == "store");
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
    let has_fields = accesses.iter().any(|access| access.field.is_some());
    let mut table = new_table();
    let mut header = vec!["Offset"];
    header.extend(has_fields.then_some("Field"));
    header.push("");
    // A field has its size.
    header.extend((is_timed && !has_fields).then_some("Bytes"));
    header.extend(if is_timed {
        &["Samples", "Waited"][..]
    } else {
        &["Samples", "Contended", "Cycles"]
    });
    header.extend(["Threads", "Code", "Source"]);
    table.set_header(header);
    for access in accesses {
        let mut row = vec![format!("{:#x}", access.offset)];
        row.extend(has_fields.then(|| field(access, style)));
        row.push(access.kind.to_owned());
        if is_timed {
            let waited = access.waited.unwrap_or_default().round() as u64;
            row.extend((!has_fields).then(|| access.size.map(grouped).unwrap_or_default()));
            row.extend([grouped(access.samples), grouped(waited)]);
        } else {
            let cycles = access.mean_cycles.as_ref().and_then(|mean| mean.contended.or(mean.load));
            let is_load = access.kind != "store";
            let contended = if is_load { grouped(access.contended) } else { String::new() };
            let cycles = cycles.map(|cycles| format!("{cycles:.0}")).unwrap_or_default();
            row.extend([grouped(access.samples), contended, cycles]);
        }
        row.extend([threads(access), code(access, style), source(access, style)]);
        table.add_row(row);
    }
    let columns = table.column_count();
    let numbers = 2 + usize::from(has_fields)..columns.saturating_sub(3);
    std::iter::once(0).chain(numbers).for_each(|index| align_right(&mut table, index));
    if !style.full_names {
        let widths: [u16; 3] = if has_fields { [16, 22, 20] } else { [20, 28, 24] };
        if let Some(column) = table.column_mut(1).filter(|_| has_fields) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        for (index, width) in (columns.saturating_sub(3)..).zip(widths) {
            if let Some(column) = table.column_mut(index) {
                column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(width)));
            }
        }
    }
    table
}

/// The field's name, of which the end tells most.
fn field(access: &Access, style: &TextStyle) -> String {
    let Some(field) = &access.field else { return String::new() };
    let field = clean(field);
    if style.full_names { field.into_owned() } else { keep_end(&field, 20) }
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
    let name = keep_start(&name, if access.field.is_some() { 8 } else { 11 });
    match access.threads.len() {
        1 if first.comm.is_some() => format!("{name} {}", first.tid as i32),
        1 => name,
        count => format!("{name} ×{count}"),
    }
}

fn code(access: &Access, style: &TextStyle) -> String {
    let text = clean(&access.label);
    let width = if access.field.is_some() { 20 } else { 26 };
    if style.full_names { text.into_owned() } else { keep_start(&text, width) }
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
fn own_source(access: &Access) -> Option<&SourceLine> {
    let inlined = access.inlines.iter().filter_map(|frame| frame.source.as_ref());
    let own = inlined.chain(&access.source).find(|place| !is_of_a_language(&place.file));
    own.or(access.source.as_ref())
}

/// File and line of an access, without the file's folders.
pub(in crate::render) fn source_of(access: &Access) -> Option<String> {
    let place = own_source(access)?;
    let file = place.file.rsplit('/').next().unwrap_or(&place.file);
    Some(format!("{file}:{}", place.line))
}

fn source(access: &Access, style: &TextStyle) -> String {
    let Some(place) = own_source(access) else {
        return String::new();
    };
    // Where fields are told there is no room for more.
    let is_told = !access.inlines.is_empty() && (access.field.is_none() || style.full_names);
    let inlined = if is_told { " (inl)" } else { "" };
    let file = place.file.rsplit('/').next().unwrap_or(&place.file);
    let file = if style.full_names { &place.file } else { file };
    let line = format!(":{}{inlined}", place.line);
    if style.full_names {
        return format!("{}{line}", clean(file));
    }
    let width = if access.field.is_some() { 18 } else { 22 };
    format!("{}{line}", keep_end(&clean(file), width - line.len().min(16)))
}
