//! Bodies of the records that the kernel writes, samples aside.
//!
//! Layouts: `enum perf_event_type` in `include/uapi/linux/perf_event.h`. Each body is followed by a
//! [`SampleId`](super::SampleId) where the event asked for one.

use super::cursor::{Cursor, ShortRead};
use super::encoder::Encoder;

/// A record body of fixed fields: the structure, its reader and its writer from one list.
macro_rules! fixed_body {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ident),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type),* }

            impl $name {
                /// Reads the body.
                ///
                /// # Errors
                ///
                /// [`ShortRead`] when it is shorter than its fields.
                pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, ShortRead> {
                    Ok(Self { $($field: cursor.$type()?),* })
                }

                /// Writes the body.
                pub fn encode(&self, encoder: &mut Encoder) {
                    $(encoder.$type(self.$field);)*
                }
            }
        )*
    };
}
pub(crate) use fixed_body;

fixed_body! {
    /// FORK and EXIT: a thread started or ended.
    Task {
        /// Process.
        pid: u32,
        /// Process of the parent.
        ppid: u32,
        /// Thread.
        tid: u32,
        /// Parent thread.
        ptid: u32,
        /// When, ns.
        time: u64,
    }
    /// LOST: records that did not fit into the ring buffer.
    Lost {
        /// Event id.
        id: u64,
        /// How many.
        lost: u64,
    }
    /// LOST_SAMPLES: samples that the PMU or a filter dropped.
    LostSamples {
        /// How many.
        lost: u64,
    }
    /// THROTTLE and UNTHROTTLE.
    Throttle {
        /// When, ns.
        time: u64,
        /// Event id.
        id: u64,
        /// Stream id.
        stream_id: u64,
    }
    /// AUX: new data in the AUX buffer.
    Aux {
        /// Where in the buffer.
        aux_offset: u64,
        /// How many bytes.
        aux_size: u64,
        /// 1 truncated, 2 overwritten, 4 partial, 8 collision.
        flags: u64,
    }
    /// ITRACE_START.
    ItraceStart {
        /// Process.
        pid: u32,
        /// Thread.
        tid: u32,
    }
    /// SWITCH_CPU_WIDE.
    SwitchCpuWide {
        /// Process switched to or from.
        pid: u32,
        /// Thread switched to or from.
        tid: u32,
    }
    /// AUX_OUTPUT_HW_ID.
    AuxOutputHardwareId {
        /// The id.
        hardware_id: u64,
    }
}

/// COMM: a thread's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comm<'a> {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Name, without its NUL.
    pub name: &'a [u8],
}

impl<'a> Comm<'a> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Self, ShortRead> {
        Ok(Self { pid: cursor.u32()?, tid: cursor.u32()?, name: cursor.padded_c_string()? })
    }

    /// Writes the body.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.u32(self.pid);
        encoder.u32(self.tid);
        encoder.padded_c_string(self.name);
    }
}

/// What is mapped, as MMAP2 says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MappedObject<'a> {
    /// MMAP does not say.
    Unknown,
    /// A file by its inode; all zero for anonymous memory.
    Inode {
        /// Device, major number.
        major: u32,
        /// Device, minor number.
        minor: u32,
        /// Inode.
        inode: u64,
        /// Inode generation.
        generation: u64,
    },
    /// A file by its build id (at most 20 bytes).
    BuildId(&'a [u8]),
}

/// MMAP and MMAP2: a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mmap<'a> {
    /// Process; `u32::MAX` for the kernel.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// First address.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// Offset in the file, bytes.
    pub page_offset: u64,
    /// What is mapped.
    pub object: MappedObject<'a>,
    /// `PROT_*`; 0 where MMAP does not say.
    pub protection: u32,
    /// `MAP_*`; 0 where MMAP does not say.
    pub flags: u32,
    /// File name, `//anon`, `[heap]` and the like.
    pub name: &'a [u8],
}

impl<'a> Mmap<'a> {
    /// Reads the body of MMAP.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Self, ShortRead> {
        Ok(Self {
            pid: cursor.u32()?,
            tid: cursor.u32()?,
            start: cursor.u64()?,
            length: cursor.u64()?,
            page_offset: cursor.u64()?,
            object: MappedObject::Unknown,
            protection: 0,
            flags: 0,
            name: cursor.padded_c_string()?,
        })
    }

    /// Reads the body of MMAP2.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields or its build id longer than 20 bytes.
    pub fn decode2(cursor: &mut Cursor<'a>, misc: u16) -> Result<Self, ShortRead> {
        let (pid, tid) = (cursor.u32()?, cursor.u32()?);
        let (start, length, page_offset) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let object = if misc & super::record::MISC_MMAP_BUILD_ID != 0 {
            let size = usize::from(cursor.u8()?);
            cursor.bytes(3)?;
            MappedObject::BuildId(cursor.bytes(20)?.get(..size).ok_or(ShortRead)?)
        } else {
            MappedObject::Inode {
                major: cursor.u32()?,
                minor: cursor.u32()?,
                inode: cursor.u64()?,
                generation: cursor.u64()?,
            }
        };
        let (protection, flags) = (cursor.u32()?, cursor.u32()?);
        let name = cursor.padded_c_string()?;
        Ok(Self { pid, tid, start, length, page_offset, object, protection, flags, name })
    }

    /// Writes the body of MMAP.
    pub fn encode(&self, encoder: &mut Encoder) {
        self.encode_range(encoder);
        encoder.padded_c_string(self.name);
    }

    /// Writes the body of MMAP2; the record's `misc` must have [`super::MISC_MMAP_BUILD_ID`] exactly
    /// when the object is a build id.
    pub fn encode2(&self, encoder: &mut Encoder) {
        self.encode_range(encoder);
        match self.object {
            MappedObject::Unknown => encoder.bytes(&[0; 24]),
            MappedObject::Inode { major, minor, inode, generation } => {
                encoder.u32(major);
                encoder.u32(minor);
                encoder.u64(inode);
                encoder.u64(generation);
            }
            MappedObject::BuildId(id) => {
                let id = &id[..id.len().min(20)];
                encoder.bytes(&[id.len() as u8, 0, 0, 0]);
                encoder.bytes(id);
                encoder.bytes(&[0; 20][id.len()..]);
            }
        }
        encoder.u32(self.protection);
        encoder.u32(self.flags);
        encoder.padded_c_string(self.name);
    }

    fn encode_range(&self, encoder: &mut Encoder) {
        encoder.u32(self.pid);
        encoder.u32(self.tid);
        encoder.u64(self.start);
        encoder.u64(self.length);
        encoder.u64(self.page_offset);
    }
}

