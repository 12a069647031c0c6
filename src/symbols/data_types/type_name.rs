//! Names of types, with the scopes around them.

use super::debug_data::{DebugData, EntryId, Place};
use super::language::Language;

/// The longest name that is put together.
pub(super) const MAX_NAME: usize = 4096;

/// How deep names of names are followed.
const MAX_DEPTH: usize = 16;

/// The name of an entry with those of the scopes around it: `ns::Outer::Inner`.
///
/// None for an entry without a name.
pub(super) fn qualified(data: &DebugData, id: EntryId, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return None;
    }
    // An entry that is declared elsewhere has its name and its scopes there.
    let chain = data.chain(id, &[gimli::DW_AT_specification, gimli::DW_AT_abstract_origin]);
    let (place, name) = chain.iter().rev().find_map(|(place, entry)| {
        Some((place, place.text_at(entry, gimli::DW_AT_name).filter(|name| !name.is_empty())?))
    })?;
    let is_variable = chain.iter().any(|(_, entry)| entry.tag() == gimli::DW_TAG_variable);
    // In C only functions are scopes, and of types nobody says in which function they are.
    if data.language(place) == Language::C && !is_variable {
        return Some(name);
    }
    let scope = scope_of(data, place, depth + 1);
    Some(join(scope, &name))
}

/// The scope in which an entry is, as a prefix: `ns::Outer`; empty at the top.
fn scope_of(data: &DebugData, place: &Place, depth: usize) -> String {
    let Some(scopes) = place.scopes() else { return String::new() };
    let Some(unit) = place.unit() else { return String::new() };
    let mut parts: Vec<String> = Vec::new();
    for offset in scopes.around(gimli::UnitOffset(place.id.offset)) {
        let Ok(entry) = unit.entry(offset) else { continue };
        let elsewhere =
            [gimli::DW_AT_specification, gimli::DW_AT_abstract_origin, gimli::DW_AT_signature];
        let specified = elsewhere.into_iter().find_map(|name| entry.attr_value(name));
        if let Some(value) = specified
            && let Some(id) = data.refers_to(place, value)
        {
            // The rest of the scopes is where this one was declared.
            parts.extend(qualified(data, id, depth));
            break;
        }
        match (place.text_at(&entry, gimli::DW_AT_name), entry.tag()) {
            (Some(name), _) if !name.is_empty() => parts.push(name),
            (_, gimli::DW_TAG_namespace) => parts.push("(anonymous namespace)".to_owned()),
            _ => {}
        }
    }
    parts.reverse();
    parts.join("::")
}

fn join(scope: String, name: &str) -> String {
    if scope.is_empty() || scope.len() + name.len() > MAX_NAME {
        return name.to_owned();
    }
    format!("{scope}::{name}")
}
