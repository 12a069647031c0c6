//! The sample id that ends every kernel record except samples (`sample_id_all`).

use super::attr::SampleType;
use super::cursor::{Cursor, ShortRead};
use super::encoder::Encoder;

/// Who, when and where a record was written; a field is there when its event asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SampleId {
    /// Process and thread.
    pub thread: Option<(u32, u32)>,
    /// When, ns.
    pub time: Option<u64>,
    /// Event id.
    pub id: Option<u64>,
    /// Stream id.
    pub stream_id: Option<u64>,
    /// CPU.
    pub cpu: Option<u32>,
    /// Event id again, last in the record.
    pub identifier: Option<u64>,
}

impl SampleId {
    /// Bytes of the sample id of an event with `sample_type`.
    pub fn size(sample_type: SampleType) -> usize {
        let fields = SampleType::TID
            | SampleType::TIME
            | SampleType::ID
            | SampleType::STREAM_ID
            | SampleType::CPU
            | SampleType::IDENTIFIER;
        (sample_type & fields).0.count_ones() as usize * 8
    }

    /// Reads the sample id from the end of a record's body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when the body is shorter than the sample id.
    pub fn decode(cursor: Cursor<'_>, sample_type: SampleType) -> Result<Self, ShortRead> {
        let body = cursor.rest();
        let start = body.len().checked_sub(Self::size(sample_type)).ok_or(ShortRead)?;
        let mut cursor = Cursor::new(&body[start..], cursor.order());
        let mut id = Self::default();
        if sample_type.contains(SampleType::TID) {
            id.thread = Some((cursor.u32()?, cursor.u32()?));
        }
        if sample_type.contains(SampleType::TIME) {
            id.time = Some(cursor.u64()?);
        }
        if sample_type.contains(SampleType::ID) {
            id.id = Some(cursor.u64()?);
        }
        if sample_type.contains(SampleType::STREAM_ID) {
            id.stream_id = Some(cursor.u64()?);
        }
        if sample_type.contains(SampleType::CPU) {
            id.cpu = Some(cursor.u32()?);
            cursor.u32()?;
        }
        if sample_type.contains(SampleType::IDENTIFIER) {
            id.identifier = Some(cursor.u64()?);
        }
        Ok(id)
    }

    /// Writes the sample id of an event with `sample_type`; a missing field is written as 0.
    pub fn encode(&self, encoder: &mut Encoder, sample_type: SampleType) {
        if sample_type.contains(SampleType::TID) {
            let (pid, tid) = self.thread.unwrap_or_default();
            encoder.u32(pid);
            encoder.u32(tid);
        }
        for (bit, value) in [
            (SampleType::TIME, self.time),
            (SampleType::ID, self.id),
            (SampleType::STREAM_ID, self.stream_id),
        ] {
            if sample_type.contains(bit) {
                encoder.u64(value.unwrap_or_default());
            }
        }
        if sample_type.contains(SampleType::CPU) {
            encoder.u32(self.cpu.unwrap_or_default());
            encoder.u32(0);
        }
        if sample_type.contains(SampleType::IDENTIFIER) {
            encoder.u64(self.identifier.or(self.id).unwrap_or_default());
        }
    }
}
