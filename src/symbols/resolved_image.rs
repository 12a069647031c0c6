//! An image together with its separate debug files, and the lookups in all of them.

use std::cell::{OnceCell, RefCell};
use std::path::Path;
use std::sync::Arc;

use super::data_types::{
    DataVariable, DebugData, Functions, RegisterValue, TypeReader, VariableIndex, register_values,
};
use super::debug_lines::{DebugFrame, DebugLines};
use super::demangle::{DemangleStyle, demangle_with};
use super::error::ImageProblem;
use super::function_bytes::FunctionBytes;
use super::image::Image;
use super::image_finder::ImageFinder;
use super::location::{Frame, Location, SymbolName};
use super::symbol::Symbol;
use super::symbol_table::SymbolTable;
use super::text::text_of;
use super::unwind::StackFrame;
use super::unwind_table::UnwindTable;
use super::{FileOffset, ImageAddress};

/// An image whose symbols and debug information are read on the first lookup.
#[derive(Debug)]
pub(super) struct ResolvedImage {
    image: Image,
    debug_file: Option<Image>,
    supplementary: Option<Image>,
    style: DemangleStyle,
    symbols: OnceCell<SymbolTable>,
    lines: OnceCell<Option<DebugLines>>,
    unwind: OnceCell<UnwindTable>,
    types: OnceCell<Option<Arc<TypeReader>>>,
    variables: OnceCell<VariableIndex>,
    functions: OnceCell<Functions>,
    problems: RefCell<Vec<Arc<ImageProblem>>>,
}

impl ResolvedImage {
    /// Takes an open image and finds the files that complete it.
    pub(super) fn new(
        image: Image,
        recorded: &Path,
        finder: &ImageFinder,
        style: DemangleStyle,
    ) -> Self {
        let mut problems = Vec::new();
        let complete = image.has_lines() && image.has_symbol_table();
        let debug_file = if complete {
            None
        } else {
            finder.find_debug_file(&image, recorded).unwrap_or_else(|problem| {
                problems.push(Arc::new(problem));
                None
            })
        };
        let supplementary = finder.find_supplementary(debug_file.as_ref().unwrap_or(&image));
        Self {
            debug_file,
            supplementary,
            problems: RefCell::new(problems),
            ..Self::alone(image, style)
        }
    }

    /// Takes an image that nothing completes.
    pub(super) fn alone(image: Image, style: DemangleStyle) -> Self {
        Self {
            image,
            debug_file: None,
            supplementary: None,
            style,
            symbols: OnceCell::new(),
            lines: OnceCell::new(),
            unwind: OnceCell::new(),
            types: OnceCell::new(),
            variables: OnceCell::new(),
            functions: OnceCell::new(),
            problems: RefCell::default(),
        }
    }

    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// The problems that the lookups so far have met.
    pub(super) fn problems(&self) -> Vec<Arc<ImageProblem>> {
        let mut problems = self.problems.borrow().clone();
        let types = self.types.get().and_then(Option::as_ref);
        if let Some((missing, first)) = types.and_then(|types| types.debug_data().missing_files()) {
            let path = self.image.path().to_owned();
            problems.push(Arc::new(ImageProblem::SplitDebugInfoMissing { path, missing, first }));
        }
        problems
    }

    pub(super) fn locate(&self, offset: FileOffset) -> Location {
        self.image
            .address_of(offset)
            .map(|address| self.locate_address(address))
            .unwrap_or_default()
    }

    pub(super) fn locate_address(&self, address: ImageAddress) -> Location {
        let symbol = self.symbols().function(address);
        let mut location = Location::of_symbol(symbol.map(|symbol| self.name(symbol)), address.0);
        let frames = self.debug_frames(address);
        if !frames.is_empty() {
            let outermost = location.frames.pop();
            location.frames = frames.into_iter().map(|frame| self.frame(frame)).collect();
            if let (Some(last), Some(outermost)) = (location.frames.last_mut(), outermost)
                && is_better(&outermost, last)
            {
                last.function = outermost.function;
                last.raw_function = outermost.raw_function;
            }
        }
        if location.frames.iter().all(|frame| frame.file.is_none()) {
            location.problem = self.problems.borrow().first().cloned();
        }
        location
    }

