//! Where a recording's bytes come from: a file, a directory, standard input.

use std::fs::File;
use std::io::Read;
use std::ops::Deref;
use std::path::Path;

use super::error::Error;
use crate::kernel::MappedFile;

/// The bytes of one file of a recording.
#[derive(Debug)]
enum Bytes {
    Mapped(MappedFile),
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(file) => file,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// The bytes of a recording: one file, or a directory's several.
#[derive(Debug)]
pub struct Input {
    main: Bytes,
    parts: Vec<Bytes>,
}

impl Input {
    /// Opens a recording: a regular file, which is mapped, or a directory that `perf record
    /// --threads` wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be opened or is not a regular one, and
    /// [`Error::NotARecordingDirectory`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            return Self::open_directory(path);
        }
        Ok(Self { main: map(path)?, parts: Vec::new() })
    }

    /// Reads a recording from standard input: mapped when that is a regular file, otherwise read to
    /// its end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be read.
    pub fn standard_input() -> Result<Self, Error> {
        let stdin = std::io::stdin();
        let named = |cause| Error::Io { path: "standard input".into(), cause };
        let mapped = std::os::fd::AsFd::as_fd(&stdin)
            .try_clone_to_owned()
            .and_then(|fd| MappedFile::from_file(&File::from(fd)));
        if let Ok(file) = mapped {
            return Ok(Self { main: Bytes::Mapped(file), parts: Vec::new() });
        }
        let mut bytes = Vec::new();
        stdin.lock().read_to_end(&mut bytes).map_err(named)?;
        Ok(Self::from_bytes(bytes))
    }

    /// A recording that is already in memory.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { main: Bytes::Owned(bytes), parts: Vec::new() }
    }

    /// The file with the header.
    pub fn main(&self) -> &[u8] {
        &self.main
    }

    /// The further files of a directory: records only.
    pub fn parts(&self) -> Vec<&[u8]> {
        self.parts.iter().map(|part| &**part).collect()
    }

    fn open_directory(path: &Path) -> Result<Self, Error> {
        let io = |cause| Error::Io { path: path.to_owned(), cause };
        let main = path.join("data");
        if !main.is_file() {
            return Err(Error::NotARecordingDirectory { path: path.to_owned() });
        }
        let mut numbered = Vec::new();
        for entry in std::fs::read_dir(path).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("data."));
            if let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) {
                numbered.push((number, entry.path()));
            }
        }
        numbered.sort();
        let parts = numbered.iter().map(|(_, path)| map(path)).collect::<Result<_, _>>()?;
        Ok(Self { main: map(&main)?, parts })
    }
}

fn map(path: &Path) -> Result<Bytes, Error> {
    MappedFile::open(path)
        .map(Bytes::Mapped)
        .map_err(|cause| Error::Io { path: path.to_owned(), cause })
}
