//! A regular file, mapped read-only.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The bytes of a regular file, mapped read-only and shared.
///
/// Dereferences to `&[u8]`. An empty file is an empty slice.
#[derive(Debug)]
pub struct MappedFile {
    map: Option<memmap2::Mmap>,
}

impl MappedFile {
    /// Opens and maps `path`.
    ///
    /// # Errors
    ///
    /// Whatever `open`, `fstat` or `mmap` answer, and [`io::ErrorKind::InvalidInput`] when the path
    /// does not name a regular file: a pipe, a device or a directory is never read, and opening one
    /// does not block.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        Self::from_file(&file)
    }

    /// Maps a file that is already open, from its first byte to its end.
    ///
    /// # Errors
    ///
    /// As [`MappedFile::open`].
    pub fn from_file(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        if metadata.len() == 0 {
            return Ok(Self { map: None });
        }
        // SAFETY: the mapping is private to this value, read-only, and lives as long as every slice
        // borrowed from it. A file that another process changes meanwhile changes these bytes too;
        // every reader of them checks each length and offset against the slice and trusts no value
        // twice. A file that another process truncates ends this process with SIGBUS: the same
        // contract as every profiler that maps its input, and why recordings are written under
        // their final name once and never shortened.
        let map = unsafe { memmap2::Mmap::map(file)? };
        Ok(Self { map: Some(map) })
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn maps_content_and_empty_files() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        assert_eq!(&*MappedFile::open(file.path()).expect("mapped"), b"");
        file.write_all(b"PERFILE2").expect("written");
        assert_eq!(&*MappedFile::open(file.path()).expect("mapped"), b"PERFILE2");
    }

    #[test]
    fn refuses_what_is_not_a_regular_file() {
        let error = MappedFile::open(Path::new("/dev/zero")).expect_err("a device is refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let directory = tempfile::tempdir().expect("a directory");
        assert!(MappedFile::open(directory.path()).is_err());
    }
}
