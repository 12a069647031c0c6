//! What an address is called.

use std::sync::Arc;

use super::demangle::{DemangleStyle, demangle_with};
use super::error::ImageProblem;

/// A symbol: a named range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolName {
    /// The name for people: demangled.
    pub name: String,
    /// The name in the symbol table.
    pub raw: String,
    /// Where it starts. For an image this is an address that the image states, for the kernel and
    /// for JIT-compiled code one at run time.
    pub address: u64,
    /// How many bytes it has.
    pub size: u64,
}

impl SymbolName {
    pub(super) fn new(raw: String, address: u64, size: u64, style: DemangleStyle) -> Self {
        Self { name: demangle_with(&raw, style).into_owned(), raw, address, size }
    }
}

/// One function at an address: the one that runs, or one that it was inlined into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// The function's name, demangled.
    pub function: Option<String>,
    /// The function's name as the image has it.
    pub raw_function: Option<String>,
    /// The source file as the debug information states it, a full path as a rule.
    pub file: Option<String>,
    /// The line in that file; for an outer frame, the line of the inlined call.
    pub line: Option<u32>,
}

/// All that is known about an address.
#[derive(Debug, Clone, Default)]
pub struct Location {
    /// The symbol that contains the address.
    pub symbol: Option<SymbolName>,
    /// How far the address is into that symbol, bytes.
    pub offset: u64,
    /// The functions at the address, innermost first; the last one is the real, outer function.
    ///
    /// With a symbol and no debug information this is one frame with the symbol's name.
    pub frames: Vec<Frame>,
    /// Why there is no more than this, if there is a reason.
    pub problem: Option<Arc<ImageProblem>>,
}

impl Location {
    /// The location of an address about which only its symbol is known, if that.
    pub(super) fn of_symbol(symbol: Option<SymbolName>, address: u64) -> Self {
        let offset = symbol.as_ref().map_or(0, |symbol| address.wrapping_sub(symbol.address));
        let frame = symbol.as_ref().map(|symbol| Frame {
            function: Some(symbol.name.clone()),
            raw_function: Some(symbol.raw.clone()),
            file: None,
            line: None,
        });
        Self { frames: frame.into_iter().collect(), symbol, offset, problem: None }
    }

    pub(super) fn unknown(problem: Arc<ImageProblem>) -> Self {
        Self { problem: Some(problem), ..Self::default() }
    }
}
