//! Where the parts of a line part ways: at objects, at the elements of an array, at the members of a
//! structure.

use crate::report::objects::NamedObject;
use crate::symbols::{DataType, TypeKind};

/// A stretch of bytes that a part uses, in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Which part.
    pub(super) part: usize,
    /// First address.
    pub(super) start: u64,
    /// First address after it.
    pub(super) end: u64,
}

/// Where parts of an object part ways.
#[derive(Debug, Clone)]
pub(super) enum Level {
    /// At the elements of an array.
    Elements {
        /// The array's first address.
        base: u64,
        /// How many elements it has, if known.
        count: Option<u64>,
        /// What they are.
        element: DataType,
        /// Path from the object to the array.
        path: String,
    },
    /// At the members of a structure.
    Members {
        /// The structure's first address.
        base: u64,
        /// The structure.
        of: DataType,
        /// Path from the object to it.
        path: String,
    },
    /// Within one number: nothing parts them.
    Within,
}

/// How deep types are followed.
const MAX_DEPTH: usize = 32;

/// The first level at which the stretches, all in this object, are of different children.
pub(super) fn level(object: &NamedObject, stretches: &[Stretch]) -> Option<Level> {
    let mut data_type = object.data_type.clone()?;
    let (mut base, mut path) = (object.base, String::new());
    for _ in 0..MAX_DEPTH {
        let inner = data_type.stripped();
        match inner.kind() {
            TypeKind::Array => {
                let (element, count) = inner.element()?;
                let size = element.size().filter(|size| *size > 0)?;
                let index_of = |address: u64| address.saturating_sub(base) / size;
                let first = index_of(stretches.first()?.start);
                let is_one = stretches
                    .iter()
                    .all(|it| index_of(it.start) == first && index_of(it.end - 1) == first);
                if !is_one {
                    return Some(Level::Elements { base, count, element, path });
                }
                base = base.saturating_add(first.saturating_mul(size));
                path.push_str(&format!("[{first}]"));
                data_type = element;
            }
            TypeKind::Struct => {
                let around = inner.members().into_iter().find(|member| {
                    let Some(offset) = member.offset else { return false };
                    let start = base.saturating_add(offset);
                    let end = start.saturating_add(member.size);
                    member.bits.is_none()
                        && stretches.iter().all(|it| start <= it.start && it.end <= end)
                });
                let Some(member) = around else {
                    return Some(Level::Members { base, of: inner, path });
                };
                base = base.saturating_add(member.offset.unwrap_or_default());
                if inner.wrapped().is_none()
                    && let Some(name) = &member.name
                {
                    path.push_str(if path.is_empty() { "" } else { "." });
                    path.push_str(name);
                }
                data_type = member.data_type;
            }
            _ => return Some(Level::Within),
        }
    }
    None
}
