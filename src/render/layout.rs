//! A layout in the notation of `pahole`: declarations with offsets, sizes, holes and line boundaries.

use std::fmt::Write;

use super::clean::clean;
use crate::report::{Layout, LayoutKind, LayoutMember, LayoutRole};

/// The column of the comment with offset and size, from the indentation of the outermost members.
const COMMENT_COLUMN: usize = 50;

/// The column of the member's name, likewise.
const NAME_COLUMN: usize = 27;

/// How a layout is shown.
#[derive(Debug, Clone, Copy)]
pub struct LayoutStyle {
    /// Bytes of a line: 64, or 128 where lines are fetched in pairs.
    pub line_size: u64,
    /// Where in a line the object starts, bytes; 0 for an object that is aligned to lines.
    pub start_in_line: u64,
}

impl Default for LayoutStyle {
    fn default() -> Self {
        Self { line_size: 64, start_in_line: 0 }
    }
}

/// Texts that stand in the margin, left of the members whose bytes they are about.
#[derive(Debug, Clone, Default)]
pub struct LayoutMargin {
    /// What the margin tells, shown above it.
    pub title: String,
    /// The notes. A member shows those whose bytes overlap its own.
    pub notes: Vec<LayoutNote>,
}

/// One text of a margin.
#[derive(Debug, Clone)]
pub struct LayoutNote {
    /// The first byte it is about, from the start of the outermost layout.
    pub offset: u64,
    /// How many bytes it is about.
    pub size: u64,
    /// The text, of one line.
    pub text: String,
}

/// Shows a layout.
#[must_use]
pub fn layout(layout: &Layout, style: &LayoutStyle, margin: Option<&LayoutMargin>) -> String {
    let mut page = Page { lines: Vec::new(), style: *style, line: 0, margin };
    page.line = style.start_in_line / style.line_size.max(1);
    page.open(layout, 0, "");
    page.members(layout, 1);
    page.sums(layout);
    page.close(layout);
    page.finish()
}

/// A line of output: what it says, and the note beside it.
struct Line {
    note: String,
    text: String,
}

struct Page<'a> {
    lines: Vec<Line>,
    style: LayoutStyle,
    /// The number of the last cache line that was begun.
    line: u64,
    margin: Option<&'a LayoutMargin>,
}

