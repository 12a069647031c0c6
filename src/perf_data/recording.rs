//! A whole recording, opened: its events, features, and where each of its records is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::attr::EventAttr;
use super::compression::Decompressor;
use super::cursor::{ByteOrder, Cursor, ShortRead};
use super::error::{Damage, Error};
use super::feature::{FeatureId, Features, ImageBuildId};
use super::header::{Header, Section};
use super::input::Input;
use super::record::{FrameError, RawRecord, RecordType, frame};
use super::sample::{Sample, SampleFormat};
use super::sample_id::SampleId;
use super::user_records::{BuildIdRecord, EventChange, EventUpdate, HeaderAttr};

/// Records are handed out in batches of about so many bytes, the unit of parallel work.
const BATCH_BYTES: usize = 1 << 20;

/// An event of the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its settings.
    pub attr: EventAttr,
    /// Its name, as the recorder stored it, else from the encoding.
    pub name: String,
    /// Its ids.
    pub ids: Vec<u64>,
    /// The layout of its samples.
    pub format: SampleFormat,
}

/// A stretch of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    chunk: usize,
    start: usize,
    end: usize,
    /// Samples in the recording before this batch.
    pub first_sample: u64,
    /// Samples in this batch.
    pub samples: u64,
}

/// Where a sample is. Positions are ordered as the samples are in the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct SamplePosition {
    /// Samples before it.
    pub ordinal: u64,
    chunk: u32,
    offset: usize,
}

/// A piece of records in memory: a file's data section, or what one compressed record held.
#[derive(Debug)]
struct Chunk<'a> {
    bytes: Cow<'a, [u8]>,
    base: u64,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    chunk: usize,
    offset: usize,
    samples_before: u64,
}

/// Why a sample cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleError {
    /// A field reaches past the record's end.
    Malformed,
    /// Its id belongs to no event.
    UnknownEvent,
}

/// An opened recording. It borrows the bytes and copies only what was compressed.
#[derive(Debug)]
pub struct Recording<'a> {
    order: ByteOrder,
    is_pipe: bool,
    events: Vec<Event>,
    ids: FxHashMap<u64, usize>,
    features: Features,
    chunks: Vec<Chunk<'a>>,
    others: Vec<Position>,
    batches: Vec<Batch>,
    samples: u64,
    counts: BTreeMap<RecordType, u64>,
    damage: Vec<Damage>,
    layout: Layout,
    has_times: bool,
    /// The places where some event has its id, when they differ.
    id_positions: Vec<usize>,
}

/// How to find the event of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// All samples are laid out alike and have no id, or there is one event only.
    FirstEvent,
    /// The id is at this word of every sample.
    IdAt(usize),
    /// Events disagree on where the id is.
    Mixed,
}

impl<'a> Recording<'a> {
    /// Reads header, events and features, and finds every record.
    ///
    /// # Errors
    ///
    /// An [`Error`] when nothing can be read. Damage that costs a part is kept in
    /// [`damage`](Self::damage).
    pub fn open(input: &'a Input) -> Result<Self, Error> {
        Self::parse(input.main(), &input.parts())
    }