/// NAMESPACES: a thread's namespaces, in the order of the kernel's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespaces {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Device and inode of each.
    pub links: Vec<(u64, u64)>,
}

impl Namespaces {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, ShortRead> {
        let (pid, tid) = (cursor.u32()?, cursor.u32()?);
        let count = cursor.u64()?;
        let words = cursor.words(count.checked_mul(2).ok_or(ShortRead)?)?;
        let pair = |index| Some((words.get(index)?, words.get(index + 1)?));
        Ok(Self { pid, tid, links: (0..words.len()).step_by(2).filter_map(pair).collect() })
    }

    /// Writes the body.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.u32(self.pid);
        encoder.u32(self.tid);
        encoder.u64(self.links.len() as u64);
        for (device, inode) in &self.links {
            encoder.u64(*device);
            encoder.u64(*inode);
        }
    }
}

/// KSYMBOL: a kernel symbol came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ksymbol<'a> {
    /// First address.
    pub address: u64,
    /// Bytes.
    pub length: u32,
    /// 1 BPF, 2 out of line.
    pub kind: u16,
    /// 1 when it went.
    pub flags: u16,
    /// Name.
    pub name: &'a [u8],
}

impl<'a> Ksymbol<'a> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Self, ShortRead> {
        Ok(Self {
            address: cursor.u64()?,
            length: cursor.u32()?,
            kind: cursor.u16()?,
            flags: cursor.u16()?,
            name: cursor.padded_c_string()?,
        })
    }

    /// Writes the body.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.u64(self.address);
        encoder.u32(self.length);
        encoder.u16(self.kind);
        encoder.u16(self.flags);
        encoder.padded_c_string(self.name);
    }
}

/// BPF_EVENT: a BPF program came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BpfEvent {
    /// 1 loaded, 2 unloaded.
    pub kind: u16,
    /// Flags.
    pub flags: u16,
    /// Program id.
    pub id: u32,
    /// Program tag.
    pub tag: [u8; 8],
}

impl BpfEvent {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'_>) -> Result<Self, ShortRead> {
        let (kind, flags, id) = (cursor.u16()?, cursor.u16()?, cursor.u32()?);
        let tag = cursor.bytes(8)?.try_into().map_err(|_| ShortRead)?;
        Ok(Self { kind, flags, id, tag })
    }

    /// Writes the body.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.u16(self.kind);
        encoder.u16(self.flags);
        encoder.u32(self.id);
        encoder.bytes(&self.tag);
    }
}

/// CGROUP: a cgroup's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cgroup<'a> {
    /// Its id.
    pub id: u64,
    /// Its path below the mount.
    pub path: &'a [u8],
}

impl<'a> Cgroup<'a> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Self, ShortRead> {
        Ok(Self { id: cursor.u64()?, path: cursor.padded_c_string()? })
    }

    /// Writes the body.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.u64(self.id);
        encoder.padded_c_string(self.path);
    }
}

/// TEXT_POKE: kernel text was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPoke<'a> {
    /// Where.
    pub address: u64,
    /// The bytes before.
    pub old: &'a [u8],
    /// The bytes after.
    pub new: &'a [u8],
}

impl<'a> TextPoke<'a> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than its fields.
    pub fn decode(cursor: &mut Cursor<'a>) -> Result<Self, ShortRead> {
        let address = cursor.u64()?;
        let (old_length, new_length) = (cursor.u16()?, cursor.u16()?);
        let old = cursor.bytes(usize::from(old_length))?;
        let new = cursor.bytes(usize::from(new_length))?;
        let padding =
            (12 + old.len() + new.len()).next_multiple_of(8) - (12 + old.len() + new.len());
        cursor.bytes(padding)?;
        Ok(Self { address, old, new })
    }

    /// Writes the body; both texts are shorter than 64 KiB.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.u64(self.address);
        encoder.u16(self.old.len() as u16);
        encoder.u16(self.new.len() as u16);
        encoder.bytes(self.old);
        encoder.bytes(self.new);
        let length = 12 + self.old.len() + self.new.len();
        encoder.bytes(&[0; 8][..length.next_multiple_of(8) - length]);
    }
}
