//! Variables, and what their bytes mean: types and fields out of the DWARF.
//!
//! Everything is read on demand: a type is a handle to an entry of the debug information, and asking
//! for its members reads that entry alone. Debug information may lie in the image, in its separate or
//! supplementary file, or in the `.dwo` and `.dwp` files of split DWARF.
//!
//! As everywhere in these modules, the input is hostile: references may lead in circles, sizes may be
//! absurd, units may be damaged. Depths, counts and texts are bounded, and what cannot be read is
//! missing from the answer.

mod data_type;
mod debug_data;
mod field_path;
mod functions;
mod language;
mod location_expression;
mod register_value;
mod scopes;
mod shape;
mod split;
mod type_index;
mod type_name;
mod type_reader;
mod variable;
mod variable_index;
mod wrappers;

pub use data_type::{BitRange, DataType, DeclaredAt, Member, MemberRole, TypeKind};
pub use field_path::{Field, FieldAt, FieldExtent};
pub use language::Language;
pub use register_value::{RegisterValue, ValuePlace};
pub use variable::DataVariable;

pub(super) use debug_data::DebugData;
pub(super) use functions::Functions;
pub(super) use register_value::register_values;
pub(super) use type_reader::TypeReader;
pub(super) use variable_index::VariableIndex;
