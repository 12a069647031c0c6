//! How a type lies in memory, as a plain model: what `hitm layout` shows, and what a change of it
//! would look like.

use serde::Serialize;

use crate::symbols::{DataType, Member, MemberRole, TypeKind};

/// How deep nested types are laid out.
const MAX_DEPTH: usize = 16;

/// How many members one layout has, those of nested types among them.
const MAX_MEMBERS: usize = 1 << 18;

/// How the members of a layout lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LayoutKind {
    /// One behind the other.
    Struct,
    /// All from the start.
    Union,
    /// Variants of a Rust enumeration, of which there is one at a time.
    Variants,
}

/// A type as laid out in memory.
///
/// Holes and sums are not stored but computed, so that a changed list of members is a layout as well.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layout {
    /// How the members lie to each other.
    pub kind: LayoutKind,
    /// The keyword of the language: `struct`, `class`, `union` or `enum`.
    pub keyword: String,
    /// Its name with the scopes around it; none for an anonymous one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language of its compile unit: `C`, `C++`, `Rust`, `Go` or `other`.
    pub language: String,
    /// The source file and the line of its declaration, as `file:line`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared_at: Option<String>,
    /// Where it starts in the outermost layout, bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub start: u64,
    /// How many bytes at its start belong to something else: the discriminant before a variant.
    #[serde(skip_serializing_if = "is_zero")]
    pub taken: u64,
    /// How many bytes it takes.
    pub size: u64,
    /// Its alignment, bytes: as stated, else as its members demand.
    pub alignment: u64,
    /// The alignment that the source or the compiler states, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stated_alignment: Option<u64>,
    /// Whether members lie closer than their own alignment allows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub packed: bool,
    /// The members in the order of their offsets.
    pub members: Vec<LayoutMember>,
}

/// A member of a layout.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayoutMember {
    /// Its name; none for anonymous members and base classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is: `data`, `base`, `virtual_base`, `virtual_table`, `discriminant` or `variant`.
    pub role: LayoutRole,
    /// The name of its type.
    pub type_name: String,
    /// Bytes from the start of the outermost layout; none where only the running program knows. For a
    /// bit-field, the start of its storage unit.
    pub offset: Option<u64>,
    /// How many bytes it takes; for a bit-field, its storage unit.
    pub size: u64,
    /// For a bit-field, its first bit in the storage unit and how many it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<LayoutBits>,
    /// The alignment that the source demands for it, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stated_alignment: Option<u64>,
    /// The padding at the end of its own type, bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub inner_padding: u64,
    /// The layout of its type, where that is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<Box<Layout>>,
}

/// The bits of a bit-field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LayoutBits {
    /// The first bit, from the least significant one of the storage unit.
    pub start: u64,
    /// How many bits.
    pub size: u64,
}

/// What a member is to its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LayoutRole {
    /// A member that the source declares.
    Data,
    /// A base class.
    Base,
    /// A virtual base class.
    VirtualBase,
    /// The pointer to the table of virtual functions.
    VirtualTable,
    /// What tells variants apart.
    Discriminant,
    /// The fields of one variant.
    Variant,
}

/// Bytes, or bits, between two members that belong to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// The index of the member behind it.
    pub before: usize,
    /// Bits that are left over in the storage unit of the bit-field before it.
    pub bits: u64,
    /// Whole bytes.
    pub bytes: u64,
}

