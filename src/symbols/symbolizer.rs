//! The facade: from a recorded image and an offset in it to names.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data_types::{DataType, DataVariable, RegisterValue, ValuePlace};
use super::demangle::DemangleStyle;
use super::error::ImageProblem;
use super::function_bytes::FunctionBytes;
use super::image::Image;
use super::image_finder::{ImageFinder, is_file_backed};
use super::location::{Location, SymbolName};
use super::resolved_image::ResolvedImage;
use super::text::text_of;
use super::unwind::StackFrame;
use super::{BuildId, FileOffset, ImageAddress};

/// Where a [`Symbolizer`] looks for files, and how it shows names.
#[derive(Debug, Clone, Default)]
pub struct SymbolOptions {
    /// Where images and their debug files are looked for.
    pub finder: ImageFinder,
    /// How names are shown.
    pub style: DemangleStyle,
}

/// An image that a [`Symbolizer`] was asked for; meaningful to that symbolizer alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageId(usize);

/// One recorded image, and what became of it.
#[derive(Debug)]
struct Entry {
    recorded: PathBuf,
    outcome: Result<Box<ResolvedImage>, Arc<ImageProblem>>,
}

/// Turns offsets in recorded images into names, opening each image once.
///
/// An image that cannot be had is no error: its lookups are empty, and [`Symbolizer::problems`]
/// says once why.
///
/// ```
/// use hitm::symbols::{FileOffset, SymbolOptions, Symbolizer};
/// use std::path::Path;
///
/// let mut symbolizer = Symbolizer::new(SymbolOptions::default());
/// let image = symbolizer.image(Path::new("/nowhere/server"), None);
/// let location = symbolizer.locate(image, FileOffset(0x1234));
/// assert!(location.symbol.is_none() && location.frames.is_empty());
/// assert_eq!(symbolizer.problems().len(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Symbolizer {
    options: SymbolOptions,
    entries: Vec<Entry>,
    ids: HashMap<(PathBuf, Option<BuildId>), ImageId>,
}

