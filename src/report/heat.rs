//! Where in a type the samples of a recording are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::model::Report;

/// What was seen of some bytes of a type, over all its objects.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Heat {
    /// First byte, from the start of an object.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Samples with an access to them.
    pub samples: u64,
    /// Samples that waited for them, or loads of them that another cache served.
    pub waits: f64,
    /// Threads that read them.
    pub readers: u64,
    /// Threads that write them.
    pub writers: u64,
}

/// The accesses to objects of a type, or to elements of arrays of it, by offset. `name` is the type's as
/// reports name it, `size` its bytes.
pub fn heat(report: &Report, name: &str, size: u64) -> Vec<Heat> {
    #[derive(Default)]
    struct Sum {
        samples: u64,
        waits: f64,
        readers: BTreeSet<u32>,
        writers: BTreeSet<u32>,
    }
    let mut sums: BTreeMap<(u64, u64), Sum> = BTreeMap::new();
    for line in &report.lines {
        for access in &line.accesses {
            let address = line.address.0.saturating_add(access.offset);
            let object = line.objects.iter().find(|object| {
                let (Some(base), Some(bytes)) = (object.base, object.size) else { return false };
                let is_of_type = object.type_name.as_deref().is_some_and(|of| is_made_of(of, name));
                is_of_type && (base.0..base.0.saturating_add(bytes)).contains(&address)
            });
            let Some(base) = object.and_then(|object| object.base) else { continue };
            let offset = (address - base.0) % size.max(1);
            let sum = sums.entry((offset, access.size.unwrap_or(1))).or_default();
            sum.samples = sum.samples.saturating_add(access.samples);
            sum.waits += access.waited.unwrap_or(access.contended as f64);
            let threads = || access.threads.iter().map(|thread| thread.tid);
            if access.kind != "store" {
                sum.readers.extend(threads());
            }
            if access.kind != "load" {
                sum.writers.extend(threads());
            }
        }
    }
    sums.into_iter()
        .map(|((offset, size), sum)| Heat {
            offset,
            size,
            samples: sum.samples,
            waits: sum.waits,
            readers: sum.readers.len() as u64,
            writers: sum.writers.len() as u64,
        })
        .collect()
}

/// Whether a type is this one, or an array of it: `T [4]`, `[T; 4]`.
fn is_made_of(of: &str, name: &str) -> bool {
    let elements = of.strip_prefix('[').and_then(|rest| rest.split_once(';')).map(|it| it.0);
    of == name || of.split_once(" [").is_some_and(|(own, _)| own == name) || elements == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_made_of_their_elements() {
        assert!(is_made_of("struct slot", "struct slot"));
        assert!(is_made_of("struct slot [4][2]", "struct slot"));
        assert!(is_made_of("[app::Slot; 4]", "app::Slot"));
        assert!(!is_made_of("struct slots", "struct slot"));
    }
}
