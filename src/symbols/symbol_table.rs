//! The functions and variables that an image's symbol tables name.

use std::cmp::Reverse;

use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolFlags, elf};

use super::ImageAddress;
use super::image::Image;
use super::plt::stubs;
use super::symbol::Symbol;

/// How many symbols that start before an address are asked whether they reach it. Symbols hardly
/// ever nest deeper than two; a damaged table must not turn each lookup into a walk over all of it.
const MAX_NESTING: usize = 64;

/// What a symbol names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Function,
    /// A label in code: hand-written assembly often declares no more.
    Label,
    Data,
}

/// A symbol while the best of each address is still being chosen.
struct Candidate {
    symbol: Symbol,
    section_end: u64,
    kind: Kind,
    binding: elf::SymbolBind,
}

impl Candidate {
    /// Orders the symbols of one address, best last.
    ///
    /// This is the choice that `perf` makes: a symbol with a size, then one that is not weak, then
    /// a global one, then the one with the fewest leading underscores, then the longest name. The
    /// name itself comes last, so that the choice never depends on the order in the table.
    fn rank(&self) -> impl Ord {
        let name = self.symbol.name;
        let underscores = name.iter().take_while(|&&byte| byte == b'_').count();
        (
            self.kind != Kind::Label,
            self.symbol.end > self.symbol.address,
            self.binding != elf::STB_WEAK,
            self.binding == elf::STB_GLOBAL,
            Reverse(underscores),
            name.len(),
            Reverse(name),
        )
    }
}

/// Ranges sorted by address, one for each start.
#[derive(Debug, Default)]
struct Ranges {
    symbols: Vec<Symbol>,
    /// The greatest end among the symbols up to each index: tells when looking back is in vain.
    reach: Vec<u64>,
}

/// The symbols of an image: functions and variables, from every table it and its debug file have.
#[derive(Debug, Default)]
pub(super) struct SymbolTable {
    functions: Ranges,
    data: Ranges,
}

impl SymbolTable {
    /// Reads the symbol tables of all `images`, which must be the same build of one image.
    pub(super) fn of<'image>(images: impl IntoIterator<Item = &'image Image>) -> Self {
        let mut functions = Vec::new();
        let mut data = Vec::new();
        for image in images {
            for candidate in candidates(image) {
                match candidate.kind {
                    Kind::Function | Kind::Label => functions.push(candidate),
                    Kind::Data => data.push(candidate),
                }
            }
            functions.extend(stubs(image).into_iter().map(|symbol| Candidate {
                symbol,
                section_end: symbol.end,
                kind: Kind::Label,
                binding: elf::STB_LOCAL,
            }));
        }
        Self { functions: Ranges::choose(functions), data: Ranges::choose(data) }
    }

    /// Whether it names no function.
    pub(super) fn has_no_functions(&self) -> bool {
        self.functions.symbols.is_empty()
    }

    /// The function that contains the address.
    pub(super) fn function(&self, address: ImageAddress) -> Option<Symbol> {
        self.functions.find(address.0)
    }

    /// The variable that contains the address.
    pub(super) fn data(&self, address: ImageAddress) -> Option<Symbol> {
        self.data.find(address.0)
    }
}

impl Ranges {
    fn choose(mut candidates: Vec<Candidate>) -> Self {
        // Ranks are compared for equal addresses only, which are few.
        candidates.sort_unstable_by(|a, b| {
            let by_address = a.symbol.address.cmp(&b.symbol.address);
            by_address.then_with(|| b.rank().cmp(&a.rank()))
        });
        candidates.dedup_by_key(|candidate| candidate.symbol.address);

        let mut next_start = u64::MAX;
        for candidate in candidates.iter_mut().rev() {
            let symbol = &mut candidate.symbol;
            if symbol.end == symbol.address {
                symbol.end = next_start.min(candidate.section_end);
            }
            next_start = symbol.address;
        }
        let symbols: Vec<Symbol> = candidates.iter().map(|one| one.symbol).collect();
        let reach = symbols
            .iter()
            .scan(0, |reach, symbol| {
                *reach = symbol.end.max(*reach);
                Some(*reach)
            })
            .collect();
        Self { symbols, reach }
    }

    /// The innermost range that contains the address: the one that starts last.
    fn find(&self, address: u64) -> Option<Symbol> {
        let after = self.symbols.partition_point(|s| s.address <= address);
        self.symbols
            .iter()
            .zip(&self.reach)
            .take(after)
            .rev()
            .take(MAX_NESTING)
            .take_while(|&(_, &reach)| reach > address)
            .find(|(symbol, _)| symbol.end > address)
            .map(|(symbol, _)| *symbol)
    }
}

