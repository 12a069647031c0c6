//! The processes of a synthetic recording and what they have mapped.

use std::path::PathBuf;

use hitm::perf_data::{MappedObject, Mmap};

const PROT_READ: u32 = 1;
const PROT_WRITE: u32 = 2;
const PROT_EXEC: u32 = 4;
const MAP_SHARED: u32 = 1;
const MAP_PRIVATE: u32 = 2;
const MAP_HUGETLB: u32 = 0x40000;

/// Bytes of every data mapping.
pub const REGION_SIZE: u64 = 1 << 20;

/// An executable image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its path; need not exist.
    pub path: PathBuf,
    /// Inode.
    pub inode: u64,
    /// File offset of the executable mapping.
    pub text_offset: u64,
    /// Bytes of the executable mapping.
    pub text_length: u64,
    /// File offsets of instructions that access memory.
    pub code: Vec<u64>,
}

impl Image {
    /// An image without a file behind it.
    pub fn imaginary(path: &str, inode: u64) -> Self {
        let code = (0..64).map(|index| 0x1400 + index * 0x24).collect();
        Self { path: path.into(), inode, text_offset: 0x1000, text_length: 0x8000, code }
    }
}

/// What a data mapping is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegionKind {
    /// `[heap]`.
    Heap,
    /// Private anonymous memory.
    Anonymous,
    /// `[stack]`.
    Stack,
    /// `.data` of the image: a private mapping of a file.
    ImageData,
    /// A file that several processes map shared.
    SharedFile,
    /// A region that comes from `mmap(MAP_SHARED | MAP_ANONYMOUS)`.
    SharedAnonymous,
    /// A SysV segment.
    SysV,
    /// Private huge pages.
    Huge,
}

/// A data mapping.
#[derive(Debug, Clone, Copy)]
pub struct Region {
    /// What it is.
    pub kind: RegionKind,
    /// First address in the process.
    pub start: u64,
}

/// A program that a process runs: image and mappings.
#[derive(Debug, Clone)]
pub struct Program {
    /// Name of the threads.
    pub comm: String,
    /// What is run.
    pub image: Image,
    /// Where the executable mapping starts.
    pub text: u64,
    /// Data mappings.
    pub regions: Vec<Region>,
}

impl Program {
    /// A program with all kinds of memory; `shift` moves its addresses as randomisation does.
    pub fn new(comm: &str, image: Image, shift: u64) -> Self {
        use RegionKind::*;
        let start = |kind| match kind {
            ImageData => 0x5555_5560_0000,
            Heap => 0x5555_5600_0000,
            Anonymous => 0x7f10_0000_0000,
            SharedFile => 0x7f20_0000_0000,
            SharedAnonymous => 0x7f30_0000_0000,
            SysV => 0x7f40_0000_0000,
            Huge => 0x7f50_0000_0000,
            Stack => 0x7ffc_0000_0000,
        };
        let kinds = [ImageData, Heap, Anonymous, SharedFile, SharedAnonymous, SysV, Huge, Stack];
        let regions =
            kinds.map(|kind| Region { kind, start: start(kind) + shift * REGION_SIZE }).to_vec();
        let text = 0x5555_5540_0000 + shift * REGION_SIZE;
        Self { comm: comm.to_owned(), image, text, regions }
    }

    /// The address of an instruction that is at a file offset.
    pub fn code_address(&self, offset: u64) -> u64 {
        self.text + offset - self.image.text_offset
    }

    /// Where a region starts.
    pub fn region(&self, kind: RegionKind) -> u64 {
        let region = self.regions.iter().find(|region| region.kind == kind);
        region.expect("every program has every kind of region").start
    }

    /// The executable mapping as a record.
    pub fn text_mapping(&self, pid: u32) -> Mmap<'_> {
        Mmap {
            pid,
            tid: pid,
            start: self.text,
            length: self.image.text_length,
            page_offset: self.image.text_offset,
            object: file(self.image.inode),
            protection: PROT_READ | PROT_EXEC,
            flags: MAP_PRIVATE,
            name: self.image.path.as_os_str().as_encoded_bytes(),
        }
    }

    /// A data mapping as a record.
    pub fn data_mapping(&self, pid: u32, region: Region) -> Mmap<'_> {
        let (object, page_offset, flags, name): (_, _, _, &[u8]) = match region.kind {
            RegionKind::Heap => (anonymous(), 0, MAP_PRIVATE, b"[heap]"),
            RegionKind::Anonymous => (anonymous(), 0, MAP_PRIVATE, b"//anon"),
            RegionKind::Stack => (anonymous(), 0, MAP_PRIVATE, b"[stack]"),
            RegionKind::ImageData => (
                file(self.image.inode),
                self.image.text_offset + self.image.text_length,
                MAP_PRIVATE,
                self.image.path.as_os_str().as_encoded_bytes(),
            ),
            RegionKind::SharedFile => (file(777), 0x3000, MAP_SHARED, b"/dev/shm/queue"),
            RegionKind::SharedAnonymous => (file(888), 0, MAP_SHARED, b"/dev/zero (deleted)"),
            RegionKind::SysV => (file(999), 0, MAP_SHARED, b"/SYSV00000000 (deleted)"),
            RegionKind::Huge => {
                (file(555), 0, MAP_PRIVATE | MAP_HUGETLB, b"/anon_hugepage (deleted)")
            }
        };
        Mmap {
            pid,
            tid: pid,
            start: region.start,
            length: REGION_SIZE,
            page_offset,
            object,
            protection: PROT_READ | PROT_WRITE,
            flags,
            name,
        }
    }
}

fn file(inode: u64) -> MappedObject<'static> {
    MappedObject::Inode { major: 8, minor: 1, inode, generation: 3 }
}

fn anonymous() -> MappedObject<'static> {
    MappedObject::Inode { major: 0, minor: 0, inode: 0, generation: 0 }
}
