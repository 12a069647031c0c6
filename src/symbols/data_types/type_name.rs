//! Names of types, with the scopes around them.

use super::data_type::{DataType, MAX_DEPTH, TypeKind};
use super::debug_data::{DebugData, EntryId, Place};
use super::language::Language;

/// The longest name that is put together.
const MAX_NAME: usize = 4096;

/// How much deeper the arguments of a template count than what they are arguments of.
const ARGUMENT_DEPTH: usize = 8;

/// How many arguments of a template are named.
const MAX_ARGUMENTS: usize = 8;

/// How deep scopes are followed from one entry to the next.
const MAX_SCOPES: usize = 16;

impl DataType {
    /// Its name as its language writes it, with the scopes around it: `struct counters`,
    /// `ns::Foo<int>`, `alloc::vec::Vec<u64>`, `long [4]`, `struct counters *`.
    #[must_use]
    pub fn name(&self) -> String {
        self.name_within(0)
    }

    /// Its qualified name without a keyword such as `struct`; none for types that have no name.
    #[must_use]
    pub fn plain_name(&self) -> Option<String> {
        self.plain_name_within(0)
    }

    fn plain_name_within(&self, depth: usize) -> Option<String> {
        let name = qualified(&self.reader.data, self.shape.id, 0)?;
        Some(self.with_arguments(name, depth))
    }

    fn name_within(&self, depth: usize) -> String {
        if depth > MAX_DEPTH {
            return "...".to_owned();
        }
        let target = || match self.shape.target {
            None => "void".to_owned(),
            Some(id) => self.of(id).map_or_else(|| "?".to_owned(), |t| t.name_within(depth + 1)),
        };
        // Rust names its pointers, slices and arrays itself.
        let named = self.shape.name.is_some() || !self.is_built();
        let name = if named && self.dimension == 0 { self.plain_name_within(depth) } else { None };
        let built = |text: String| if text.len() > MAX_NAME { "...".to_owned() } else { text };
        match self.tag() {
            gimli::DW_TAG_pointer_type if name.is_none() => {
                let target = target();
                if let Some((result, arguments)) = target.split_once(" (...)") {
                    return built(format!("{result} (*)(...){arguments}"));
                }
                built(format!("{target}{}*", if target.ends_with('*') { "" } else { " " }))
            }
            gimli::DW_TAG_reference_type if name.is_none() => built(format!("{} &", target())),
            gimli::DW_TAG_rvalue_reference_type if name.is_none() => {
                built(format!("{} &&", target()))
            }
            gimli::DW_TAG_ptr_to_member_type => built(format!("{} ::*", target())),
            gimli::DW_TAG_const_type => built(qualify("const", target())),
            gimli::DW_TAG_volatile_type => built(qualify("volatile", target())),
            gimli::DW_TAG_atomic_type => built(format!("_Atomic {}", target())),
            gimli::DW_TAG_restrict_type => built(format!("{} restrict", target())),
            gimli::DW_TAG_array_type if name.is_none() => {
                let mut text = target();
                if !text.ends_with(']') {
                    text.push(' ');
                }
                if self.language() == Language::Rust {
                    let counts = self.shape.dimensions.iter().flatten();
                    let counts: Vec<String> = counts.map(u64::to_string).collect();
                    return built(format!("[{}; {}]", text.trim_end(), counts.join("; ")));
                }
                for count in self.dimensions() {
                    match count {
                        Some(count) => text.push_str(&format!("[{count}]")),
                        None => text.push_str("[]"),
                    }
                }
                built(text)
            }
            gimli::DW_TAG_subroutine_type if name.is_none() => built(format!("{} (...)", target())),
            tag => {
                let keyword = match (self.language(), tag) {
                    (Language::C, gimli::DW_TAG_structure_type) => "struct ",
                    (Language::C, gimli::DW_TAG_union_type) => "union ",
                    (Language::C, gimli::DW_TAG_enumeration_type) => "enum ",
                    _ => "",
                };
                match name {
                    Some(name) => format!("{keyword}{name}"),
                    None => {
                        let kind = match tag {
                            gimli::DW_TAG_structure_type => "struct",
                            gimli::DW_TAG_class_type => "class",
                            gimli::DW_TAG_union_type => "union",
                            gimli::DW_TAG_enumeration_type => "enum",
                            _ => "type",
                        };
                        format!("{kind} {{...}}")
                    }
                }
            }
        }
    }

    /// Names without the arguments of their template get them.
    fn with_arguments(&self, name: String, depth: usize) -> String {
        let language = self.language();
        if self.shape.arguments.is_empty() || language != Language::Cpp || name.ends_with('>') {
            return name;
        }
        // Arguments have arguments, and a damaged one has itself.
        if depth + ARGUMENT_DEPTH > MAX_DEPTH {
            return format!("{name}<...>");
        }
        let of = |&id: &EntryId| {
            self.of(id).map_or_else(|| "?".to_owned(), |t| t.name_within(depth + ARGUMENT_DEPTH))
        };
        let arguments: Vec<String> =
            self.shape.arguments.iter().take(MAX_ARGUMENTS).map(of).collect();
        format!("{name}<{}>", arguments.join(", "))
    }

    /// Whether the type is made of another and has no name of its own as a rule.
    fn is_built(&self) -> bool {
        matches!(
            self.kind(),
            TypeKind::Array
                | TypeKind::Pointer
                | TypeKind::Reference
                | TypeKind::Qualified
                | TypeKind::Function
        )
    }
}

/// A qualifier stands behind the pointer that it is for, and before any other type.
fn qualify(qualifier: &str, target: String) -> String {
    if target.ends_with('*') {
        format!("{target}{qualifier}")
    } else {
        format!("{qualifier} {target}")
    }
}

/// The name of an entry with those of the scopes around it: `ns::Outer::Inner`.
///
/// None for an entry without a name.
pub(super) fn qualified(data: &DebugData, id: EntryId, depth: usize) -> Option<String> {
    if depth > MAX_SCOPES {
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
