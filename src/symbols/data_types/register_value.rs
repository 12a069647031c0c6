//! Variables and parameters that registers hold, or lead to, at an address of the code.

use std::sync::Arc;

use super::data_type::DataType;
use super::debug_data::{DebugData, Entry, EntryId, Place, Value};
use super::functions::Functions;
use super::location_expression::{Frame, Part, Where, frame_base, places};
use super::type_name::qualified;
use super::type_reader::TypeReader;
use crate::symbols::ImageAddress;
use crate::symbols::vetting::Section;

/// The most entries of one function that are looked at.
const MAX_ENTRIES: usize = 1 << 18;

/// The most entries of one location list.
const MAX_LIST: usize = 1 << 16;

/// The most variables of one answer.
const MAX_VALUES: usize = 4096;

/// How a register leads to a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValuePlace {
    /// The variable's value is that of the register plus `offset` bytes: a pointer in a register, as
    /// a rule with an offset of 0.
    Value {
        /// Bytes to add to the register.
        offset: i64,
    },
    /// The variable is in memory, `offset` bytes from where the register points.
    Memory {
        /// Bytes from where the register points to the start of the variable.
        offset: i64,
    },
}

/// A variable or parameter that a register leads to.
#[derive(Debug, Clone)]
pub struct RegisterValue {
    /// Its name: `slot`, `self`, `this`.
    pub name: String,
    /// The DWARF number of the register.
    pub register: u16,
    /// How the register leads to it.
    pub place: ValuePlace,
    /// The bytes of the variable that are there, first byte and size, when they are not all of it: the
    /// address of a slice, for instance.
    pub part: Option<(u64, u64)>,
    /// Its type.
    pub data_type: Option<DataType>,
    /// The function that has it, which may be one that was inlined.
    pub function: Option<String>,
    /// How many calls were inlined around it; 0 for the function itself.
    pub inlined: u32,
    /// Whether it is a parameter.
    pub is_parameter: bool,
    /// Whether the debug information says that the register has it at this very address. Otherwise the
    /// register had it when the function was entered, and may have changed since.
    pub certain: bool,
}

/// The variables that registers, or a wanted one, lead to at an address of the code.
pub(in crate::symbols) fn register_values(
    reader: &Arc<TypeReader>,
    functions: &Functions,
    address: ImageAddress,
    canonical: Option<(u16, i64)>,
    wanted: Option<u16>,
) -> Vec<RegisterValue> {
    let mut found = Vec::new();
    for id in functions.at(&reader.data, address) {
        let mut walk = Walk { reader, address: address.0, wanted, found: &mut found };
        // Damage ends the walk; what was found stays.
        let _ = walk.function(id, canonical);
    }
    found
}

struct Walk<'a> {
    reader: &'a Arc<TypeReader>,
    address: u64,
    wanted: Option<u16>,
    found: &'a mut Vec<RegisterValue>,
}

