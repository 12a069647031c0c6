//! Names of code: from a mapping and an address to function, image, source line and inlined frames.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::objects::NamedObject;
use crate::access::CodeAddress;
use crate::perf_data::Recording;
use crate::process::{Mapping, MemoryKind, Pid, Processes, ThreadBases, Time};
use crate::symbols::{
    BuildId, DemangleStyle, FileOffset, FunctionBytes, ImageAddress, ImageFinder, ImageId,
    KernelSymbolizer, KernelSymbolsError, Location, PerfMap, StackFrame, SymbolOptions, Symbolizer,
    default_build_id_cache, is_file_backed, running_vdso,
};

/// Where names come from.
#[derive(Debug, Clone, Default)]
pub struct NameOptions {
    /// A directory that stands for the root of the recorded machine.
    pub symfs: Option<PathBuf>,
    /// The image of the recorded kernel.
    pub vmlinux: Option<PathBuf>,
    /// Whether the recording was made on this machine since it was started.
    pub recorded_here: bool,
    /// The user whose JIT maps may be read.
    pub owner_uid: Option<u32>,
    /// Whether source lines and inlined frames are wanted: they take DWARF.
    pub source_lines: bool,
}

/// One function that was inlined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlinedFrame {
    /// Name.
    pub function: Option<String>,
    /// Source file and line within it.
    pub source: Option<(String, u32)>,
}

/// What an address of code is called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodeName {
    /// The function, as the symbol table has it.
    pub symbol: Option<String>,
    /// How far the address is into that function, bytes.
    pub symbol_offset: u64,
    /// The address as perf shows it where there is no name: within the image's file.
    pub perf_address: Option<u64>,
    /// Whether the image itself was at hand.
    pub has_image: bool,
    /// The image: a path, `[kernel.kallsyms]` and the like; `None` where nothing is mapped.
    pub object: Option<Arc<str>>,
    /// The image's name as perf shortens it.
    pub short_object: Option<Arc<str>>,
    /// Source file and line of the innermost frame.
    pub source: Option<(String, u32)>,
    /// The frames from the innermost to the function that really exists; empty when nothing was
    /// inlined.
    pub inlined: Vec<InlinedFrame>,
}

impl CodeName {
    /// In one word: the function, else the image and the offset in its file, which is the same in
    /// every process, else the address.
    pub fn label(&self, code: CodeAddress) -> String {
        match (&self.symbol, &self.short_object, self.perf_address) {
            (Some(symbol), ..) => symbol.clone(),
            (None, Some(object), Some(offset)) => format!("{object}+{offset:#x}"),
            _ => format!("{:#x}", code.0),
        }
    }
}

/// Looks names up, each address once.
#[derive(Debug)]
pub struct Names<'p> {
    processes: &'p Processes,
    symbolizer: Symbolizer,
    build_ids: FxHashMap<String, BuildId>,
    kernel: Option<Result<KernelSymbolizer, KernelSymbolsError>>,
    perf_maps: FxHashMap<Pid, Option<PerfMap>>,
    vdso: Option<Option<Vec<u8>>>,
    known: FxHashMap<(Option<u32>, CodeAddress, Pid), Arc<CodeName>>,
    options: NameOptions,
}

impl<'p> Names<'p> {
    /// For one recording.
    pub fn new(recording: &Recording<'_>, processes: &'p Processes, options: NameOptions) -> Self {
        let is_live = options.recorded_here && options.symfs.is_none();
        let finder = ImageFinder {
            symfs: options.symfs.clone(),
            live_roots: if is_live { live_roots(processes) } else { Vec::new() },
            build_id_cache: default_build_id_cache(),
            ..ImageFinder::default()
        };
        let ids = recording.features().build_ids.iter();
        Self {
            processes,
            symbolizer: Symbolizer::new(SymbolOptions { finder, style: DemangleStyle::Short }),
            build_ids: ids
                .filter_map(|id| Some((id.name.clone(), BuildId::new(&id.build_id)?)))
                .collect(),
            kernel: None,
            perf_maps: FxHashMap::default(),
            vdso: None,
            known: FxHashMap::default(),
            options,
        }
    }

