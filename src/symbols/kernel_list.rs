//! The kernel's own list of its symbols, in the form of `/proc/kallsyms`.

use super::demangle::DemangleStyle;
use super::error::KernelSymbolsError;
use super::location::SymbolName;
use super::text::text_of;

/// How far the last symbol reaches at most: the list states no sizes.
const LAST_SYMBOL_SIZE: u64 = 4096;

/// The longest name that is kept; the kernel's own limit is 512.
const MAX_NAME: usize = 1024;

/// One line of the list. The name lies in the list's text.
#[derive(Debug, Clone, Copy)]
struct Entry {
    address: u64,
    name: (usize, usize),
    module: (usize, usize),
    function: bool,
    global: bool,
}

/// A symbol of the kernel or of one of its modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelSymbol {
    /// Its name, and its range at run time.
    pub symbol: SymbolName,
    /// The module that has it, without brackets; `None` for the kernel itself.
    pub module: Option<String>,
}

/// The symbols of a running kernel and its modules, by their address at run time.
#[derive(Debug)]
pub struct KernelSymbols {
    text: Vec<u8>,
    /// Sorted by address, one entry for each.
    entries: Vec<Entry>,
}

impl KernelSymbols {
    /// Parses lines of `address type name`, with `[module]` behind the name of a module's symbol.
    ///
    /// Lines of any other form are skipped.
    ///
    /// # Errors
    ///
    /// [`KernelSymbolsError::Hidden`] when all addresses are zero, and
    /// [`KernelSymbolsError::Empty`] when there is no usable line.
    pub fn parse(text: &[u8]) -> Result<Self, KernelSymbolsError> {
        let mut list = Self { text: Vec::new(), entries: Vec::new() };
        let mut symbols = 0;
        for line in text.split(|&byte| byte == b'\n') {
            if let Some(parsed) = parse_line(line) {
                symbols += 1;
                list.push(parsed);
            }
        }
        if list.entries.is_empty() {
            return Err(match symbols {
                0 => KernelSymbolsError::Empty,
                _ => KernelSymbolsError::Hidden { symbols },
            });
        }
        // Of several names for one address a function wins, then a global one, then the first.
        list.entries.sort_by_key(|entry| (entry.address, !entry.function, !entry.global));
        list.entries.dedup_by_key(|entry| entry.address);
        Ok(list)
    }

    fn push(&mut self, line: Line<'_>) {
        // Zero is what hidden addresses look like, and no symbol lives there.
        if line.address == 0 {
            return;
        }
        let mut keep = |bytes: &[u8]| {
            let start = self.text.len();
            self.text.extend(bytes.iter().take(MAX_NAME));
            (start, self.text.len())
        };
        let entry = Entry {
            address: line.address,
            name: keep(line.name),
            module: keep(line.module),
            function: matches!(line.kind, b't' | b'T' | b'w' | b'W' | b'i'),
            global: line.kind.is_ascii_uppercase(),
        };
        self.entries.push(entry);
    }

    /// The function that contains the address at run time.
    #[must_use]
    pub fn function(&self, address: u64) -> Option<KernelSymbol> {
        self.find(address, true)
    }

    /// The variable that contains the address at run time, or starts last before it: the list
    /// states no sizes.
    #[must_use]
    pub fn data(&self, address: u64) -> Option<KernelSymbol> {
        self.find(address, false)
    }

    /// The address of the symbol of this name, such as `_text`.
    #[must_use]
    pub fn address_of(&self, name: &str) -> Option<u64> {
        self.entries
            .iter()
            .find(|entry| self.bytes(entry.name) == name.as_bytes())
            .map(|entry| entry.address)
    }

    fn find(&self, address: u64, function: bool) -> Option<KernelSymbol> {
        let after = self.entries.partition_point(|e| e.address <= address);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        if entry.function != function {
            return None;
        }
        let end = match self.entries.get(after) {
            // The gap between the kernel and its modules belongs to none of them.
            Some(next) if self.bytes(next.module) == self.bytes(entry.module) => next.address,
            next => {
                let end = entry.address.saturating_add(LAST_SYMBOL_SIZE);
                next.map_or(end, |next| next.address.min(end))
            }
        };
        (address < end).then(|| KernelSymbol {
            // Short for C and Rust alike; the kernel has no C++.
            symbol: SymbolName::new(
                text_of(self.bytes(entry.name)),
                entry.address,
                end - entry.address,
                DemangleStyle::Short,
            ),
            module: Some(text_of(self.bytes(entry.module))).filter(|module| !module.is_empty()),
        })
    }

