//! The second pass: the accesses to the lines that the first one picked, in time order.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::line::{Identity, LineKey};
use super::survey::{SurveyOptions, is_access, passes};
use crate::access::{C2cStats, MemoryAccess};
use crate::perf_data::Recording;

/// An access to a picked line.
#[derive(Debug, Clone, Copy)]
pub struct LineAccess {
    /// Number of the line.
    pub line: u32,
    /// The access.
    pub access: MemoryAccess,
    /// Number of the mapping of its data.
    pub data_mapping: Option<u32>,
}

/// By which identity lines are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineIdentity {
    /// Ours.
    Own,
    /// perf's.
    Perf,
}

/// What the second pass found.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The accesses, by line and then by time.
    pub accesses: Vec<LineAccess>,
    /// Counters of all samples on lines that perf calls shared.
    pub perf_shared: C2cStats,
}

impl Gathered {
    /// Collects the accesses to the lines in `picked`.
    ///
    /// `perf_shared` are the lines whose counters are summed, by perf's identity.
    pub fn of(
        recording: &Recording<'_>,
        identity: &Identity<'_>,
        options: &SurveyOptions,
        by: LineIdentity,
        picked: &FxHashMap<LineKey, u32>,
        perf_shared: impl Fn(&LineKey) -> bool + Sync,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Self {
        let parts = recording
            .batches()
            .par_iter()
            .map(|batch| {
                let mut part = Self::default();
                for (position, record) in recording.samples(batch) {
                    let Ok(access) = MemoryAccess::of(recording, position, &record) else {
                        continue;
                    };
                    if !passes(&access, identity, &options.filter) {
                        continue;
                    }
                    let perf_mapping = identity.perf_data_mapping(&access);
                    let perf_key = identity.perf_key(&access, perf_mapping);
                    if perf_shared(&perf_key) {
                        part.perf_shared +=
                            identity.perf_stats(&access, perf_mapping, options.version);
                    }
                    let (key, data_mapping) = match by {
                        LineIdentity::Perf => (perf_key, perf_mapping),
                        LineIdentity::Own if !is_access(access.source) || access.data.0 == 0 => {
                            continue;
                        }
                        LineIdentity::Own => {
                            let mapping = identity.data_mapping(&access);
                            (identity.key(&access, mapping).0, mapping)
                        }
                    };
                    if let Some(&line) = picked.get(&key) {
                        part.accesses.push(LineAccess { line, access, data_mapping });
                    }
                }
                progress(batch.samples);
                part
            })
            .collect::<Vec<_>>();
        // The parts come in the recording's order, so each line's accesses nearly are in time order
        // already, which a stable sort is fast on.
        let mut gathered = Self::default();
        gathered.accesses.reserve_exact(parts.iter().map(|part| part.accesses.len()).sum());
        for mut part in parts {
            gathered.accesses.append(&mut part.accesses);
            gathered.perf_shared += part.perf_shared;
        }
        gathered.accesses.par_sort_by_key(|it| (it.line, it.access.time, it.access.position));
        gathered
    }

    /// The accesses line by line.
    pub fn by_line(&self) -> impl Iterator<Item = &[LineAccess]> {
        self.accesses.chunk_by(|a, b| a.line == b.line)
    }
}
