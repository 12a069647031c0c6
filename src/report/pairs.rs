//! Which writer makes whom wait.

use super::model::{Access, Pair};

/// More pairs say nothing more.
const MOST: usize = 16;

/// The pairs of instructions that fight over a line: who waits and who writes. The waiting of one is
/// parted among the writes of other threads by how often each was seen, since a wait does not name its
/// cause.
pub(super) fn pairs(accesses: &[Access]) -> Vec<Pair> {
    let mut pairs: Vec<(usize, usize, f64)> = Vec::new();
    for (other, victim) in accesses.iter().enumerate() {
        let waits = victim.waited.unwrap_or(victim.contended as f64);
        if waits <= 0.0 {
            continue;
        }
        let by_writer: Vec<(usize, f64)> = accesses
            .iter()
            .enumerate()
            .filter(|(_, writer)| writer.kind != "load")
            .map(|(index, writer)| (index, writes_for(victim, writer)))
            .filter(|(_, writes)| *writes > 0.0)
            .collect();
        let all: f64 = by_writer.iter().map(|(_, writes)| writes).sum();
        pairs.extend(
            by_writer.into_iter().map(|(writer, writes)| (writer, other, waits * writes / all)),
        );
    }
    pairs.sort_by(|a, b| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    let counted = pairs.into_iter().map(|(writer, other, samples)| Pair {
        writer,
        other,
        samples: samples.round() as u64,
    });
    counted.filter(|pair| pair.samples > 0).take(MOST).collect()
}

/// How often the writer was seen to write for another thread than the one that waits, each of the
/// waiting threads by its share.
fn writes_for(victim: &Access, writer: &Access) -> f64 {
    let of_victim: u64 = victim.threads.iter().map(|thread| thread.samples).sum();
    let all: u64 = writer.threads.iter().map(|thread| thread.samples).sum();
    let own = |tid: u32| {
        let same = writer.threads.iter().filter(|thread| thread.tid == tid);
        same.map(|thread| thread.samples).sum::<u64>()
    };
    let shares = victim.threads.iter().map(|thread| {
        let share = thread.samples as f64 / of_victim.max(1) as f64;
        share * all.saturating_sub(own(thread.tid)) as f64
    });
    shares.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{Hex, ThreadSamples};

    fn access(kind: &'static str, waited: f64, threads: &[(u32, u64)]) -> Access {
        let threads = threads
            .iter()
            .map(|&(tid, samples)| ThreadSamples { pid: 1, tid, comm: None, samples })
            .collect();
        Access {
            offset: 0,
            size: Some(8),
            kind,
            code_address: Hex(0),
            symbol: None,
            label: String::new(),
            object: None,
            in_kernel: false,
            source: None,
            inlines: Vec::new(),
            field: None,
            lock: None,
            threads,
            cpus: Vec::new(),
            nodes: Vec::new(),
            callers: Vec::new(),
            samples: 0,
            contended: 0,
            waited: Some(waited),
            c2c: None,
            mean_cycles: None,
        }
    }

    #[test]
    fn waiting_is_parted_among_the_writes_of_others() {
        let accesses = [
            access("load", 90.0, &[(1, 100)]),
            access("store", 0.0, &[(2, 20)]),
            access("rmw", 10.0, &[(3, 10)]),
        ];
        let found: Vec<(usize, usize, u64)> =
            pairs(&accesses).iter().map(|pair| (pair.writer, pair.other, pair.samples)).collect();
        assert_eq!(found, [(1, 0, 60), (2, 0, 30), (1, 2, 10)]);
    }

    #[test]
    fn nobody_fights_alone() {
        assert!(pairs(&[access("rmw", 90.0, &[(1, 100)])]).is_empty());
        let one_instruction = [access("rmw", 90.0, &[(1, 60), (2, 30)])];
        assert_eq!(pairs(&one_instruction)[0].samples, 90);
        let readers = [access("load", 90.0, &[(1, 60)]), access("load", 9.0, &[(2, 60)])];
        assert!(pairs(&readers).is_empty());
    }
}
