//! From an offset in an object to the field that is there.

use super::data_type::{DataType, Member, MemberRole, TypeKind};

/// How deep fields of fields are followed.
const MAX_DEPTH: usize = 48;

/// How many members one question looks at.
const MAX_VISITED: usize = 1 << 18;

/// How many fields one answer lists.
const MAX_FIELDS: usize = 256;

/// How many names stand in one set of alternatives.
const MAX_CANDIDATES: usize = 8;

/// A field of an object, with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// How the source names it, from the object on: `slots[3].hits`. Empty for the object itself.
    pub path: String,
    /// Where it starts, bytes from the start of the object.
    pub offset: u64,
    /// How many bytes it has; for a bit-field, those that hold its bits.
    pub size: u64,
    /// The name of its type.
    pub type_name: String,
}

/// How an access lies to the field that was found for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldExtent {
    /// The access is the field, byte for byte.
    Whole,
    /// The access is a part of the field.
    Part,
    /// The access covers, or touches, several fields of what the path names: these.
    Several(Vec<String>),
    /// The bytes hold no field: the range is that of the hole.
    Padding,
    /// Bit-fields of these names are in the bytes.
    BitFields(Vec<String>),
    /// The bytes are shared by members of a union or by variants: these have the accessed bytes. Or they
    /// are those of a virtual base class, whose place the type alone does not tell.
    Alternatives(Vec<String>),
}

/// The field at some bytes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldAt {
    /// The field: the smallest that has all of the bytes. The path of several alternatives has them
    /// in braces: `u.{a|b}`.
    pub field: Field,
    /// How the bytes lie to it.
    pub extent: FieldExtent,
}

impl Field {
    /// The path behind the name of its object: `counters.slots[3].hits`.
    #[must_use]
    pub fn of(&self, object: &str) -> String {
        join(object, &self.path)
    }
}

impl DataType {
    /// The field at `offset` of an object of this type that an access of `size` bytes is for.
    ///
    /// None when the offset is outside of the object.
    #[must_use]
    pub fn path_at(&self, offset: u64, size: u64) -> Option<FieldAt> {
        let end = offset.checked_add(size.max(1))?;
        let start = Position { path: String::new(), base: 0 };
        let mut search = Search { from: offset, to: end, visited: 0 };
        let own_size = self.size().unwrap_or(u64::MAX);
        let open = self.element().is_some_and(|(_, count)| count.is_none());
        if offset >= own_size && !open && !self.ends_open() {
            return None;
        }
        Some(search.descend(self, start, 0))
    }

    /// The fields that overlap the bytes from `from` to `to` (exclusive) of an object of this type, in
    /// their order, at most 256. Arrays are expanded in that range only.
    #[must_use]
    pub fn fields_in(&self, from: u64, to: u64) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut search = Search { from, to, visited: 0 };
        search.list(self, Position { path: String::new(), base: 0 }, 0, &mut fields);
        fields.sort_by_key(|field| field.offset);
        fields
    }

    /// Whether the last member is an array without a stated end.
    fn ends_open(&self) -> bool {
        let stripped = self.stripped();
        stripped.kind() == TypeKind::Struct && stripped.members().last().is_some_and(is_open)
    }
}

fn is_open(member: &Member) -> bool {
    let element = member.data_type.stripped().element();
    member.size == 0 && element.is_some_and(|(_, count)| count.is_none_or(|count| count == 0))
}

/// A part of the object on the way down.
#[derive(Debug, Clone)]
struct Position {
    path: String,
    base: u64,
}

struct Search {
    from: u64,
    to: u64,
    visited: usize,
}

impl Search {
    fn overlaps(&self, start: u64, end: u64) -> bool {
        start < self.to && end > self.from
    }

    fn contains(&self, start: u64, end: u64) -> bool {
        start <= self.from && self.to <= end
    }

    fn leaf(&self, of: &DataType, at: Position) -> FieldAt {
        let size = of.size().unwrap_or(0);
        let whole = at.base == self.from && at.base.saturating_add(size) == self.to;
        FieldAt {
            field: Field { path: at.path, offset: at.base, size, type_name: of.name() },
            extent: if whole { FieldExtent::Whole } else { FieldExtent::Part },
        }
    }

