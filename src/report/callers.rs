//! Call chains of some samples, named and counted.

use std::collections::BTreeMap;

use super::model::CallChain;
use super::names::Names;
use crate::access::{CodeAddress, MemoryAccess};
use crate::perf_data::{Recording, SamplePosition};
use crate::process::Processes;

/// Chains have values from here on where they pass from kernel to user code and the like
/// (`PERF_CONTEXT_MAX`).
const FIRST_CONTEXT_MARKER: u64 = -4095i64 as u64;
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
        let chain = sample.callchain.unwrap_or_default();
        let callers = chain.iter().filter(|address| *address < FIRST_CONTEXT_MARKER).skip(1);
        let frames: Vec<String> = callers
            .map(|address| {
                // A return address may be the first of the next function; the call is before it.
                let code = CodeAddress(address.saturating_sub(1));
                let mapping = processes
                    .find_kernel(code.0, access.time)
                    .or_else(|| processes.find_user(access.pid, code.0, access.time));
                let name = names.code(mapping, code, access.pid);
                name.symbol.clone().unwrap_or_else(|| match &name.object {
                    Some(object) => {
                        format!("{}+{address:#x}", object.rsplit('/').next().unwrap_or(object))
                    }
                    None => format!("{address:#x}"),
                })
            })
            .collect();
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
