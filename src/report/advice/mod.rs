//! What to change, so that threads no longer wait for each other.

mod apart;
mod notation;
mod words;

use apart::{Level, Stretch, level};
use notation::notation;
use words::{aligned_allocation, aligned_variable, caution, padded_type};

use super::model::{Advice, Line, SharedPart};
use super::objects::NamedObject;
use super::sharing::{use_of, what};
use crate::lines::{Arrangement, PlacedMember, apart};
use crate::symbols::{DataType, Language, MemberRole};

/// CPUs that fetch lines in pairs disturb each other over twice the distance.
const PREFETCH: &str = "Intel's CPUs fetch lines in pairs: there twice the distance is safer";

/// The changes that would help a line whose sharing is known.
pub(super) fn advice(line: &Line, objects: &[NamedObject]) -> Vec<Advice> {
    match line.verdict {
        Some("true") => vec![shared_bytes(&line.parts)],
        Some("false") => parting(line, objects),
        Some("mixed") => {
            let mut advice = parting(line, objects);
            if let Some(last) = advice.last_mut() {
                let shared = line.parts.iter().find(|part| is_shared(part));
                let shared = shared.map_or("the rest".to_owned(), what);
                last.text.push_str(&format!(
                    ". What is left then is the fight over {shared} itself, which no layout ends"
                ));
            }
            advice
        }
        _ => Vec::new(),
    }
}

fn is_shared(part: &SharedPart) -> bool {
    let others = part.readers.iter().filter(|tid| !part.writers.contains(tid)).count();
    part.writers.len() > 1 || (!part.writers.is_empty() && others > 0)
}

/// The bytes themselves are fought over.
fn shared_bytes(parts: &[SharedPart]) -> Advice {
    let shared = parts.iter().find(|part| is_shared(part)).or(parts.first());
    let name = shared.map_or("these bytes".to_owned(), what);
    if parts.iter().any(|part| part.has_lock) {
        return Advice {
            kind: "lock",
            text: format!(
                "padding will not help: threads wait for each other at {name}. Hold the lock for \
                 shorter, take it less often, or give each part of what it protects a lock of its own; \
                 if it is mostly taken to read, copy what is read or publish it as a whole"
            ),
            code: None,
        };
    }
    let written_by_one = shared.is_some_and(|part| part.writers.len() == 1);
    let text = if written_by_one {
        format!(
            "padding will not help: one thread writes {name} and others read it. Write it less often, in \
             batches, or have readers look at it less often"
        )
    } else {
        format!(
            "padding will not help: threads write {name} in turns. Give each thread or CPU one of its own \
             and add them up when they are read, or count in a local variable and add that once in a while"
        )
    };
    Advice { kind: "shard", text, code: None }
}

/// Ways to put the parts of a line on lines of their own.
fn parting(line: &Line, objects: &[NamedObject]) -> Vec<Advice> {
    let first = line.address.0;
    let stretches: Vec<Stretch> = line
        .parts
        .iter()
        .enumerate()
        .flat_map(|(part, of)| {
            of.ranges.iter().map(move |(offset, size)| Stretch {
                part,
                start: first.saturating_add(*offset),
                end: first.saturating_add(*offset).saturating_add((*size).max(1)),
            })
        })
        .collect();
    let object_of = |stretch: &Stretch| {
        let there = objects
            .iter()
            .enumerate()
            .filter(|(_, object)| object.base < stretch.end && stretch.start < object.end());
        let best = there.min_by_key(|(_, object)| (object.data_type.is_none(), object.size));
        best.map(|(at, _)| at)
    };
    let mut touched: Vec<usize> = stretches.iter().filter_map(object_of).collect();
    touched.sort_unstable();
    touched.dedup();
    let mut found = Vec::new();
    if touched.len() > 1 {
        let touched: Vec<&NamedObject> = touched.iter().filter_map(|at| objects.get(*at)).collect();
        found.push(apart_objects(line, &touched));
    }
    for (at, object) in objects.iter().enumerate() {
        let own: Vec<Stretch> =
            stretches.iter().copied().filter(|it| object_of(it) == Some(at)).collect();
        if own.iter().any(|it| it.part != own[0].part) {
            found.extend(within_object(line, object, &own));
        }
    }
    if found.is_empty() {
        found.push(unknown(line));
    }
    found
}