impl Page<'_> {
    fn push(&mut self, depth: usize, text: &str) {
        self.push_with(depth, text, String::new());
    }

    fn push_with(&mut self, depth: usize, text: &str, note: String) {
        let text = clean(text);
        let text = if text.is_empty() { String::new() } else { "\t".repeat(depth) + &text };
        self.lines.push(Line { note, text });
    }

    /// A comment of its own line, with blank lines around it.
    fn aside(&mut self, depth: usize, text: &str) {
        self.gap();
        self.push(depth, &format!("/* {text} */"));
        self.push(0, "");
    }

    fn gap(&mut self) {
        let is_open = self.lines.last().is_none_or(|line| line.text.is_empty());
        if !is_open {
            self.push(0, "");
        }
    }

    fn open(&mut self, layout: &Layout, depth: usize, prefix: &str) {
        let mut text = format!("{prefix}{} ", layout.keyword);
        if let Some(name) = &layout.name {
            text += name;
            let bases = layout.members.iter().filter_map(|member| match member.role {
                LayoutRole::Base => Some(member.type_name.clone()),
                LayoutRole::VirtualBase => Some(format!("virtual {}", member.type_name)),
                _ => None,
            });
            let bases: Vec<String> = bases.collect();
            if !bases.is_empty() {
                let _ = write!(text, " : {}", bases.join(", "));
            }
            text.push(' ');
        }
        if let (0, Some(at)) = (depth, &layout.declared_at) {
            self.push(0, &format!("/* {at} */"));
        }
        self.push(depth, &format!("{text}{{"));
    }

    fn close(&mut self, layout: &Layout) {
        let is_rust = layout.language == "Rust";
        let mut attributes = Vec::new();
        if layout.packed {
            attributes.push("__packed__".to_owned());
        }
        attributes.extend(layout.stated_alignment.map(|to| format!("__aligned__({to})")));
        match (is_rust, attributes.is_empty()) {
            (true, _) => self.push(0, "}"),
            (_, true) => self.push(0, "};"),
            _ => self.push(0, &format!("}} __attribute__(({}));", attributes.join(", "))),
        }
    }

    fn members(&mut self, layout: &Layout, depth: usize) {
        let holes = layout.holes();
        for (index, member) in layout.members.iter().enumerate() {
            if let Some(hole) = holes.iter().find(|hole| hole.before == index) {
                if hole.bits > 0 {
                    self.aside(depth, &format!("XXX {} bits hole", hole.bits));
                }
                if hole.bytes > 0 {
                    self.aside(depth, &format!("XXX {} bytes hole", hole.bytes));
                }
            }
            if layout.kind == LayoutKind::Struct {
                self.boundary(member, depth);
            }
            self.member(layout, member, depth);
        }
    }

    /// Says which cache line begins at a member, or began inside of the one before it.
    fn boundary(&mut self, member: &LayoutMember, depth: usize) {
        let Some(offset) = member.offset else { return };
        let size = self.style.line_size.max(1);
        let at = offset.saturating_add(self.style.start_in_line);
        let line = at / size;
        if line <= self.line {
            return;
        }
        self.line = line;
        let since = match at % size {
            0 => String::new(),
            since => format!(" was {since} bytes ago"),
        };
        let bytes = line.saturating_mul(size).saturating_sub(self.style.start_in_line);
        self.push(
            depth,
            &format!("/* --- cacheline {line} boundary ({bytes} bytes){since} --- */"),
        );
    }

    fn member(&mut self, layout: &Layout, member: &LayoutMember, depth: usize) {
        let is_rust = layout.language == "Rust";
        let comment = comment(member);
        if let Some(inner) = &member.inner {
            let prefix = match (&member.name, is_rust || member.role == LayoutRole::Variant) {
                (Some(name), true) => format!("{name}: "),
                _ => String::new(),
            };
            let head = match member.role {
                LayoutRole::Variant => {
                    format!("{} {{", member.name.as_deref().unwrap_or("(default)"))
                }
                LayoutRole::Base | LayoutRole::VirtualBase => {
                    format!("/* base */ {} {{", member.type_name)
                }
                _ => match &inner.name {
                    Some(name) => format!("{prefix}{} {name} {{", inner.keyword),
                    None => format!("{prefix}{} {{", inner.keyword),
                },
            };
            self.push(depth, &head);
            self.members(inner, depth + 1);
            let padding = inner.sums().padding;
            if padding > 0 && member.role != LayoutRole::Variant {
                self.gap();
                self.push(depth + 1, &format!("/* padding: {padding} */"));
            }
            let name = member.name.as_deref().filter(|_| prefix.is_empty()).unwrap_or("");
            let end = match (is_rust, name) {
                (true, _) => "},".to_owned(),
                (_, "") => "};".to_owned(),
                (_, name) => format!("}} {name};"),
            };
            self.declaration(depth, &end, &comment, String::new());
        } else {
            let note = self.note(member);
            let text = declaration(member, is_rust);
            self.declaration(depth, &text, &comment, note);
        }
        let padding = member.inner_padding;
        if padding > 0 && member.inner.is_none() && member.role != LayoutRole::Variant {
            self.aside(depth, &format!("XXX its type has {padding} bytes of padding at its end"));
        }
    }

    fn declaration(&mut self, depth: usize, text: &str, comment: &str, note: String) {
        let column = COMMENT_COLUMN.saturating_sub((depth - 1) * 8);
        let text = clean(text);
        let text = format!("{text:column$} {comment}");
        self.push_with(depth, &text, note);
    }

    fn note(&self, member: &LayoutMember) -> String {
        let (Some(margin), Some(start)) = (self.margin, member.offset) else {
            return String::new();
        };
        let (start, size) = match member.bits {
            Some(bits) => (start.saturating_add(bits.start / 8), bits.size.div_ceil(8)),
            None => (start, member.size),
        };
        let end = start.saturating_add(size);
        let overlaps =
            |note: &&LayoutNote| note.offset < end && note.offset.saturating_add(note.size) > start;
        let texts = margin.notes.iter().filter(overlaps).map(|note| clean(&note.text).into_owned());
        texts.collect::<Vec<_>>().join(", ")
    }

    fn sums(&mut self, layout: &Layout) {
        let sums = layout.sums();
        let size = self.style.line_size.max(1);
        self.gap();
        let lines = layout.lines(size);
        let members = sums.members;
        let alignment = layout.alignment;
        let total = layout.size;
        self.push(1, &format!("/* size: {total}, cachelines: {lines}, members: {members} */"));
        if layout.kind == LayoutKind::Struct {
            if sums.holes > 0 {
                let (of, holes, bytes) = (sums.member_bytes, sums.holes, sums.hole_bytes);
                self.push(
                    1,
                    &format!("/* sum members: {of}, holes: {holes}, sum holes: {bytes} */"),
                );
            } else if sums.member_bits > 0 {
                self.push(1, &format!("/* sum members: {} */", sums.member_bytes));
            }
            if sums.member_bits > 0 {
                let mut text = format!("/* sum bitfield members: {} bits", sums.member_bits);
                if sums.bit_holes > 0 {
                    let (holes, bits) = (sums.bit_holes, sums.hole_bits);
                    let _ = write!(text, ", bit holes: {holes}, sum bit holes: {bits} bits");
                }
                self.push(1, &(text + " */"));
            }
            if sums.padding > 0 {
                self.push(1, &format!("/* padding: {} */", sums.padding));
            }
            if sums.bit_padding > 0 {
                self.push(1, &format!("/* bit_padding: {} bits */", sums.bit_padding));
            }
            if sums.paddings > 0 {
                let (count, bytes) = (sums.paddings, sums.padding_bytes);
                self.push(1, &format!("/* paddings: {count}, sum paddings: {bytes} */"));
            }
        }
        self.push(1, &format!("/* alignment: {alignment} */"));
        if !layout.size.is_multiple_of(size) {
            self.push(1, &format!("/* last cacheline: {} bytes */", layout.size % size));
        }
    }

    fn finish(self) -> String {
        let Some(margin) = self.margin else {
            return self.lines.iter().fold(String::new(), |text, line| text + &line.text + "\n");
        };
        let title = clean(&margin.title).into_owned();
        let widths = self.lines.iter().map(|line| line.note.chars().count());
        let width = widths.chain([title.chars().count()]).max().unwrap_or(0);
        let mut text = format!("{title:>width$} |\n");
        for Line { note, text: line } in &self.lines {
            let whole = format!("{note:>width$} | {line}");
            text += whole.trim_end();
            text.push('\n');
        }
        text
    }
}

