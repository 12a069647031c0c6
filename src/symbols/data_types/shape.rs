//! One type entry, as the debug information states it.

use gimli::UnitOffset;

use super::debug_data::{DebugData, Entry, EntryId, Place, Value};

/// The most members that one type may have.
const MAX_MEMBERS: usize = 1 << 16;

/// The most dimensions of one array.
const MAX_DIMENSIONS: usize = 16;

/// A type entry, without what it refers to.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) id: EntryId,
    pub(super) tag: gimli::DwTag,
    pub(super) name: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) alignment: Option<u64>,
    /// What an array, a pointer, a typedef or a qualifier is of.
    pub(super) target: Option<EntryId>,
    pub(super) members: Vec<RawMember>,
    /// The element counts of an array, outermost first; `None` for an open end.
    pub(super) dimensions: Vec<Option<u64>>,
    pub(super) declared: Option<(u64, u64)>,
    pub(super) is_declaration: bool,
    pub(super) signature: Option<EntryId>,
    /// The arguments of a template, as types, for names that lack them.
    pub(super) arguments: Vec<EntryId>,
}

/// What a member is to the type that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RawRole {
    Data,
    Base,
    VirtualBase,
    VirtualTable,
    Discriminant,
    Variant,
}

/// A member entry.
#[derive(Debug)]
pub(super) struct RawMember {
    pub(super) name: Option<String>,
    pub(super) role: RawRole,
    /// Bytes from the start of the type; none where only the running program knows.
    pub(super) offset: Option<u64>,
    pub(super) target: Option<EntryId>,
    pub(super) bit_size: Option<u64>,
    /// Bits from the start of the type.
    pub(super) data_bit_offset: Option<u64>,
    /// Bits from the most significant bit of the storage unit, as old DWARF counts them.
    pub(super) high_bit_offset: Option<u64>,
    /// The size of the storage unit, where it is stated.
    pub(super) storage: Option<u64>,
    pub(super) alignment: Option<u64>,
    pub(super) artificial: bool,
}

impl Shape {
    /// Reads a type entry and its direct children.
    pub(super) fn read(data: &DebugData, place: &Place) -> Option<Self> {
        let entry = place.entry()?;
        let number = |name| number(&entry, name);
        let refers = |name| data.refers_to(place, entry.attr_value(name)?);
        let mut shape = Self {
            id: place.id,
            tag: entry.tag(),
            name: place.text_at(&entry, gimli::DW_AT_name).filter(|name| !name.is_empty()),
            size: number(gimli::DW_AT_byte_size)
                .or_else(|| Some(number(gimli::DW_AT_bit_size)?.div_ceil(8))),
            alignment: number(gimli::DW_AT_alignment).filter(|align| align.is_power_of_two()),
            target: refers(gimli::DW_AT_type),
            members: Vec::new(),
            dimensions: Vec::new(),
            declared: declared(&entry),
            is_declaration: flag(&entry, gimli::DW_AT_declaration),
            signature: refers(gimli::DW_AT_signature).filter(|&id| id != place.id),
            arguments: Vec::new(),
        };
        if has_parts(shape.tag) {
            shape.read_children(data, place);
        }
        Some(shape)
    }

