//! Variables of a running process, by their names.

use std::path::{Path, PathBuf};

use object::{Object, ObjectSymbol, SymbolKind};
use rustc_hash::FxHashSet;

use super::demangle::demangle;
use super::error::ImageProblem;
use super::image::Image;
use super::image_finder::is_file_backed;
use super::{FileOffset, ImageAddress};
use crate::system::{MapLine, maps};

/// A variable of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Where it is in the process.
    pub address: u64,
    /// Bytes; 0 where the symbol does not tell.
    pub size: u64,
    /// The file that has it, as the process maps it.
    pub file: PathBuf,
}

/// Why a variable cannot be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VariableError {
    /// The process has ended, or may not be looked at.
    #[error(
        "the mappings of process {pid} cannot be read ({cause}): it may have ended; if it belongs to \
         another user, run as root or as that user"
    )]
    Process {
        /// Which.
        pid: u32,
        /// What the kernel says.
        cause: std::io::Error,
    },
    /// No file that the process maps has it.
    #[error(
        "no symbol table of process {pid} has a variable {name} ({files} files looked into): give its \
         name as nm prints it, or its address; stripped files and locals of functions have no names, \
         and thread-local variables have an address in each thread"
    )]
    NoSuchVariable {
        /// Which process.
        pid: u32,
        /// What was asked for.
        name: String,
        /// How many files were looked into.
        files: usize,
    },
    /// Several variables have this name.
    #[error("process {pid} has several variables {name}, at {places}: give one of these addresses")]
    Ambiguous {
        /// Which process.
        pid: u32,
        /// What was asked for.
        name: String,
        /// Their addresses.
        places: String,
    },
}

/// Finds the variable of a name, mangled or not, in the files that a process has mapped. The program's
/// own comes before those of its libraries, as for the dynamic linker.
///
/// # Errors
///
/// [`VariableError`].
pub fn find_variable(root: &Path, pid: u32, name: &str) -> Result<Variable, VariableError> {
    let mappings = maps(root, pid).map_err(|cause| VariableError::Process { pid, cause })?;
    let mut seen = FxHashSet::default();
    let mut files = 0;
    // The first mapping of a file is that of its beginning.
    for first in mappings.iter().filter(|map| seen.insert((map.major, map.minor, map.inode))) {
        let path = PathBuf::from(String::from_utf8_lossy(&first.name).into_owned());
        if first.inode == 0 || !is_file_backed(&path.to_string_lossy()) {
            continue;
        }
        let Ok(found) = variables_named(&visible_path(root, pid, first), name) else {
            continue;
        };
        files += 1;
        let (image, found) = found;
        let Some(stated) = image.address_of(FileOffset(first.offset)) else { continue };
        let bias = first.start.wrapping_sub(stated.0);
        let mut found: Vec<Variable> = found
            .into_iter()
            .map(|(address, size)| Variable {
                address: address.0.wrapping_add(bias),
                size,
                file: path.clone(),
            })
            .collect();
        match found.len() {
            0 => {}
            1 => return Ok(found.remove(0)),
            _ => {
                let places: Vec<String> =
                    found.iter().map(|variable| format!("{:#x}", variable.address)).collect();
                let places = places.join(", ");
                return Err(VariableError::Ambiguous { pid, name: name.to_owned(), places });
            }
        }
    }
    Err(VariableError::NoSuchVariable { pid, name: name.to_owned(), files })
}

/// The file of a mapping, whatever has become of its name, and in whichever container it is.
fn visible_path(root: &Path, pid: u32, map: &MapLine) -> PathBuf {
    let held = root.join(format!("proc/{pid}/map_files/{:x}-{:x}", map.start, map.end));
    if held.exists() {
        return held;
    }
    let name = String::from_utf8_lossy(&map.name);
    root.join(format!("proc/{pid}/root")).join(name.trim_start_matches('/'))
}

/// The variables of a name in an image, each address once. Thread-local ones are left out: each thread
/// has its own.
fn variables_named(
    path: &Path,
    name: &str,
) -> Result<(Image, Vec<(ImageAddress, u64)>), ImageProblem> {
    let image = Image::open(path)?;
    let object = image.object();
    let mut found: Vec<(ImageAddress, u64)> = Vec::new();
    for symbol in object.symbols().chain(object.dynamic_symbols()) {
        if symbol.kind() != SymbolKind::Data || symbol.is_undefined() {
            continue;
        }
        let Ok(own) = symbol.name() else { continue };
        // A name with its version (`environ@@GLIBC_2.2.5`) is that name.
        let own = own.split('@').next().unwrap_or(own);
        if own != name && demangle(own) != name {
            continue;
        }
        let address = ImageAddress(symbol.address());
        if !found.iter().any(|(known, _)| *known == address) {
            found.push((address, symbol.size()));
        }
    }
    Ok((image, found))
}