    fn descend(&mut self, of: &DataType, at: Position, depth: usize) -> FieldAt {
        let inner = of.stripped();
        if depth > MAX_DEPTH || self.visited > MAX_VISITED || of.is_opaque() {
            return self.leaf(of, at);
        }
        match inner.kind() {
            TypeKind::Array => self.in_array(of, &inner, at, depth),
            TypeKind::Struct | TypeKind::Variants => self.in_struct(of, &inner, at, depth),
            TypeKind::Union => {
                let members = inner.members();
                self.visited += members.len();
                self.in_alternatives(of, &inner, members, at, depth)
            }
            _ => self.leaf(of, at),
        }
    }

    fn in_array(&mut self, of: &DataType, inner: &DataType, at: Position, depth: usize) -> FieldAt {
        let Some((element, count)) = inner.element() else { return self.leaf(of, at) };
        let Some(size) = element.size().filter(|&size| size > 0) else {
            return self.leaf(of, at);
        };
        let last = count.filter(|&count| count > 0).map_or(u64::MAX, |count| count - 1);
        let first = (self.from.saturating_sub(at.base) / size).min(last);
        let final_one = ((self.to - 1).saturating_sub(at.base) / size).min(last);
        let base = at.base.saturating_add(first.saturating_mul(size));
        if first == final_one {
            let path = format!("{}[{first}]", at.path);
            return self.descend(&element, Position { path, base }, depth + 1);
        }
        let names = (first..=final_one).take(MAX_CANDIDATES);
        let names = names.map(|index| format!("{}[{index}]", at.path)).collect();
        FieldAt {
            field: Field {
                path: format!("{}[{first}...{final_one}]", at.path),
                offset: base,
                size: (final_one - first + 1).saturating_mul(size),
                type_name: element.name(),
            },
            extent: FieldExtent::Several(names),
        }
    }

    fn in_struct(
        &mut self,
        of: &DataType,
        inner: &DataType,
        at: Position,
        depth: usize,
    ) -> FieldAt {
        let members = inner.members();
        self.visited += members.len();
        let end_of_object = at.base.saturating_add(inner.size().unwrap_or(u64::MAX));
        let mut touched = Vec::new();
        // The hole, if nothing is touched: from the last end before to the next start behind.
        let mut hole = (at.base, end_of_object);
        for member in members {
            let Some((start, end)) = bytes_of(&member, at.base) else { continue };
            if self.overlaps(start, end) {
                touched.push((member, start, end));
            } else if end <= self.from {
                hole.0 = hole.0.max(end);
            } else {
                hole.1 = hole.1.min(start);
            }
        }
        // Members may lie in the padding at the end of a base class.
        if touched.len() > 1 {
            touched.retain(|(member, start, _)| {
                member.role != MemberRole::Base || !self.is_padding(member, *start, depth)
            });
        }
        let variants = |role| matches!(role, MemberRole::Variant | MemberRole::Discriminant);
        if touched.iter().any(|(member, ..)| variants(member.role)) {
            let members = touched.into_iter().map(|(member, ..)| member).collect();
            return self.in_alternatives(of, inner, members, at, depth);
        }
        if let [(member, start, end)] = &touched[..]
            && member.bits.is_none()
            && self.contains(*start, *end)
        {
            let path = self.step(inner, member, &at.path);
            return self.descend(&member.data_type, Position { path, base: *start }, depth + 1);
        }
        let names = |path: &str| -> Vec<String> {
            let named = touched.iter().take(MAX_CANDIDATES);
            named.map(|(member, ..)| join(path, &segment(member))).collect()
        };
        let (Some(first), Some(last)) = (
            touched.iter().map(|(_, start, _)| *start).min(),
            touched.iter().map(|(.., end)| *end).max(),
        ) else {
            let (start, end) = hole;
            let bases = inner.members().into_iter();
            let bases = bases.filter(|member| member.role == MemberRole::VirtualBase);
            let bases: Vec<String> =
                bases.map(|base| format!("(virtual base {})", base.data_type.name())).collect();
            let extent = if bases.is_empty() || end != end_of_object {
                FieldExtent::Padding
            } else {
                // They lie behind the members, each where the running program says.
                FieldExtent::Alternatives(bases)
            };
            return FieldAt {
                field: Field {
                    path: at.path,
                    offset: start,
                    size: end.saturating_sub(start),
                    type_name: String::new(),
                },
                extent,
            };
        };
        if touched.iter().all(|(member, ..)| member.bits.is_some()) {
            let bits = names("");
            let type_name =
                touched.first().map_or_else(String::new, |(member, ..)| member.data_type.name());
            return FieldAt {
                field: Field {
                    path: join(&at.path, &braces(&bits)),
                    offset: first,
                    size: last - first,
                    type_name,
                },
                extent: FieldExtent::BitFields(names(&at.path)),
            };
        }
        FieldAt {
            field: Field {
                offset: at.base,
                size: inner.size().unwrap_or(0),
                type_name: of.name(),
                path: at.path.clone(),
            },
            extent: FieldExtent::Several(names(&at.path)),
        }
    }

