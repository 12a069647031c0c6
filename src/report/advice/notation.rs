//! Structures with the offset and size of each member, as `pahole` notes them.

use crate::lines::Arrangement;
use crate::symbols::Language;

/// A structure's members with offset, size, line boundaries and, where they are known, the threads that
/// use them: `users` by part.
pub(super) fn notation(
    of: &Arrangement,
    name: &str,
    language: Language,
    line: u64,
    users: &[String],
) -> String {
    let align = super::words::aligned(language, line);
    let declared: Vec<String> = of
        .members
        .iter()
        .map(|member| match language {
            Language::Rust => format!("{}: {},", member.name, member.type_name),
            Language::Go => format!("{} {}", member.name, member.type_name),
            _ => format!("{};", declared(&member.type_name, &member.name)),
        })
        .collect();
    let widest = declared.iter().map(String::len).max().unwrap_or(0).min(40);
    let (open, close) = match language {
        Language::Rust => (format!("struct {name} {{"), "}"),
        Language::Go => (format!("type {name} struct {{"), "}"),
        _ if name.starts_with("struct ") || name.starts_with("class ") => {
            (format!("{name} {{"), "};")
        }
        _ => (format!("struct {name} {{"), "};"),
    };
    let mut text = vec![open];
    let mut boundary = line;
    for (member, declared) in of.members.iter().zip(&declared) {
        while member.offset >= boundary {
            text.push(format!("    /* --- line {} ({boundary} bytes) --- */", boundary / line));
            boundary = boundary.saturating_add(line);
            if boundary > member.offset.saturating_add(line) {
                break;
            }
        }
        if member.starts_line {
            text.push(match language {
                Language::Rust => format!("    /* CachePadded, or a type with {align}: */"),
                Language::Go => "    _ cpu.CacheLinePad".to_owned(),
                _ => format!("    {align}"),
            });
        }
        let users = member.part.and_then(|part| users.get(part));
        let users = users.map(|users| format!("  {users}")).unwrap_or_default();
        text.push(format!(
            "    {declared:<widest$} /* {:>5} {:>5} */{users}",
            member.offset, member.size
        ));
        while member.offset.saturating_add(member.size) > boundary {
            boundary = boundary.saturating_add(line.max(member.size));
        }
    }
    text.push(format!("{close} /* size {}, alignment {} */", of.size, of.alignment));
    text.join("\n")
}

/// A declaration of C: arrays have their count behind the name.
fn declared(type_name: &str, name: &str) -> String {
    match type_name.split_once(" [") {
        Some((element, counts)) => format!("{element} {name}[{counts}"),
        None if type_name.ends_with('*') => format!("{type_name}{name}"),
        None => format!("{type_name} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::PlacedMember;

    #[test]
    fn members_are_noted_with_their_places() {
        let member = |name: &str, type_name: &str, offset, size, part, starts_line| PlacedMember {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            offset,
            size,
            alignment: 8,
            part,
            starts_line,
        };
        let stats = Arrangement {
            members: vec![
                member("name", "char [8]", 0, 8, None, false),
                member("hits", "long", 64, 8, Some(0), true),
            ],
            size: 128,
            alignment: 64,
        };
        let users = ["written in work".to_owned()];
        assert_eq!(
            notation(&stats, "struct stats", Language::C, 64, &users),
            "struct stats {\n    char name[8]; /*     0     8 */\n    /* --- line 1 (64 bytes) --- */\n    \
             _Alignas(64)\n    long hits;    /*    64     8 */  written in work\n}; /* size 128, \
             alignment 64 */"
        );
    }
}