/// The sums of a layout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LayoutSums {
    /// How many members, base classes among them.
    pub members: usize,
    /// Bytes of all members that are no bit-fields.
    pub member_bytes: u64,
    /// Bits of all bit-fields.
    pub member_bits: u64,
    /// How many byte holes.
    pub holes: usize,
    /// Their bytes.
    pub hole_bytes: u64,
    /// How many bit holes.
    pub bit_holes: usize,
    /// Their bits.
    pub hole_bits: u64,
    /// Bytes behind the last member.
    pub padding: u64,
    /// Bits behind the last member in its storage unit.
    pub bit_padding: u64,
    /// Members whose own type has padding at its end, and the bytes of that.
    pub paddings: usize,
    /// Bytes of those.
    pub padding_bytes: u64,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Layout {
    /// The layout of a type; none for types that have no members. With `expand`, named types of
    /// members are laid out as well, and not anonymous ones only.
    #[must_use]
    pub fn of(data_type: &DataType, expand: bool) -> Option<Self> {
        let mut room = MAX_MEMBERS;
        Self::within(&data_type.stripped(), data_type.plain_name(), 0, expand, 0, &mut room)
    }

    fn within(
        of: &DataType,
        name: Option<String>,
        base: u64,
        expand: bool,
        depth: usize,
        room: &mut usize,
    ) -> Option<Self> {
        let kind = match of.kind() {
            TypeKind::Struct => LayoutKind::Struct,
            TypeKind::Union => LayoutKind::Union,
            TypeKind::Variants => LayoutKind::Variants,
            _ => return None,
        };
        if depth > MAX_DEPTH {
            return None;
        }
        let mut members = Vec::new();
        for member in of.members() {
            if *room == 0 {
                break;
            }
            *room -= 1;
            members.push(LayoutMember::within(&member, base, expand, depth, room));
        }
        let place = |member: &LayoutMember| {
            let bits = member.bits.map_or(0, |bits| bits.start);
            member.offset.map_or(u64::MAX, |at| at.saturating_mul(8).saturating_add(bits))
        };
        if kind == LayoutKind::Struct {
            members.sort_by_key(place);
        } else {
            members.sort_by_key(|member| member.role != LayoutRole::Discriminant);
        }
        let discriminant = members.first().filter(|one| one.role == LayoutRole::Discriminant);
        let taken = discriminant.and_then(|one| one.offset).filter(|&at| at == base);
        let taken = taken.and_then(|_| Some(discriminant?.size)).unwrap_or(0);
        for inner in members.iter_mut().filter_map(|member| member.inner.as_mut()) {
            inner.taken = taken;
        }
        let declared = of.declared_at();
        Some(Self {
            kind,
            keyword: of.keyword().to_owned(),
            name: of.plain_name().or(name),
            language: of.language().to_string(),
            declared_at: declared.map(|at| format!("{}:{}", at.file, at.line)),
            start: base,
            taken: 0,
            size: of.size().unwrap_or(0),
            alignment: of.alignment(),
            stated_alignment: of.stated_alignment(),
            packed: of.is_packed(),
            members,
        })
    }

    /// How many lines of `line_size` bytes it takes when it starts at the start of one.
    #[must_use]
    pub fn lines(&self, line_size: u64) -> u64 {
        self.size.div_ceil(line_size.max(1))
    }

    /// The holes between its members. Only a [`LayoutKind::Struct`] has any.
    #[must_use]
    pub fn holes(&self) -> Vec<Hole> {
        self.walk().0
    }

    /// Its sums.
    #[must_use]
    pub fn sums(&self) -> LayoutSums {
        let (holes, (bit_padding, padding)) = self.walk();
        let mut sums = LayoutSums { members: self.members.len(), ..LayoutSums::default() };
        for member in &self.members {
            match member.bits {
                Some(bits) => sums.member_bits = sums.member_bits.saturating_add(bits.size),
                None => sums.member_bytes = sums.member_bytes.saturating_add(member.size),
            }
            if member.inner_padding > 0 {
                sums.paddings += 1;
                sums.padding_bytes = sums.padding_bytes.saturating_add(member.inner_padding);
            }
        }
        for hole in holes {
            sums.holes += usize::from(hole.bytes > 0);
            sums.hole_bytes = sums.hole_bytes.saturating_add(hole.bytes);
            sums.bit_holes += usize::from(hole.bits > 0);
            sums.hole_bits = sums.hole_bits.saturating_add(hole.bits);
        }
        (sums.bit_padding, sums.padding) = (bit_padding, padding);
        sums
    }

    /// The holes, and the bits and bytes behind the last member.
    fn walk(&self) -> (Vec<Hole>, (u64, u64)) {
        let mut holes = Vec::new();
        if self.kind != LayoutKind::Struct {
            return (holes, (0, 0));
        }
        let base = self.start;
        // Where the members so far end, and where the storage unit of the last bit-field does.
        let (mut end, mut storage_end) = (self.taken.saturating_mul(8), 0_u64);
        let mut virtual_bases = 0;
        for (index, member) in self.members.iter().enumerate() {
            let Some(offset) = member.offset else {
                virtual_bases = member.size.saturating_add(virtual_bases);
                continue;
            };
            let offset = offset.saturating_sub(base);
            let (start, size) = match member.bits {
                Some(bits) => (offset.saturating_mul(8).saturating_add(bits.start), bits.size),
                None => (offset.saturating_mul(8), member.size.saturating_mul(8)),
            };
            if member.role == LayoutRole::Base
                && self.members.get(index + 1).is_some_and(|next| {
                    next.offset.is_some_and(|next| {
                        let next = next.saturating_sub(base);
                        next > offset && next < offset.saturating_add(member.size)
                    })
                })
            {
                // The next member lies in the padding of the base class.
                let next = self.members.get(index + 1).and_then(|next| next.offset);
                end = end.max(next.unwrap_or(0).saturating_sub(base).saturating_mul(8));
                continue;
            }
            if start > end {
                let (bits, bytes) = split(end, start, storage_end);
                holes.push(Hole { before: index, bits, bytes });
            }
            if member.bits.is_some() {
                storage_end = offset.saturating_add(member.size).saturating_mul(8);
            } else if size > 0 {
                storage_end = 0;
            }
            end = end.max(start.saturating_add(size));
        }
        let all = self.size.saturating_mul(8);
        let (bits, bytes) = split(end, all.max(end), storage_end);
        (holes, (bits, bytes.saturating_sub(virtual_bases)))
    }
}

