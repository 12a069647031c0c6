//! The variables of an image, by address.

use std::sync::Arc;

use gimli::Operation;
use rayon::prelude::*;

use super::data_type::{DataType, DeclaredAt};
use super::debug_data::{DebugData, EntryId, Place, Value};
use super::shape::declared;
use super::type_name::qualified;
use super::type_reader::TypeReader;
use super::variable::DataVariable;
use crate::symbols::demangle::{DemangleStyle, demangle_with};
use crate::symbols::vetting::Section;

/// The most variables that are indexed.
const MAX_VARIABLES: usize = 1 << 23;

/// How far back variables are asked whether they reach an address: some lie in others.
const MAX_NESTING: usize = 16;

/// Where an entry says that its variable is.
#[derive(Debug, Clone, Copy)]
struct Indexed {
    address: u64,
    id: EntryId,
}

/// The variables of an image that have one place for all of their life.
#[derive(Debug, Default)]
pub(in crate::symbols) struct VariableIndex {
    statics: Vec<Indexed>,
    thread_locals: Vec<Indexed>,
}

impl VariableIndex {
    /// Walks all units once.
    pub(in crate::symbols) fn of(reader: &TypeReader, thread_locals: Option<(u64, u64)>) -> Self {
        let data = &reader.data;
        let found: Vec<(Vec<Indexed>, Vec<Indexed>)> = data
            .all_units()
            .into_par_iter()
            .map(|(file, unit)| variables_of(data, file, unit))
            .collect();
        let mut index = Self::default();
        for (statics, thread_locals) in found {
            if index.statics.len() + index.thread_locals.len() < MAX_VARIABLES {
                index.statics.extend(statics);
                index.thread_locals.extend(thread_locals);
            }
        }
        // Split units of some compilers state the address of the first copy, not the offset in it. The
        // block of an image that small does not reach its own address.
        if let Some((start, end)) = thread_locals.filter(|(start, end)| end - start < *start) {
            for one in &mut index.thread_locals {
                if (start..end).contains(&one.address) {
                    one.address -= start;
                }
            }
        }
        for list in [&mut index.statics, &mut index.thread_locals] {
            list.sort_unstable_by_key(|one| (one.address, one.id));
        }
        index
    }

    /// The variables that overlap a range of addresses, or of offsets of thread-local memory.
    pub(in crate::symbols) fn within(
        &self,
        reader: &Arc<TypeReader>,
        (from, to): (u64, u64),
        thread_local: bool,
        style: DemangleStyle,
    ) -> Vec<DataVariable> {
        let list = if thread_local { &self.thread_locals } else { &self.statics };
        let end = list.partition_point(|one| one.address < to);
        let start = list.partition_point(|one| one.address < from).saturating_sub(MAX_NESTING);
        let mut found: Vec<DataVariable> = Vec::new();
        for one in list.get(start..end).unwrap_or_default().iter().rev().take(1024).rev() {
            let Some(variable) = describe(reader, *one, thread_local, style) else { continue };
            let reach = variable.address.saturating_add(variable.size.max(1));
            if reach <= from {
                continue;
            }
            // Several units may say where one variable is, and one of them best what it is.
            match found
                .iter_mut()
                .find(|known| known.address == variable.address && known.name == variable.name)
            {
                Some(known) if known.size == 0 && variable.size > 0 => *known = variable,
                Some(_) => {}
                None => found.push(variable),
            }
        }
        found
    }
}

