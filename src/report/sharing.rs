//! Who shares what in a line, in words.

use std::collections::BTreeMap;

use super::blame::blamed;
use super::model::{Access, Line, SharedPart};
use crate::lines::{SharedBytes, Sharing, Thread, Verdict};

/// More parts are not told one by one.
const TOLD: usize = 4;

/// The word for it in JSON.
pub(super) fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::False => "false",
        Verdict::True => "true",
        Verdict::Mixed => "mixed",
    }
}

/// The parts of a line, each with the names of its bytes and the functions that use it.
pub(super) fn parts(sharing: &Sharing, line: &Line) -> Vec<SharedPart> {
    sharing.parts.iter().map(|part| shared_part(part, &line.accesses)).collect()
}

fn shared_part(part: &SharedBytes, accesses: &[Access]) -> SharedPart {
    let is_inside = |offset: u64, size: u64| {
        part.ranges.iter().any(|range| {
            offset < u64::from(range.end) && u64::from(range.start) < offset + size.max(1)
        })
    };
    let mut names: Vec<String> = Vec::new();
    let inside =
        accesses.iter().filter(|access| is_inside(access.offset, access.size.unwrap_or(1)));
    for name in inside.filter_map(|access| access.field.as_ref()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let functions = |is_wanted: fn(&str) -> bool, users: &BTreeMap<Thread, u64>| {
        let mut by_name: BTreeMap<&str, u64> = BTreeMap::new();
        for access in accesses {
            let is_users = access.threads.iter().any(|thread| {
                users.keys().any(|(pid, tid)| (pid.0, tid.0) == (thread.pid, thread.tid))
            });
            if is_users
                && is_wanted(access.kind)
                && is_inside(access.offset, access.size.unwrap_or(1))
                && let Some(symbol) = blamed(access)
            {
                *by_name.entry(symbol).or_default() += access.samples.max(1);
            }
        }
        let mut names: Vec<(&str, u64)> = by_name.into_iter().collect();
        names.sort_by_key(|(name, samples)| (std::cmp::Reverse(*samples), *name));
        names.into_iter().map(|(name, _)| name.to_owned()).collect()
    };
    // Whoever spins only looks; a lock is what somebody takes.
    let has_lock = accesses
        .iter()
        .filter(|access| is_inside(access.offset, access.size.unwrap_or(1)))
        .any(|access| matches!(access.lock, Some("take" | "draw" | "use")));
    let tids = |users: &BTreeMap<Thread, u64>| users.keys().map(|(_, tid)| tid.0).collect();
    SharedPart {
        ranges: part
            .ranges
            .iter()
            .map(|range| (u64::from(range.start), u64::from(range.end - range.start)))
            .collect(),
        fields: names,
        readers: tids(&part.readers),
        writers: tids(&part.writers),
        read_in: functions(|kind| kind != "store", &part.readers),
        written_in: functions(|kind| kind != "load", &part.writers),
        has_lock,
    }
}

/// What makes the sharing false or true, in a sentence.
pub(super) fn reason(verdict: Verdict, parts: &[SharedPart]) -> String {
    let told = told(parts);
    let end = match verdict {
        Verdict::False => "what one of them writes, no other touches",
        Verdict::True => "they use the same bytes",
        Verdict::Mixed => {
            "some of these bytes are truly shared, and others only share the line with them"
        }
    };
    format!("{told}: {end}.")
}

fn told(parts: &[SharedPart]) -> String {
    // What differs in its numbers only is told once: an array of slots, each its thread's.
    let mut alike: Vec<(String, Vec<&SharedPart>)> = Vec::new();
    for part in parts {
        let shape = format!("{}|{}", without_numbers(&what(part)), use_of(part));
        match alike.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, same)) => same.push(part),
            None => alike.push((shape, vec![part])),
        }
    }
    let hidden = alike.len().saturating_sub(TOLD);
    let mut told: Vec<String> = alike
        .iter()
        .take(TOLD)
        .map(|(_, same)| match same[..] {
            [part] => format!("{} {} {}", what(part), verb(part), use_of(part)),
            [first, second] => {
                format!("{} and {} are each {}", what(first), what(second), use_of(first))
            }
            [first, .., last] => {
                format!("{} … {} are each {}", what(first), what(last), use_of(first))
            }
            [] => String::new(),
        })
        .collect();
    if hidden > 0 {
        told.push(format!("and {hidden} parts more"));
    }
    told.join("; ")
}

