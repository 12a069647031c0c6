//! Writing a recording, into a file or a pipe.
//!
//! The file grows under its final name with data size 0 in the header, and [`Writer::finish`] writes
//! the features and the real size: a recorder that is killed leaves a file that is read up to its
//! last whole record.

use std::io::{self, Seek, SeekFrom, Write};

use super::attr::EventAttr;
use super::compression::Compressor;
use super::cursor::{ByteOrder, Words};
use super::encoder::Encoder;
use super::feature::{CompressionInfo, EventDescription, FeatureId, Features};
use super::header::{FILE_HEADER_SIZE, FeatureBits, Header, Section};
use super::kernel_records::{Comm, LostSamples, MappedObject, Mmap, Task};
use super::recent_copy::RecentCopy;
use super::record::{MISC_MMAP_BUILD_ID, RECORD_HEADER_SIZE, RecordType};
use super::sample::{Sample, SampleFormat};
use super::sample_id::SampleId;
use super::user_records::{AuxTrace, EventChange, EventUpdate, HeaderAttr};

/// Records are compressed in pieces of so many bytes, small enough for one COMPRESSED record.
const COMPRESSED_PIECE: usize = 48 << 10;

/// What an event is written as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSpec {
    /// Its settings.
    pub attr: EventAttr,
    /// Its name.
    pub name: String,
    /// Its ids.
    pub ids: Vec<u64>,
}

/// How to write.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriterOptions {
    /// Byte order of everything.
    pub order: ByteOrder,
    /// zstd level (1 to 22) of kernel records, or `None` for none.
    pub compression_level: Option<i32>,
}

/// Writes records behind a header.
pub struct Writer<W> {
    out: W,
    events: Vec<EventSpec>,
    order: ByteOrder,
    compressor: Option<(Compressor, i32)>,
    pending: Vec<u8>,
    body: Encoder,
    data: Section,
    attrs: Section,
    attr_entry_size: u64,
    sample_id_type: super::attr::SampleType,
    sample_id_all: bool,
    uncompressed: u64,
    is_pipe: bool,
    /// Whether events or ids came after the header was written.
    has_later_events: bool,
    copy: Option<RecentCopy>,
    /// How many events there were at first.
    first_events: usize,
}

impl<W: std::fmt::Debug> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("out", &self.out)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl<W: Write + Seek> Writer<W> {
    /// Starts a file at the current position of `out`, which must be its start.
    ///
    /// # Errors
    ///
    /// What `out` answers; [`io::ErrorKind::InvalidInput`] when there is no event.
    pub fn file(out: W, events: Vec<EventSpec>, options: WriterOptions) -> io::Result<Self> {
        let mut writer = Self::new(out, events, options)?;
        let attr_size = writer.events.iter().map(|event| event.attr.size).max().unwrap_or(0);
        writer.events.iter_mut().for_each(|event| event.attr.size = attr_size);
        let (ids, entries) = writer.event_sections(FILE_HEADER_SIZE);
        writer.attr_entry_size = (entries.len() / writer.events.len()) as u64;
        writer.attrs =
            Section { offset: FILE_HEADER_SIZE + ids.len() as u64, size: entries.len() as u64 };
        writer.data = Section { offset: writer.attrs.offset + writer.attrs.size, size: 0 };
        let header = writer.file_header(Section { size: 0, ..writer.data }, FeatureBits::default());
        writer.out.write_all(&header)?;
        writer.out.write_all(ids.as_slice())?;
        writer.out.write_all(entries.as_slice())?;
        Ok(writer)
    }

    /// Writes the features and the real size of the data; EVENT_DESC and COMPRESSED are filled in
    /// from what was written.
    ///
    /// # Errors
    ///
    /// What the output answers.
    pub fn finish(mut self, features: &Features) -> io::Result<W> {
        self.flush_compressed()?;
        let features = self.complete(features);
        let mut bits = FeatureBits::default();
        let mut payloads = Vec::new();
        for bit in 0..256 {
            if let Some(payload) = features.encode(FeatureId(bit), self.order) {
                bits.insert(bit);
                payloads.push(payload);
            }
        }
        let mut table = Encoder::new(self.order);
        let mut offset = self.data.offset + self.data.size + payloads.len() as u64 * 16;
        for payload in &payloads {
            Section { offset, size: payload.len() as u64 }.encode(&mut table);
            offset += payload.len() as u64;
        }
        self.out.write_all(table.as_slice())?;
        for payload in &payloads {
            self.out.write_all(payload)?;
        }
        if self.has_later_events {
            // Those before the data lack what came later; the header may name any place for them.
            let (mut ids, entries) = self.event_sections(offset);
            self.attrs = Section { offset: offset + ids.len() as u64, size: entries.len() as u64 };
            ids.bytes(entries.as_slice());
            self.out.write_all(ids.as_slice())?;
        }
        self.out.flush()?;
        let header = self.file_header(self.data, bits);
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header)?;
        self.out.flush()?;
        self.out.seek(SeekFrom::End(0))?;
        Ok(self.out)
    }

    fn file_header(&self, data: Section, features: FeatureBits) -> Vec<u8> {
        let (order, attr_entry_size, attrs) = (self.order, self.attr_entry_size, self.attrs);
        let mut encoder = Encoder::new(order);
        Header::File { order, attr_entry_size, attrs, data, features }.encode(&mut encoder);
        encoder.into_bytes()
    }
}

