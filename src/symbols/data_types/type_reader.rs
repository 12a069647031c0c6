//! Types of one image, read once each.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::data_type::{DataType, TypeKind};
use super::debug_data::{DebugData, EntryId};
use super::shape::Shape;
use super::type_index::TypeIndex;

/// How many types are remembered; past that, all are forgotten and read again.
const MAX_REMEMBERED: usize = 1 << 17;

/// How many definitions of one name are looked at.
const MAX_CANDIDATES: usize = 1 << 16;

/// How many different ones are answered.
const MAX_ANSWERS: usize = 64;

/// Reads and remembers the types of one image.
#[derive(Debug)]
pub(in crate::symbols) struct TypeReader {
    pub(super) data: DebugData,
    shapes: Mutex<HashMap<EntryId, Option<Arc<Shape>>>>,
    index: OnceLock<TypeIndex>,
}

impl TypeReader {
    pub(in crate::symbols) fn new(data: DebugData) -> Self {
        Self { data, shapes: Mutex::default(), index: OnceLock::new() }
    }

    /// The type at an entry. A declaration stands for its definition where there is one.
    pub(super) fn data_type(self: &Arc<Self>, id: EntryId) -> Option<DataType> {
        Some(DataType::new(Arc::clone(self), self.definition(id)?))
    }

    pub(super) fn index(&self) -> &TypeIndex {
        self.index.get_or_init(|| TypeIndex::of(&self.data))
    }

    /// The definitions that a name may stand for, each layout once, in the order of the debug
    /// information.
    ///
    /// The name may begin with `struct`, `class`, `union` or `enum`, may leave out outer scopes, and
    /// may leave out the arguments of a template.
    pub(in crate::symbols) fn types_named(self: &Arc<Self>, name: &str) -> Vec<DataType> {
        let name = name.trim();
        let keyword = ["struct ", "class ", "union ", "enum "]
            .into_iter()
            .find_map(|keyword| Some((keyword.trim_end(), name.strip_prefix(keyword)?)));
        let (keyword, name) = keyword.map_or((None, name), |(word, rest)| (Some(word), rest));
        let wanted = compact(name);
        let mut found: Vec<(DataType, u64)> = Vec::new();
        let mut whole = false;
        for &id in self.index().candidates(name).iter().take(MAX_CANDIDATES) {
            let Some(data_type) = self.data_type(id) else { continue };
            let stripped = data_type.stripped();
            if keyword.is_some_and(|keyword| !is_kind(&stripped, keyword)) {
                continue;
            }
            let Some(own) = data_type.plain_name().map(|own| compact(&own)) else { continue };
            let exact = own == wanted;
            if !exact && !ends_with(&own, &wanted) {
                continue;
            }
            // The whole name stands for nothing else.
            if exact && !whole {
                found.clear();
                whole = true;
            }
            if whole && !exact {
                continue;
            }
            let print = fingerprint(&stripped);
            if found.len() < MAX_ANSWERS && !found.iter().any(|(_, known)| *known == print) {
                found.push((data_type, print));
            }
        }
        found.into_iter().map(|(data_type, _)| data_type).collect()
    }

    fn definition(&self, id: EntryId) -> Option<Arc<Shape>> {
        let shape = self.shape(id)?;
        if let Some(elsewhere) = shape.signature {
            return self.shape(elsewhere).or(Some(shape));
        }
        if !shape.is_declaration || shape.name.is_none() {
            return Some(shape);
        }
        let named = super::type_name::qualified(&self.data, id, 0)
            .and_then(|name| self.index().definition(&self.data, &name, shape.tag));
        Some(named.and_then(|id| self.shape(id)).unwrap_or(shape))
    }

    fn shape(&self, id: EntryId) -> Option<Arc<Shape>> {
        let lock = || self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&id) {
            return known.clone();
        }
        let place = self.data.place(id);
        let shape = place.and_then(|place| Shape::read(&self.data, &place)).map(Arc::new);
        let mut shapes = lock();
        if shapes.len() >= MAX_REMEMBERED {
            shapes.clear();
        }
        shapes.insert(id, shape.clone());
        shape
    }
}

/// A name without blanks, which compilers set differently.
fn compact(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Whether a whole name is meant by one that leaves out scopes or arguments.
fn ends_with(whole: &str, wanted: &str) -> bool {
    let without_arguments = whole.find('<').filter(|&at| at > 0).and_then(|at| whole.get(..at));
    let names = [Some(whole), without_arguments];
    names.into_iter().flatten().any(|name| {
        let scopes = name.strip_suffix(wanted);
        scopes.is_some_and(|s| s.is_empty() || s.ends_with("::") || s.ends_with('.'))
    })
}

fn is_kind(of: &DataType, keyword: &str) -> bool {
    match keyword {
        "struct" | "class" => of.kind() == TypeKind::Struct,
        "union" => of.kind() == TypeKind::Union,
        _ => matches!(of.kind(), TypeKind::Enum | TypeKind::Variants),
    }
}

/// A number that equal layouts share: many units define what one header declares.
fn fingerprint(of: &DataType) -> u64 {
    let mut hasher = DefaultHasher::new();
    (of.plain_name(), of.size(), of.kind()).hash(&mut hasher);
    for member in of.members() {
        (member.name, member.offset, member.size, member.bits).hash(&mut hasher);
    }
    hasher.finish()
}
