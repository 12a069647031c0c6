//! Bodies of the records that perf itself writes (type 64 and up); they have no sample id.
//!
//! Layouts: `tools/lib/perf/include/perf/event.h`.

use super::cursor::{Cursor, ShortRead, Words, until_nul};
use super::encoder::Encoder;
use super::heap_turn::HeapTurn;
use super::kernel_records::fixed_body;
use super::watch_turn::WatchTurn;

fixed_body! {
    /// AUXTRACE: a piece of AUX data, which follows the record.
    AuxTrace {
        /// Bytes that follow, a multiple of 8.
        size: u64,
        /// Where in the AUX buffer they were.
        offset: u64,
        /// A number that is unique for the buffer's content.
        reference: u64,
        /// Queue.
        index: u32,
        /// Thread, or `u32::MAX`.
        tid: u32,
        /// CPU, or `u32::MAX`.
        cpu: u32,
        /// Nothing.
        reserved: u32,
    }
    /// The first three numbers of TIME_CONV.
    TimeScale {
        /// Shift.
        shift: u64,
        /// Multiplier.
        multiplier: u64,
        /// Time at counter 0, ns.
        zero: u64,
    }
    /// One entry of ID_INDEX.
    IdIndexEntry {
        /// Event id.
        id: u64,
        /// Index of the event.
        index: u64,
        /// CPU, or all ones.
        cpu: u64,
        /// Thread, or all ones.
        tid: u64,
    }
}

/// HEADER_ATTR: an event's attribute and ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderAttr<'a> {
    /// The attribute.
    pub attr: super::EventAttr,
    /// The ids of the event.
    pub ids: Words<'a>,
}

impl<'a> HeaderAttr<'a> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when the attribute's size exceeds it.
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Self, ShortRead> {
        let attr = super::EventAttr::decode(cursor.rest(), cursor.order())?;
        cursor.bytes(attr.size as usize)?;
        Ok(Self { attr, ids: Words::new(cursor.rest(), cursor.order()) })
    }

    /// Writes the body.
    pub fn encode(&self, encoder: &mut Encoder) {
        self.attr.encode(encoder);
        self.ids.iter().for_each(|id| encoder.u64(id));
    }
}

/// HEADER_BUILD_ID, and the entries of the build-id feature: which image has which build id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildIdRecord<'a> {
    /// Process of the guest, -1 for the host.
    pub pid: i32,
    /// The build id, at most 20 bytes.
    pub build_id: &'a [u8],
    /// Name of the image, as in its mappings.
    pub name: &'a [u8],
}

impl<'a> BuildIdRecord<'a> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'a>, misc: u16) -> Result<Self, ShortRead> {
        let pid = cursor.u32()? as i32;
        let field = cursor.bytes(24)?;
        let size = match misc & super::record::MISC_BUILD_ID_SIZE {
            0 => 20,
            _ => usize::from(field[20]),
        };
        let build_id = field.get(..size.min(20)).ok_or(ShortRead)?;
        Ok(Self { pid, build_id, name: cursor.c_string_to_end() })
    }

    /// Writes the body; the record's `misc` must have [`super::MISC_BUILD_ID_SIZE`].
    pub fn encode(&self, encoder: &mut Encoder) {
        let id = &self.build_id[..self.build_id.len().min(20)];
        encoder.u32(self.pid as u32);
        encoder.bytes(id);
        encoder.bytes(&[0; 20][id.len()..]);
        encoder.bytes(&[id.len() as u8, 0, 0, 0]);
        // perf reads the name up to the record's end, whose length is a multiple of 64 there.
        encoder.padded_c_string(self.name);
    }
}

/// ID_INDEX: which event id belongs to which CPU and thread.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdIndex {
    /// The entries.
    pub entries: Vec<IdIndexEntry>,
}

impl IdIndex {
    /// Reads the body; the optional part about guests is left out.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, ShortRead> {
        let count = cursor.u64()?;
        let words = cursor.words(count.checked_mul(4).ok_or(ShortRead)?)?;
        let entry = |index| {
            Some(IdIndexEntry {
                id: words.get(index)?,
                index: words.get(index + 1)?,
                cpu: words.get(index + 2)?,
                tid: words.get(index + 3)?,
            })
        };
        Ok(Self { entries: (0..words.len()).step_by(4).filter_map(entry).collect() })
    }

    /// Writes the body.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.u64(self.entries.len() as u64);
        self.entries.iter().for_each(|entry| entry.encode(encoder));
    }
}

