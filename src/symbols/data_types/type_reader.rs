//! Types of one image, read once each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::data_type::DataType;
use super::debug_data::{DebugData, EntryId};
use super::shape::Shape;
use super::type_index::TypeIndex;

/// How many types are remembered; past that, all are forgotten and read again.
const MAX_REMEMBERED: usize = 1 << 17;

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
