//! Probes that the kernel keeps for us: where functions are entered, and where they return.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::error::HeapError;
use crate::kernel::{ProbeKeeper, mount_hidden_tracefs};

/// Probes of this process, in a group of their own. They go when it ends, however it ends.
#[derive(Debug)]
pub(super) struct Probes {
    folder: PathBuf,
    /// Holds the folder where no path leads to it.
    _mount: Option<OwnedFd>,
    definitions: File,
    group: String,
    keeper: ProbeKeeper,
    count: u32,
}

/// Where tracefs is usually mounted.
const FOLDERS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// tracefs' folder, with what holds it, and its list of probes, to be written to.
fn open_tracefs() -> io::Result<(PathBuf, Option<OwnedFd>, File)> {
    let open = |folder: &Path| OpenOptions::new().append(true).open(folder.join("uprobe_events"));
    for folder in FOLDERS.map(Path::new) {
        if let Ok(definitions) = open(folder) {
            return Ok((folder.to_owned(), None, definitions));
        }
    }
    let mount = mount_hidden_tracefs()?;
    let folder = PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
    let definitions = open(&folder)?;
    Ok((folder, Some(mount), definitions))
}

/// Whether this process may define probes.
///
/// # Errors
///
/// What the kernel answers.
pub fn heap_tracing_works() -> io::Result<()> {
    open_tracefs().map(|_| ())
}

/// All probes of functions that are defined on this machine, as tracefs lists them.
///
/// # Errors
///
/// What the kernel answers.
pub fn defined_probes() -> io::Result<String> {
    let (folder, _mount, _) = open_tracefs()?;
    std::fs::read_to_string(folder.join("uprobe_events"))
}

impl Probes {
    pub(super) fn new() -> Result<Self, HeapError> {
        let (folder, mount, definitions) = open_tracefs().map_err(|cause| HeapError::Probes {
            what: "tracefs does not open for writing",
            cause,
        })?;
        let keeper = ProbeKeeper::start(&definitions).map_err(|cause| HeapError::Probes {
            what: "the process that removes them in the end does not start",
            cause,
        })?;
        let group = format!("hitm_heap_{}", std::process::id());
        Ok(Self { folder, _mount: mount, definitions, group, keeper, count: 0 })
    }

    /// Defines a probe at an offset of a file that is open here; the answer is the number of its
    /// tracepoint.
    pub(super) fn define(&mut self, file: &File, offset: u64, is_return: bool) -> io::Result<u32> {
        let name = format!("{}/e{}", self.group, self.count);
        let kind = if is_return { 'r' } else { 'p' };
        // Under this name the file has no blanks and is the very one, whoever sees which files.
        let line = format!("{kind}:{name} /proc/self/fd/{}:{offset:#x}", file.as_raw_fd());
        self.definitions.write_all(line.as_bytes())?;
        self.count += 1;
        let mut number = String::new();
        let path = self.folder.join("events").join(&name).join("id");
        File::open(path)?.read_to_string(&mut number)?;
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "a tracepoint without a number");
        let number = number.trim().parse().map_err(|_| wrong())?;
        self.keeper.keep(number, &name)?;
        Ok(number)
    }
}