impl<W> Writer<W> {
    /// The ids of all events, to be written at an offset, and the attributes that point to them.
    fn event_sections(&self, start: u64) -> (Encoder, Encoder) {
        let mut ids = Encoder::new(self.order);
        let mut entries = Encoder::new(self.order);
        for event in &self.events {
            let offset = start + ids.len() as u64;
            event.ids.iter().for_each(|id| ids.u64(*id));
            event.attr.encode(&mut entries);
            Section { offset, size: event.ids.len() as u64 * 8 }.encode(&mut entries);
        }
        (ids, entries)
    }
}

impl<W: Write> Writer<W> {
    /// Starts a pipe recording: events and features come first, as records.
    ///
    /// # Errors
    ///
    /// What `out` answers; [`io::ErrorKind::InvalidInput`] when there is no event.
    pub fn pipe(
        out: W,
        events: Vec<EventSpec>,
        features: &Features,
        options: WriterOptions,
    ) -> io::Result<Self> {
        let mut writer = Self::new(out, events, options)?;
        let order = writer.order;
        let mut header = Encoder::new(order);
        Header::Pipe { order }.encode(&mut header);
        writer.out.write_all(header.as_slice())?;
        writer.is_pipe = true;
        for event in writer.events.clone() {
            writer.header_attr(&event)?;
        }
        let features = writer.complete(features);
        for bit in 0..256 {
            if let Some(payload) = features.encode(FeatureId(bit), order) {
                let mut body = Encoder::new(order);
                body.u64(u64::from(bit));
                body.bytes(&payload);
                writer.record(RecordType::HEADER_FEATURE, 0, body.as_slice())?;
            }
        }
        for event in writer.events.clone() {
            writer.event_name(&event)?;
        }
        Ok(writer)
    }

    /// Keeps a copy of what is written from now on, of a bounded size: see
    /// [`recent_copy`](Self::recent_copy).
    pub fn keep_copy(&mut self) {
        self.copy = Some(RecentCopy::default());
    }

    /// The recording so far as a pipe has it, of the events that it began with: without samples that
    /// have become too many, and old. `None` when nothing is kept, or not all that samples need.
    ///
    /// # Errors
    ///
    /// Memory does not fail; what else the writer answers.
    pub fn recent_copy(&self, features: &Features) -> io::Result<Option<Vec<u8>>> {
        let Some(parts) = self.copy.as_ref().and_then(RecentCopy::bytes) else {
            return Ok(None);
        };
        let events = self.events[..self.first_events].to_vec();
        let options = WriterOptions { order: self.order, compression_level: None };
        let mut bytes = Writer::pipe(Vec::new(), events, features, options)?.finish_pipe()?;
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Ok(Some(bytes))
    }