/// Offset and size of a member, as a comment.
fn comment(member: &LayoutMember) -> String {
    match (member.offset, member.bits) {
        (Some(offset), Some(bits)) => {
            format!("/* {offset:5}:{:2} {:2} */", bits.start, member.size)
        }
        (Some(offset), None) => format!("/* {offset:5} {:5} */", member.size),
        (None, _) => format!("/*     ? {:5} */", member.size),
    }
}

/// The declaration of a member in its language.
fn declaration(member: &LayoutMember, is_rust: bool) -> String {
    let type_name = &member.type_name;
    match member.role {
        LayoutRole::Base => return format!("/* {type_name:24} <base>; */"),
        LayoutRole::VirtualBase => return format!("/* {type_name:24} <virtual base>; */"),
        LayoutRole::VirtualTable => return format!("/* {:24} <virtual table>; */", "void *"),
        LayoutRole::Discriminant => return format!("/* {type_name:24} <discriminant>; */"),
        LayoutRole::Variant if member.inner.is_none() => {
            return format!("{},", member.name.as_deref().unwrap_or("(default)"));
        }
        _ => {}
    }
    let name = member.name.as_deref().unwrap_or("");
    if is_rust {
        return format!("{name}: {type_name},");
    }
    // The dimensions of an array stand behind its name, and the name of a function pointer in it.
    let (head, tail) = match type_name.rfind(" [").filter(|_| type_name.ends_with(']')) {
        Some(at) => {
            (type_name.get(..at).unwrap_or(type_name), type_name.get(at + 1..).unwrap_or(""))
        }
        None => (type_name.as_str(), ""),
    };
    let bits = member.bits.map_or_else(String::new, |bits| format!(":{}", bits.size));
    let align = member
        .stated_alignment
        .map_or_else(String::new, |to| format!(" __attribute__((__aligned__({to})))"));
    if let Some((result, arguments)) = head.split_once("(*)") {
        let pointer = format!("(*{name}{tail}){arguments}{align};");
        return format!("{result:width$}{pointer}", width = NAME_COLUMN);
    }
    format!("{head:width$}{name}{tail}{bits}{align};", width = NAME_COLUMN.max(head.len() + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, type_name: &str, offset: u64, size: u64) -> LayoutMember {
        LayoutMember {
            name: Some(name.to_owned()),
            role: LayoutRole::Data,
            type_name: type_name.to_owned(),
            offset: Some(offset),
            size,
            bits: None,
            stated_alignment: None,
            inner_padding: 0,
            inner: None,
        }
    }

    /// As a change of a structure is made: from nothing but members.
    fn made(language: &str) -> Layout {
        Layout {
            kind: LayoutKind::Struct,
            keyword: "struct".to_owned(),
            name: Some("made".to_owned()),
            language: language.to_owned(),
            declared_at: None,
            start: 0,
            taken: 0,
            size: 80,
            alignment: 8,
            stated_alignment: None,
            packed: false,
            members: vec![
                member("hits", "long", 0, 8),
                member("names", "char * [4]", 16, 32),
                member("run", "int (*)(...)", 48, 8),
                member("last", "long", 64, 8),
            ],
        }
    }

    #[test]
    fn notes_stand_beside_the_members_they_are_about() {
        let margin = LayoutMargin {
            title: "heat".to_owned(),
            notes: vec![
                LayoutNote { offset: 4, size: 4, text: "90 %".to_owned() },
                LayoutNote { offset: 64, size: 1, text: "7 %".to_owned() },
                LayoutNote { offset: 71, size: 1, text: "3 %".to_owned() },
            ],
        };
        let text = layout(&made("C"), &LayoutStyle::default(), Some(&margin));
        let expected = [
            "    heat |",
            "         | struct made {",
            "    90 % | \tlong                       hits;                   /*     0     8 */",
            "         |",
            "         | \t/* XXX 8 bytes hole */",
            "         |",
            "         | \tchar *                     names[4];               /*    16    32 */",
            "         | \tint                        (*run)(...);            /*    48     8 */",
            "         |",
            "         | \t/* XXX 8 bytes hole */",
            "         |",
            "         | \t/* --- cacheline 1 boundary (64 bytes) --- */",
            "7 %, 3 % | \tlong                       last;                   /*    64     8 */",
            "         |",
            "         | \t/* size: 80, cachelines: 2, members: 4 */",
            "         | \t/* sum members: 56, holes: 2, sum holes: 16 */",
            "         | \t/* padding: 8 */",
            "         | \t/* alignment: 8 */",
            "         | \t/* last cacheline: 16 bytes */",
            "         | };",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn lines_begin_where_the_object_lies() {
        let style = LayoutStyle { line_size: 64, start_in_line: 24 };
        let text = layout(&made("C"), &style, None);
        assert!(text.contains("/* --- cacheline 1 boundary (40 bytes) was 8 bytes ago --- */"));
        let text = layout(&made("C"), &LayoutStyle { line_size: 128, start_in_line: 0 }, None);
        assert!(!text.contains("boundary") && text.contains("cachelines: 1"), "{text}");
    }

    #[test]
    fn rust_members_are_declared_as_rust_does() {
        let text = layout(&made("Rust"), &LayoutStyle::default(), None);
        assert!(text.contains("\thits: long, "), "{text}");
        assert!(text.ends_with("\n}\n"), "{text}");
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let mut hostile = made("C");
        hostile.members = vec![member("a\u{1b}[2J", "b\nc", 0, 8)];
        hostile.name = Some("d\u{202e}".to_owned());
        let text = layout(&hostile, &LayoutStyle::default(), None);
        assert!(!text.contains(['\u{1b}', '\u{202e}']) && text.contains("b?c"), "{text}");
    }
}