fn without_numbers(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_hexdigit()).collect()
}

/// The names of the bytes, or their offsets.
pub(super) fn what(part: &SharedPart) -> String {
    const NAMED: usize = 3;
    let names: Vec<String> = if part.fields.is_empty() {
        let range = |(offset, size): &(u64, u64)| match size {
            0 | 1 => format!("byte {offset:#x}"),
            size => format!("bytes {offset:#x}–{:#x}", offset + size - 1),
        };
        part.ranges.iter().map(range).collect()
    } else {
        part.fields.iter().map(|name| format!("`{}`", name.replace('`', "'"))).collect()
    };
    let lock = if part.has_lock { " (with a lock)" } else { "" };
    let names_told = match names.len() {
        0 => "nothing".to_owned(),
        count if count > NAMED => {
            format!("{} and {} more", names[..NAMED].join(", "), count - NAMED)
        }
        1 => names[0].clone(),
        count => format!("{} and {}", names[..count - 1].join(", "), names[count - 1]),
    };
    format!("{names_told}{lock}")
}

fn verb(part: &SharedPart) -> &'static str {
    let is_several = part.fields.len() > 1
        || part.fields.is_empty() && part.ranges.iter().any(|(_, size)| *size > 1);
    if is_several { "are" } else { "is" }
}

/// Who uses them, and how.
pub(super) fn use_of(part: &SharedPart) -> String {
    let count = |threads: usize| match threads {
        1 => "1 thread".to_owned(),
        several => format!("{several} threads"),
    };
    let within = |functions: &[String]| match functions {
        [] => String::new(),
        [one] => format!(" in {one}"),
        [one, two] => format!(" in {one} and {two}"),
        [one, rest @ ..] => format!(" in {one} and {} more functions", rest.len()),
    };
    let (readers, writers) = (&part.readers, &part.writers);
    let others = readers.iter().filter(|tid| !writers.contains(tid)).count();
    let (read_in, written_in) = (within(&part.read_in), within(&part.written_in));
    match (writers.len(), others) {
        (0, _) => format!("only read, by {}{read_in}", count(readers.len())),
        (written, 0) => format!("written by {}{written_in}", count(written)),
        (written, others) => {
            let read_in = if read_in == written_in { "" } else { read_in.as_str() };
            format!("written by {}{written_in} and read by {others} more{read_in}", count(written))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(
        ranges: &[(u64, u64)],
        fields: &[&str],
        readers: &[u32],
        writers: &[u32],
    ) -> SharedPart {
        SharedPart {
            ranges: ranges.to_vec(),
            fields: fields.iter().map(|name| (*name).to_owned()).collect(),
            readers: readers.to_vec(),
            writers: writers.to_vec(),
            read_in: vec!["check".to_owned()],
            written_in: vec!["work".to_owned()],
            has_lock: false,
        }
    }

    #[test]
    fn who_uses_what_is_told_in_a_sentence() {
        let parts = [
            part(&[(0, 8)], &["hits"], &[1, 2], &[1, 2]),
            part(&[(8, 4)], &["limit"], &[3, 4, 5], &[]),
        ];
        assert_eq!(
            reason(Verdict::Mixed, &parts),
            "`hits` is written by 2 threads in work; `limit` is only read, by 3 threads in check: \
             some of these bytes are truly shared, and others only share the line with them."
        );
        let flag = [part(&[(0, 8)], &[], &[3, 4], &[1])];
        assert_eq!(
            reason(Verdict::True, &flag),
            "bytes 0x0–0x7 are written by 1 thread in work and read by 2 more in check: they use \
             the same bytes."
        );
    }

    #[test]
    fn slots_are_told_once() {
        let parts: Vec<SharedPart> = (0..8)
            .map(|slot| {
                part(&[(slot * 8, 8)], &[&format!("slots[{slot}].hits")], &[], &[slot as u32])
            })
            .collect();
        assert_eq!(
            reason(Verdict::False, &parts),
            "`slots[0].hits` … `slots[7].hits` are each written by 1 thread in work: what one \
             of them writes, no other touches."
        );
    }
}