impl LayoutMember {
    fn within(member: &Member, base: u64, expand: bool, depth: usize, room: &mut usize) -> Self {
        let of = &member.data_type;
        let inner_type = of.stripped();
        let offset = member.offset.and_then(|offset| offset.checked_add(base));
        let role = match member.role {
            MemberRole::Base => LayoutRole::Base,
            MemberRole::VirtualBase => LayoutRole::VirtualBase,
            MemberRole::VirtualTable => LayoutRole::VirtualTable,
            MemberRole::Discriminant => LayoutRole::Discriminant,
            MemberRole::Variant => LayoutRole::Variant,
            _ => LayoutRole::Data,
        };
        // A typedef is the name of what it stands for.
        let anonymous = *of == inner_type && of.plain_name().is_none();
        let shown = anonymous || expand || role == LayoutRole::Variant;
        let inner = offset
            .filter(|_| shown)
            .and_then(|offset| Layout::within(&inner_type, None, offset, expand, depth + 1, room));
        Self {
            name: member.name.clone(),
            role,
            type_name: of.name(),
            offset,
            size: member.size,
            bits: member.bits.zip(member.offset).map(|(bits, offset)| LayoutBits {
                start: bits.start.saturating_sub(offset.saturating_mul(8)),
                size: bits.size,
            }),
            stated_alignment: member.stated_alignment,
            inner_padding: inner_padding(&inner_type, inner.as_ref(), depth, room),
            inner: inner.map(Box::new),
        }
    }
}

/// The padding at the end of a member's own type, or of the last one of its elements.
fn inner_padding(of: &DataType, inner: Option<&Layout>, depth: usize, room: &mut usize) -> u64 {
    if let Some(inner) = inner {
        return inner.sums().padding;
    }
    if of.kind() != TypeKind::Struct || depth > 0 {
        return 0;
    }
    let layout = Layout::within(of, None, 0, false, 1, room);
    layout.map_or(0, |layout| layout.sums().padding)
}

/// What is between two bits: bits in the storage unit of the bit-field before, then bytes.
fn split(end: u64, start: u64, storage_end: u64) -> (u64, u64) {
    let whole = end.checked_next_multiple_of(8).unwrap_or(u64::MAX).min(start);
    let unit = storage_end.clamp(end, start).max(whole);
    (unit - end, (start - unit) / 8)
}