/// Several objects that only happen to lie in one line.
fn apart_objects(line: &Line, objects: &[&NamedObject]) -> Advice {
    let size = line.line_size;
    let language = language_of(objects);
    if let Some(advice) = neighbours(line, objects) {
        return advice;
    }
    // What follows without a gap is no allocation of its own: allocators keep words in between.
    let mut in_order: Vec<&NamedObject> = objects.to_vec();
    in_order.sort_by_key(|object| object.base);
    let is_one_block = in_order.windows(2).all(|pair| pair[0].end() == pair[1].base);
    let are_untraced = objects.iter().all(|object| object.heap.is_none());
    if objects.iter().all(|object| object.kind == "heap") && is_one_block && are_untraced {
        let last = in_order.last().and_then(|object| object.data_type.as_ref());
        let name = last.map_or("the second".to_owned(), DataType::name);
        return Advice {
            kind: "align",
            text: format!(
                "{} objects follow each other in one block of memory, as a reference count and what it \
                 counts do: {}, or allocate them apart. {PREFETCH}",
                objects.len(),
                padded_type(language, &name, size)
            ),
            code: None,
        };
    }
    if objects.iter().all(|object| object.kind == "heap") {
        return Advice {
            kind: "allocate",
            text: format!(
                "{} objects of different allocations lie in this line: allocate them with {}, or those of \
                 one thread from a pool of its own",
                objects.len(),
                aligned_allocation(language, size)
            ),
            code: None,
        };
    }
    let names: Vec<String> = objects.iter().filter_map(|object| object.name.clone()).collect();
    let parts: Vec<String> =
        names.iter().map(|name| aligned_variable(language, name, size)).collect();
    Advice {
        kind: "align",
        text: format!(
            "the linker has put {} into one line: {}. {PREFETCH}",
            names.join(", "),
            parts.first().cloned().unwrap_or_default()
        ),
        code: (!parts.is_empty()).then(|| parts.join("\n")),
    }
}

/// Objects of one type that lie side by side, as the elements of an array do.
fn neighbours(line: &Line, objects: &[&NamedObject]) -> Option<Advice> {
    let first = objects.first()?;
    let name = first.data_type.as_ref()?.name();
    let (size, line_size, language) = (first.size.max(1), line.line_size, first.language);
    let are_alike = objects.iter().all(|object| {
        object.kind == "heap"
            && object.name.is_none()
            && object.data_type.as_ref().is_some_and(|of| of.name() == name)
            && object.base.abs_diff(first.base).is_multiple_of(size)
    });
    if !are_alike || objects.iter().any(|object| object.heap.is_some()) {
        return None;
    }
    let allocation = aligned_allocation(language, line_size);
    Some(if size.is_multiple_of(line_size) {
        Advice {
            kind: "allocate",
            text: format!(
                "different threads use neighbouring {name}, {size} bytes each, which begin {} bytes into \
                 a line, so that each lies in the lines of its neighbours: allocate them with {allocation}",
                first.base % line_size
            ),
            code: None,
        }
    } else {
        Advice {
            kind: "pad",
            text: format!(
                "different threads use neighbouring {name}, {size} bytes each: make them {}; {}. The \
                 allocation has to begin on a line as well, which malloc does not see to: {allocation}. \
                 {PREFETCH}",
                size.next_multiple_of(line_size),
                padded_type(language, &name, line_size),
            ),
            code: None,
        }
    })
}

fn language_of(objects: &[&NamedObject]) -> Language {
    objects
        .iter()
        .map(|object| object.language)
        .find(|it| *it != Language::Other)
        .unwrap_or_default()
}

/// Parts of one object.
fn within_object(line: &Line, object: &NamedObject, stretches: &[Stretch]) -> Vec<Advice> {
    match level(object, stretches) {
        None => Vec::new(),
        Some(Level::Within) => vec![Advice {
            kind: "split",
            text: format!(
                "{} is one number of which threads use different bytes: make it several",
                object.name.as_deref().unwrap_or("this object")
            ),
            code: None,
        }],
        Some(Level::Elements { base, count, element, path }) => {
            vec![elements(line, object, base, count, &element, &path)]
        }
        Some(Level::Members { base, of, path }) => {
            members(line, object, base, &of, &path, stretches).into_iter().collect()
        }
    }
}

/// Elements of an array that different threads use.
fn elements(
    line: &Line,
    object: &NamedObject,
    base: u64,
    count: Option<u64>,
    element: &DataType,
    path: &str,
) -> Advice {
    let size = element.size().unwrap_or_default().max(1);
    let name = named(object, path);
    let line_size = line.line_size;
    let language = object.language;
    if size.is_multiple_of(line_size) {
        let kind = if object.kind == "heap" { "allocate" } else { "align" };
        let how = match object.kind {
            "heap" => format!("allocate it with {}", aligned_allocation(language, line_size)),
            _ => aligned_variable(language, &name, line_size),
        };
        return Advice {
            kind,
            text: format!(
                "the elements of {name} are {size} bytes, but the array begins {} bytes into a line, so \
                 that each lies in the lines of its neighbours: {how}",
                base % line_size
            ),
            code: None,
        };
    }
    let padded = size.next_multiple_of(line_size);
    let added = count.map(|count| (padded - size).saturating_mul(count));
    let added = added.map(|bytes| format!(" ({bytes} bytes more in all)")).unwrap_or_default();
    let heap = match object.kind {
        "heap" => format!(
            "; the allocation has to begin on a line as well: {}",
            aligned_allocation(language, line_size)
        ),
        _ => String::new(),
    };
    Advice {
        kind: "pad",
        text: format!(
            "different threads use neighbouring elements of {name}, {size} bytes each: make them \
             {padded}{added}; {}{heap}. {PREFETCH}",
            padded_type(language, &element.name(), line_size),
        ),
        code: None,
    }
}

