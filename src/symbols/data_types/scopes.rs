//! What the entries of a unit are part of: namespaces, types and functions.

use gimli::UnitOffset;

use crate::symbols::vetting::Section;

/// How deep scopes are followed.
const MAX_DEPTH: usize = 64;

/// The most scopes of one unit.
const MAX_SCOPES: usize = 1 << 24;

/// An entry that gives its name to those inside of it.
#[derive(Debug, Clone, Copy)]
struct Scope {
    start: usize,
    end: usize,
    parent: Option<u32>,
}

/// The scopes of a unit, in the order of their entries.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    scopes: Vec<Scope>,
}

impl Scopes {
    /// Walks a unit; damage ends the walk.
    pub(super) fn of(unit: &gimli::Unit<Section>) -> Self {
        let mut scopes: Vec<Scope> = Vec::new();
        // The scopes around the current entry, each with its depth.
        let mut open: Vec<(u32, isize)> = Vec::new();
        let Ok(mut entries) = unit.entries_raw(None) else { return Self::default() };
        while !entries.is_empty() && scopes.len() < MAX_SCOPES {
            let (offset, depth) = (entries.next_offset(), entries.next_depth());
            let abbreviation = match entries.read_abbreviation() {
                Ok(Some(abbreviation)) => abbreviation,
                Ok(None) => continue,
                Err(_) => break,
            };
            while let Some((inner, _)) = open.pop_if(|(_, outer)| *outer >= depth) {
                if let Some(scope) = scopes.get_mut(inner as usize) {
                    scope.end = offset.0;
                }
            }
            if abbreviation.has_children() && names_its_children(abbreviation.tag()) {
                let parent = open.last().map(|(index, _)| *index);
                open.push((scopes.len() as u32, depth));
                scopes.push(Scope { start: offset.0, end: usize::MAX, parent });
            }
            if entries.skip_attributes(abbreviation.attributes()).is_err() {
                break;
            }
        }
        Self { scopes }
    }

    /// The entries around an entry, innermost first.
    pub(super) fn around(&self, entry: UnitOffset) -> Vec<UnitOffset> {
        let before = self.scopes.partition_point(|scope| scope.start < entry.0);
        let mut at = before.checked_sub(1).and_then(|last| u32::try_from(last).ok());
        let mut around = Vec::new();
        while let Some(scope) = at.and_then(|index| self.scopes.get(index as usize)) {
            if scope.end > entry.0 {
                around.push(UnitOffset(scope.start));
            }
            if around.len() == MAX_DEPTH {
                break;
            }
            at = scope.parent;
        }
        around
    }
}

fn names_its_children(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_namespace
            | gimli::DW_TAG_module
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_interface_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_subprogram
    )
}