    /// The caller of a frame whose code is at an address.
    pub(super) fn caller(
        &self,
        frame: &StackFrame,
        address: ImageAddress,
        read: impl Fn(u64) -> Option<u64>,
    ) -> Option<StackFrame> {
        self.unwind.get_or_init(|| UnwindTable::of(&self.image)).caller(frame, address, read)
    }

    /// The code around an address. The unwind entry decides where the function begins, for it spans
    /// all symbols of hand-written code; then the symbol.
    pub(super) fn function_bytes(&self, address: ImageAddress) -> Option<FunctionBytes> {
        let unwind = self.unwind.get_or_init(|| UnwindTable::of(&self.image)).range(address);
        let function = unwind.or_else(|| {
            let symbol = self.symbols().function(address)?;
            Some((symbol.address, symbol.end))
        });
        FunctionBytes::of(&self.image, address, function)
    }

    /// The variable that contains the address.
    pub(super) fn data_symbol(&self, address: ImageAddress) -> Option<SymbolName> {
        self.symbols().data(address).map(|symbol| self.name(symbol))
    }

    /// The variables that overlap the addresses from `from` to `to`, with the debug information's
    /// say first.
    pub(super) fn variables_in(&self, from: u64, to: u64) -> Vec<DataVariable> {
        let mut found = self.stated_variables(from, to, false);
        let mut at = from;
        // What the debug information does not know, the symbol table may.
        while at < to {
            if let Some(known) = found.iter().find(|one| contains(one, at)) {
                at = known.address.saturating_add(known.size);
                continue;
            }
            let Some(symbol) = self.symbols().data(ImageAddress(at)) else {
                at += 1;
                continue;
            };
            let name = self.name(symbol);
            at = name.address.saturating_add(name.size).max(at + 1);
            match found.iter_mut().find(|one| one.address == name.address) {
                // A declaration such as `extern int table[]` leaves the size open.
                Some(known) => known.size = name.size,
                None => found.push(self.whole_variable(name)),
            }
        }
        found.retain(|one| one.size > 0);
        found.sort_by_key(|one| one.address);
        found
    }

    /// The variable of a symbol, with its type where the debug information has it. Arrays at the end
    /// of a structure are in the symbol's size and not in the type's.
    fn whole_variable(&self, symbol: SymbolName) -> DataVariable {
        let start = symbol.address;
        let stated = self.stated_variables(start, start.saturating_add(1), false);
        match stated.into_iter().find(|one| one.address == start) {
            Some(stated) => DataVariable { size: symbol.size, ..stated },
            None => DataVariable::of_symbol(symbol, false),
        }
    }

    /// The thread-local variable at an offset of the image's block.
    pub(super) fn thread_local_at(&self, offset: u64) -> Option<DataVariable> {
        let found = self.stated_variables(offset, offset.saturating_add(1), true);
        found.into_iter().find(|one| contains(one, offset)).or_else(|| {
            let images = [Some(&self.image), self.debug_file.as_ref()];
            let mut symbols =
                images.into_iter().flatten().filter_map(|image| image.thread_local_symbol(offset));
            let (raw, address, size) = symbols.next()?;
            let name = SymbolName::new(text_of(raw), address, size, self.style);
            Some(DataVariable::of_symbol(name, true))
        })
    }

    fn stated_variables(&self, from: u64, to: u64, thread_local: bool) -> Vec<DataVariable> {
        let Some(types) = self.types() else { return Vec::new() };
        let index = self
            .variables
            .get_or_init(|| VariableIndex::of(types, self.image.thread_local_range()));
        index.within(types, (from, to), thread_local, self.style)
    }

    /// The variables that registers, or a wanted one, lead to at an address of the code.
    pub(super) fn register_values(
        &self,
        address: ImageAddress,
        wanted: Option<u16>,
    ) -> Vec<RegisterValue> {
        let Some(types) = self.types() else { return Vec::new() };
        let functions = self.functions.get_or_init(|| Functions::of(types.debug_data()));
        let unwind = self.unwind.get_or_init(|| UnwindTable::of(&self.image));
        register_values(types, functions, address, unwind.canonical_frame(address), wanted)
    }

