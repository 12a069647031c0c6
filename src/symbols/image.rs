//! One ELF file, opened once.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object::{
    Object, ObjectKind, ObjectSection, ObjectSegment, ObjectSymbol, SectionKind, SymbolKind,
};

use super::error::ImageProblem;
use super::{BuildId, FileOffset, ImageAddress};
use crate::kernel::MappedFile;

/// A decompressed section may be this large at most.
const MAX_DECOMPRESSED: u64 = 4 << 30;

/// How many bytes one compressed byte may become. Deflate ends at 1032, and debug sections, in any
/// format, stay far below; a header that claims more is there to exhaust memory.
const MAX_COMPRESSION_RATIO: u64 = 1032;

/// A part of the file that is mapped when the image runs.
#[derive(Debug, Clone, Copy)]
struct Segment {
    offset: u64,
    file_size: u64,
    address: u64,
    memory_size: u64,
}

/// An ELF file: its identity, its segments and its sections.
///
/// Images live until the process ends: the parsers borrow from the mapping, a symbolizer needs its
/// images to its last report, and so the mapping is leaked rather than counted. A tool that opens an
/// unbounded number of images would have to bring an arena instead.
pub struct Image {
    path: PathBuf,
    data: &'static [u8],
    file: object::File<'static>,
    build_id: Option<BuildId>,
    segments: Vec<Segment>,
}

/// A file that an image names as the home of its debug information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DebugLink {
    /// The file's name, or its path for a supplementary file.
    pub(super) name: &'static [u8],
    /// The checksum of the file's contents.
    pub(super) crc: u32,
}

