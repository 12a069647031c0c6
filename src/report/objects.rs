//! What lies in a line: variables, and the fields behind its bytes.

use super::heap::HeapFacts;
use super::model::{Access, Field, Hex, Line, Object};
use super::names::Names;
use crate::process::{Pid, ThreadBases, Time};
use crate::symbols::{DataType, DataVariable, FieldAt, FieldExtent, Language};

/// More objects in a line are not told.
const MOST_OBJECTS: usize = 16;

/// An object, and what its bytes mean.
#[derive(Debug, Clone)]
pub(super) struct NamedObject {
    /// `global`, `heap` and so on.
    pub(super) kind: &'static str,
    /// Its name, if it has one.
    pub(super) name: Option<String>,
    /// Its first address in the process.
    pub(super) base: u64,
    /// Bytes; 0 where that is not known.
    pub(super) size: u64,
    /// Its type, if that is known.
    pub(super) data_type: Option<DataType>,
    /// The language that it was declared in.
    pub(super) language: Language,
    /// Where it was allocated.
    pub(super) allocated_at: Vec<String>,
    /// When and by whom, where that was traced.
    pub(super) heap: Option<HeapFacts>,
}

impl NamedObject {
    /// A variable, and what to add to its address for that in the process.
    pub(super) fn of_variable(variable: DataVariable, bias: u64) -> Self {
        Self {
            kind: if variable.thread_local { "thread-local" } else { "global" },
            name: Some(variable.name),
            base: variable.address.wrapping_add(bias),
            size: variable.size,
            data_type: variable.data_type,
            language: variable.language,
            allocated_at: Vec::new(),
            heap: None,
        }
    }

    /// A part of the stack of a thread, of which neither start nor end are known.
    pub(super) fn stack(thread: &str) -> Self {
        Self {
            kind: "stack",
            name: Some(format!("of {thread}")),
            base: 0,
            size: 0,
            data_type: None,
            language: Language::Other,
            allocated_at: Vec::new(),
            heap: None,
        }
    }

    /// The first address after it.
    pub(super) fn end(&self) -> u64 {
        self.base.saturating_add(self.size.max(1))
    }

    fn has(&self, address: u64) -> bool {
        (self.base..self.end()).contains(&address)
    }

    /// The field that an access is for, with the object's name.
    fn field(&self, address: u64, size: u64) -> Option<String> {
        // What has no name is called by its type.
        let of_type = self.data_type.as_ref().map(|of| format!("({})", of.name()));
        let name = self.name.clone().or(of_type)?;
        let name = name.as_str();
        let Some(data_type) = &self.data_type else {
            // Without a type a symbol and an offset are all there is.
            let offset = address.checked_sub(self.base)?;
            return Some(match offset {
                0 => name.to_owned(),
                offset => format!("{name}+{offset:#x}"),
            });
        };
        let FieldAt { field, extent } = data_type.path_at(address.checked_sub(self.base)?, size)?;
        let path = field.of(name);
        Some(if extent == FieldExtent::Padding { format!("{path} (padding)") } else { path })
    }

    fn model(&self) -> Object {
        Object {
            kind: self.kind,
            name: self.name.clone(),
            type_name: self.data_type.as_ref().map(DataType::name),
            base: (self.base > 0).then_some(Hex(self.base)),
            size: (self.size > 0).then_some(self.size),
            allocated_at: self.allocated_at.clone(),
            heap: self.heap.clone(),
        }
    }
}

/// The variables in a line, or the stack that it is a part of. `code` are the mappings of the code that
/// was seen there.
pub(super) fn variables_in(
    line: &Line,
    (pid, time): (Pid, Time),
    code: &[u32],
    bases: &ThreadBases,
    names: &mut Names<'_>,
) -> Vec<NamedObject> {
    let range = line.address.0..line.address.0.saturating_add(line.line_size);
    let mut objects = names.variables(pid, range.clone(), time);
    if objects.is_empty() {
        objects = names.of_threads(pid, range, time, code, bases);
    }
    objects.truncate(MOST_OBJECTS);
    objects
}

/// Fills in what lies in a line, and which field each access is for. What is touched comes first; where
/// nothing is known to lie there, the mapping alone is told.
pub(super) fn name_objects(line: &mut Line, objects: &[NamedObject]) {
    if objects.is_empty() {
        return;
    }
    let first = line.address.0;
    let is_touched =
        |object: &NamedObject| line.accesses.iter().any(|access| object.has(first + access.offset));
    let (touched, others): (Vec<&NamedObject>, Vec<&NamedObject>) =
        objects.iter().partition(|object| is_touched(object));
    let in_order: Vec<&NamedObject> = touched.into_iter().chain(others).collect();
    let end = first.saturating_add(line.line_size);
    line.objects = in_order.iter().map(|object| object.model()).collect();
    line.fields = in_order
        .iter()
        .enumerate()
        .flat_map(|(index, object)| fields(object, index, first..end))
        .collect();
    let watched = line.watched.iter_mut().flat_map(|watched| watched.accesses.iter_mut());
    for access in line.accesses.iter_mut().chain(watched) {
        access.field = field_of(&in_order, first, access);
    }
}

fn field_of(objects: &[&NamedObject], line: u64, access: &Access) -> Option<String> {
    let address = line + access.offset;
    let there = objects.iter().filter(|object| object.has(address));
    // Where one lies in another, that tells most of which the type is known.
    let object = there.min_by_key(|object| (object.data_type.is_none(), object.size))?;
    object.field(address, access.size.unwrap_or(1))
}

/// The fields of an object that lie in a line.
fn fields(object: &NamedObject, index: usize, line: std::ops::Range<u64>) -> Vec<Field> {
    let Some(data_type) = &object.data_type else { return Vec::new() };
    let from = line.start.saturating_sub(object.base);
    let to = line.end.saturating_sub(object.base).min(object.size.max(1));
    let in_line = |offset: u64| object.base.saturating_add(offset).max(line.start) - line.start;
    data_type
        .fields_in(from, to)
        .into_iter()
        .map(|field| {
            let offset = in_line(field.offset);
            let end = in_line(field.offset.saturating_add(field.size)).min(line.end - line.start);
            Field { offset, size: end.saturating_sub(offset), path: field.path, object: index }
        })
        .collect()
}
