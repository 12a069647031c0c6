//! The bytes of sampled code: from images, or captured from the process.

use super::names::Names;
use crate::access::Loss;
use crate::lines::timed::{CodeSource, LoadedFunction, SampledCode};
use crate::perf_data::Recording;
use crate::process::Processes;

pub(super) struct ImageCodeSource<'s, 'p> {
    _names: &'s mut Names<'p>,
}

impl<'s, 'p> ImageCodeSource<'s, 'p> {
    pub(super) fn new(
        _recording: &'s Recording<'_>,
        _processes: &'p Processes,
        names: &'s mut Names<'p>,
    ) -> Self {
        Self { _names: names }
    }
}

impl CodeSource for ImageCodeSource<'_, '_> {
    fn function(&mut self, _code: &SampledCode) -> Result<LoadedFunction, Loss> {
        Err(Loss::CodeMissing)
    }
}
