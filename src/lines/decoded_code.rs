//! Functions of a recording, each found and decoded once.

use rustc_hash::FxHashMap;

use super::timed::{CodeSource, SampledCode};
use crate::access::{DecodedFunction, FunctionCode};
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

/// Decodes what it is asked for.
pub struct DecodedCode<'s> {
    source: &'s mut dyn CodeSource,
    functions: FxHashMap<(Option<u32>, Pid), Vec<PlacedFunction>>,
}

impl std::fmt::Debug for DecodedCode<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecodedCode").field("functions", &self.functions).finish_non_exhaustive()
    }
}

impl<'s> DecodedCode<'s> {
    /// Takes code from a source.
    pub fn new(source: &'s mut dyn CodeSource) -> Self {
        Self { source, functions: FxHashMap::default() }
    }

    /// The function that covers an address of code; `None` where its bytes are not at hand.
    pub fn function(&mut self, code: &SampledCode) -> Option<&PlacedFunction> {
        let known = self.functions.entry((code.mapping, code.pid)).or_default();
        let covers = |it: &PlacedFunction| (it.first..it.end).contains(&code.code.0);
        if let Some(found) = known.iter().position(covers) {
            return known.get(found);
        }
        let loaded = self.source.function(code).ok()?;
        let first = loaded.address.wrapping_add(loaded.load_bias);
        known.push(PlacedFunction {
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
        known.last().filter(|it| covers(it))
    }
}