fn describe(
    reader: &Arc<TypeReader>,
    one: Indexed,
    thread_local: bool,
    style: DemangleStyle,
) -> Option<DataVariable> {
    let data = &reader.data;
    let chain = data.chain(one.id, &[gimli::DW_AT_specification, gimli::DW_AT_abstract_origin]);
    let (place, _) = chain.first()?;
    let language = data.language(place);
    let text = |attribute| chain.iter().find_map(|(place, e)| place.text_at(e, attribute));
    let linkage_name =
        text(gimli::DW_AT_linkage_name).or_else(|| text(gimli::DW_AT_MIPS_linkage_name));
    let data_type: Option<DataType> = chain.iter().find_map(|(place, entry)| {
        let target = data.refers_to(place, entry.attr_value(gimli::DW_AT_type)?)?;
        reader.data_type(target)
    });
    let declared_at = chain.iter().find_map(|(place, entry)| {
        let (file, line) = declared(entry)?;
        Some(DeclaredAt { file: data.source_file(place, file)?, line })
    });
    let demangled = linkage_name.as_ref().and_then(|raw| {
        let name = demangle_with(raw, style);
        (name != raw.as_str()).then(|| name.into_owned())
    });
    // Compilers make variables without a name, for tables and literals.
    let name = demangled.or_else(|| qualified(data, one.id, 0))?;
    Some(DataVariable {
        name,
        linkage_name,
        address: one.address,
        size: data_type.as_ref().and_then(DataType::size).unwrap_or(0),
        data_type,
        declared_at,
        language,
        thread_local,
    })
}

/// The variables of one unit, those of threads apart; damage ends the walk.
fn variables_of(data: &DebugData, file: u32, number: u32) -> (Vec<Indexed>, Vec<Indexed>) {
    let (mut statics, mut thread_locals) = (Vec::new(), Vec::new());
    let Some(place) = data.place(EntryId { file, unit: number, offset: 0 }) else {
        return (statics, thread_locals);
    };
    let Some(unit) = place.unit() else { return (statics, thread_locals) };
    let Ok(mut entries) = unit.entries_raw(None) else { return (statics, thread_locals) };
    while !entries.is_empty() && statics.len() < MAX_VARIABLES {
        let offset = entries.next_offset();
        let abbreviation = match entries.read_abbreviation() {
            Ok(Some(abbreviation)) => abbreviation,
            Ok(None) => continue,
            Err(_) => break,
        };
        let attributes = abbreviation.attributes();
        if abbreviation.tag() != gimli::DW_TAG_variable
            || !attributes.iter().any(|a| a.name() == gimli::DW_AT_location)
        {
            if entries.skip_attributes(attributes).is_err() {
                break;
            }
            continue;
        }
        for &attribute in attributes {
            let Ok(attribute) = entries.read_attribute(attribute) else {
                return (statics, thread_locals);
            };
            if attribute.name() != gimli::DW_AT_location {
                continue;
            }
            let expression = match attribute.value() {
                Value::Exprloc(expression) => expression,
                Value::Block(bytes) => gimli::Expression(bytes),
                _ => continue,
            };
            let id = place.sibling(offset);
            match static_place(&place, expression) {
                Some(StaticPlace::Address(address)) => statics.push(Indexed { address, id }),
                Some(StaticPlace::ThreadLocal(address)) => {
                    thread_locals.push(Indexed { address, id });
                }
                None => {}
            }
        }
    }
    (statics, thread_locals)
}

enum StaticPlace {
    Address(u64),
    ThreadLocal(u64),
}

/// The place that an expression states without looking at a running program.
fn static_place(place: &Place, expression: gimli::Expression<Section>) -> Option<StaticPlace> {
    let unit = place.unit()?;
    let mut operations = expression.operations(unit.encoding());
    let value = match operations.next().ok()?? {
        Operation::Address { address } => address,
        Operation::AddressIndex { index } | Operation::ConstantIndex { index } => {
            place.file.dwarf.address(unit, index).ok()?
        }
        Operation::UnsignedConstant { value } => value,
        _ => return None,
    };
    let mut value = value;
    let mut thread_local = false;
    while let Some(operation) = operations.next().ok()? {
        match operation {
            Operation::PlusConstant { value: more } => value = value.checked_add(more)?,
            Operation::TLS => thread_local = true,
            _ => return None,
        }
    }
    // Linkers put zero, or nearly the greatest address, for what they left out.
    if thread_local {
        return Some(StaticPlace::ThreadLocal(value));
    }
    (value != 0 && value < u64::MAX - 1).then_some(StaticPlace::Address(value))
}