    /// The name of an address.
    pub fn code(&mut self, mapping: Option<u32>, code: CodeAddress, pid: Pid) -> Arc<CodeName> {
        if let Some(known) = self.known.get(&(mapping, code, pid)) {
            return known.clone();
        }
        let name = Arc::new(match mapping.and_then(|number| self.processes.mapping(number)) {
            None => CodeName::default(),
            Some(found) => self.look_up(found, code, pid),
        });
        self.known.insert((mapping, code, pid), name.clone());
        name
    }

    /// What stood in the way of names, each thing once, as sentences.
    pub fn problems(&self) -> Vec<String> {
        let kernel = match &self.kernel {
            Some(Err(error)) => Some(error.to_string()),
            _ => None,
        };
        let images = self.symbolizer.problems().into_iter().map(|(_, problem)| problem.to_string());
        images.chain(kernel).collect()
    }

    /// The code around an address of a mapping that stands for an image, and what to add to the
    /// image's addresses for those of the process.
    pub(super) fn function_bytes(
        &mut self,
        mapping: &Mapping,
        code: CodeAddress,
    ) -> Option<(FunctionBytes, u64)> {
        let offset = FileOffset(mapping.file_offset(code.0));
        let image = self.image(mapping)?;
        let address = self.symbolizer.address_of(image, offset)?;
        let function = self.symbolizer.function_bytes(image, offset)?;
        Some((function, code.0.wrapping_sub(address.0)))
    }

    /// The image of a mapping of code, and what kind of mapping that is.
    pub(super) fn image_of_code(&mut self, mapping: u32) -> Option<(ImageId, MemoryKind)> {
        let mapping = self.processes.mapping(mapping)?;
        Some((self.image(mapping)?, mapping.kind))
    }

    /// Looks into images.
    pub(super) fn symbolizer(&mut self) -> &mut Symbolizer {
        &mut self.symbolizer
    }

    /// The variables that overlap a range of a process's addresses, by address.
    pub(super) fn variables(
        &mut self,
        pid: Pid,
        range: Range<u64>,
        time: Time,
    ) -> Vec<NamedObject> {
        let Some((image, bias)) = self.image_of_data(pid, range.start, time) else {
            return Vec::new();
        };
        let stated = |address: u64| ImageAddress(address.wrapping_sub(bias));
        let found = self.symbolizer.variables_in(image, stated(range.start)..stated(range.end));
        found.into_iter().map(|variable| NamedObject::of_variable(variable, bias)).collect()
    }

    /// What a thread has of its own at some addresses: thread-local variables of the program, or its
    /// stack. glibc and musl put a thread's segment base at the upper end of its stack's mapping, behind
    /// the thread-local variables. `code` are mappings of code that was seen there.
    pub(super) fn of_threads(
        &mut self,
        pid: Pid,
        range: Range<u64>,
        time: Time,
        code: &[u32],
        bases: &ThreadBases,
    ) -> Vec<NamedObject> {
        let processes = self.processes;
        let Some(number) = processes.find_user(pid, range.start, time) else { return Vec::new() };
        let programs: Vec<(ImageId, u64)> = code
            .iter()
            .filter_map(|number| {
                let image = self.image(processes.mapping(*number)?)?;
                Some((image, self.symbolizer.thread_local_size(image)?))
            })
            .collect();
        for (tid, base) in bases.of_process(pid) {
            let of_program = programs.iter().copied().find_map(|(image, size)| {
                let block = base.checked_sub(size)?;
                (block < range.end && range.start < base).then_some((image, block))
            });
            let thread = || match processes.name(tid, time) {
                Some(name) => format!("{name} {}", tid.0 as i32),
                None => format!("thread {}", tid.0 as i32),
            };
            if let Some((image, block)) = of_program {
                let mut offset = range.start.saturating_sub(block);
                let mut found: Vec<NamedObject> = Vec::new();
                while block.saturating_add(offset) < range.end {
                    let known = self.symbolizer.thread_local_at(image, offset);
                    let end = known.as_ref().map_or(offset + 1, |it| it.address + it.size.max(1));
                    found.extend(known.map(|it| NamedObject::of_variable(it, block)));
                    offset = end.max(offset + 1);
                }
                return found;
            }
            if range.start < base && processes.find_user(pid, base, time) == Some(number) {
                return vec![NamedObject::stack(&thread())];
            }
        }
        Vec::new()
    }