/// AUXTRACE_INFO: what the AUX data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuxTraceInfo<'a> {
    /// 1 Intel PT, 2 Intel BTS, 3 CoreSight, 4 Arm SPE, 5 s390, 6 HiSilicon PTT.
    pub kind: u32,
    /// What that kind needs for decoding.
    pub private: Words<'a>,
}

impl<'a> AuxTraceInfo<'a> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Self, ShortRead> {
        let kind = cursor.u32()?;
        cursor.u32()?;
        Ok(Self { kind, private: Words::new(cursor.rest(), cursor.order()) })
    }

    /// Writes the body.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.u32(self.kind);
        encoder.u32(0);
        self.private.iter().for_each(|word| encoder.u64(word));
    }
}

/// AUXTRACE_ERROR: AUX data that could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuxTraceError<'a> {
    /// 1 for instruction trace.
    pub kind: u32,
    /// Error code.
    pub code: u32,
    /// CPU.
    pub cpu: u32,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Version of this layout.
    pub format: u32,
    /// Code address.
    pub ip: u64,
    /// When, ns.
    pub time: u64,
    /// What happened.
    pub message: &'a [u8],
}

impl<'a> AuxTraceError<'a> {
    /// Reads the body; the part about guests is left out.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Self, ShortRead> {
        Ok(Self {
            kind: cursor.u32()?,
            code: cursor.u32()?,
            cpu: cursor.u32()?,
            pid: cursor.u32()?,
            tid: cursor.u32()?,
            format: cursor.u32()?,
            ip: cursor.u64()?,
            time: cursor.u64()?,
            message: until_nul(cursor.bytes(64)?),
        })
    }
}

/// THREAD_MAP: the threads that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadMap<'a> {
    /// Thread id and name of each.
    pub threads: Vec<(u64, &'a [u8])>,
}

impl<'a> ThreadMap<'a> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Self, ShortRead> {
        let count = cursor.u64()?;
        let length =
            usize::try_from(count).ok().and_then(|n| n.checked_mul(24)).ok_or(ShortRead)?;
        let order = cursor.order();
        let entries = cursor.bytes(length)?.chunks_exact(24);
        let threads = entries
            .map(|entry| Ok((Cursor::new(entry, order).u64()?, until_nul(&entry[8..]))))
            .collect::<Result<_, _>>()?;
        Ok(Self { threads })
    }

    /// Writes the body; names are cut to 15 bytes.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.u64(self.threads.len() as u64);
        for (tid, name) in &self.threads {
            let name = &name[..name.len().min(15)];
            encoder.u64(*tid);
            encoder.bytes(name);
            encoder.bytes(&[0; 16][name.len()..]);
        }
    }
}

/// CPU_MAP: the CPUs that were asked for, in any of the three encodings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuMap {
    /// The CPUs; -1 stands for any.
    pub cpus: Vec<i32>,
}

impl CpuMap {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields or of an unknown encoding.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, ShortRead> {
        let mut cpus = Vec::new();
        match cursor.u16()? {
            0 => {
                let count = cursor.u16()?;
                for _ in 0..count {
                    cpus.push(i32::from(cursor.u16()? as i16));
                }
            }
            1 => {
                let (count, word_size) = (cursor.u16()?, cursor.u16()?);
                if word_size == 8 {
                    cursor.bytes(2)?;
                }
                for word in 0..i32::from(count) {
                    let bits =
                        if word_size == 8 { cursor.u64()? } else { u64::from(cursor.u32()?) };
                    let first = word * i32::from(word_size.min(8)) * 8;
                    cpus.extend((0..64).filter(|bit| bits >> bit & 1 == 1).map(|bit| first + bit));
                }
            }
            2 => {
                if cursor.u8()? != 0 {
                    cpus.push(-1);
                }
                cursor.u8()?;
                let (first, last) = (cursor.u16()?, cursor.u16()?);
                cpus.extend((first..=last).map(i32::from));
            }
            _ => return Err(ShortRead),
        }
        Ok(Self { cpus })
    }

    /// Writes the body as a list, padded to 8 bytes.
    pub fn encode(&self, encoder: &mut Encoder) {
        let start = encoder.len();
        encoder.u16(0);
        encoder.u16(self.cpus.len() as u16);
        self.cpus.iter().for_each(|&cpu| encoder.u16(cpu as u16));
        let length = encoder.len() - start;
        encoder.bytes(&[0; 8][..length.next_multiple_of(8) - length]);
    }
}