    fn is_padding(&mut self, member: &Member, start: u64, depth: usize) -> bool {
        let at = Position { path: String::new(), base: start };
        let found = self.descend(&member.data_type, at, depth + 1);
        found.extent == FieldExtent::Padding
    }

    /// The bytes belong to one of several members, and nothing says to which.
    fn in_alternatives(
        &mut self,
        of: &DataType,
        inner: &DataType,
        members: Vec<Member>,
        at: Position,
        depth: usize,
    ) -> FieldAt {
        let mut found: Vec<(FieldAt, MemberRole)> = Vec::new();
        for member in members {
            let Some((start, end)) = bytes_of(&member, at.base) else { continue };
            if !self.overlaps(start, end) {
                continue;
            }
            if found.len() >= 64 || self.visited > MAX_VISITED {
                break;
            }
            // Paths start anew here, so that alternatives can be put in braces.
            let path = self.step(inner, &member, "");
            let at = Position { path, base: start };
            found.push((self.descend(&member.data_type, at, depth + 1), member.role));
        }
        // Padding of one variant is not what an access is for when another has a field there, and a
        // discriminant that lies in a field is that field.
        let is_field = |(one, role): &(FieldAt, MemberRole)| {
            one.extent != FieldExtent::Padding && *role != MemberRole::Discriminant
        };
        if found.iter().any(is_field) {
            found.retain(is_field);
        }
        // A field of just these bytes, then fields of an array that are, then all that have them.
        let whole = |(one, _): &(FieldAt, MemberRole)| one.extent == FieldExtent::Whole;
        let exact = |(one, _): &(FieldAt, MemberRole)| {
            (one.field.offset, one.field.offset.saturating_add(one.field.size))
                == (self.from, self.to)
        };
        if found.iter().any(whole) {
            found.retain(whole);
        } else if found.iter().any(exact) {
            found.retain(exact);
        }
        let mut names: Vec<String> = Vec::new();
        for (one, _) in &found {
            if !names.contains(&one.field.path) && names.len() < MAX_CANDIDATES {
                names.push(one.field.path.clone());
            }
        }
        let Some((first, _)) = found.first() else { return self.leaf(of, at) };
        let mut field = first.field.clone();
        if found.iter().any(|(one, _)| one.field.type_name != field.type_name) {
            field.type_name = of.name();
        }
        if found
            .iter()
            .any(|(one, _)| (one.field.offset, one.field.size) != (field.offset, field.size))
        {
            field.offset = at.base;
            field.size = inner.size().unwrap_or(0);
        }
        let extent = match (&found[..], &names[..]) {
            ([(only, _)], _) => prefixed(&at.path, only.extent.clone()),
            _ => FieldExtent::Alternatives(names.iter().map(|n| join(&at.path, n)).collect()),
        };
        field.path = join(&at.path, &braces(&names));
        FieldAt { field, extent }
    }