    /// The image that an address of data may belong to, and what to add to the image's addresses for
    /// those of the process. Zeros at an image's end are in no file: their memory follows that of the
    /// file.
    fn image_of_data(&mut self, pid: Pid, address: u64, time: Time) -> Option<(ImageId, u64)> {
        let processes = self.processes;
        let find = |address: u64| {
            processes.find_user(pid, address, time).and_then(|number| processes.mapping(number))
        };
        let own = find(address)?;
        let (mapping, at) = match own.kind {
            MemoryKind::File => (own, address),
            MemoryKind::Anonymous | MemoryKind::Heap => {
                // Its first page may show bytes of the segment before; its last byte is its own.
                let last = own.start.checked_sub(1)?;
                (find(last)?, last)
            }
            _ => return None,
        };
        let image = self.image(mapping)?;
        let stated = self.symbolizer.address_of(image, FileOffset(mapping.file_offset(at)))?;
        Some((image, at.wrapping_sub(stated.0)))
    }

    /// The caller of a frame; `read` has the words of the stack that are known. Code without unwind
    /// tables is taken to keep frame pointers.
    pub(super) fn caller(
        &mut self,
        mapping: Option<u32>,
        frame: &StackFrame,
        read: impl Fn(u64) -> Option<u64>,
    ) -> Option<StackFrame> {
        // The call is before the address that it returns to.
        let code = frame.return_address.checked_sub(1)?;
        let mapping = mapping.and_then(|number| self.processes.mapping(number))?;
        let by_tables = self.image(mapping).and_then(|image| {
            let offset = FileOffset(mapping.file_offset(code));
            self.symbolizer.caller(image, offset, frame, &read)
        });
        by_tables.or_else(|| frame.caller_by_frame_pointer(read))
    }

    /// The image that a mapping of user code stands for.
    fn image(&mut self, mapping: &Mapping) -> Option<ImageId> {
        match mapping.kind {
            MemoryKind::File if is_file_backed(&mapping.name) => {
                let recorded = mapping.build_id.as_deref().and_then(BuildId::new);
                let build_id = recorded.or_else(|| self.build_ids.get(&*mapping.name).copied());
                Some(self.symbolizer.image(Path::new(&*mapping.name), build_id.as_ref()))
            }
            // The page of the running kernel is that of the recorded one only on that machine.
            MemoryKind::Vdso if self.options.recorded_here => {
                let bytes = self.vdso.get_or_insert_with(running_vdso).clone()?;
                self.symbolizer.image_of_bytes(&mapping.name, bytes).ok()
            }
            _ => None,
        }
    }

    /// The function that a JIT says an address is in: its first address and the first one after it.
    pub(super) fn jit_function(&mut self, code: CodeAddress, pid: Pid) -> Option<(u64, u64)> {
        let symbol = self.perf_map(pid)?.symbol(code.0)?;
        Some((symbol.address, symbol.address.checked_add(symbol.size)?))
    }