/// EVENT_UPDATE: more about an event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventUpdate<'a> {
    /// One of the event's ids.
    pub id: u64,
    /// What is new.
    pub change: EventChange<'a>,
}

/// What an EVENT_UPDATE says.
#[derive(Debug, Clone, PartialEq)]
pub enum EventChange<'a> {
    /// Unit of its values.
    Unit(&'a [u8]),
    /// Scale of its values.
    Scale(f64),
    /// Its name.
    Name(&'a [u8]),
    /// The CPUs it runs on.
    Cpus(CpuMap),
    /// hitm's own: where a thread's segment base is.
    ThreadBase(ThreadBase),
    /// hitm's own: code that is in no file, read from the process while it was recorded.
    Code(CapturedCode<'a>),
    /// hitm's own: time in which CPUs were taken away.
    CpusTaken(CpusTaken),
    /// hitm's own: what was armed in a turn of watching.
    Watched(WatchTurn),
    /// hitm's own: how fast the machine is.
    Calibration(Calibration),
    /// hitm's own: when allocations were traced.
    Heap(HeapTurn),
    /// A kind that is not known here.
    Other(u64),
}

fixed_body! {
    /// How fast a machine is where nobody is in its way, as measured by the recorder.
    Calibration {
        /// A cycle, ps.
        cycle_ps: u64,
        /// An atomic read-modify-write of a line that stays with one CPU, ps.
        locked_ps: u64,
        /// A change of a word that the round before has stored, not atomic, ps.
        stored_ps: u64,
    }
}

impl Calibration {
    const KIND: u64 = HITM_KINDS | 6;
}

fixed_body! {
    /// Time in which CPUs were taken away while recording, of all CPUs together.
    CpusTaken {
        /// By the hypervisor, ns.
        stolen_ns: u64,
        /// How often the quota of a cgroup stopped the target.
        quota_stops: u64,
        /// For how long, ns.
        quota_ns: u64,
    }
}

impl CpusTaken {
    const KIND: u64 = HITM_KINDS | 4;
}

/// Where a thread's segment (`fs` on x86-64) begins, verified while recording. perf steps over
/// EVENT_UPDATE records of kinds that it does not know, so hitm's own facts travel in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadBase {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// When it was read, ns of the recording's clock.
    pub time: u64,
    /// The base.
    pub base: u64,
}

impl ThreadBase {
    const KIND: u64 = HITM_KINDS | 1;
}

/// Bytes of code that is in no file (generated, or moved to huge pages).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapturedCode<'a> {
    /// Process.
    pub pid: u32,
    /// When they were read, ns of the recording's clock.
    pub time: u64,
    /// Address of the first byte in the process.
    pub address: u64,
    /// The bytes; at most [`CapturedCode::MAX`].
    pub bytes: &'a [u8],
}

impl CapturedCode<'_> {
    const KIND: u64 = HITM_KINDS | 2;

    /// So many bytes fit into one record.
    pub const MAX: usize = 0xff00;
}

/// "hitm" in the upper half marks our own kinds of EVENT_UPDATE; perf's own count from 0.
const HITM_KINDS: u64 = 0x6d74_6968 << 32;
const WATCH_TURN: u64 = HITM_KINDS | 3;
const HEAP_TURN: u64 = HITM_KINDS | 5;

