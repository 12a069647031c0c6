//! A copy in memory of what was recorded lately, for those who look at a recording while it grows.

use super::cursor::{ByteOrder, Cursor};
use super::record::RecordType;

/// Bytes of samples that are kept at most, and bytes of everything else.
const MOST: usize = 64 << 20;

/// What was recorded: samples until there are too many, then only later ones; all other records.
#[derive(Debug, Default)]
pub(super) struct RecentCopy {
    samples: Vec<u8>,
    others: Vec<u8>,
    /// Whether other records are missing, so that samples cannot be understood.
    is_broken: bool,
}

impl RecentCopy {
    /// Takes one record.
    pub(super) fn add_record(&mut self, kind: RecordType, header: &[u8], body: &[u8]) {
        // Of perf's own records only those tell of processes that are ours.
        if kind.0 >= RecordType::HEADER_ATTR.0 && kind != RecordType::EVENT_UPDATE {
            return;
        }
        let is_sample = kind == RecordType::SAMPLE;
        let kept = if is_sample { &mut self.samples } else { &mut self.others };
        if kept.len() + header.len() + body.len() > MOST {
            self.is_broken |= !is_sample;
            kept.clear();
        }
        kept.extend_from_slice(header);
        kept.extend_from_slice(body);
    }

    /// Takes whole records, as a ring buffer holds them.
    pub(super) fn add_records(&mut self, bytes: &[u8], order: ByteOrder) {
        const HEADER: usize = super::RECORD_HEADER_SIZE;
        let mut rest = bytes;
        while rest.len() >= HEADER {
            let mut cursor = Cursor::new(rest, order);
            let (Ok(kind), Ok(_), Ok(size)) = (cursor.u32(), cursor.u16(), cursor.u16()) else {
                return;
            };
            let size = usize::from(size);
            if size < HEADER || size > rest.len() {
                return;
            }
            let (record, next) = rest.split_at(size);
            let (header, body) = record.split_at(HEADER);
            self.add_record(RecordType(kind), header, body);
            rest = next;
        }
    }

    /// All of it; `None` when something is missing that samples need.
    pub(super) fn bytes(&self) -> Option<[&[u8]; 2]> {
        (!self.is_broken).then_some([&self.others, &self.samples])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: RecordType, body: &[u8]) -> Vec<u8> {
        let mut bytes = kind.0.to_le_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(((body.len() + 8) as u16).to_le_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn samples_come_behind_what_explains_them() {
        let mut copy = RecentCopy::default();
        let (comm, sample) =
            (record(RecordType::COMM, &[1; 8]), record(RecordType::SAMPLE, &[2; 8]));
        let round = record(RecordType::FINISHED_ROUND, &[]);
        let all = [&sample[..], &round, &comm, &sample].concat();
        copy.add_records(&all, ByteOrder::Little);
        copy.add_records(&sample[..12], ByteOrder::Little);
        let kept = copy.bytes().expect("nothing is missing").concat();
        assert_eq!(kept, [comm, sample.clone(), sample].concat());
    }

    #[test]
    fn old_samples_make_room() {
        let mut copy = RecentCopy::default();
        let body = vec![0; 1 << 20];
        for _ in 0..65 {
            copy.add_record(RecordType::SAMPLE, &[], &body);
        }
        assert_eq!(copy.bytes().map(|[_, samples]| samples.len()), Some(1 << 20));
        for _ in 0..65 {
            copy.add_record(RecordType::MMAP2, &[], &body);
        }
        assert_eq!(copy.bytes(), None);
    }
}