impl Symbolizer {
    /// A symbolizer that has opened nothing yet.
    #[must_use]
    pub fn new(options: SymbolOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// The image that was recorded under this name and with this build-id, as far as it is known.
    ///
    /// The file is mapped at the first call with these arguments; its symbols and its debug
    /// information are read at the first lookup.
    pub fn image(&mut self, recorded: &Path, build_id: Option<&BuildId>) -> ImageId {
        let key = (recorded.to_owned(), build_id.copied());
        if let Some(&id) = self.ids.get(&key) {
            return id;
        }
        let id = ImageId(self.entries.len());
        self.entries.push(Entry {
            recorded: recorded.to_owned(),
            outcome: self.open(recorded, build_id).map_err(Arc::new),
        });
        self.ids.insert(key, id);
        id
    }

    fn open(
        &self,
        recorded: &Path,
        build_id: Option<&BuildId>,
    ) -> Result<Box<ResolvedImage>, ImageProblem> {
        let name = recorded.as_os_str().as_bytes();
        if !is_file_backed(&String::from_utf8_lossy(name)) {
            return Err(ImageProblem::NotFileBacked { name: text_of(name) });
        }
        let SymbolOptions { finder, style } = &self.options;
        let image = finder.find(recorded, build_id)?;
        let resolved = ResolvedImage::new(image, recorded, finder, *style);
        Ok(Box::new(resolved))
    }

    /// The functions and the source lines at an offset of an image.
    pub fn locate(&mut self, image: ImageId, offset: FileOffset) -> Location {
        match self.entries.get(image.0).map(|entry| &entry.outcome) {
            Some(Ok(resolved)) => resolved.locate(offset),
            Some(Err(problem)) => Location::unknown(Arc::clone(problem)),
            None => Location::default(),
        }
    }

    /// The code of the function at an offset of an image.
    pub fn function_bytes(&mut self, image: ImageId, offset: FileOffset) -> Option<FunctionBytes> {
        let resolved = self.entries.get(image.0)?.outcome.as_ref().ok()?;
        resolved.function_bytes(resolved.image().address_of(offset)?)
    }

    /// The caller of a frame whose code is at an offset of an image; `read` has the words of the stack
    /// that are known.
    pub fn caller(
        &self,
        image: ImageId,
        offset: FileOffset,
        frame: &StackFrame,
        read: impl Fn(u64) -> Option<u64>,
    ) -> Option<StackFrame> {
        let resolved = self.entries.get(image.0)?.outcome.as_ref().ok()?;
        resolved.caller(frame, resolved.image().address_of(offset)?, read)
    }

    /// The address at which an image states an offset of its file.
    pub fn address_of(&self, image: ImageId, offset: FileOffset) -> Option<ImageAddress> {
        self.entries.get(image.0)?.outcome.as_ref().ok()?.image().address_of(offset)
    }

    /// An image that is no file and is known by a name such as `[vdso]`; the first one of a name stays.
    ///
    /// # Errors
    ///
    /// [`ImageProblem::NotElf`].
    pub fn image_of_bytes(&mut self, name: &str, bytes: Vec<u8>) -> Result<ImageId, ImageProblem> {
        let key = (PathBuf::from(name), None);
        if let Some(&id) = self.ids.get(&key) {
            return Ok(id);
        }
        let image = Image::from_bytes(name, bytes)?;
        let resolved = ResolvedImage::alone(image, self.options.style);
        let id = ImageId(self.entries.len());
        self.entries.push(Entry { recorded: key.0.clone(), outcome: Ok(Box::new(resolved)) });
        self.ids.insert(key, id);
        Ok(id)
    }

    /// The variable at an offset of an image.
    pub fn data_symbol(&mut self, image: ImageId, offset: FileOffset) -> Option<SymbolName> {
        let resolved = self.entries.get(image.0)?.outcome.as_ref().ok()?;
        resolved.data_symbol(resolved.image().address_of(offset)?)
    }

    /// The global or static variable that contains an address of an image: the debug information's,
    /// with its type, else the symbol table's, without one.
    pub fn variable_at(&mut self, image: ImageId, address: ImageAddress) -> Option<DataVariable> {
        let resolved = self.entries.get(image.0)?.outcome.as_ref().ok()?;
        let found = resolved.variables_in(address.0, address.0.checked_add(1)?);
        // The innermost: the one that starts last.
        found.into_iter().next_back()
    }

    /// All variables that overlap a range of addresses of an image, a cache line for instance, by
    /// address.
    pub fn variables_in(
        &mut self,
        image: ImageId,
        range: Range<ImageAddress>,
    ) -> Vec<DataVariable> {
        match self.entries.get(image.0).map(|entry| &entry.outcome) {
            Some(Ok(resolved)) => resolved.variables_in(range.start.0, range.end.0),
            _ => Vec::new(),
        }
    }

    /// The thread-local variable at an offset of an image's block of thread-local memory.
    pub fn thread_local_at(&mut self, image: ImageId, offset: u64) -> Option<DataVariable> {
        self.entries.get(image.0)?.outcome.as_ref().ok()?.thread_local_at(offset)
    }

    /// The variables and parameters that registers lead to at an address of the code, those of
    /// inlined functions among them.
    pub fn register_values(&mut self, image: ImageId, code: ImageAddress) -> Vec<RegisterValue> {
        self.lead_from(image, code, None)
    }

    fn lead_from(
        &self,
        image: ImageId,
        code: ImageAddress,
        register: Option<u16>,
    ) -> Vec<RegisterValue> {
        match self.entries.get(image.0).map(|entry| &entry.outcome) {
            Some(Ok(resolved)) => resolved.register_values(code, register),
            _ => Vec::new(),
        }
    }

    /// The variables and parameters that one register leads to at an address of the code, by the
    /// DWARF number of the register (System V ABI, AMD64 supplement, figure 3.36): certain ones first,
    /// and of those the ones of the innermost function.
    pub fn value_in_register(
        &mut self,
        image: ImageId,
        code: ImageAddress,
        register: u16,
    ) -> Vec<RegisterValue> {
        let mut values = self.lead_from(image, code, Some(register));
        values.sort_by_key(|value| (!value.certain, std::cmp::Reverse(value.inlined)));
        values
    }

    /// The variable in memory that an operand is for, when the instruction at `code` states it as a
    /// register, by its DWARF number, plus a displacement: a variable on the stack as a rule. With it
    /// comes the offset of the operand in the variable, bytes.
    pub fn variable_at_operand(
        &mut self,
        image: ImageId,
        code: ImageAddress,
        register: u16,
        displacement: i64,
    ) -> Option<(RegisterValue, u64)> {
        let values = self.value_in_register(image, code, register);
        values.into_iter().find_map(|value| {
            let ValuePlace::Memory { offset } = value.place else { return None };
            let within = u64::try_from(displacement.checked_sub(offset)?).ok()?;
            let of = value.data_type.as_ref();
            let size = value.part.map_or_else(|| of?.size(), |(_, size)| Some(size))?;
            let start = value.part.map_or(0, |(start, _)| start);
            (within < size).then(|| Some((value, start.checked_add(within)?)))?
        })
    }

    /// The types of an image that a name may stand for, each layout once: `struct foo`, `foo`,
    /// `ns::Foo<int>`, `Foo`. A name that is the whole of one type's stands for that alone.
    pub fn types_named(&mut self, image: ImageId, name: &str) -> Vec<DataType> {
        match self.entries.get(image.0).map(|entry| &entry.outcome) {
            Some(Ok(resolved)) => resolved.types().map_or_else(Vec::new, |t| t.types_named(name)),
            _ => Vec::new(),
        }
    }

    /// Bytes between the start of a program's thread-local memory and the thread's segment base, which
    /// it ends at (variant II of ELF's thread-local storage, "ELF Handling For Thread-Local Storage",
    /// Drepper 2013). `None` for libraries, whose blocks lie elsewhere, and without such memory.
    pub fn thread_local_size(&mut self, image: ImageId) -> Option<u64> {
        let resolved = self.entries.get(image.0)?.outcome.as_ref().ok()?;
        let own = resolved.image();
        let (start, end) = own.thread_local_range().filter(|_| own.is_program())?;
        end.checked_sub(start)?.checked_next_multiple_of(own.thread_local_alignment())
    }

    /// The file that stands for an image, which is elsewhere than recorded with symfs or a
    /// build-id cache.
    #[must_use]
    pub fn path_of(&self, image: ImageId) -> Option<&Path> {
        let resolved = self.entries.get(image.0)?.outcome.as_ref().ok()?;
        Some(resolved.image().path())
    }

    /// Why images have no names or no lines: each problem once for each image, with the recorded
    /// name of the image, in the order in which the images were asked for.
    ///
    /// Missing symbols and debug information show at the first lookup in an image, so an image
    /// without lookups is not accused of them. Names that never stand for files are left out.
    #[must_use]
    pub fn problems(&self) -> Vec<(PathBuf, Arc<ImageProblem>)> {
        let of = |entry: &Entry| {
            let problems = match &entry.outcome {
                Ok(resolved) => resolved.problems(),
                Err(problem) if matches!(**problem, ImageProblem::NotFileBacked { .. }) => vec![],
                Err(problem) => vec![Arc::clone(problem)],
            };
            let recorded = entry.recorded.clone();
            problems.into_iter().map(move |p| (recorded.clone(), p))
        };
        self.entries.iter().flat_map(of).collect()
    }
}

/// The directory of the build-id cache that `perf` uses for this user: `.debug` in the home
/// directory, if there is one.
#[must_use]
pub fn default_build_id_cache() -> Option<PathBuf> {
    std::env::var_os("HOME")
        .filter(|home| home != OsStr::new(""))
        .map(|home| PathBuf::from(home).join(".debug"))
}