impl Walk<'_> {
    fn function(&mut self, id: EntryId, canonical: Option<(u16, i64)>) -> Option<()> {
        let data = &self.reader.data;
        let place = data.place(id)?;
        let unit = place.unit()?;
        let function = place.entry()?;
        let base = function.attr_value(gimli::DW_AT_frame_base).and_then(|value| {
            let expression = self.expression(&place, value)?;
            frame_base(&place, expression, canonical)
        });
        let frame = Frame { canonical, base };
        let mut entries = unit.entries_raw(Some(gimli::UnitOffset(id.offset))).ok()?;
        let mut entry = Entry::null();
        // The functions around the current entry, each with its depth and its number of inlined calls.
        let mut open: Vec<(isize, EntryId, u32)> = Vec::new();
        // Entries deeper than this belong to something that is not at the address.
        let mut skipped: Option<isize> = None;
        for _ in 0..MAX_ENTRIES {
            if entries.is_empty() || self.found.len() >= MAX_VALUES {
                break;
            }
            if !entries.read_entry(&mut entry).ok()? {
                if entries.next_depth() <= 0 {
                    break;
                }
                continue;
            }
            let depth = entry.depth();
            if depth <= 0 && !open.is_empty() {
                break;
            }
            if skipped.is_some_and(|outer| depth > outer) {
                continue;
            }
            skipped = None;
            while open.pop_if(|(outer, ..)| *outer >= depth).is_some() {}
            let own = place.sibling(entry.offset());
            let inlined = open.last().map_or(0, |(.., inlined)| *inlined);
            match entry.tag() {
                gimli::DW_TAG_subprogram if open.is_empty() => open.push((depth, own, 0)),
                gimli::DW_TAG_inlined_subroutine if self.covers(&place, unit, &entry) => {
                    open.push((depth, own, inlined + 1));
                }
                gimli::DW_TAG_lexical_block if self.covers(&place, unit, &entry) => {}
                gimli::DW_TAG_formal_parameter | gimli::DW_TAG_variable => {
                    let of = open.last().map(|(_, id, inlined)| (*id, *inlined));
                    self.variable(&place, &entry, of, frame);
                    skipped = Some(depth);
                }
                _ => skipped = Some(depth),
            }
        }
        Some(())
    }

    /// Whether the address is in the ranges of a block; one without ranges is part of what it is in.
    fn covers(&self, place: &Place, unit: &gimli::Unit<Section>, entry: &Entry) -> bool {
        let Ok(mut ranges) = place.file.dwarf.die_ranges(unit, entry) else { return false };
        let mut any = false;
        for _ in 0..MAX_LIST {
            match ranges.next() {
                Ok(Some(range)) if range.begin < range.end => {
                    any = true;
                    if (range.begin..range.end).contains(&self.address) {
                        return true;
                    }
                }
                Ok(Some(_)) => {}
                _ => break,
            }
        }
        !any && entry.tag() == gimli::DW_TAG_lexical_block
    }

    fn variable(
        &mut self,
        place: &Place,
        entry: &Entry,
        of: Option<(EntryId, u32)>,
        frame: Frame,
    ) -> Option<()> {
        let location = entry.attr_value(gimli::DW_AT_location)?;
        let expression = self.expression(place, location)?;
        let mut found = places(place, expression, frame);
        found.retain(|(at, _)| self.wanted.is_none_or(|wanted| at.register() == wanted));
        if found.is_empty() {
            return None;
        }
        let data = &self.reader.data;
        let chain = data.chain(
            place.sibling(entry.offset()),
            &[gimli::DW_AT_abstract_origin, gimli::DW_AT_specification],
        );
        let name = chain.iter().find_map(|(p, e)| p.text_at(e, gimli::DW_AT_name))?;
        let data_type = chain.iter().find_map(|(p, e)| {
            self.reader.data_type(data.refers_to(p, e.attr_value(gimli::DW_AT_type)?)?)
        });
        let (function, inlined) = of.map_or((None, 0), |(id, inlined)| (Some(id), inlined));
        let function = function.and_then(|id| qualified(data, id, 0));
        for (at, part) in found {
            let (register, place, certain) = match at {
                Where::Register(register) => (register, ValuePlace::Value { offset: 0 }, true),
                Where::Sum(register, offset) => (register, ValuePlace::Value { offset }, true),
                Where::Memory(register, offset) => (register, ValuePlace::Memory { offset }, true),
                Where::Entry(register, offset) => (register, ValuePlace::Value { offset }, false),
            };
            self.found.push(RegisterValue {
                name: name.clone(),
                register,
                place,
                part: whole(part, data_type.as_ref()),
                data_type: data_type.clone(),
                function: function.clone(),
                inlined,
                is_parameter: entry.tag() == gimli::DW_TAG_formal_parameter,
                certain,
            });
        }
        Some(())
    }

    /// The expression that holds at the address.
    fn expression(&self, place: &Place, value: Value) -> Option<gimli::Expression<Section>> {
        match value {
            Value::Exprloc(expression) => return Some(expression),
            Value::Block(bytes) => return Some(gimli::Expression(bytes)),
            _ => {}
        }
        let unit = place.unit()?;
        let mut list = place.file.dwarf.attr_locations(unit, value).ok()??;
        for _ in 0..MAX_LIST {
            let entry = list.next().ok()??;
            if (entry.range.begin..entry.range.end).contains(&self.address) {
                return Some(entry.data);
            }
        }
        None
    }
}

/// A piece that is all of the variable is no part of it.
fn whole(part: Part, of: Option<&DataType>) -> Part {
    let size = of.and_then(DataType::size);
    part.filter(|&(start, bytes)| start != 0 || Some(bytes) != size)
}

/// The data that a type reader reads, for those beside it.
impl TypeReader {
    pub(in crate::symbols) fn debug_data(&self) -> &DebugData {
        &self.data
    }
}