    /// As [`open`](Self::open), from bytes: the file with the header, and the further files of a
    /// directory recording.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn parse(main: &'a [u8], parts: &[&'a [u8]]) -> Result<Self, Error> {
        let header = Header::decode(main)?;
        let mut recording = Self {
            order: header.order(),
            is_pipe: false,
            events: Vec::new(),
            ids: FxHashMap::default(),
            features: Features::default(),
            chunks: Vec::new(),
            others: Vec::new(),
            batches: Vec::new(),
            samples: 0,
            counts: BTreeMap::new(),
            damage: Vec::new(),
            layout: Layout::FirstEvent,
            has_times: false,
            id_positions: Vec::new(),
        };
        match header {
            Header::File { attr_entry_size, attrs, data, features, .. } => {
                recording.read_events(main, attrs, attr_entry_size)?;
                let records = recording.data_bytes(main, data)?;
                if data.size != 0 {
                    recording.read_features(
                        main,
                        data.offset.saturating_add(data.size),
                        features.iter(),
                    );
                }
                recording.take_names_from_features();
                recording.read_records(records, data.offset);
            }
            Header::Pipe { .. } => {
                recording.is_pipe = true;
                let start = super::header::PIPE_HEADER_SIZE;
                recording.read_records(&main[start as usize..], start);
                recording.take_names_from_features();
            }
        }
        for part in parts {
            recording.read_records(part, 0);
        }
        if recording.events.is_empty() {
            let damage = recording.damage.into_iter().next().map(Box::new);
            return Err(Error::NoEvents { damage });
        }
        recording.finish_events();
        Ok(recording)
    }

    /// Byte order of the recording machine.
    pub fn order(&self) -> ByteOrder {
        self.order
    }

    /// Whether it was written into a pipe.
    pub fn is_pipe(&self) -> bool {
        self.is_pipe
    }

    /// The events.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Facts about machine and recording.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Samples in the recording.
    pub fn sample_count(&self) -> u64 {
        self.samples
    }

    /// How many records of each type there are, also of unknown types.
    pub fn counts(&self) -> &BTreeMap<RecordType, u64> {
        &self.counts
    }

    /// What is wrong with parts of it.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// All records that are not samples, in file order, each with the number of samples before it.
    pub fn other_records(&self) -> impl Iterator<Item = (u64, RawRecord<'_>)> {
        self.others.iter().filter_map(|position| {
            let chunk = self.chunks.get(position.chunk)?;
            let (record, _) = frame(&chunk.bytes, position.offset, self.order, chunk.base).ok()?;
            Some((position.samples_before, record))
        })
    }

    /// The samples, in batches that can be read in parallel.
    pub fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// The samples of one batch, each with its place in the recording.
    #[inline]
    pub fn samples<'r>(
        &'r self,
        batch: &Batch,
    ) -> impl Iterator<Item = (SamplePosition, RawRecord<'r>)> + use<'r, 'a> {
        let chunk = self.chunks.get(batch.chunk);
        let bytes: &'r [u8] = chunk.map_or(&[], |chunk| &chunk.bytes);
        let base = chunk.map_or(0, |chunk| chunk.base);
        let (mut position, end, mut ordinal) = (batch.start, batch.end, batch.first_sample);
        let chunk = batch.chunk as u32;
        let order = self.order;
        std::iter::from_fn(move || {
            while position < end {
                let offset = position;
                let (record, next) = frame(bytes, offset, order, base).ok()?;
                position = next;
                if record.kind == RecordType::SAMPLE {
                    ordinal += 1;
                    return Some((SamplePosition { ordinal: ordinal - 1, chunk, offset }, record));
                }
            }
            None
        })
    }

    /// A sample that was met before.
    pub fn sample_at(&self, position: SamplePosition) -> Option<RawRecord<'_>> {
        let chunk = self.chunks.get(position.chunk as usize)?;
        let framed = frame(&chunk.bytes, position.offset, self.order, chunk.base);
        framed.ok().map(|(record, _)| record)
    }

    /// Decodes a sample: the index of its event, and its fields.
    ///
    /// # Errors
    ///
    /// [`SampleError`].
    #[inline]
    pub fn decode<'r>(&self, record: &RawRecord<'r>) -> Result<(usize, Sample<'r>), SampleError> {
        let index = self.event_of(record)?;
        let event = self.events.get(index).ok_or(SampleError::UnknownEvent)?;
        let sample = event.format.decode(record.cursor()).map_err(|_| SampleError::Malformed)?;
        Ok((index, sample))
    }

    /// The sample id at the end of a kernel record that is not a sample; empty when the events did
    /// not ask for one.
    pub fn sample_id(&self, record: &RawRecord<'_>) -> SampleId {
        let Some(first) = self.events.first() else {
            return SampleId::default();
        };
        if record.kind.0 >= RecordType::HEADER_ATTR.0 || !first.attr.sample_id_all() {
            return SampleId::default();
        }
        // With IDENTIFIER the last word names the event; without it all events must agree.
        let last = record.body.len().checked_sub(8).and_then(|start| record.body.get(start..));
        let named = last
            .filter(|_| first.attr.sample_type.contains(super::attr::SampleType::IDENTIFIER))
            .and_then(|word| Cursor::new(word, self.order).u64().ok())
            .and_then(|id| self.ids.get(&id))
            .and_then(|&index| self.events.get(index));
        let sample_type = named.unwrap_or(first).attr.sample_type;
        SampleId::decode(record.cursor(), sample_type).unwrap_or_default()
    }

    /// Whether records carry times; without them only their order in the file tells what came first.
    #[inline]
    pub fn has_times(&self) -> bool {
        self.has_times
    }

    #[inline]
    fn event_of(&self, record: &RawRecord<'_>) -> Result<usize, SampleError> {
        let word = |index: usize| {
            let bytes = record.body.get(index * 8..).ok_or(SampleError::Malformed)?;
            Cursor::new(bytes, self.order).u64().map_err(|_| SampleError::Malformed)
        };
        match self.layout {
            Layout::FirstEvent => Ok(0),
            Layout::IdAt(position) => match word(position)? {
                // perf writes id 0 into what it synthesises.
                0 => Ok(0),
                id => self.ids.get(&id).copied().ok_or(SampleError::UnknownEvent),
            },
            Layout::Mixed => {
                let fits = |position: &usize| {
                    let &index = self.ids.get(&word(*position).ok()?)?;
                    let found = self.events.get(index)?.format.id_position();
                    (found == Some(*position)).then_some(index)
                };
                self.id_positions.iter().find_map(fits).ok_or(SampleError::UnknownEvent)
            }
        }
    }

    fn read_events(&mut self, file: &'a [u8], attrs: Section, entry: u64) -> Result<(), Error> {
        let outside = Error::SectionOutsideFile {
            section: "attribute",
            offset: attrs.offset,
            size: attrs.size,
            length: file.len(),
        };
        let bytes = attrs.of(file).ok_or(outside)?;
        let entry_size = usize::try_from(entry)
            .ok()
            .filter(|&size| size >= super::attr::ATTR_SIZE_MIN + 16 || bytes.is_empty())
            .ok_or(Error::AttributeEntrySize { offset: attrs.offset, entry })?;
        // All ids together fit into the file; events that share them, as no recorder writes, could
        // otherwise fill the memory.
        let mut room = file.len();
        for (index, bytes) in bytes.chunks_exact(entry_size.max(1)).enumerate() {
            let read = (|| {
                let attr =
                    EventAttr::decode(bytes.get(..entry_size - 16).ok_or(ShortRead)?, self.order)?;
                let mut cursor =
                    Cursor::new(bytes.get(attr.size as usize..).ok_or(ShortRead)?, self.order);
                Ok::<_, ShortRead>((attr, Section { offset: cursor.u64()?, size: cursor.u64()? }))
            })();
            let Ok((attr, ids)) = read else {
                let size = Cursor::new(&bytes[4..], self.order).u32().unwrap_or(0);
                return Err(Error::AttributeSize {
                    offset: attrs.offset + (index * entry_size) as u64,
                    size: u64::from(size),
                    available: entry_size - 16,
                });
            };
            let id_bytes = ids.of(file).filter(|bytes| bytes.len() <= room).unwrap_or_else(|| {
                let Section { offset, size } = ids;
                self.damage.push(Damage::EventIds { event: index, offset, size });
                &[]
            });
            room -= id_bytes.len();
            let ids = super::cursor::Words::new(id_bytes, self.order).iter().collect();
            self.add_event(attr, ids);
        }
        Ok(())
    }

    fn add_event(&mut self, attr: EventAttr, ids: Vec<u64>) {
        let name = attr.fallback_name();
        self.ids.extend(ids.iter().map(|&id| (id, self.events.len())));
        self.events.push(Event { attr, name, ids, format: SampleFormat::from(&attr) });
    }

    /// The records' bytes; to the end of the file when the recorder did not finish or the file was
    /// cut off.
    fn data_bytes(&mut self, file: &'a [u8], data: Section) -> Result<&'a [u8], Error> {
        let outside = Error::SectionOutsideFile {
            section: "data",
            offset: data.offset,
            size: data.size,
            length: file.len(),
        };
        let start = usize::try_from(data.offset).ok();
        let rest = start.and_then(|start| file.get(start..)).ok_or(outside)?;
        if data.size == 0 {
            self.damage.push(Damage::Unfinished { offset: data.offset });
            return Ok(rest);
        }
        Ok(data.of(file).unwrap_or_else(|| {
            let Section { offset, size } = data;
            self.damage.push(Damage::DataCutOff { offset, size, available: rest.len() as u64 });
            rest
        }))
    }

    fn read_features(&mut self, file: &[u8], table: u64, bits: impl Iterator<Item = u32>) {
        let start = usize::try_from(table).ok();
        let Some(rest) = start.and_then(|start| file.get(start..)) else {
            self.damage.push(Damage::FeatureTable { offset: table });
            return;
        };
        let mut cursor = Cursor::new(rest, self.order);
        for bit in bits {
            let (Ok(offset), Ok(size)) = (cursor.u64(), cursor.u64()) else {
                self.damage.push(Damage::FeatureTable { offset: table });
                return;
            };
            let id = FeatureId(bit);
            let payload = Section { offset, size }.of(file).ok_or(ShortRead);
            let order = self.order;
            if payload.and_then(|payload| self.features.decode(id, payload, order)).is_err() {
                self.damage.push(Damage::Feature { name: id.to_string(), offset, size });
            }
        }
    }

    /// EVENT_DESC has the names that the user typed.
    fn take_names_from_features(&mut self) {
        for (index, description) in self.features.events.iter().enumerate() {
            let by_id = description.ids.first().and_then(|id| self.ids.get(id)).copied();
            if let Some(event) = self.events.get_mut(by_id.unwrap_or(index)) {
                event.name.clone_from(&description.name);
            }
        }
    }

    fn finish_events(&mut self) {
        let has_time =
            |event: &Event| event.attr.sample_type.contains(super::attr::SampleType::TIME);
        self.has_times = self.events.iter().all(has_time)
            && self.events.first().is_some_and(|event| event.attr.sample_id_all());
        let positions = self.events.iter().filter_map(|event| event.format.id_position());
        self.id_positions = positions.collect();
        self.id_positions.sort_unstable();
        self.id_positions.dedup();
        let positions: Vec<_> =
            self.events.iter().map(|event| event.format.id_position()).collect();
        self.layout = match positions[..] {
            [_] => Layout::FirstEvent,
            [Some(first), ref rest @ ..] if rest.iter().all(|other| *other == Some(first)) => {
                Layout::IdAt(first)
            }
            [None, ref rest @ ..] if rest.iter().all(Option::is_none) => Layout::FirstEvent,
            _ => Layout::Mixed,
        };
    }

    /// Walks the records of one file, from its first to its last or to the first that is broken.
    fn read_records(&mut self, bytes: &'a [u8], base: u64) {
        let mut decompressor = None;
        let index = self.chunks.len();
        self.chunks.push(Chunk { bytes: Cow::Borrowed(bytes), base });
        self.walk(bytes, base, index, Some(&mut decompressor));
        if let Some(left) = decompressor.map(|d: Decompressor| d.unfinished()).filter(|&n| n > 0) {
            self.damage
                .push(Damage::TrailingBytes { offset: base + bytes.len() as u64, count: left });
        }
    }

    /// Returns whether the walk may go on after these bytes.
    fn walk(
        &mut self,
        bytes: &[u8],
        base: u64,
        chunk: usize,
        mut decompressor: Option<&mut Option<Decompressor>>,
    ) -> bool {
        let mut position = 0;
        let mut batch = Batch { chunk, start: 0, end: 0, first_sample: self.samples, samples: 0 };
        let intact = loop {
            let (record, next) = match frame(bytes, position, self.order, base) {
                Ok(framed) => framed,
                Err(error) => break self.note_frame_error(error, base + position as u64),
            };
            *self.counts.entry(record.kind).or_default() += 1;
            if record.kind == RecordType::SAMPLE {
                self.samples += 1;
                batch.samples += 1;
            } else {
                let samples_before = self.samples;
                self.others.push(Position { chunk, offset: position, samples_before });
                if record.kind.0 >= RecordType::HEADER_ATTR.0 {
                    let compressed =
                        matches!(record.kind, RecordType::COMPRESSED | RecordType::COMPRESSED2);
                    // Compressed data within compressed data is nothing that perf writes.
                    if compressed && let Some(decompressor) = decompressor.as_deref_mut() {
                        // What it holds comes before what follows it.
                        batch.end = position;
                        self.close(&mut batch, next);
                        if !self.decompress(&record, decompressor) {
                            break false;
                        }
                        batch.first_sample = self.samples;
                    }
                    self.read_user_record(&record);
                }
            }
            position = next;
            batch.end = next;
            if next - batch.start >= BATCH_BYTES {
                self.close(&mut batch, next);
            }
        };
        self.close(&mut batch, position);
        intact
    }

    fn close(&mut self, batch: &mut Batch, next: usize) {
        if batch.samples > 0 {
            self.batches.push(*batch);
        }
        *batch = Batch { start: next, end: next, first_sample: self.samples, samples: 0, ..*batch };
    }

    fn note_frame_error(&mut self, error: FrameError, offset: u64) -> bool {
        self.damage.push(match error {
            FrameError::End => return true,
            FrameError::Trailing { count } => Damage::TrailingBytes { offset, count },
            FrameError::CutOff { kind, size, available } => {
                Damage::RecordCutOff { offset, kind, size, available }
            }
            FrameError::Size { kind, size } => Damage::RecordSize { offset, kind, size },
        });
        false
    }

    fn decompress(
        &mut self,
        record: &RawRecord<'_>,
        decompressor: &mut Option<Decompressor>,
    ) -> bool {
        let result = match decompressor {
            Some(decompressor) => decompressor.decompress(record),
            None => match Decompressor::new() {
                Ok(new) => decompressor.insert(new).decompress(record),
                Err(error) => Err(error.to_string()),
            },
        };
        match result {
            Ok((base, bytes)) => {
                let chunk = self.chunks.len();
                self.chunks.push(Chunk { bytes: Cow::Borrowed(&[]), base });
                let intact = self.walk(&bytes, base, chunk, None);
                self.chunks[chunk].bytes = Cow::Owned(bytes);
                intact
            }
            Err(reason) => {
                self.damage.push(Damage::Compression { offset: record.offset, reason });
                false
            }
        }
    }

    /// Records that describe the recording itself.
    fn read_user_record(&mut self, record: &RawRecord<'_>) {
        let mut cursor = record.cursor();
        let read = match record.kind {
            RecordType::HEADER_ATTR if self.is_pipe => HeaderAttr::decode(&mut cursor)
                .map(|header| self.add_event(header.attr, header.ids.iter().collect())),
            RecordType::EVENT_UPDATE => EventUpdate::decode(&mut cursor).map(|update| {
                let event = self.ids.get(&update.id).and_then(|&index| self.events.get_mut(index));
                if let (Some(event), EventChange::Name(name)) = (event, update.change) {
                    event.name = String::from_utf8_lossy(name).into_owned();
                }
            }),
            RecordType::HEADER_BUILD_ID => {
                BuildIdRecord::decode(&mut cursor, record.misc).map(|entry| {
                    self.features.build_ids.push(ImageBuildId {
                        misc: record.misc & 7,
                        pid: entry.pid,
                        build_id: entry.build_id.to_vec(),
                        name: String::from_utf8_lossy(entry.name).into_owned(),
                    });
                })
            }
            RecordType::HEADER_FEATURE => cursor.u64().and_then(|id| {
                let id = FeatureId(u32::try_from(id).unwrap_or(u32::MAX));
                // The empty record with an unknown number marks the end of the features.
                if cursor.rest().is_empty() && id.name().is_none() {
                    return Ok(());
                }
                self.features.decode(id, cursor.rest(), record.order)
            }),
            _ => Ok(()),
        };
        if read.is_err() {
            Damage::add_malformed(&mut self.damage, record.kind, record.offset);
        }
    }
}