    /// Adds an event that was opened after the recording began, before its first record. Into a pipe
    /// goes a record; a file's list of events is written anew when it is finished, and an event that
    /// is known by attribute and name only gets more ids.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    pub fn add_event(&mut self, mut event: EventSpec) -> io::Result<()> {
        event.attr.size = self.events.first().map_or(event.attr.size, |first| first.attr.size);
        self.has_later_events = true;
        if self.is_pipe {
            self.header_attr(&event)?;
            self.event_name(&event)?;
        }
        let is_same = |known: &&mut EventSpec| known.attr == event.attr && known.name == event.name;
        match self.events.iter_mut().find(is_same) {
            Some(known) => known.ids.append(&mut event.ids),
            None => self.events.push(event),
        }
        Ok(())
    }

    fn header_attr(&mut self, event: &EventSpec) -> io::Result<()> {
        let mut ids = Encoder::new(self.order);
        event.ids.iter().for_each(|id| ids.u64(*id));
        let mut body = Encoder::new(self.order);
        HeaderAttr { attr: event.attr, ids: Words::new(ids.as_slice(), self.order) }
            .encode(&mut body);
        self.record(RecordType::HEADER_ATTR, 0, body.as_slice())
    }

    fn event_name(&mut self, event: &EventSpec) -> io::Result<()> {
        let Some(&id) = event.ids.first() else {
            return Ok(());
        };
        let mut body = Encoder::new(self.order);
        EventUpdate { id, change: EventChange::Name(event.name.as_bytes()) }.encode(&mut body);
        self.record(RecordType::EVENT_UPDATE, 0, body.as_slice())
    }

    /// Ends a pipe recording.
    ///
    /// # Errors
    ///
    /// What the output answers.
    pub fn finish_pipe(mut self) -> io::Result<W> {
        self.flush_compressed()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn new(out: W, mut events: Vec<EventSpec>, options: WriterOptions) -> io::Result<Self> {
        for event in &mut events {
            if event.attr.size == 0 {
                event.attr.size = super::attr::ATTR_SIZE_DEFAULT as u32;
            }
        }
        let Some(first) = events.first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a recording needs an event"));
        };
        let (sample_id_type, sample_id_all) = (first.attr.sample_type, first.attr.sample_id_all());
        let compressor = match options.compression_level {
            Some(level) => Some((Compressor::new(level)?, level)),
            None => None,
        };
        let first_events = events.len();
        Ok(Self {
            out,
            events,
            order: options.order,
            compressor,
            pending: Vec::new(),
            body: Encoder::new(options.order),
            data: Section::default(),
            attrs: Section::default(),
            attr_entry_size: 0,
            sample_id_type,
            sample_id_all,
            uncompressed: 0,
            is_pipe: false,
            has_later_events: false,
            copy: None,
            first_events,
        })
    }

    /// Writes a record with a body that is already encoded, sample id included.
    ///
    /// # Errors
    ///
    /// What the output answers; [`io::ErrorKind::InvalidInput`] when the body exceeds 65 527 bytes.
    pub fn record(&mut self, kind: RecordType, misc: u16, body: &[u8]) -> io::Result<()> {
        let size = u16::try_from(body.len() + RECORD_HEADER_SIZE).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "a record holds at most 65527 bytes")
        })?;
        let mut header = Encoder::new(self.order);
        header.u32(kind.0);
        header.u16(misc);
        header.u16(size);
        if let Some(copy) = &mut self.copy {
            copy.add_record(kind, header.as_slice(), body);
        }
        if self.compressor.is_some() && kind.0 < RecordType::HEADER_ATTR.0 {
            self.pending.extend_from_slice(header.as_slice());
            self.pending.extend_from_slice(body);
            if self.pending.len() >= COMPRESSED_PIECE {
                self.flush_compressed()?;
            }
            return Ok(());
        }
        self.flush_compressed()?;
        self.put(header.as_slice())?;
        self.put(body)
    }

    /// Writes a sample of event `event` (an index); the sample is given the event's first id where
    /// it has none.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record); [`io::ErrorKind::InvalidInput`] when there is no such event.
    pub fn sample(&mut self, event: usize, misc: u16, sample: &Sample<'_>) -> io::Result<()> {
        let spec = self.events.get(event).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a sample of an unknown event")
        })?;
        let id = sample.id.or(sample.identifier).or(spec.ids.first().copied());
        let sample = Sample { id, identifier: id, ..*sample };
        let format = SampleFormat::from(&spec.attr);
        self.body.clear();
        format.encode(&sample, &mut self.body);
        self.record_from_body(RecordType::SAMPLE, misc)
    }

    /// Writes COMM.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    pub fn comm(&mut self, misc: u16, comm: &Comm<'_>, id: &SampleId) -> io::Result<()> {
        self.body.clear();
        comm.encode(&mut self.body);
        self.kernel_record(RecordType::COMM, misc, id)
    }

    /// Writes FORK or EXIT.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    pub fn task(
        &mut self,
        kind: RecordType,
        misc: u16,
        task: &Task,
        id: &SampleId,
    ) -> io::Result<()> {
        self.body.clear();
        task.encode(&mut self.body);
        self.kernel_record(kind, misc, id)
    }

    /// Writes MMAP2, or MMAP when nothing is known about what is mapped.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    pub fn mmap(&mut self, misc: u16, mmap: &Mmap<'_>, id: &SampleId) -> io::Result<()> {
        self.body.clear();
        match mmap.object {
            MappedObject::Unknown => {
                mmap.encode(&mut self.body);
                self.kernel_record(RecordType::MMAP, misc, id)
            }
            MappedObject::Inode { .. } => {
                mmap.encode2(&mut self.body);
                self.kernel_record(RecordType::MMAP2, misc, id)
            }
            MappedObject::BuildId(_) => {
                mmap.encode2(&mut self.body);
                self.kernel_record(RecordType::MMAP2, misc | MISC_MMAP_BUILD_ID, id)
            }
        }
    }

    /// Writes LOST_SAMPLES: so many samples of an event found no room.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    pub fn lost_samples(&mut self, lost: u64, id: &SampleId) -> io::Result<()> {
        self.body.clear();
        LostSamples { lost }.encode(&mut self.body);
        self.kernel_record(RecordType::LOST_SAMPLES, 0, id)
    }

    /// Writes AUXTRACE, and the data that belongs behind it, in one piece or two.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    pub fn aux_trace(&mut self, header: &AuxTrace, one: &[u8], two: &[u8]) -> io::Result<()> {
        let length = one.len() + two.len();
        let padding = &[0; 8][..length.next_multiple_of(8) - length];
        let padded = AuxTrace { size: (length + padding.len()) as u64, ..*header };
        let mut body = Encoder::new(self.order);
        padded.encode(&mut body);
        self.record(RecordType::AUXTRACE, 0, body.as_slice())?;
        [one, two, padding].into_iter().try_for_each(|bytes| self.put(bytes))
    }

    /// Writes whole records that are already encoded, as a ring buffer holds them: in this writer's
    /// byte order, and none of them perf's own (from 64 on).
    ///
    /// # Errors
    ///
    /// What the output answers.
    pub fn encoded_records(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(copy) = &mut self.copy {
            copy.add_records(bytes, self.order);
        }
        self.later_records(bytes)
    }

    /// As [`encoded_records`](Self::encoded_records), for records of events that were
    /// [added](Self::add_event): they are not in the [copy](Self::recent_copy).
    ///
    /// # Errors
    ///
    /// What the output answers.
    pub fn later_records(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.compressor.is_none() {
            return self.put(bytes);
        }
        for piece in bytes.chunks(COMPRESSED_PIECE) {
            self.pending.extend_from_slice(piece);
            if self.pending.len() >= COMPRESSED_PIECE {
                self.flush_compressed()?;
            }
        }
        Ok(())
    }

    /// Hands everything on that waits to be compressed or written, so that it is not lost if this
    /// process is killed.
    ///
    /// # Errors
    ///
    /// What the output answers.
    pub fn flush(&mut self) -> io::Result<()> {
        self.flush_compressed()?;
        self.out.flush()
    }

    /// Bytes of records so far, as they are in the file.
    pub fn data_size(&self) -> u64 {
        self.data.size
    }

    /// Writes FINISHED_ROUND: every buffer was read once since the last one.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    pub fn finished_round(&mut self) -> io::Result<()> {
        self.record(RecordType::FINISHED_ROUND, 0, &[])
    }

    fn kernel_record(&mut self, kind: RecordType, misc: u16, id: &SampleId) -> io::Result<()> {
        if self.sample_id_all {
            id.encode(&mut self.body, self.sample_id_type);
        }
        self.record_from_body(kind, misc)
    }

    fn record_from_body(&mut self, kind: RecordType, misc: u16) -> io::Result<()> {
        let body = std::mem::take(&mut self.body);
        let result = self.record(kind, misc, body.as_slice());
        self.body = body;
        result
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.data.size += bytes.len() as u64;
        Ok(())
    }

    fn flush_compressed(&mut self) -> io::Result<()> {
        let Some((compressor, _)) = &mut self.compressor else {
            return Ok(());
        };
        let pending = std::mem::take(&mut self.pending);
        let mut records = Vec::new();
        for piece in pending.chunks(COMPRESSED_PIECE) {
            records.push(compressor.compress(piece)?);
        }
        self.uncompressed += pending.len() as u64;
        for compressed in records {
            let mut header = Encoder::new(self.order);
            header.u32(RecordType::COMPRESSED.0);
            header.u16(0);
            header.u16((compressed.len() + RECORD_HEADER_SIZE) as u16);
            self.put(header.as_slice())?;
            self.put(&compressed)?;
        }
        self.pending = pending;
        self.pending.clear();
        Ok(())
    }

    fn complete(&self, features: &Features) -> Features {
        let mut features = features.clone();
        features.events = self
            .events
            .iter()
            .map(|event| EventDescription {
                attr: event.attr,
                name: event.name.clone(),
                ids: event.ids.clone(),
            })
            .collect();
        if let Some((_, level)) = &self.compressor {
            features.compression = Some(CompressionInfo {
                version: 1,
                kind: 1,
                level: *level as u32,
                ratio: (self.uncompressed / self.data.size.max(1)).max(1) as u32,
                mmap_length: 528 << 10,
            });
        }
        features
    }
}
