//! Names for the stubs of the procedure linkage table, which no symbol names.

use object::{Architecture, Object, ObjectSection, ObjectSymbol, ObjectSymbolTable};
use object::{RelocationFlags, RelocationTarget, elf};

use super::image::Image;
use super::symbol::Symbol;

/// The longest name that is made up here: a table may refer to one long name many times.
const MAX_NAME: usize = 1024;

/// The stubs of an image as symbols, named `malloc@plt` like `perf` and the disassemblers do.
///
/// The linker writes one stub for each relocation of a function's slot, in the same order.
pub(super) fn stubs(image: &Image) -> Vec<Symbol> {
    stubs_of(image).unwrap_or_default()
}

fn stubs_of(image: &Image) -> Option<Vec<Symbol>> {
    const STUB_SIZE: u64 = 16;
    let object = image.object();
    let (slot, resolved, header) = match object.architecture() {
        Architecture::X86_64 => (elf::R_X86_64_JUMP_SLOT, elf::R_X86_64_IRELATIVE, 16),
        Architecture::Aarch64 => (elf::R_AARCH64_JUMP_SLOT, elf::R_AARCH64_IRELATIVE, 32),
        _ => return None,
    };
    // With branch tracking the stubs that are called have a section of their own, without the
    // stub in front that calls the dynamic linker.
    let (section, header) = match object.section_by_name(".plt.sec") {
        Some(section) => (section, 0),
        None => (object.section_by_name(".plt")?, header),
    };
    let first = section.address().checked_add(header)?;
    let end = section.address().checked_add(section.size())?;
    let names = object.dynamic_symbol_table()?;
    let stubs = object
        .dynamic_relocations()?
        .filter(|(_, relocation)| {
            let flags = relocation.flags();
            matches!(flags, RelocationFlags::Elf { r_type } if r_type == slot || r_type == resolved)
        })
        .zip((first..end).step_by(STUB_SIZE as usize))
        .filter_map(|((_, relocation), address)| {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                return None;
            };
            let symbol = names.symbol_by_index(index).ok()?;
            let name = symbol.name_bytes().ok()?;
            let name = [name.get(..MAX_NAME).unwrap_or(name), b"@plt"].concat();
            Some(Symbol {
                address,
                end: address.checked_add(STUB_SIZE)?,
                // As long-lived as the names that lie in the image.
                name: Box::leak(name.into_boxed_slice()),
            })
        });
    Some(stubs.collect())
}
