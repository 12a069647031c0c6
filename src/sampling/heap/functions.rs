//! The allocation functions that an image has itself.

use object::{
    Object, ObjectSegment, ObjectSymbol, ObjectSymbolTable, RelocationTarget, SymbolKind,
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::code::{Target, cheapest_offset, slot_of_stub, targets};
use crate::process::heap::AllocationFunction;

/// A function to probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProbedFunction {
    pub(super) function: AllocationFunction,
    /// Where to probe it, in the file.
    pub(super) offset: u64,
}

/// Bytes of a function that are looked at for calls.
const MOST_CODE: u64 = 4096;
/// So many functions of an image are probed at most.
const MOST_FUNCTIONS: usize = 64;

struct Found {
    function: AllocationFunction,
    address: u64,
    size: u64,
}

/// The functions of an ELF image of x86-64 that are worth a probe: those of languages (`operator new`,
/// `__rust_alloc`) only where they do not call another one anyway. None of a file that is no such
/// image.
pub(super) fn functions_of(data: &[u8]) -> Vec<ProbedFunction> {
    let Ok(file) = object::File::parse(data) else {
        return Vec::new();
    };
    if file.architecture() != object::Architecture::X86_64 || !file.is_64() {
        return Vec::new();
    }
    let mut found: Vec<Found> = Vec::new();
    let mut known = FxHashSet::default();
    for symbol in file.dynamic_symbols().chain(file.symbols()) {
        let is_function = symbol.is_definition() && symbol.kind() == SymbolKind::Text;
        let name = symbol.name().ok().filter(|_| is_function && symbol.address() != 0);
        if let Some(function) = name.and_then(AllocationFunction::of_symbol)
            && known.insert((symbol.address(), function.clone()))
        {
            found.push(Found { function, address: symbol.address(), size: symbol.size() });
        }
    }
    // Of several names of one function that of C is the plainest.
    found.sort_by_key(|it| (it.address, it.function.is_layer, it.function.name.len()));
    found.dedup_by_key(|it| it.address);
    let addresses: FxHashSet<u64> = found.iter().map(|it| it.address).collect();
    let code = Code { file: &file, slots: slots(&file) };
    let mut probed: Vec<ProbedFunction> = found
        .iter()
        .filter(|it| !it.function.is_layer || !code.calls_one_of(it, &addresses))
        .filter_map(|it| {
            let offset = code.file_offset(it.address)?;
            let shift = cheapest_offset(code.bytes(it.address, 32).unwrap_or(&[]));
            Some(ProbedFunction { function: it.function.clone(), offset: offset + shift })
        })
        .collect();
    probed.truncate(MOST_FUNCTIONS);
    probed
}

/// The code of an image, and whose address each slot for an imported function gets.
struct Code<'d> {
    file: &'d object::File<'d>,
    slots: FxHashMap<u64, String>,
}

impl<'d> Code<'d> {
    fn file_offset(&self, address: u64) -> Option<u64> {
        self.file.segments().find_map(|segment| {
            let delta = address.checked_sub(segment.address())?;
            let (offset, size) = segment.file_range();
            (delta < size).then(|| offset.checked_add(delta))?
        })
    }

    fn bytes(&self, address: u64, size: u64) -> Option<&'d [u8]> {
        self.file.segments().find_map(|segment| {
            let delta = address.checked_sub(segment.address())?;
            let bytes = segment.data().ok()?.get(usize::try_from(delta).ok()?..)?;
            Some(&bytes[..bytes.len().min(size as usize)]).filter(|bytes| !bytes.is_empty())
        })
    }

    /// Whether a function calls, or goes on in, an allocation function of this image or an imported
    /// one.
    fn calls_one_of(&self, found: &Found, addresses: &FxHashSet<u64>) -> bool {
        let size = if found.size == 0 { 64 } else { found.size.min(MOST_CODE) };
        let code = self.bytes(found.address, size).unwrap_or(&[]);
        targets(code, found.address).into_iter().any(|target| match target {
            Target::Address(address) if address == found.address => false,
            Target::Address(address) if addresses.contains(&address) => true,
            Target::Address(address) => self
                .bytes(address, 16)
                .and_then(|stub| slot_of_stub(stub, address))
                .is_some_and(|slot| self.is_allocation(slot)),
            Target::Slot(slot) => self.is_allocation(slot),
        })
    }

    fn is_allocation(&self, slot: u64) -> bool {
        let name = self.slots.get(&slot);
        name.is_some_and(|name| AllocationFunction::of_symbol(name).is_some())
    }
}

fn slots(file: &object::File<'_>) -> FxHashMap<u64, String> {
    let (Some(relocations), Some(symbols)) =
        (file.dynamic_relocations(), file.dynamic_symbol_table())
    else {
        return FxHashMap::default();
    };
    relocations
        .filter_map(|(slot, relocation)| {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                return None;
            };
            let name = symbols.symbol_by_index(index).ok()?.name().ok()?.to_owned();
            // Only these matter, and a table may refer to one long name many times.
            AllocationFunction::of_symbol(&name).map(|_| (slot, name))
        })
        .collect()
}