impl<'a> EventUpdate<'a> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Self, ShortRead> {
        let (kind, id) = (cursor.u64()?, cursor.u64()?);
        let change = match kind {
            0 => EventChange::Unit(cursor.c_string_to_end()),
            1 => EventChange::Scale(f64::from_bits(cursor.u64()?)),
            2 => EventChange::Name(cursor.c_string_to_end()),
            3 => EventChange::Cpus(CpuMap::decode(cursor)?),
            ThreadBase::KIND => EventChange::ThreadBase(ThreadBase {
                pid: cursor.u32()?,
                tid: cursor.u32()?,
                time: cursor.u64()?,
                base: cursor.u64()?,
            }),
            CapturedCode::KIND => EventChange::Code({
                let (pid, length) = (cursor.u32()?, cursor.u32()?);
                let (time, address) = (cursor.u64()?, cursor.u64()?);
                CapturedCode { pid, time, address, bytes: cursor.bytes(length as usize)? }
            }),
            CpusTaken::KIND => EventChange::CpusTaken(CpusTaken::decode(cursor)?),
            Calibration::KIND => EventChange::Calibration(Calibration::decode(cursor)?),
            WATCH_TURN => EventChange::Watched(WatchTurn::decode(cursor)?),
            HEAP_TURN => EventChange::Heap(HeapTurn::decode(cursor)?),
            other => EventChange::Other(other),
        };
        Ok(Self { id, change })
    }

    /// Writes the body.
    pub fn encode(&self, encoder: &mut Encoder) {
        let kind = match self.change {
            EventChange::Unit(_) => 0,
            EventChange::Scale(_) => 1,
            EventChange::Name(_) => 2,
            EventChange::Cpus(_) => 3,
            EventChange::ThreadBase(_) => ThreadBase::KIND,
            EventChange::Code(_) => CapturedCode::KIND,
            EventChange::CpusTaken(_) => CpusTaken::KIND,
            EventChange::Calibration(_) => Calibration::KIND,
            EventChange::Watched(_) => WATCH_TURN,
            EventChange::Heap(_) => HEAP_TURN,
            EventChange::Other(other) => other,
        };
        encoder.u64(kind);
        encoder.u64(self.id);
        match &self.change {
            EventChange::Unit(text) | EventChange::Name(text) => encoder.padded_c_string(text),
            EventChange::Scale(scale) => encoder.u64(scale.to_bits()),
            EventChange::Cpus(cpus) => cpus.encode(encoder),
            EventChange::ThreadBase(thread) => {
                encoder.u32(thread.pid);
                encoder.u32(thread.tid);
                encoder.u64(thread.time);
                encoder.u64(thread.base);
            }
            EventChange::Code(code) => {
                encoder.u32(code.pid);
                encoder.u32(code.bytes.len() as u32);
                encoder.u64(code.time);
                encoder.u64(code.address);
                encoder.bytes(code.bytes);
                encoder.bytes(&[0; 8][..code.bytes.len().next_multiple_of(8) - code.bytes.len()]);
            }
            EventChange::CpusTaken(taken) => taken.encode(encoder),
            EventChange::Calibration(calibration) => calibration.encode(encoder),
            EventChange::Watched(turn) => turn.encode(encoder),
            EventChange::Heap(turn) => turn.encode(encoder),
            EventChange::Other(_) => {}
        }
    }
}

/// TIME_CONV: how to convert the time stamp counter to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeConversion {
    /// Shift, multiplier and zero.
    pub scale: TimeScale,
    /// Counter and mask of the short counter, where it is one.
    pub short: Option<(u64, u64)>,
    /// Whether [`TimeScale::zero`] is valid.
    pub has_zero: bool,
}

impl TimeConversion {
    /// Reads the body, also in its older, shorter form.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than three numbers.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, ShortRead> {
        let scale = TimeScale::decode(cursor)?;
        let Ok(cycles) = cursor.u64() else {
            return Ok(Self { scale, short: None, has_zero: true });
        };
        let mask = cursor.u64()?;
        let (has_zero, is_short) = (cursor.u8()? != 0, cursor.u8()? != 0);
        Ok(Self { scale, short: is_short.then_some((cycles, mask)), has_zero })
    }

    /// Writes the body.
    pub fn encode(&self, encoder: &mut Encoder) {
        self.scale.encode(encoder);
        let (cycles, mask) = self.short.unwrap_or_default();
        encoder.u64(cycles);
        encoder.u64(mask);
        encoder.bytes(&[u8::from(self.has_zero), u8::from(self.short.is_some()), 0, 0, 0, 0, 0, 0]);
    }

    /// The time of a counter value, ns (`tsc_to_perf_time()` in the kernel's documentation of
    /// `perf_event_mmap_page`).
    pub fn time_of(&self, counter: u64) -> u64 {
        let counter = match self.short {
            Some((cycles, mask)) => cycles.wrapping_add(counter.wrapping_sub(cycles) & mask),
            None => counter,
        };
        let shift = (self.scale.shift & 63) as u32;
        let quotient = counter >> shift;
        let remainder = counter & ((1 << shift) - 1);
        self.scale
            .zero
            .wrapping_add(quotient.wrapping_mul(self.scale.multiplier))
            .wrapping_add(remainder.wrapping_mul(self.scale.multiplier) >> shift)
    }
}
