//! The bytes of sampled code: from images, or as the recorder captured them.

use std::collections::BTreeMap;

use object::Architecture;
use rustc_hash::FxHashMap;

use super::names::Names;
use crate::access::{CodeAddress, Instructions, Loss};
use crate::lines::timed::{CodeSource, LoadedFunction, SampledCode};
use crate::perf_data::{EventChange, EventUpdate, RecordType, Recording};
use crate::process::{Mapping, MemoryKind, Pid, Processes};

/// Finds code in the images of a recording, and in what was captured of processes.
pub(super) struct ImageCodeSource<'s, 'p> {
    processes: &'p Processes,
    names: &'s mut Names<'p>,
    captured: FxHashMap<Pid, BTreeMap<u64, Vec<u8>>>,
    /// What the recorded machine's own instructions are, for code that is in no image.
    instructions: Instructions,
}

impl<'s, 'p> ImageCodeSource<'s, 'p> {
    pub(super) fn new(
        recording: &Recording<'_>,
        processes: &'p Processes,
        names: &'s mut Names<'p>,
    ) -> Self {
        let instructions = match recording.features().arch.as_deref() {
            Some("x86_64") => Instructions::X86_64,
            Some(_) => Instructions::Other,
            None if cfg!(target_arch = "x86_64") => Instructions::X86_64,
            None => Instructions::Other,
        };
        Self { processes, names, captured: captured(recording), instructions }
    }

    fn captured(&mut self, sampled: &SampledCode) -> Option<LoadedFunction> {
        let (pid, code) = (sampled.pid, sampled.code.0);
        let function = self.names.jit_function(CodeAddress(code), pid);
        let (start, bytes) = self.captured.get(&pid)?.range(..=code).next_back()?;
        let end = start.checked_add(bytes.len() as u64)?;
        if code >= end {
            return None;
        }
        // All that a plan looks at where no function is known; a region may be many megabytes.
        const REACH: u64 = 4096;
        let start = *start;
        let around = (start.max(code.saturating_sub(REACH)), end.min(code.saturating_add(REACH)));
        let known = function.filter(|(first, _)| *first >= start);
        let (first, after) = known.unwrap_or(around);
        let part = bytes.get((first - start) as usize..(after.min(end) - start) as usize)?;
        Some(LoadedFunction {
            instructions: self.instructions,
            address: first,
            bytes: part.to_vec(),
            starts_at_boundary: known.is_some(),
            load_bias: 0,
        })
    }
}

impl CodeSource for ImageCodeSource<'_, '_> {
    fn function(&mut self, code: &SampledCode) -> Result<LoadedFunction, Loss> {
        // What was captured was there when it ran; a file may have changed since.
        if let Some(captured) = self.captured(code) {
            return Ok(captured);
        }
        let mapping = code.mapping.and_then(|number| self.processes.mapping(number));
        let (function, load_bias) = mapping
            .and_then(|mapping| self.names.function_bytes(mapping, code.code))
            .ok_or_else(|| loss_of(mapping))?;
        Ok(LoadedFunction {
            instructions: match function.architecture {
                Architecture::X86_64 => Instructions::X86_64,
                Architecture::I386 => Instructions::X86_32,
                _ => Instructions::Other,
            },
            address: function.address.0,
            bytes: function.bytes.to_vec(),
            starts_at_boundary: function.starts_at_boundary,
            load_bias,
        })
    }
}

/// Why the code of a mapping is not there.
fn loss_of(mapping: Option<&Mapping>) -> Loss {
    match mapping.map(|mapping| mapping.kind) {
        Some(MemoryKind::Anonymous | MemoryKind::Heap | MemoryKind::Stack | MemoryKind::Shared) => {
            Loss::NotCaptured
        }
        _ => Loss::CodeMissing,
    }
}

/// The captured code of each process, neighbouring pieces joined; the first capture of a byte stays.
fn captured(recording: &Recording<'_>) -> FxHashMap<Pid, BTreeMap<u64, Vec<u8>>> {
    let updates = recording
        .other_records()
        .filter(|(_, record)| record.kind == RecordType::EVENT_UPDATE)
        .filter_map(|(_, record)| EventUpdate::decode(&mut record.cursor()).ok());
    let mut pieces: FxHashMap<Pid, BTreeMap<u64, Vec<u8>>> = FxHashMap::default();
    for update in updates {
        if let EventChange::Code(code) = update.change {
            let of_process = pieces.entry(Pid(code.pid)).or_default();
            of_process.entry(code.address).or_insert_with(|| code.bytes.to_vec());
        }
    }
    pieces.into_iter().map(|(pid, pieces)| (pid, joined(pieces))).collect()
}

fn joined(pieces: BTreeMap<u64, Vec<u8>>) -> BTreeMap<u64, Vec<u8>> {
    let mut joined: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for (address, bytes) in pieces {
        if let Some(mut last) = joined.last_entry() {
            let end = last.key().saturating_add(last.get().len() as u64);
            if address <= end {
                let known = (end - address) as usize;
                last.get_mut().extend_from_slice(bytes.get(known..).unwrap_or_default());
                continue;
            }
        }
        joined.insert(address, bytes);
    }
    joined
}
