//! What `pahole` prints, as numbers.

/// A structure as `pahole` prints it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// `struct foo`, `class ns`, without base classes.
    pub name: String,
    /// Name, offset, first bit and size of each member, nested ones before what they are nested in.
    pub members: Vec<PrintedMember>,
    /// The sums, by their names.
    pub sums: Vec<(String, u64)>,
    /// Whether `pahole` says that its own sums do not add up.
    pub contradicts_itself: bool,
    /// Whether it has a virtual base class, whose offset `pahole` makes up.
    pub has_virtual_base: bool,
}

/// A member as `pahole` prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrintedMember {
    pub name: String,
    pub offset: u64,
    pub bit: Option<u64>,
    pub size: u64,
}

/// The sums that are compared.
pub const SUMS: [&str; 10] = [
    "size",
    "members",
    "sum members",
    "holes",
    "sum holes",
    "sum bitfield members",
    "bit holes",
    "sum bit holes",
    "padding",
    "bit_padding",
];

/// Reads the whole output.
pub fn parse(text: &str) -> Vec<Printed> {
    let mut all = Vec::new();
    let mut current: Option<Printed> = None;
    for line in text.lines() {
        let Some(printed) = &mut current else {
            let head = line.strip_suffix(" {").filter(|head| !head.starts_with(['\t', ' ']));
            if let Some(head) = head {
                let (name, bases) = head.split_once(" : ").unwrap_or((head, ""));
                current = Some(Printed {
                    name: name.to_owned(),
                    has_virtual_base: bases.contains("virtual "),
                    ..Printed::default()
                });
            }
            continue;
        };
        if line.starts_with('}') {
            all.extend(current.take());
        } else if line.contains("BRAIN FART") {
            printed.contradicts_itself = true;
        } else if let Some(member) = member(line) {
            printed.members.push(member);
        } else if line.starts_with("\t/* ") && !line.contains("XXX") && !line.contains("---") {
            printed.sums.extend(sums(line));
        }
    }
    all
}

/// `/*     8:40  8 */` or `/*    16     1 */` at the end of a declaration.
fn member(line: &str) -> Option<PrintedMember> {
    let (declaration, comment) = line.trim().strip_suffix("*/")?.rsplit_once("/*")?;
    if declaration.trim().is_empty() || declaration.starts_with("static ") {
        return None;
    }
    let (place, size) = comment.trim().rsplit_once(' ')?;
    let (offset, bit) = match place.split_once(':') {
        Some((offset, bit)) => (offset, Some(bit.trim().parse().ok()?)),
        None => (place, None),
    };
    Some(PrintedMember {
        name: name(declaration.trim()),
        offset: offset.trim().parse().ok()?,
        bit,
        size: size.parse().ok()?,
    })
}

/// The name that a declaration declares.
fn name(declaration: &str) -> String {
    if declaration.contains("<ancestor>") || declaration.contains("_vptr") {
        return String::new();
    }
    let declaration = declaration.split(" __attribute__").next().unwrap_or(declaration);
    let declaration = declaration.trim_end_matches(';');
    let inner = declaration.split_once("(*").map_or(declaration, |(_, rest)| rest);
    let inner = inner.split([')', '[', ':']).next().unwrap_or(inner);
    let inner = if declaration.contains("(*") { inner } else { declaration };
    // A bit-field's width, and dimensions, stand behind the name.
    let inner = inner.split('[').next().unwrap_or(inner);
    let inner = match inner.rsplit_once(':') {
        Some((name, width)) if width.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => inner,
    };
    let last = inner.rsplit([' ', '*', '}', '\t']).next().unwrap_or(inner);
    last.to_owned()
}

/// `/* sum members: 10, holes: 1, sum holes: 7 */`.
fn sums(line: &str) -> Vec<(String, u64)> {
    let inner = line.trim().trim_start_matches("/* ").trim_end_matches(" */");
    let parts = inner.split(", ").filter_map(|part| {
        let (name, value) = part.split_once(": ")?;
        let value = value.split(' ').next()?.parse().ok()?;
        SUMS.contains(&name).then(|| (name.to_owned(), value))
    });
    parts.collect()
}
