//! A type: its name, its size and its parts.

use std::fmt;
use std::sync::Arc;

use super::debug_data::EntryId;
use super::language::Language;
use super::shape::{RawMember, RawRole, Shape};
use super::type_reader::TypeReader;

/// How deep types of types are followed: pointers to arrays of typedefs and so on.
pub(super) const MAX_DEPTH: usize = 32;

/// How many parts of a class are asked whether it has any data.
const MAX_EMPTY_PARTS: usize = 256;

/// What a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TypeKind {
    /// A number, a character or a truth value.
    Base,
    /// A structure or a class; in Rust also a tuple and a closure.
    Struct,
    /// A type whose members share their bytes.
    Union,
    /// An enumeration of numbers. Rust's enumerations with data are [`TypeKind::Variants`].
    Enum,
    /// A structure that is one of several variants at a time: a Rust enumeration.
    Variants,
    /// A row of elements of one type.
    Array,
    /// A pointer.
    Pointer,
    /// A reference.
    Reference,
    /// Another name of a type.
    Typedef,
    /// A type with `const`, `volatile`, `_Atomic` or `restrict`.
    Qualified,
    /// A function.
    Function,
    /// Any other.
    Other,
}

/// Where something was declared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeclaredAt {
    /// The source file, with the directory that the debug information states.
    pub file: String,
    /// The line in that file, from 1.
    pub line: u64,
}

/// A range of bits, counted from the least significant bit of the first byte of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BitRange {
    /// The first bit.
    pub start: u64,
    /// How many bits.
    pub size: u64,
}

/// What a member is to the type that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemberRole {
    /// A member that the source declares.
    Data,
    /// A base class.
    Base,
    /// A virtual base class: where it lies is known at run time only.
    VirtualBase,
    /// The pointer to the table of virtual functions.
    VirtualTable,
    /// What tells the variants of a Rust enumeration apart.
    Discriminant,
    /// The fields of one variant of a Rust enumeration, named as the variant.
    Variant,
}

/// A part of a structure, class, union or Rust enumeration.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name; none for anonymous structures, base classes and the like. Fields of Rust tuples are
    /// `0`, `1` and so on.
    pub name: Option<String>,
    /// What it is.
    pub role: MemberRole,
    /// Bytes from the start of the object; none where only the running program knows it. For a
    /// bit-field, where its storage unit starts.
    pub offset: Option<u64>,
    /// How many bytes it takes, 0 for an open array and a class without data. For a bit-field, the size of its storage unit.
    pub size: u64,
    /// The bits, if it is a bit-field.
    pub bits: Option<BitRange>,
    /// Its type.
    pub data_type: DataType,
    /// The alignment that the source demands for this member, bytes.
    pub stated_alignment: Option<u64>,
}

/// A handle to a type. Cloning is cheap; asking reads no more than what was asked for.
#[derive(Clone)]
pub struct DataType {
    pub(super) reader: Arc<TypeReader>,
    pub(super) shape: Arc<Shape>,
    /// How many dimensions of an array were taken off.
    pub(super) dimension: usize,
}

impl DataType {
    pub(super) fn new(reader: Arc<TypeReader>, shape: Arc<Shape>) -> Self {
        Self { reader, shape, dimension: 0 }
    }

    pub(super) fn of(&self, id: EntryId) -> Option<Self> {
        self.reader.data_type(id)
    }

    pub(super) fn tag(&self) -> gimli::DwTag {
        self.shape.tag
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> TypeKind {
        match self.tag() {
            gimli::DW_TAG_base_type => TypeKind::Base,
            gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_interface_type => {
                let variants = [RawRole::Variant, RawRole::Discriminant];
                if self.shape.members.iter().any(|member| variants.contains(&member.role)) {
                    TypeKind::Variants
                } else {
                    TypeKind::Struct
                }
            }
            gimli::DW_TAG_union_type => TypeKind::Union,
            gimli::DW_TAG_enumeration_type => TypeKind::Enum,
            gimli::DW_TAG_array_type => TypeKind::Array,
            gimli::DW_TAG_pointer_type => TypeKind::Pointer,
            gimli::DW_TAG_reference_type | gimli::DW_TAG_rvalue_reference_type => {
                TypeKind::Reference
            }
            gimli::DW_TAG_typedef | gimli::DW_TAG_template_alias => TypeKind::Typedef,
            gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_atomic_type
            | gimli::DW_TAG_restrict_type => TypeKind::Qualified,
            gimli::DW_TAG_subroutine_type => TypeKind::Function,
            _ => TypeKind::Other,
        }
    }

    /// The keyword with which its language declares it: `struct`, `class`, `union` or `enum`; empty
    /// for other types.
    #[must_use]
    pub fn keyword(&self) -> &'static str {
        match self.tag() {
            gimli::DW_TAG_class_type => "class",
            gimli::DW_TAG_union_type => "union",
            gimli::DW_TAG_enumeration_type => "enum",
            _ => match self.kind() {
                TypeKind::Variants => "enum",
                TypeKind::Struct => "struct",
                _ => "",
            },
        }
    }

