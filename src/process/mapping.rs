//! One mapping: a range of addresses and what lies behind it.

use std::sync::Arc;

use crate::perf_data::{MISC_MMAP_DATA, MappedObject, Mmap};

const MAP_SHARED: u32 = 1;
const MAP_HUGETLB: u32 = 0x40000;
const PROT_EXEC: u32 = 4;
/// What recorders call the kernel proper; the name of a symbol may follow.
const CORE_KERNEL: &str = "[kernel.kallsyms]";

/// A mapped object by device and inode, as the kernel recorded it.
///
/// Where the record carries a build id instead, that takes the same 24 bytes, which is how perf
/// itself compares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ObjectId {
    /// Device, major number.
    pub major: u32,
    /// Device, minor number.
    pub minor: u32,
    /// Inode.
    pub inode: u64,
    /// Inode generation.
    pub generation: u64,
}

impl ObjectId {
    /// Whether nothing is known: anonymous memory, or a record without inodes.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    fn of(object: &MappedObject<'_>) -> Self {
        match *object {
            MappedObject::Unknown => Self::default(),
            MappedObject::Inode { major, minor, inode, generation } => {
                Self { major, minor, inode, generation }
            }
            MappedObject::BuildId(id) => {
                let mut bytes = [0; 24];
                let length = id.len().min(20);
                bytes[0] = length as u8;
                bytes[4..4 + length].copy_from_slice(&id[..length]);
                let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
                let both = word(0);
                Self {
                    major: both as u32,
                    minor: (both >> 32) as u32,
                    inode: word(8),
                    generation: word(16),
                }
            }
        }
    }
}

/// What kind of memory a mapping is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemoryKind {
    /// A file.
    File,
    /// The heap that `brk` grows.
    Heap,
    /// A thread's stack.
    Stack,
    /// Other anonymous memory.
    Anonymous,
    /// Anonymous memory that several processes share, or a SysV segment.
    Shared,
    /// The kernel's page of user code.
    Vdso,
    /// The kernel, or one of its modules.
    Kernel,
}

/// A mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// First address in the process.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// Offset of `start` in the file, bytes.
    pub page_offset: u64,
    /// The mapped object.
    pub object: ObjectId,
    /// Its build id, where the record has it.
    pub build_id: Option<Arc<[u8]>>,
    /// Kind of memory.
    pub kind: MemoryKind,
    /// Whether writes are seen by other processes.
    pub is_shared: bool,
    /// Whether code may run from it.
    pub is_executable: bool,
    /// File name, `//anon`, `[heap]` and the like.
    pub name: Arc<str>,
    /// What perf calls it: the file name without its folders, `[module]` for a kernel module, and one
    /// name for the core kernel.
    pub short_name: Arc<str>,
}

impl Mapping {
    /// From MMAP or MMAP2.
    pub(super) fn new(mmap: &Mmap<'_>, misc: u16, is_kernel: bool, name: Arc<str>) -> Self {
        let is_anonymous = is_anonymous(&name) || mmap.flags & MAP_HUGETLB != 0;
        let is_shared = mmap.flags & MAP_SHARED != 0;
        let kind = match &*name {
            _ if is_kernel => MemoryKind::Kernel,
            "[heap]" => MemoryKind::Heap,
            "[vdso]" => MemoryKind::Vdso,
            name if name.starts_with("[stack") => MemoryKind::Stack,
            name if name.starts_with("/SYSV") => MemoryKind::Shared,
            _ if is_anonymous && is_shared => MemoryKind::Shared,
            _ if is_anonymous => MemoryKind::Anonymous,
            _ => MemoryKind::File,
        };
        let is_executable = match mmap.object {
            MappedObject::Unknown => misc & MISC_MMAP_DATA == 0,
            _ => mmap.protection & PROT_EXEC != 0,
        };
        let build_id = match mmap.object {
            MappedObject::BuildId(id) => Some(Arc::from(id)),
            _ => None,
        };
        Self {
            start: mmap.start,
            end: mmap.start.saturating_add(mmap.length),
            page_offset: if kind == MemoryKind::Vdso { 0 } else { mmap.page_offset },
            object: ObjectId::of(&mmap.object),
            build_id,
            kind,
            is_shared,
            is_executable,
            short_name: short_name(kind, &name),
            name,
        }
    }

    /// Where an address of this mapping lies in the file.
    pub fn file_offset(&self, address: u64) -> u64 {
        address.wrapping_sub(self.start).wrapping_add(self.page_offset)
    }

    /// Whether it is the kernel proper and not one of its modules.
    pub fn is_core_kernel(&self) -> bool {
        self.kind == MemoryKind::Kernel && self.name.starts_with(CORE_KERNEL)
    }

    /// The address that perf calls `al_addr`: within the file for files and kernel modules, unchanged
    /// for memory that is no file and for the core kernel.
    pub fn perf_address(&self, address: u64) -> u64 {
        let is_identity = is_anonymous(&self.name)
            || matches!(self.kind, MemoryKind::Heap | MemoryKind::Stack | MemoryKind::Anonymous)
            || self.name.starts_with("/SYSV")
            || self.is_core_kernel();
        if is_identity { address } else { self.file_offset(address) }
    }

    /// Whether it is private memory of one process without a file behind it.
    pub fn is_private_anonymous(&self) -> bool {
        !self.is_shared && self.object.is_zero()
    }
}

fn short_name(kind: MemoryKind, name: &Arc<str>) -> Arc<str> {
    if kind == MemoryKind::Kernel && name.starts_with(CORE_KERNEL) {
        return CORE_KERNEL.into();
    }
    let file = name.rsplit('/').next().unwrap_or_default();
    // The kernel itself knows a module by its file's name with underscores.
    let module =
        file.split_once(".ko").filter(|(_, rest)| rest.is_empty() || rest.starts_with('.'));
    match module.filter(|_| kind == MemoryKind::Kernel) {
        Some((module, _)) => format!("[{}]", module.replace('-', "_")).into(),
        None if file.len() == name.len() => name.clone(),
        None => file.into(),
    }
}

fn is_anonymous(name: &str) -> bool {
    name == "//anon" || name.starts_with("/dev/zero") || name.starts_with("/anon_hugepage")
}