    fn bytes(&self, (start, end): (usize, usize)) -> &[u8] {
        self.text.get(start..end).unwrap_or_default()
    }
}

struct Line<'text> {
    address: u64,
    kind: u8,
    name: &'text [u8],
    module: &'text [u8],
}

fn parse_line(line: &[u8]) -> Option<Line<'_>> {
    let (address, rest) = fields::hex(line)?;
    let (kind, rest) = fields::word(rest)?;
    let (name, rest) = fields::word(rest)?;
    let &[kind] = kind else { return None };
    let module = rest
        .trim_ascii()
        .strip_prefix(b"[")
        .and_then(|module| module.strip_suffix(b"]"))
        .unwrap_or_default();
    Some(Line { address, kind, name, module })
}

/// Fields of a line that blanks separate.
pub(super) mod fields {
    /// The first word and what follows it.
    pub(in crate::symbols) fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
        let line = line.trim_ascii_start();
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (word, rest) = line.split_at_checked(end)?;
        (!word.is_empty()).then_some((word, rest))
    }

    /// The first word as a hexadecimal number, with or without `0x`, and what follows it.
    pub(in crate::symbols) fn hex(line: &[u8]) -> Option<(u64, &[u8])> {
        let (word, rest) = word(line)?;
        let digits = word.strip_prefix(b"0x").unwrap_or(word);
        if digits.is_empty() || digits.len() > 16 {
            return None;
        }
        let number = digits.iter().try_fold(0, |number: u64, &byte| {
            let digit = char::from(byte).to_digit(16)?;
            Some(number << 4 | u64::from(digit))
        });
        Some((number?, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] = b"\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81000000 T _stext
ffffffff81000100 t helper.isra.0
ffffffff81000200 D table
broken line
zzz T name
ffffffff81000300 T last_of_kernel
ffffffffc0000000 t module_function\t[nf_tables]
ffffffffc0000080 T exported\t[nf_tables]
";

    #[test]
    fn functions_reach_to_the_next_symbol() {
        let list = KernelSymbols::parse(LIST).expect("a list");
        let name = |address| list.function(address).map(|found| found.symbol.name);
        assert_eq!(name(0xffff_ffff_8100_00ff).as_deref(), Some("_text"));
        assert_eq!(name(0xffff_ffff_8100_0100).as_deref(), Some("helper.isra.0"));
        assert_eq!(name(0xffff_ffff_8100_0200), None, "that is data");
        assert_eq!(name(0xffff_ffff_8100_0300).as_deref(), Some("last_of_kernel"));
        assert_eq!(name(0xffff_ffff_9000_0000), None, "that is between the modules");
        assert_eq!(name(0x1000), None);
        let data = list.data(0xffff_ffff_8100_0210).expect("data");
        assert_eq!((data.symbol.name.as_str(), data.symbol.size), ("table", 0x100));
        assert_eq!(list.address_of("table"), Some(0xffff_ffff_8100_0200));
    }

    #[test]
    fn modules_are_named() {
        let list = KernelSymbols::parse(LIST).expect("a list");
        let found = list.function(0xffff_ffff_c000_0081).expect("a function");
        assert_eq!(found.symbol.raw, "exported");
        assert_eq!(found.module.as_deref(), Some("nf_tables"));
    }

    #[test]
    fn hidden_addresses_are_told_from_an_empty_list() {
        let hidden = b"0000000000000000 T _text\n0000000000000000 t f\t[m]\n";
        assert!(matches!(
            KernelSymbols::parse(hidden),
            Err(KernelSymbolsError::Hidden { symbols: 2 })
        ));
        for empty in [&b""[..], b"\n\n", b"\xff\xfe", b"1 T"] {
            assert!(matches!(KernelSymbols::parse(empty), Err(KernelSymbolsError::Empty)));
        }
    }
}
