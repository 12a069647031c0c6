//! Variables that live as long as their image.

use super::data_type::{DataType, DeclaredAt};
use super::language::Language;
use crate::symbols::location::SymbolName;

/// A global, static or thread-local variable of an image.
#[derive(Debug, Clone)]
pub struct DataVariable {
    /// Its name for people, with the scopes around it: `counters`, `ns::Class::total`,
    /// `worker::calls` for a static variable of a function, `crate::module::TOTAL`.
    pub name: String,
    /// The name in the symbol table, if it has one.
    pub linkage_name: Option<String>,
    /// Where it is: an address that the image states, or for a thread-local variable the offset in the
    /// image's block of thread-local memory.
    pub address: u64,
    /// How many bytes it has; 0 when nothing states it.
    pub size: u64,
    /// Its type; none without debug information.
    pub data_type: Option<DataType>,
    /// Where the source declares it.
    pub declared_at: Option<DeclaredAt>,
    /// The language of its compile unit.
    pub language: Language,
    /// Whether each thread has its own.
    pub thread_local: bool,
}

impl DataVariable {
    /// What the symbol table alone knows.
    pub(in crate::symbols) fn of_symbol(symbol: SymbolName, thread_local: bool) -> Self {
        Self {
            name: symbol.name,
            linkage_name: Some(symbol.raw),
            address: symbol.address,
            size: symbol.size,
            data_type: None,
            declared_at: None,
            language: Language::Other,
            thread_local,
        }
    }
}
