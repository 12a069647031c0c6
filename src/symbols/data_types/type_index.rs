//! The definitions of named types, by name.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::debug_data::{DebugData, EntryId};
use super::shape::flag;
use super::type_name::qualified;

/// The most types that are indexed.
const MAX_TYPES: usize = 1 << 23;

/// How many definitions of one name are compared with a declaration.
const MAX_TRIED: usize = 1024;

/// How many answers are remembered.
const MAX_NAMES: usize = 1 << 17;

/// The definitions of all named types of an image, by the last part of their name without arguments.
#[derive(Debug, Default)]
pub(super) struct TypeIndex {
    /// Hashes of names, so that the names themselves need not be kept.
    by_name: HashMap<u64, Vec<EntryId>>,
    /// By the whole name, what was asked for before.
    names: Mutex<HashMap<(String, u16), Option<EntryId>>>,
}

impl TypeIndex {
    /// Walks all units once.
    pub(super) fn of(data: &DebugData) -> Self {
        // Types that several debug files share, or that were packed by themselves, are in no unit of
        // the image.
        let units = [data.all_units(), data.packaged_units(), data.shared_units()].concat();
        let found: Vec<Vec<(u64, EntryId)>> =
            units.into_par_iter().map(|(file, unit)| definitions(data, file, unit)).collect();
        let mut index = Self::default();
        for (hash, id) in found.into_iter().flatten().take(MAX_TYPES) {
            index.by_name.entry(hash).or_default().push(id);
        }
        index
    }

    /// The first definition with this qualified name and kind.
    pub(super) fn definition(
        &self,
        data: &DebugData,
        name: &str,
        tag: gimli::DwTag,
    ) -> Option<EntryId> {
        let key = (name.to_owned(), kind_of(tag).0);
        let known = || self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&known) = known().get(&key) {
            return known;
        }
        let fits = |&&id: &&EntryId| {
            let entry = data.place(id).and_then(|place| place.entry());
            entry.is_some_and(|entry| kind_of(entry.tag()) == kind_of(tag))
                && qualified(data, id, 0).as_deref() == Some(name)
        };
        let found = self.candidates(name).iter().take(MAX_TRIED).find(fits).copied();
        let mut names = known();
        if names.len() < MAX_NAMES {
            names.insert(key, found);
        }
        found
    }

    /// All definitions whose name ends with this one's last part.
    pub(super) fn candidates(&self, name: &str) -> &[EntryId] {
        self.by_name.get(&hash(last_part(name))).map_or(&[], Vec::as_slice)
    }
}

/// The named types that a unit defines, each with the hash of its name; damage ends the list.
fn definitions(data: &DebugData, file: u32, unit: u32) -> Vec<(u64, EntryId)> {
    let mut found = Vec::new();
    let Some(place) = data.place(EntryId { file, unit, offset: 0 }) else { return found };
    let Some(unit) = place.unit() else { return found };
    let Ok(mut entries) = unit.entries_raw(None) else { return found };
    while !entries.is_empty() && found.len() < MAX_TYPES {
        let offset = entries.next_offset();
        let abbreviation = match entries.read_abbreviation() {
            Ok(Some(abbreviation)) => abbreviation,
            Ok(None) => continue,
            Err(_) => break,
        };
        let attributes = abbreviation.attributes();
        if entries.skip_attributes(attributes).is_err() {
            break;
        }
        if !is_named_type(abbreviation.tag()) {
            continue;
        }
        let Ok(entry) = unit.entry(offset) else { continue };
        if flag(&entry, gimli::DW_AT_declaration) {
            continue;
        }
        // A nested type that is defined outside has its name where it was declared.
        let own = place.text_at(&entry, gimli::DW_AT_name);
        let name = own.or_else(|| {
            let declared = data.refers_to(&place, entry.attr_value(gimli::DW_AT_specification)?)?;
            let place = data.place(declared)?;
            place.text_at(&place.entry()?, gimli::DW_AT_name)
        });
        found.extend(name.map(|name| (hash(last_part(&name)), place.sibling(offset))));
    }
    found
}

/// The last part of a qualified name, without the arguments of a template.
pub(super) fn last_part(name: &str) -> &str {
    let end = name.find('<').filter(|&at| at > 0).unwrap_or(name.len());
    let name = name.get(..end).unwrap_or(name);
    let name = name.rsplit("::").next().unwrap_or(name);
    // Go states names with the path of their package.
    name.rsplit('.').next().unwrap_or(name)
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A class may be declared as a structure and the other way round.
fn kind_of(tag: gimli::DwTag) -> gimli::DwTag {
    match tag {
        gimli::DW_TAG_class_type | gimli::DW_TAG_interface_type => gimli::DW_TAG_structure_type,
        other => other,
    }
}

fn is_named_type(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_interface_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_typedef
    )
}
