//! Why names are missing: every problem of an image, of the kernel's symbols and of a JIT's map.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::BuildId;

/// Why an image has no names, or fewer than it could have.
///
/// Each message is a full sentence with advice, fit to be shown as a warning. It is cheap to clone,
/// since one problem explains every lookup in its image.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ImageProblem {
    /// Neither the recorded path nor any place that is searched by build-id has the file.
    #[error(
        "The image {} was not found; bring the file here and name its root with --symfs, or \
         expect bare addresses for its functions.",
        path.display()
    )]
    NotFound {
        /// The path that was tried, below symfs where one is given.
        path: PathBuf,
    },
    /// The name of a mapping that no file backs.
    #[error(
        "The mapping {name} is not backed by a file, so its addresses cannot be turned into names."
    )]
    NotFileBacked {
        /// The name as recorded.
        name: String,
    },
    /// The path leads out of the directory that stands for the root of the recorded machine.
    #[error(
        "The image {} lies outside of the symfs directory {}, so it was not opened; copy the file \
         itself instead of a link to it.",
        path.display(), symfs.display()
    )]
    OutsideSymfs {
        /// The path as recorded.
        path: PathBuf,
        /// The directory it must stay in.
        symfs: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("The image {} cannot be read: {source}; check its permissions.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: Arc<io::Error>,
    },
    /// The file is not an ELF image, or a damaged one.
    #[error(
        "The file {} is not a usable ELF image ({reason}), so its functions have no names.",
        path.display()
    )]
    NotElf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is not the one that was recorded.
    #[error(
        "The image {} has build-id {found} while the recording saw {expected}: it was rebuilt or \
         replaced since, and is not used; record again, or bring the recorded file with --symfs or \
         the build-id cache.",
        path.display()
    )]
    BuildIdMismatch {
        /// The file.
        path: PathBuf,
        /// What the recording states.
        expected: BuildId,
        /// What the file states.
        found: BuildId,
    },
    /// The recorded image had a build-id and the file has none, so it cannot be the same file.
    #[error(
        "The image {} has no build-id while the recording saw {expected}: it is another file, and \
         is not used; record again, or bring the recorded file with --symfs or the build-id cache.",
        path.display()
    )]
    BuildIdMissing {
        /// The file.
        path: PathBuf,
        /// What the recording states.
        expected: BuildId,
    },
    /// The image names none of its functions.
    #[error(
        "The image {} has no function symbols; install its debug symbols, or keep it unstripped.",
        path.display()
    )]
    NoSymbols {
        /// The file.
        path: PathBuf,
    },
    /// The image has function names and no source lines.
    #[error(
        "The image {} has no debug information, so its source lines and inlined functions are \
         unknown; compile it with -g, or install its debug symbols.",
        path.display()
    )]
    NoDebugInfo {
        /// The file.
        path: PathBuf,
    },
    /// The image says that its debug information is in other files, and they are not there.
    #[error(
        "{missing} of the split debug files of {} were not found, {first} for one, so the types of \
         their units are unknown; bring them to where they were compiled, or pack them into {}.dwp.",
        path.display(), path.display()
    )]
    SplitDebugInfoMissing {
        /// The image.
        path: PathBuf,
        /// How many files were not found.
        missing: usize,
        /// The name of one of them.
        first: String,
    },
    /// There is debug information and it cannot be used.
    #[error(
        "The debug information of {} cannot be used: {reason}; function names come from its symbol \
         table only.",
        path.display()
    )]
    DebugInfoUnusable {
        /// The file that holds the debug information.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A separate debug file was found that belongs to another build of the image.
    #[error(
        "The debug file {} belongs to another build of {}, and is not used; install the debug \
         symbols of the same version.",
        debug_file.display(), path.display()
    )]
    DebugFileMismatch {
        /// The image.
        path: PathBuf,
        /// The debug file that was refused.
        debug_file: PathBuf,
    },
}

/// Why kernel addresses have no names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelSymbolsError {
    /// The kernel shows symbols without addresses to this user.
    #[error(
        "All {symbols} kernel symbols have the address zero: the kernel hides them from this user; \
         run as root, or write 0 to /proc/sys/kernel/kptr_restrict."
    )]
    Hidden {
        /// How many symbols were read.
        symbols: usize,
    },
    /// The text holds no symbol.
    #[error(
        "The kernel symbol list holds no usable line; a line reads \"address type name\", as in \
         /proc/kallsyms."
    )]
    Empty,
    /// The recording is of another kernel than the one that runs.
    #[error(
        "The recording is of the kernel with build-id {expected} while this machine runs {found}; \
         name the recorded kernel's image with --vmlinux."
    )]
    OtherKernel {
        /// What the recording states.
        expected: BuildId,
        /// What runs here.
        found: BuildId,
    },
    /// Nothing says that the kernel that runs is the one that was recorded.
    #[error(
        "Nothing in the recording says that it is of the kernel that runs here, so its symbols are \
         not used; name the recorded kernel's image with --vmlinux."
    )]
    UnknownKernel,
    /// The symbol list cannot be read.
    #[error("The kernel symbol list {} cannot be read: {source}.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The image of the kernel cannot be used.
    #[error(transparent)]
    Image(#[from] ImageProblem),
    /// The image does not name the symbol that ties its addresses to those at run time.
    #[error(
        "The kernel image {} has no symbol {symbol}, so it cannot be aligned with the recorded \
         addresses; it is not a vmlinux with its symbol table.",
        path.display()
    )]
    NoReference {
        /// The image.
        path: PathBuf,
        /// The symbol that was looked for.
        symbol: String,
    },
}

/// Why the symbols that a JIT wrote down cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PerfMapError {
    /// The map is not there, not a regular file, or not readable.
    #[error("The JIT symbol map {} cannot be read: {source}.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The map belongs to somebody else than the recorded process, who could name things at will.
    #[error(
        "The JIT symbol map {} belongs to user {owner} and not to user {expected} whose process \
         was recorded, nor to root; it is not used.",
        path.display()
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// The file's owner.
        owner: u32,
        /// The owner that was asked for.
        expected: u32,
    },
    /// The map is too large to be one.
    #[error(
        "The JIT symbol map {} has {size} bytes, more than the {limit} that are read; it is not \
         used.",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The largest size that is read.
        limit: u64,
    },
}

/// Why a text is not a build-id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a build-id: 1 to {} bytes as pairs of hexadecimal digits.", BuildId::MAX)]
pub struct ParseBuildIdError {
    pub(super) text: String,
}
