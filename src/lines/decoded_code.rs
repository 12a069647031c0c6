//! Functions of a recording, each found and decoded once.

use rustc_hash::FxHashMap;

use super::timed::{CodeSource, SampledCode};
use crate::access::{CodeAddress, DecodedFunction, FunctionCode};
use crate::process::Pid;

/// A decoded function, and where a process has it.
#[derive(Debug)]
pub struct PlacedFunction {
    /// Its first address in the process.
    pub first: u64,
    /// The first address after it.
    pub end: u64,
    /// What to add to an address of the image for one of the process.
    pub load_bias: u64,
    /// The function.
    pub decoded: DecodedFunction,
}

/// Decodes functions as they are asked for.
pub struct DecodedCode<'s> {
    source: &'s mut dyn CodeSource,
    functions: PlacedFunctions,
}

/// Decoded functions by where processes have them.
#[derive(Debug, Default)]
pub struct PlacedFunctions {
    by_mapping: FxHashMap<(Option<u32>, Pid), Vec<PlacedFunction>>,
}

impl std::fmt::Debug for DecodedCode<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecodedCode").field("functions", &self.functions).finish_non_exhaustive()
    }
}

impl<'s> DecodedCode<'s> {
    /// Takes code from a source.
    pub fn new(source: &'s mut dyn CodeSource) -> Self {
        Self { source, functions: PlacedFunctions::default() }
    }

    /// The function that covers an address of code; `None` where its bytes are not at hand.
    pub fn function(&mut self, code: &SampledCode) -> Option<&PlacedFunction> {
        let place = (code.mapping, code.pid);
        let is_known = self.functions.find(place.0, place.1, code.code).is_some();
        if !is_known && let Ok(loaded) = self.source.function(code) {
            let first = loaded.address.wrapping_add(loaded.load_bias);
            self.functions.by_mapping.entry(place).or_default().push(PlacedFunction {
                first,
                end: first.saturating_add(loaded.bytes.len() as u64),
                load_bias: loaded.load_bias,
                decoded: DecodedFunction::decode(&FunctionCode {
                    instructions: loaded.instructions,
                    address: loaded.address,
                    bytes: &loaded.bytes,
                    starts_at_boundary: loaded.starts_at_boundary,
                }),
            });
        }
        self.functions.find(place.0, place.1, code.code)
    }

    /// All that was decoded.
    pub fn into_functions(self) -> PlacedFunctions {
        self.functions
    }
}

impl PlacedFunctions {
    /// The function that covers an address of a process's code, if it was decoded.
    pub fn find(
        &self,
        mapping: Option<u32>,
        pid: Pid,
        code: CodeAddress,
    ) -> Option<&PlacedFunction> {
        let known = self.by_mapping.get(&(mapping, pid))?;
        known.iter().find(|function| (function.first..function.end).contains(&code.0))
    }
}