    /// How many bytes an object of it takes; none for functions, open arrays and types that are only
    /// declared.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size_within(0)
    }

    fn size_within(&self, depth: usize) -> Option<u64> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.kind() {
            TypeKind::Typedef | TypeKind::Qualified => {
                self.shape.size.or_else(|| self.target()?.size_within(depth + 1))
            }
            TypeKind::Array => {
                if let (Some(size), 0) = (self.shape.size, self.dimension) {
                    return Some(size);
                }
                let element = self.of(self.shape.target?)?.size_within(depth + 1)?;
                self.dimensions().iter().try_fold(element, |size, &count| size.checked_mul(count?))
            }
            TypeKind::Pointer | TypeKind::Reference => Some(self.shape.size.unwrap_or_else(|| {
                let place = self.reader.data.place(self.shape.id);
                let unit = place.as_ref().and_then(|place| place.unit());
                unit.map_or(8, |unit| u64::from(unit.encoding().address_size))
            })),
            TypeKind::Function => None,
            _ if self.tag() == gimli::DW_TAG_ptr_to_member_type => self.member_pointer_size(),
            _ if self.shape.is_declaration => None,
            _ => self.shape.size,
        }
    }

    /// The Itanium C++ ABI has an offset for a data member, and a pair for a function.
    fn member_pointer_size(&self) -> Option<u64> {
        let of_function = self.target().is_some_and(|t| t.stripped().kind() == TypeKind::Function);
        self.shape.size.or(Some(if of_function { 16 } else { 8 }))
    }

    /// Whether it is a C++ class without data, whose one byte is there for its address alone.
    fn is_empty_class(&self, depth: usize, budget: &mut usize) -> bool {
        *budget = budget.saturating_sub(1);
        depth < MAX_DEPTH
            && *budget > 0
            && self.shape.size == Some(1)
            && self.kind() == TypeKind::Struct
            && self.language() == Language::Cpp
            && self.shape.members.iter().all(|member| {
                let of = member.target.and_then(|id| self.of(id));
                of.is_some_and(|of| of.stripped().is_empty_class(depth + 1, budget))
            })
    }

    /// The alignment of its objects, bytes: as stated, else as its parts demand.
    #[must_use]
    pub fn alignment(&self) -> u64 {
        self.stated_alignment().unwrap_or_else(|| self.natural_alignment())
    }

    /// The alignment that the source or the compiler states, bytes: `alignas`, `repr(align)`; Rust
    /// states it for every structure.
    #[must_use]
    pub fn stated_alignment(&self) -> Option<u64> {
        self.shape.alignment
    }

    /// The alignment that its parts demand, bytes.
    #[must_use]
    pub fn natural_alignment(&self) -> u64 {
        let mut budget = 4096;
        self.alignment_within(0, &mut budget)
    }

    /// Whether its members lie closer than their own alignment allows.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        let is_whole = matches!(self.kind(), TypeKind::Struct | TypeKind::Union);
        let own = |member: &Member| member.data_type.alignment();
        is_whole
            && self.natural_alignment() == 1
            && self.members().iter().any(|member| own(member) > 1)
    }

    fn alignment_within(&self, depth: usize, budget: &mut usize) -> u64 {
        if depth > MAX_DEPTH || *budget == 0 {
            return 1;
        }
        *budget -= 1;
        let mut of = |target: Option<Self>| {
            target.map_or(1, |t| {
                t.stated_alignment().unwrap_or_else(|| t.alignment_within(depth + 1, budget))
            })
        };
        match self.kind() {
            TypeKind::Typedef | TypeKind::Qualified => of(self.target()),
            TypeKind::Array => of(self.shape.target.and_then(|id| self.of(id))),
            TypeKind::Struct | TypeKind::Union | TypeKind::Variants => {
                let mut alignment = 1;
                for member in &self.shape.members {
                    let own = of(member.target.and_then(|id| self.of(id)));
                    let own = member.alignment.unwrap_or(own);
                    let is_bit_field = member.bit_size.is_some();
                    let offset = member.offset.filter(|_| !is_bit_field).unwrap_or(0);
                    if !offset.is_multiple_of(own) {
                        // Packed: the compiler asks for no alignment at all.
                        return 1;
                    }
                    alignment = alignment.max(own);
                }
                let fits = self.shape.size.is_none_or(|size| size.is_multiple_of(alignment));
                if fits { alignment } else { 1 }
            }
            _ => {
                let size = self.size().unwrap_or(1).clamp(1, 16);
                if size.is_power_of_two() { size } else { 1 << size.trailing_zeros() }
            }
        }
    }

    /// What it points to, is another name of, or qualifies.
    #[must_use]
    pub fn target(&self) -> Option<Self> {
        if self.kind() == TypeKind::Array {
            return None;
        }
        self.of(self.shape.target?)
    }

    /// The type without other names and qualifiers.
    #[must_use]
    pub fn stripped(&self) -> Self {
        let mut stripped = self.clone();
        for _ in 0..MAX_DEPTH {
            if !matches!(stripped.kind(), TypeKind::Typedef | TypeKind::Qualified) {
                break;
            }
            match stripped.target() {
                Some(target) => stripped = target,
                None => break,
            }
        }
        stripped
    }

    /// The element type of an array and how many elements it has; no count for an open end.
    #[must_use]
    pub fn element(&self) -> Option<(Self, Option<u64>)> {
        if self.kind() != TypeKind::Array {
            return None;
        }
        let (count, rest) = match self.dimensions().split_first() {
            Some((count, rest)) => (*count, rest),
            None => (None, &[][..]),
        };
        let element = if rest.is_empty() {
            self.of(self.shape.target?)?
        } else {
            Self { dimension: self.dimension + 1, ..self.clone() }
        };
        // A vector states its size and not always its count.
        let count = count.or_else(|| {
            let (whole, one) = (self.shape.size?, element.size()?);
            (self.dimension == 0 && one > 0).then(|| whole / one)
        });
        Some((element, count))
    }

    pub(super) fn dimensions(&self) -> &[Option<u64>] {
        self.shape.dimensions.get(self.dimension..).unwrap_or_default()
    }

    /// Its parts, in the order of the debug information, which is that of the source as a rule.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.shape.members.iter().filter_map(|raw| self.member(raw)).collect()
    }

    fn member(&self, raw: &RawMember) -> Option<Member> {
        let data_type = self.of(raw.target?)?;
        let size = match data_type.size() {
            Some(1) if data_type.stripped().is_empty_class(0, &mut { MAX_EMPTY_PARTS }) => 0,
            size => size.unwrap_or(0),
        };
        let (offset, size, bits) = match (raw.bit_size, raw.offset) {
            (Some(bits), Some(location)) => bit_field(raw, location, bits, size)?,
            _ => (raw.offset, size, None),
        };
        let name = raw.name.as_ref().map(|name| match name.strip_prefix("__") {
            Some(digits)
                if self.language() == Language::Rust
                    && !digits.is_empty()
                    && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                digits.to_owned()
            }
            _ => name.clone(),
        });
        let role = match raw.role {
            RawRole::Data => MemberRole::Data,
            RawRole::Base => MemberRole::Base,
            RawRole::VirtualBase => MemberRole::VirtualBase,
            RawRole::VirtualTable => MemberRole::VirtualTable,
            RawRole::Discriminant => MemberRole::Discriminant,
            RawRole::Variant => MemberRole::Variant,
        };
        Some(Member { name, role, offset, size, bits, data_type, stated_alignment: raw.alignment })
    }

    /// Where it was declared.
    #[must_use]
    pub fn declared_at(&self) -> Option<DeclaredAt> {
        let (file, line) = self.shape.declared?;
        let data = &self.reader.data;
        let file = data.source_file(&data.place(self.shape.id)?, file)?;
        Some(DeclaredAt { file, line })
    }

    /// The language of its compile unit.
    #[must_use]
    pub fn language(&self) -> Language {
        let data = &self.reader.data;
        data.place(self.shape.id).map_or(Language::Other, |place| data.language(&place))
    }

    /// Whether the source only declares that the type exists, in all of this image.
    #[must_use]
    pub fn is_declaration(&self) -> bool {
        self.shape.is_declaration
    }
}