    /// Reads the children; damage ends the list.
    fn read_children(&mut self, data: &DebugData, place: &Place) {
        let Some(unit) = place.unit() else { return };
        let Ok(mut tree) = unit.entries_tree(Some(UnitOffset(place.id.offset))) else { return };
        let Ok(root) = tree.root() else { return };
        let mut children = root.children();
        while let Ok(Some(child)) = children.next() {
            if self.members.len() >= MAX_MEMBERS {
                return;
            }
            let entry = child.entry();
            match entry.tag() {
                gimli::DW_TAG_member | gimli::DW_TAG_inheritance => {
                    self.members.extend(RawMember::read(data, place, entry));
                }
                gimli::DW_TAG_subrange_type | gimli::DW_TAG_enumeration_type
                    if self.tag == gimli::DW_TAG_array_type
                        && self.dimensions.len() < MAX_DIMENSIONS =>
                {
                    self.dimensions.push(count(entry));
                }
                gimli::DW_TAG_template_type_parameter => {
                    let target = entry.attr_value(gimli::DW_AT_type);
                    self.arguments.extend(target.and_then(|value| data.refers_to(place, value)));
                }
                gimli::DW_TAG_variant_part => {
                    let discriminant = match entry.attr_value(gimli::DW_AT_discr) {
                        Some(Value::UnitRef(offset)) => Some(offset),
                        _ => None,
                    };
                    let mut variants = child.children();
                    while let Ok(Some(variant)) = variants.next() {
                        if self.members.len() >= MAX_MEMBERS {
                            return;
                        }
                        let entry = variant.entry();
                        if entry.tag() == gimli::DW_TAG_member {
                            let mut member = RawMember::read(data, place, entry);
                            if let Some(member) = &mut member
                                && (discriminant == Some(entry.offset()) || member.artificial)
                            {
                                member.role = RawRole::Discriminant;
                            }
                            self.members.extend(member);
                        } else if entry.tag() == gimli::DW_TAG_variant {
                            let mut parts = variant.children();
                            while let Ok(Some(part)) = parts.next() {
                                if part.entry().tag() != gimli::DW_TAG_member
                                    || self.members.len() >= MAX_MEMBERS
                                {
                                    continue;
                                }
                                let member = RawMember::read(data, place, part.entry());
                                self.members.extend(
                                    member.map(|m| RawMember { role: RawRole::Variant, ..m }),
                                );
                            }
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

impl RawMember {
    fn read(data: &DebugData, place: &Place, entry: &Entry) -> Option<Self> {
        let base = entry.tag() == gimli::DW_TAG_inheritance;
        // A static member is declared here and lives elsewhere.
        if flag(entry, gimli::DW_AT_external) && !base {
            return None;
        }
        let name = place.text_at(entry, gimli::DW_AT_name).filter(|name| !name.is_empty());
        let virtual_base = base
            && entry
                .attr_value(gimli::DW_AT_virtuality)
                .is_some_and(|value| value != Value::Virtuality(gimli::DW_VIRTUALITY_none));
        let artificial = flag(entry, gimli::DW_AT_artificial);
        let is_vptr = name.as_deref().is_some_and(|name| name.starts_with("_vptr"));
        let role = match (virtual_base, base) {
            (true, _) => RawRole::VirtualBase,
            (_, true) => RawRole::Base,
            _ if is_vptr => RawRole::VirtualTable,
            _ => RawRole::Data,
        };
        let data_bit_offset = number(entry, gimli::DW_AT_data_bit_offset);
        let located = match entry.attr_value(gimli::DW_AT_data_member_location) {
            None => Some(data_bit_offset.map_or(0, |bits| bits / 8)),
            Some(Value::Exprloc(expression)) => constant_offset(place, expression),
            Some(Value::Block(bytes)) => constant_offset(place, gimli::Expression(bytes)),
            Some(value) => value.udata_value(),
        };
        Some(Self {
            name,
            role,
            offset: if virtual_base { None } else { located },
            target: entry
                .attr_value(gimli::DW_AT_type)
                .and_then(|value| data.refers_to(place, value)),
            bit_size: number(entry, gimli::DW_AT_bit_size),
            data_bit_offset,
            high_bit_offset: number(entry, gimli::DW_AT_bit_offset),
            storage: number(entry, gimli::DW_AT_byte_size),
            alignment: number(entry, gimli::DW_AT_alignment).filter(|a| a.is_power_of_two()),
            artificial,
        })
    }
}

/// The offset that an old expression adds to the address of the object.
fn constant_offset(
    place: &Place,
    expression: gimli::Expression<crate::symbols::vetting::Section>,
) -> Option<u64> {
    let mut operations = expression.operations(place.unit()?.encoding());
    let offset = match operations.next().ok()?? {
        gimli::Operation::PlusConstant { value } => value,
        gimli::Operation::UnsignedConstant { value } => value,
        _ => return None,
    };
    match operations.next().ok()? {
        None => Some(offset),
        Some(_) => None,
    }
}

/// How many elements a dimension has; none when that is left open.
fn count(entry: &Entry) -> Option<u64> {
    if let Some(count) = number(entry, gimli::DW_AT_count) {
        return Some(count);
    }
    let lower = entry.attr_value(gimli::DW_AT_lower_bound).and_then(|v| v.sdata_value());
    let upper = entry.attr_value(gimli::DW_AT_upper_bound)?;
    let upper = match upper.udata_value() {
        // An open end is stated as -1 by some compilers.
        Some(u64::MAX) => return None,
        Some(upper) => i128::from(upper),
        None => i128::from(upper.sdata_value()?),
    };
    u64::try_from(upper - i128::from(lower.unwrap_or(0)) + 1).ok()
}

/// Whether the children of an entry are parts of the type.
fn has_parts(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_interface_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_array_type
    )
}

pub(super) fn number(entry: &Entry, name: gimli::DwAt) -> Option<u64> {
    entry.attr_value(name)?.udata_value()
}

pub(super) fn flag(entry: &Entry, name: gimli::DwAt) -> bool {
    matches!(entry.attr_value(name), Some(Value::Flag(true)))
}

/// The file number and the line where something was declared.
pub(super) fn declared(entry: &Entry) -> Option<(u64, u64)> {
    let file = match entry.attr_value(gimli::DW_AT_decl_file)? {
        Value::FileIndex(file) => file,
        value => value.udata_value()?,
    };
    Some((file, number(entry, gimli::DW_AT_decl_line)?))
}