    /// The reader of types, made at the first need.
    pub(super) fn types(&self) -> Option<&Arc<TypeReader>> {
        self.types.get_or_init(|| self.open_types()).as_ref()
    }

    fn open_types(&self) -> Option<Arc<TypeReader>> {
        let source = self.line_source();
        if !source.has_debug_information() {
            let path = self.image.path().to_owned();
            self.report(ImageProblem::NoDebugInfo { path });
            return None;
        }
        let files = [Some(&self.image), self.debug_file.as_ref()];
        let beside = files.into_iter().flatten().map(|image| image.path().to_owned()).collect();
        DebugData::new(source, self.supplementary.as_ref(), beside)
            .map_err(|reason| self.report_unusable(reason))
            .map(|data| Arc::new(TypeReader::new(data)))
            .ok()
    }

    fn symbols(&self) -> &SymbolTable {
        self.symbols.get_or_init(|| {
            let images = [Some(&self.image), self.debug_file.as_ref()];
            let symbols = SymbolTable::of(images.into_iter().flatten());
            if symbols.has_no_functions() {
                let path = self.image.path().to_owned();
                self.report(ImageProblem::NoSymbols { path });
            }
            symbols
        })
    }

    fn debug_frames(&self, address: ImageAddress) -> Vec<DebugFrame> {
        let Some(lines) = self.lines.get_or_init(|| self.open_lines()) else {
            return Vec::new();
        };
        lines.frames(address).unwrap_or_else(|reason| {
            self.report_unusable(reason);
            Vec::new()
        })
    }

    fn open_lines(&self) -> Option<DebugLines> {
        let source = self.line_source();
        if !source.has_lines() {
            let path = self.image.path().to_owned();
            self.report(ImageProblem::NoDebugInfo { path });
            return None;
        }
        DebugLines::new(source, self.supplementary.as_ref())
            .map_err(|reason| self.report_unusable(reason))
            .ok()
    }

    fn line_source(&self) -> &Image {
        self.debug_file.as_ref().filter(|debug_file| debug_file.has_lines()).unwrap_or(&self.image)
    }

    fn report_unusable(&self, reason: String) {
        let path = self.line_source().path().to_owned();
        self.report(ImageProblem::DebugInfoUnusable { path, reason });
    }

    /// Notes a problem, but for one of a kind that was noted before: damage shows at each address.
    fn report(&self, problem: ImageProblem) {
        let mut problems = self.problems.borrow_mut();
        let kind = std::mem::discriminant(&problem);
        if !problems.iter().any(|p| std::mem::discriminant(&**p) == kind) {
            problems.push(Arc::new(problem));
        }
    }

    fn name(&self, symbol: Symbol) -> SymbolName {
        let size = symbol.end.saturating_sub(symbol.address);
        SymbolName::new(text_of(symbol.name), symbol.address, size, self.style)
    }

    fn frame(&self, frame: DebugFrame) -> Frame {
        let demangled =
            frame.function.as_deref().map(|raw| demangle_with(raw, self.style).into_owned());
        Frame {
            function: demangled,
            raw_function: frame.function,
            file: frame.file,
            line: frame.line,
        }
    }
}

fn contains(variable: &DataVariable, address: u64) -> bool {
    address.checked_sub(variable.address).is_some_and(|delta| delta < variable.size)
}

/// Whether the symbol's name says more than the debug information's.
///
/// Assembly and split-off units have lines without a function name, and functions that are local to
/// another one, such as lambdas, have only the last part of theirs.
fn is_better(symbol: &Frame, debug: &Frame) -> bool {
    let mangled = |frame: &Frame| {
        let raw = frame.raw_function.as_deref().unwrap_or_default();
        raw.starts_with("_Z") || raw.starts_with("_R")
    };
    debug.function.is_none() || (mangled(symbol) && !mangled(debug))
}