fn named(object: &NamedObject, path: &str) -> String {
    let name = object.name.as_deref().unwrap_or("the object");
    match (path.is_empty(), path.starts_with('[')) {
        (true, _) => name.to_owned(),
        (_, true) => format!("{name}{path}"),
        _ => format!("{name}.{path}"),
    }
}

/// Members of a structure that different threads use.
fn members(
    line: &Line,
    object: &NamedObject,
    base: u64,
    of: &DataType,
    path: &str,
    stretches: &[Stretch],
) -> Option<Advice> {
    let now = arrangement(of, base, stretches)?;
    let is_written: Vec<bool> = line.parts.iter().map(|part| !part.writers.is_empty()).collect();
    let line_size = line.line_size;
    let after = apart(&now, &is_written, line_size);
    let users: Vec<String> = line.parts.iter().map(use_of).collect();
    let type_name = of.name();
    let moved: Vec<&str> = after
        .members
        .iter()
        .filter(|member| member.starts_line)
        .map(|member| member.name.as_str())
        .collect();
    let language = object.language;
    let note =
        |arrangement: &Arrangement| notation(arrangement, &type_name, language, line_size, &users);
    if is_of_a_library(&type_name) {
        let inside = match language {
            Language::Rust => format!(
                "wrap what it holds in crossbeam_utils::CachePadded, or give its type {}",
                words::aligned(language, line_size)
            ),
            _ => format!("give the type of what it holds {}", words::aligned(language, line_size)),
        };
        return Some(Advice {
            kind: "align",
            text: format!(
                "{type_name} is a library's own, and its counts stand beside what it holds: {inside}. \
                 {PREFETCH}"
            ),
            code: Some(note(&now)),
        });
    }
    let added = after.size.saturating_sub(now.size);
    let heap = match object.kind {
        "heap" => {
            format!("; allocate it with {}", aligned_allocation(language, line_size))
        }
        _ => String::new(),
    };
    Some(Advice {
        kind: if after.is_reordered(&now) { "reorder" } else { "align" },
        text: format!(
            "start {} of {} on lines of their own ({added} bytes more for each {type_name}){heap}. Mind \
             that {}. {PREFETCH}",
            listed(&moved),
            named(object, path),
            caution(language),
        ),
        code: Some(format!("/* as it is */\n{}\n\n/* apart */\n{}", note(&now), note(&after))),
    })
}

/// Whether a type is one that its user cannot change.
fn is_of_a_library(type_name: &str) -> bool {
    ["std::", "core::", "alloc::", "__gnu_cxx::", "boost::"]
        .iter()
        .any(|library| type_name.starts_with(library))
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "the parts".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A structure's members, each with the part that uses it. Bit-fields of one unit are one member.
fn arrangement(of: &DataType, base: u64, stretches: &[Stretch]) -> Option<Arrangement> {
    let part_of = |start: u64, end: u64| {
        stretches.iter().find(|it| it.start < end && start < it.end).map(|it| it.part)
    };
    let mut members: Vec<PlacedMember> = Vec::new();
    for member in of.members() {
        let offset = member.offset?;
        let name = match (member.role, member.name) {
            (MemberRole::VirtualTable, _) => "(virtual table)".to_owned(),
            (MemberRole::Base, _) => format!("(base {})", member.data_type.name()),
            (_, name) => name.unwrap_or_else(|| "(unnamed)".to_owned()),
        };
        if member.bits.is_some()
            && let Some(last) = members.last_mut().filter(|last| last.offset == offset)
        {
            last.name = format!("{}, {name}", last.name);
            continue;
        }
        let start = base.saturating_add(offset);
        members.push(PlacedMember {
            name,
            type_name: member.data_type.name(),
            offset,
            size: member.size,
            alignment: member.stated_alignment.unwrap_or_else(|| member.data_type.alignment()),
            part: part_of(start, start.saturating_add(member.size)),
            starts_line: false,
        });
    }
    members.sort_by_key(|member| member.offset);
    Some(Arrangement { members, size: of.size()?, alignment: of.alignment() })
}

/// What lies there has no known parts.
fn unknown(line: &Line) -> Advice {
    let parts: Vec<String> = line.parts.iter().take(4).map(what).collect();
    let has_name = line.objects.iter().any(|object| object.base.is_some());
    let why = match has_name {
        true => "its type is not known: debug information (-g) would tell",
        false => {
            "which object that is, is not known: debug information (-g), or record --heap, would tell"
        }
    };
    Advice {
        kind: "split",
        text: format!(
            "put {} on lines of their own, {} bytes apart ({why}). {PREFETCH}",
            parts.join(" and "),
            line.line_size
        ),
        code: None,
    }
}