/// All symbols of an image that name a range of addresses.
fn candidates(image: &Image) -> impl Iterator<Item = Candidate> {
    let object = image.object();
    // Section indices are dense, so a list is a map; a symbol's own index is looked up with `get`.
    let mut sections = Vec::new();
    for section in object.sections() {
        let index = section.index().0;
        sections.resize(sections.len().max(index), None);
        let end = section.address().checked_add(section.size());
        let executable = section.kind() == SectionKind::Text;
        sections.push(end.map(|end| (section.address(), end, executable)));
    }
    object.symbols().chain(object.dynamic_symbols()).filter_map(move |symbol| {
        let SymbolFlags::Elf { st_info, .. } = symbol.flags() else {
            return None;
        };
        let (start, section_end, executable) = (*sections.get(symbol.section_index()?.0)?)?;
        let kind = match st_info.st_type() {
            elf::STT_FUNC | elf::STT_GNU_IFUNC => Kind::Function,
            elf::STT_NOTYPE if executable => Kind::Label,
            elf::STT_OBJECT | elf::STT_COMMON => Kind::Data,
            _ => return None,
        };
        let name = symbol.name_bytes().ok()?;
        // Mapping symbols and assembler-local labels mark places inside of functions.
        let internal = name.starts_with(b"$") || name.starts_with(b".L");
        if name.is_empty() || (kind == Kind::Label && internal) {
            return None;
        }
        let address = symbol.address();
        if !(start..section_end).contains(&address) {
            return None;
        }
        let end = address.checked_add(symbol.size())?.min(section_end);
        Some(Candidate {
            symbol: Symbol { address, end, name },
            section_end,
            kind,
            binding: st_info.st_bind(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &'static str, range: (u64, u64), binding: elf::SymbolBind) -> Candidate {
        Candidate {
            symbol: Symbol { address: range.0, end: range.1, name: name.as_bytes() },
            section_end: 0x2000,
            kind: Kind::Function,
            binding,
        }
    }

    fn name_at(ranges: &Ranges, address: u64) -> Option<&str> {
        std::str::from_utf8(ranges.find(address)?.name).ok()
    }

    #[test]
    fn one_name_for_each_address() {
        let choose = |names: &[(&'static str, elf::SymbolBind)]| {
            let of = |&(name, binding)| candidate(name, (0x1000, 0x1010), binding);
            let ranges = Ranges::choose(names.iter().map(of).collect());
            name_at(&ranges, 0x1008).map(str::to_owned)
        };
        let (global, weak, local) = (elf::STB_GLOBAL, elf::STB_WEAK, elf::STB_LOCAL);
        assert_eq!(choose(&[("weak", weak), ("loc", local)]).as_deref(), Some("loc"));
        assert_eq!(choose(&[("longer", local), ("g", global)]).as_deref(), Some("g"));
        assert_eq!(choose(&[("__aa", global), ("b", global)]).as_deref(), Some("b"));
        assert_eq!(choose(&[("short", global), ("longer", global)]).as_deref(), Some("longer"));
    }

    #[test]
    fn symbols_without_size_reach_to_the_next() {
        let ranges = Ranges::choose(vec![
            candidate("open", (0x1000, 0x1000), elf::STB_GLOBAL),
            candidate("closed", (0x1100, 0x1110), elf::STB_GLOBAL),
            candidate("last", (0x1f00, 0x1f00), elf::STB_GLOBAL),
        ]);
        assert_eq!(name_at(&ranges, 0xfff), None);
        assert_eq!(name_at(&ranges, 0x10ff), Some("open"));
        assert_eq!(name_at(&ranges, 0x1110), None);
        assert_eq!(name_at(&ranges, 0x1fff), Some("last"));
        assert_eq!(name_at(&ranges, 0x2000), None);
    }

    #[test]
    fn the_innermost_of_nested_symbols_wins() {
        let ranges = Ranges::choose(vec![
            candidate("outer", (0x1000, 0x1100), elf::STB_GLOBAL),
            candidate("inner", (0x1010, 0x1020), elf::STB_LOCAL),
        ]);
        assert_eq!(name_at(&ranges, 0x100f), Some("outer"));
        assert_eq!(name_at(&ranges, 0x1010), Some("inner"));
        assert_eq!(name_at(&ranges, 0x1020), Some("outer"));
        assert_eq!(name_at(&ranges, 0x1100), None);
    }
}
