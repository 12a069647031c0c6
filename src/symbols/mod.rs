//! From a recorded image and an address to function names, inlined functions and source lines.
//!
//! A recording names the files that were mapped and states addresses in them. [`Symbolizer`] finds
//! those files, makes sure by their build-id that they are the recorded ones, and looks up names in
//! their symbol tables and lines in their DWARF. [`KernelSymbolizer`] does the same for the kernel,
//! [`PerfMap`] for code that a JIT made.
//!
//! Images are hostile input. Whatever they hold, a lookup ends, takes bounded memory and never
//! panics; at worst it knows nothing, and says why.

mod address;
mod build_id;
mod crc32;
mod data_types;
mod debug_lines;
mod demangle;
mod error;
mod function_bytes;
mod image;
mod image_finder;
mod kernel_list;
mod kernel_symbolizer;
mod location;
mod perf_map;
mod plt;
mod resolved_image;
mod symbol;
mod symbol_table;
mod symbolizer;
#[cfg(test)]
mod tests;
mod text;
mod unwind;
mod unwind_table;
mod variables;
mod vdso;
mod vetting;

pub use address::{FileOffset, ImageAddress};
pub use build_id::{BuildId, build_id_of_file};
pub use data_types::{
    BitRange, DataType, DataVariable, DeclaredAt, Field, FieldAt, FieldExtent, Language, Member,
    MemberRole, RegisterValue, TypeKind, ValuePlace,
};
pub use demangle::{DemangleStyle, demangle, demangle_with};
pub use error::{ImageProblem, KernelSymbolsError, ParseBuildIdError, PerfMapError};
pub use function_bytes::FunctionBytes;
pub use image::Image;
pub use image_finder::{ImageFinder, is_file_backed};
pub use kernel_list::{KernelSymbol, KernelSymbols};
pub use kernel_symbolizer::{KernelSymbolizer, running_kernel_build_id};
pub use location::{Frame, Location, SymbolName};
pub use perf_map::PerfMap;
pub use symbolizer::{ImageId, SymbolOptions, Symbolizer, default_build_id_cache};
pub use unwind::{FrameRegisters, StackFrame};
pub use variables::{Variable, VariableError, find_variable};
pub use vdso::running_vdso;