    /// The path to a member; what is shown as what it wraps adds nothing.
    fn step(&self, inner: &DataType, member: &Member, path: &str) -> String {
        if inner.wrapped().is_some() {
            return path.to_owned();
        }
        join(path, &segment(member))
    }

    fn list(&mut self, of: &DataType, at: Position, depth: usize, fields: &mut Vec<Field>) {
        let inner = of.stripped();
        if fields.len() >= MAX_FIELDS || self.visited > MAX_VISITED {
            return;
        }
        self.visited += 1;
        let leaf = |at: Position| Field {
            path: at.path,
            offset: at.base,
            size: of.size().unwrap_or(0),
            type_name: of.name(),
        };
        if depth > MAX_DEPTH || of.is_opaque() {
            fields.push(leaf(at));
            return;
        }
        match inner.kind() {
            TypeKind::Array => {
                let Some((element, count)) = inner.element() else { return };
                let Some(size) = element.size().filter(|&size| size > 0) else { return };
                let first = self.from.saturating_sub(at.base) / size;
                let last = (self.to - 1).saturating_sub(at.base) / size;
                let last = count.filter(|&c| c > 0).map_or(last, |count| last.min(count - 1));
                for index in first..=last {
                    if fields.len() >= MAX_FIELDS {
                        return;
                    }
                    let base = at.base.saturating_add(index.saturating_mul(size));
                    let path = format!("{}[{index}]", at.path);
                    self.list(&element, Position { path, base }, depth + 1, fields);
                }
            }
            TypeKind::Struct | TypeKind::Variants | TypeKind::Union => {
                for member in inner.members() {
                    let Some((start, end)) = bytes_of(&member, at.base) else { continue };
                    if !self.overlaps(start, end) {
                        continue;
                    }
                    let path = self.step(&inner, &member, &at.path);
                    if member.bits.is_some() {
                        if fields.len() < MAX_FIELDS {
                            let type_name = member.data_type.name();
                            fields.push(Field {
                                path,
                                offset: start,
                                size: end - start,
                                type_name,
                            });
                        }
                    } else {
                        let at = Position { path, base: start };
                        self.list(&member.data_type, at, depth + 1, fields);
                    }
                }
            }
            _ => fields.push(leaf(at)),
        }
    }
}

/// The bytes of a member of an object at `base`; none for those that take none.
fn bytes_of(member: &Member, base: u64) -> Option<(u64, u64)> {
    if let Some(bits) = member.bits {
        let start = base.checked_add(bits.start / 8)?;
        let end = base.checked_add(bits.start.checked_add(bits.size)?.div_ceil(8))?;
        return (start < end).then_some((start, end));
    }
    let start = base.checked_add(member.offset?)?;
    if is_open(member) {
        return Some((start, u64::MAX));
    }
    (member.size > 0).then(|| (start, start.saturating_add(member.size)))
}

/// What a member adds to a path.
fn segment(member: &Member) -> String {
    match (member.role, &member.name) {
        (MemberRole::Base | MemberRole::VirtualBase, _) => String::new(),
        (MemberRole::VirtualTable, _) => "(virtual table)".to_owned(),
        (MemberRole::Discriminant, _) => "(discriminant)".to_owned(),
        (_, Some(name)) => name.clone(),
        (_, None) => String::new(),
    }
}

fn braces(names: &[String]) -> String {
    match names {
        [one] => one.clone(),
        _ => format!("{{{}}}", names.join("|")),
    }
}

fn prefixed(path: &str, extent: FieldExtent) -> FieldExtent {
    let all = |names: Vec<String>| names.iter().map(|name| join(path, name)).collect();
    match extent {
        FieldExtent::Several(names) => FieldExtent::Several(all(names)),
        FieldExtent::BitFields(names) => FieldExtent::BitFields(all(names)),
        FieldExtent::Alternatives(names) => FieldExtent::Alternatives(all(names)),
        other => other,
    }
}

fn join(path: &str, part: &str) -> String {
    match (path.is_empty(), part.is_empty()) {
        (true, _) => part.to_owned(),
        (_, true) => path.to_owned(),
        _ if part.starts_with('[') => format!("{path}{part}"),
        _ => format!("{path}.{part}"),
    }
}