/// The storage unit and the bits of a bit-field, in the three ways to state it.
fn bit_field(
    raw: &RawMember,
    location: u64,
    bits: u64,
    type_size: u64,
) -> Option<(Option<u64>, u64, Option<BitRange>)> {
    let storage = raw.storage.unwrap_or(type_size).clamp(1, 16);
    if let Some(high) = raw.high_bit_offset {
        // Counted from the most significant bit of the storage unit; this is for little-endian
        // machines. It may be negative, stated as a large number, when the field leaves the unit.
        let unit_bits = i128::from(storage) * 8;
        let high = i128::from(high.cast_signed());
        let start = i128::from(location) * 8 + unit_bits - high - i128::from(bits);
        let range = BitRange { start: u64::try_from(start).ok()?, size: bits };
        return Some((Some(location), storage, Some(range)));
    }
    let start = raw.data_bit_offset.unwrap_or(location.checked_mul(8)?);
    let unit = storage * 8;
    let mut offset = start / unit * storage;
    // Packed fields may lie across two units of their type.
    if start.checked_add(bits)? > (offset.saturating_add(storage)).saturating_mul(8) {
        offset = start / 8;
    }
    Some((Some(offset), storage, Some(BitRange { start, size: bits })))
}

impl PartialEq for DataType {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.reader, &other.reader)
            && self.shape.id == other.shape.id
            && self.dimension == other.dimension
    }
}

impl Eq for DataType {}

impl fmt::Debug for DataType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DataType({})", self.name())
    }
}
