//! Which symbols name the recorded kernel's addresses: those of the kernel that runs, or a vmlinux.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSymbol};

use super::demangle::DemangleStyle;
use super::error::KernelSymbolsError;
use super::image_finder::ImageFinder;
use super::kernel_list::KernelSymbols;
use super::location::Location;
use super::resolved_image::ResolvedImage;
use super::{BuildId, ImageAddress};

/// The list of the running kernel.
const KALLSYMS: &str = "/proc/kallsyms";

/// The notes of the running kernel, one of which is its build-id.
const KERNEL_NOTES: &str = "/sys/kernel/notes";

/// The most that is read of either: a list with every module loaded has some ten megabytes.
const MAX_SIZE: u64 = 256 << 20;

/// Names for the addresses of one kernel.
#[derive(Debug)]
pub struct KernelSymbolizer {
    source: Source,
}

#[derive(Debug)]
enum Source {
    List(KernelSymbols),
    Vmlinux {
        image: Box<ResolvedImage>,
        /// How far the kernel was moved from where its image states it to be.
        slide: u64,
    },
}

impl KernelSymbolizer {
    /// Uses the symbols of the kernel that runs, if it is the one that was recorded.
    ///
    /// That is so when `expected`, the recorded kernel's build-id, is that of the running one. With
    /// no build-id recorded the caller must know that the recording was made here, since the
    /// machine started (`recorded_here`): addresses change with each start.
    ///
    /// # Errors
    ///
    /// Why the list was not used.
    pub fn running(
        expected: Option<&BuildId>,
        recorded_here: bool,
    ) -> Result<Self, KernelSymbolsError> {
        match (expected, running_kernel_build_id()) {
            (Some(expected), Some(found)) if expected.matches(&found) => {}
            (Some(&expected), Some(found)) => {
                return Err(KernelSymbolsError::OtherKernel { expected, found });
            }
            (None, _) if recorded_here => {}
            _ => return Err(KernelSymbolsError::UnknownKernel),
        }
        let path = Path::new(KALLSYMS);
        let text = read_bounded(path).map_err(|source| KernelSymbolsError::Unreadable {
            path: PathBuf::from(path),
            source,
        })?;
        KernelSymbols::parse(&text).map(Self::from_list)
    }

    /// Uses a list that was read elsewhere, such as one that was kept with the recording.
    #[must_use]
    pub fn from_list(list: KernelSymbols) -> Self {
        Self { source: Source::List(list) }
    }

    /// Uses the image of the recorded kernel.
    ///
    /// A kernel is moved at each start. `reference` names a symbol, `_text` or `_stext` as a rule,
    /// and its address when the recording was made; every other address has moved as far.
    ///
    /// # Errors
    ///
    /// When the file is no image, has another build-id than `expected` or lacks the symbol.
    pub fn from_vmlinux(
        path: &Path,
        expected: Option<&BuildId>,
        reference: (&str, u64),
        style: DemangleStyle,
    ) -> Result<Self, KernelSymbolsError> {
        // The path was given by the user, not by the recording, so it is not below symfs.
        let finder = ImageFinder::default();
        let image = finder.find(path, expected)?;
        let (symbol, runtime) = reference;
        let stated = image
            .object()
            .symbols()
            .find(|candidate| candidate.name_bytes() == Ok(symbol.as_bytes()))
            .ok_or_else(|| KernelSymbolsError::NoReference {
                path: image.path().to_owned(),
                symbol: symbol.to_owned(),
            })?
            .address();
        Ok(Self {
            source: Source::Vmlinux {
                image: Box::new(ResolvedImage::new(image, path, &finder, style)),
                slide: runtime.wrapping_sub(stated),
            },
        })
    }

    /// The functions at an address at run time, and with an image also their source lines.
    #[must_use]
    pub fn locate(&self, address: u64) -> Location {
        match &self.source {
            Source::List(list) => {
                Location::of_symbol(list.function(address).map(|found| found.symbol), address)
            }
            Source::Vmlinux { image, slide } => {
                let stated = ImageAddress(address.wrapping_sub(*slide));
                let mut location = image.locate_address(stated);
                if let Some(symbol) = &mut location.symbol {
                    symbol.address = symbol.address.wrapping_add(*slide);
                }
                location
            }
        }
    }

    /// The module whose function the address is in, where the source is a list.
    #[must_use]
    pub fn module(&self, address: u64) -> Option<String> {
        match &self.source {
            Source::List(list) => list.function(address)?.module,
            Source::Vmlinux { .. } => None,
        }
    }
}

/// The build-id of the kernel that runs, where it says so.
#[must_use]
pub fn running_kernel_build_id() -> Option<BuildId> {
    build_id_in_notes(&read_bounded(Path::new(KERNEL_NOTES)).ok()?)
}

/// Finds the GNU build-id among ELF notes, which here come without an ELF file around them.
fn build_id_in_notes(mut notes: &[u8]) -> Option<BuildId> {
    const BUILD_ID: u32 = 3;
    loop {
        let (header, rest) = notes.split_first_chunk::<12>()?;
        let (words, _) = header.as_chunks::<4>();
        let &[name_size, size, kind] = words else {
            return None;
        };
        let (name, rest) = split_padded(rest, u32::from_ne_bytes(name_size))?;
        let (contents, rest) = split_padded(rest, u32::from_ne_bytes(size))?;
        if name == b"GNU\0" && u32::from_ne_bytes(kind) == BUILD_ID {
            return BuildId::new(contents);
        }
        notes = rest;
    }
}

/// Splits off `size` bytes, and drops those that align what follows to four.
fn split_padded(bytes: &[u8], size: u32) -> Option<(&[u8], &[u8])> {
    let size = usize::try_from(size).ok()?;
    let (part, _) = bytes.split_at_checked(size)?;
    // The padding behind the last note may be missing.
    let rest = bytes.get(size.checked_next_multiple_of(4)?..);
    Some((part, rest.unwrap_or_default()))
}

/// Reads one of the kernel's files, which state no size and so cannot be mapped.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SIZE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, contents: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [name.len() as u32, contents.len() as u32, kind] {
            bytes.extend(word.to_ne_bytes());
        }
        for part in [name, contents] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn finds_the_build_id_among_other_notes() {
        let mut notes = note(b"Xen\0", 6, b"linux\0");
        notes.extend(note(b"GNU\0", 1, &[1; 16]));
        assert_eq!(build_id_in_notes(&notes), None);
        notes.extend(note(b"GNU\0", 3, &[7; 20]));
        assert_eq!(build_id_in_notes(&notes), BuildId::new(&[7; 20]));
        for length in 0..notes.len() {
            build_id_in_notes(notes.get(..length).unwrap_or_default());
        }
        assert_eq!(build_id_in_notes(&[0xff; 64]), None);
    }

    #[test]
    fn the_running_kernel_is_used_only_when_it_is_the_recorded_one() {
        assert!(matches!(
            KernelSymbolizer::running(None, false),
            Err(KernelSymbolsError::UnknownKernel)
        ));
        let other = BuildId::new(&[0x5a; 20]).expect("a build-id");
        assert!(matches!(
            KernelSymbolizer::running(Some(&other), true),
            Err(KernelSymbolsError::OtherKernel { .. } | KernelSymbolsError::UnknownKernel)
        ));
        match KernelSymbolizer::running(None, true) {
            Ok(_) => {}
            Err(error) => {
                crate::symbols::tests::skipped(&format!("no kernel symbols here: {error}"))
            }
        }
    }
}