    fn look_up(&mut self, mapping: &Mapping, code: CodeAddress, pid: Pid) -> CodeName {
        let object = Some(mapping.name.clone());
        let mut has_image = false;
        let location = match mapping.kind {
            MemoryKind::Kernel => self.kernel_location(code),
            MemoryKind::File | MemoryKind::Vdso => match self.image(mapping) {
                Some(image) => {
                    has_image = self.symbolizer.path_of(image).is_some();
                    self.symbolizer.locate(image, FileOffset(mapping.file_offset(code.0)))
                }
                None if mapping.kind == MemoryKind::Vdso => Location::default(),
                None => self.jit_location(code, pid),
            },
            _ => self.jit_location(code, pid),
        };
        let source_lines = self.options.source_lines;
        let source_of = |frame: &crate::symbols::Frame| {
            Some((frame.file.clone()?, frame.line?)).filter(|_| source_lines)
        };
        let inlined = match location.frames.len() {
            0 | 1 => Vec::new(),
            _ if !source_lines => Vec::new(),
            _ => location
                .frames
                .iter()
                .map(|frame| InlinedFrame {
                    function: frame.function.clone(),
                    source: source_of(frame),
                })
                .collect(),
        };
        CodeName {
            symbol_offset: location.offset,
            has_image,
            perf_address: Some(mapping.perf_address(code.0)),
            symbol: location.symbol.map(|symbol| symbol.name),
            object,
            short_object: Some(mapping.short_name.clone()),
            source: location.frames.first().and_then(source_of),
            inlined,
        }
    }

    fn kernel_location(&mut self, code: CodeAddress) -> Location {
        if self.kernel.is_none() {
            self.kernel = Some(self.open_kernel());
        }
        match &self.kernel {
            Some(Ok(kernel)) => kernel.locate(code.0),
            _ => Location::default(),
        }
    }

    fn open_kernel(&self) -> Result<KernelSymbolizer, KernelSymbolsError> {
        let expected =
            self.build_ids.iter().find(|(name, _)| name.starts_with("[kernel.kallsyms]"));
        let expected = expected.map(|(_, id)| id);
        let Some(vmlinux) = &self.options.vmlinux else {
            return KernelSymbolizer::running(expected, self.options.recorded_here);
        };
        // `[kernel.kallsyms]_text` says which symbol's address the mapping's offset is. The row that
        // asks may be one of a module, which says nothing about where the kernel is.
        let core = self.processes.mappings().iter().find(|mapping| mapping.is_core_kernel());
        let symbol = core.and_then(|core| core.name.strip_prefix("[kernel.kallsyms]"));
        let symbol = symbol.filter(|name| !name.is_empty()).unwrap_or("_text");
        let reference = (symbol, core.map_or(0, |core| core.page_offset));
        KernelSymbolizer::from_vmlinux(vmlinux, expected, reference, DemangleStyle::Short)
    }

    fn jit_location(&mut self, code: CodeAddress, pid: Pid) -> Location {
        self.perf_map(pid).map(|map| map.locate(code.0)).unwrap_or_default()
    }

    fn perf_map(&mut self, pid: Pid) -> Option<&PerfMap> {
        let symfs = self.options.symfs.clone().unwrap_or_else(|| PathBuf::from("/"));
        let (may_read, owner) =
            (self.options.recorded_here || self.options.symfs.is_some(), self.options.owner_uid);
        let map = self.perf_maps.entry(pid).or_insert_with(|| {
            // Another machine's process ids mean nothing here.
            let path = symfs.join(format!("tmp/perf-{}.map", pid.0));
            may_read.then(|| PerfMap::open(&path, owner).ok()).flatten()
        });
        map.as_ref()
    }
}

/// The roots of recorded processes that still run and see other files than this process: those of
/// containers. A process id may have come to mean another process; that is why images found there are
/// used by their build-id only.
fn live_roots(processes: &Processes) -> Vec<PathBuf> {
    /// More containers than this are not looked into.
    const MOST: usize = 64;
    let files_of = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    let own = files_of("self");
    let mut seen = FxHashSet::default();
    processes
        .pids()
        .filter(|pid| {
            let theirs = files_of(&pid.0.to_string());
            theirs.is_some() && theirs != own && seen.insert(theirs)
        })
        .take(MOST)
        .map(|pid| PathBuf::from(format!("/proc/{}/root", pid.0)))
        .collect()
}
