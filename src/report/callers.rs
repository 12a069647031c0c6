//! Call chains of some samples, named and counted.

use std::collections::BTreeMap;

use super::model::CallChain;
use super::names::Names;
use crate::access::{CodeAddress, MemoryAccess};
use crate::perf_data::{CpuMode, Recording, SamplePosition};
use crate::process::Processes;

/// Chains have values from here on where they pass from kernel to user code and the like
/// (`PERF_CONTEXT_MAX`).
const FIRST_CONTEXT_MARKER: u64 = -4095i64 as u64;
/// Where the addresses behind a context marker ran.
fn context_of(word: u64) -> Option<CpuMode> {
    (word >= FIRST_CONTEXT_MARKER).then_some(match word as i64 {
        -32 => CpuMode::Hypervisor,
        -128 => CpuMode::Kernel,
        -512 => CpuMode::User,
        -2176 => CpuMode::GuestKernel,
        -2560 => CpuMode::GuestUser,
        _ => CpuMode::Unknown,
    })
}

/// So many chains of one access are kept, the most frequent ones.
const MAX_CHAINS: usize = 5;

/// The chains of the samples at `positions`, the most frequent first; the sampled instruction itself
/// is left out.
pub(super) fn call_chains(
    recording: &Recording<'_>,
    processes: &Processes,
    names: &mut Names<'_>,
    positions: &[SamplePosition],
) -> Vec<CallChain> {
    let mut counts: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    for &position in positions {
        let Some(record) = recording.sample_at(position) else { continue };
        let (Ok((_, sample)), Ok(access)) =
            (recording.decode(&record), MemoryAccess::of(recording, position, &record))
        else {
            continue;
        };
        let mut mode = access.mode;
        let mut frames = Vec::new();
        let chain = sample.callchain.unwrap_or_default();
        for (place, address) in chain.iter().filter_map(|word| match context_of(word) {
            Some(context) => {
                mode = context;
                None
            }
            None => Some((mode, word)),
        }) {
            // The chain starts with the sampled instruction, unless that part was left out.
            if frames.is_empty() && place == access.mode && address == access.code.0 {
                continue;
            }
            // A return address may be the first of the next function; the call is before it.
            let code = CodeAddress(address.saturating_sub(1));
            let mapping = processes.find_code(place, access.pid, code.0, access.time);
            frames.push(names.code(mapping, code, access.pid).label(code));
        }
        if !frames.is_empty() {
            *counts.entry(frames).or_default() += 1;
        }
    }
    let mut chains: Vec<_> =
        counts.into_iter().map(|(frames, samples)| CallChain { frames, samples }).collect();
    chains.sort_by_key(|chain| std::cmp::Reverse(chain.samples));
    chains.truncate(MAX_CHAINS);
    chains
}