impl Image {
    /// Opens and maps the ELF file at `path`, which must be a regular file.
    ///
    /// # Errors
    ///
    /// [`ImageProblem::NotFound`], [`ImageProblem::Unreadable`] or [`ImageProblem::NotElf`].
    pub fn open(path: &Path) -> Result<Self, ImageProblem> {
        let mapping = MappedFile::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                ImageProblem::NotFound { path: path.to_owned() }
            }
            _ => ImageProblem::Unreadable { path: path.to_owned(), source: Arc::new(error) },
        })?;
        let not_elf = |reason: String| ImageProblem::NotElf { path: path.to_owned(), reason };
        // Parsed before it is leaked, so that only what turns out to be an image stays mapped.
        object::File::parse(&*mapping).map_err(|error| not_elf(error.to_string()))?;
        Self::parse(path, Box::leak(Box::new(mapping)))
    }

    /// An image that is no file, such as the kernel's page of user code.
    ///
    /// # Errors
    ///
    /// [`ImageProblem::NotElf`].
    pub(super) fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, ImageProblem> {
        Self::parse(Path::new(name), Box::leak(bytes.into_boxed_slice()))
    }

    fn parse(path: &Path, data: &'static [u8]) -> Result<Self, ImageProblem> {
        let not_elf = |reason: String| ImageProblem::NotElf { path: path.to_owned(), reason };
        let file = object::File::parse(data).map_err(|error| not_elf(error.to_string()))?;

        let build_id = file.build_id().ok().flatten().and_then(BuildId::new);
        let segments = file
            .segments()
            .map(|segment| {
                let (offset, file_size) = segment.file_range();
                Segment {
                    offset,
                    file_size,
                    address: segment.address(),
                    memory_size: segment.size(),
                }
            })
            .collect();
        Ok(Self { path: path.to_owned(), data, file, build_id, segments })
    }

    /// The path it was opened at.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its GNU build-id, if it has one.
    #[must_use]
    pub fn build_id(&self) -> Option<BuildId> {
        self.build_id
    }

    /// The address at which the image states the byte at `offset` of its file.
    ///
    /// `None` when no segment maps that byte.
    #[must_use]
    pub fn address_of(&self, offset: FileOffset) -> Option<ImageAddress> {
        // Mappings are made of whole pages, so behind the file part of a segment lies either more
        // of the file or, for data, the zeros that the image states there. The file part wins.
        let within = |size: fn(&Segment) -> u64| {
            let found = self.segments.iter().filter_map(|segment| {
                let delta = offset.0.checked_sub(segment.offset)?;
                let address = segment.address.checked_add(delta)?;
                (delta < size(segment)).then_some((segment.offset, address))
            });
            // A segment that was made longer than its file part, for the sake of page sizes, ends where
            // the next one begins.
            found.max_by_key(|(start, _)| *start).map(|(_, address)| address)
        };
        within(|segment| segment.file_size)
            .or_else(|| within(|segment| segment.memory_size))
            .map(ImageAddress)
    }

    /// The parsed file.
    pub(super) fn object(&self) -> &object::File<'static> {
        &self.file
    }

    /// All bytes of the file.
    pub(super) fn data(&self) -> &'static [u8] {
        self.data
    }

    /// The separate debug file that the image names, with its checksum.
    pub(super) fn debug_link(&self) -> Option<DebugLink> {
        let (name, crc) = self.file.gnu_debuglink().ok()??;
        Some(DebugLink { name, crc })
    }

    /// The supplementary file that holds what several debug files share, and its build-id.
    pub(super) fn supplementary_link(&self) -> Option<(&'static [u8], BuildId)> {
        let (path, id) = self.file.gnu_debugaltlink().ok()??;
        Some((path, BuildId::new(id)?))
    }

    /// Whether the image has source lines of its own.
    pub(super) fn has_lines(&self) -> bool {
        self.has_content(".debug_line") && self.has_content(".debug_info")
    }

    /// Whether the image has debug information of its own, with or without source lines.
    pub(super) fn has_debug_information(&self) -> bool {
        self.has_content(".debug_info")
    }

    /// The addresses at which the image states what each thread gets a copy of.
    pub(super) fn thread_local_range(&self) -> Option<(u64, u64)> {
        let of_threads = |section: &object::Section<'static, '_>| {
            matches!(section.kind(), SectionKind::Tls | SectionKind::UninitializedTls)
        };
        let range = |section: object::Section<'static, '_>| {
            (section.address(), section.address().saturating_add(section.size()))
        };
        let ranges = self.file.sections().filter(of_threads).map(range);
        ranges.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    /// Whether it is a program and no library: it names the interpreter that starts it, or needs none.
    pub(super) fn is_program(&self) -> bool {
        self.file.kind() == ObjectKind::Executable || self.has_content(".interp")
    }

    /// Alignment of what each thread gets a copy of, bytes.
    pub(super) fn thread_local_alignment(&self) -> u64 {
        let of_threads = |section: &object::Section<'static, '_>| {
            matches!(section.kind(), SectionKind::Tls | SectionKind::UninitializedTls)
        };
        let alignments = self.file.sections().filter(of_threads).map(|section| section.align());
        alignments.max().unwrap_or(1).max(1)
    }

    /// The thread-local symbol at an offset of the image's block of thread-local memory: its name,
    /// its offset and its size.
    pub(super) fn thread_local_symbol(&self, offset: u64) -> Option<(&'static [u8], u64, u64)> {
        self.file.symbols().chain(self.file.dynamic_symbols()).find_map(|symbol| {
            let (start, size) = (symbol.address(), symbol.size());
            let fits = symbol.kind() == SymbolKind::Tls
                && offset.checked_sub(start).is_some_and(|delta| delta < size);
            Some((symbol.name_bytes().ok().filter(|_| fits)?, start, size))
        })
    }

    /// Whether the image has a full symbol table of its own.
    pub(super) fn has_symbol_table(&self) -> bool {
        self.has_content(".symtab")
    }

    fn has_content(&self, name: &str) -> bool {
        // In a stripped image a debug section may remain as a header without bytes.
        self.file
            .section_by_name(name)
            .is_some_and(|section| section.file_range().is_some_and(|(_, size)| size > 0))
    }

    /// The contents of a section, decompressed where they are compressed; empty when there is none.
    ///
    /// # Errors
    ///
    /// A sentence that says why the contents cannot be had.
    pub(super) fn section(&self, name: &str) -> Result<&'static [u8], String> {
        match self.file.section_by_name(name) {
            Some(section) => contents(name, &section),
            None => Ok(&[]),
        }
    }

    /// The contents of all sections of a name, one behind the other: object files have one for each
    /// type.
    ///
    /// # Errors
    ///
    /// A sentence that says why the contents cannot be had.
    pub(super) fn sections(&self, name: &str) -> Result<&'static [u8], String> {
        let mut named = self.file.sections().filter(|section| section.name() == Ok(name));
        let Some(first) = named.next() else { return Ok(&[]) };
        let Some(second) = named.next() else { return contents(name, &first) };
        let mut all = Vec::new();
        for section in [first, second].iter().chain(&named.collect::<Vec<_>>()) {
            all.extend_from_slice(contents(name, section)?);
            if all.len() as u64 > MAX_DECOMPRESSED {
                return Err(format!("sections {name} have more than {MAX_DECOMPRESSED} bytes"));
            }
        }
        Ok(Box::leak(all.into_boxed_slice()))
    }
}

/// The contents of a section, decompressed where they are compressed.
fn contents(name: &str, section: &object::Section<'static, '_>) -> Result<&'static [u8], String> {
    let stored = section.compressed_data().map_err(|error| format!("section {name}: {error}"))?;
    if stored.format == object::CompressionFormat::None {
        return Ok(stored.data);
    }
    let (packed, claimed) = (stored.data.len() as u64, stored.uncompressed_size);
    if claimed > MAX_DECOMPRESSED.min(packed.saturating_mul(MAX_COMPRESSION_RATIO)) {
        return Err(format!(
            "section {name} claims that its {packed} compressed bytes become {claimed}"
        ));
    }
    let contents = stored.decompress().map_err(|error| format!("section {name}: {error}"))?;
    // As long-lived as the mapping, for the same reason.
    Ok(Box::leak(contents.into_owned().into_boxed_slice()))
}

impl fmt::Debug for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Image")
            .field("path", &self.path)
            .field("build_id", &self.build_id)
            .finish_non_exhaustive()
    }
}
