//! Where a recording goes.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Stdout, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::SamplingError;
use crate::perf_data::{EventSpec, Features, Writer, WriterOptions};

/// Bytes that are written at once.
const BUFFER: usize = 1 << 20;

/// A file, or standard output.
#[derive(Debug)]
pub(super) enum Sink {
    File(BufWriter<File>),
    Pipe(BufWriter<Stdout>),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Pipe(pipe) => pipe.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Pipe(pipe) => pipe.flush(),
        }
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Pipe(_) => Err(io::ErrorKind::NotSeekable.into()),
        }
    }
}

/// A recording under its final name, or on standard output.
#[derive(Debug)]
pub(super) struct Output {
    name: String,
    writer: Writer<Sink>,
    is_pipe: bool,
}

impl Output {
    /// Begins a recording. A file that is there already is kept under another name.
    pub(super) fn create(
        path: Option<&Path>,
        events: Vec<EventSpec>,
        features: &Features,
        options: WriterOptions,
    ) -> Result<Self, SamplingError> {
        let name = path.map_or("standard output".into(), |path| path.display().to_string());
        let writer = match path {
            Some(path) => create_file(path).and_then(|file| {
                let file = Sink::File(BufWriter::with_capacity(BUFFER, file));
                Writer::file(file, events, options)
            }),
            None => {
                let pipe = Sink::Pipe(BufWriter::with_capacity(BUFFER, io::stdout()));
                Writer::pipe(pipe, events, features, options)
            }
        };
        match writer {
            Ok(writer) => Ok(Self { name, writer, is_pipe: path.is_none() }),
            Err(cause) => Err(SamplingError::Create { what: name, cause }),
        }
    }

    /// Writes something.
    pub(super) fn write(
        &mut self,
        write: impl FnOnce(&mut Writer<Sink>) -> io::Result<()>,
    ) -> Result<(), SamplingError> {
        write(&mut self.writer).map_err(|cause| self.error(cause))
    }

    /// Keeps a copy of what is written from now on.
    pub(super) fn keep_copy(&mut self) {
        self.writer.keep_copy();
    }

    /// What was written lately, as a pipe has it, if that can be understood.
    pub(super) fn recent_copy(
        &self,
        features: &Features,
    ) -> Result<Option<Vec<u8>>, SamplingError> {
        self.writer.recent_copy(features).map_err(|cause| self.error(cause))
    }

    /// Hands everything to the system, so that it is there if this process is killed.
    pub(super) fn flush(&mut self) -> Result<(), SamplingError> {
        self.writer.flush().map_err(|cause| self.error(cause))
    }

    /// Bytes of records so far.
    pub(super) fn size(&self) -> u64 {
        self.writer.data_size()
    }

    /// Completes the recording, and gives the size of its records.
    pub(super) fn finish(self, features: &Features) -> Result<u64, SamplingError> {
        let Self { name, writer, is_pipe } = self;
        let size = writer.data_size();
        let finished = if is_pipe { writer.finish_pipe() } else { writer.finish(features) };
        finished.map(|_| size).map_err(|cause| SamplingError::Write { what: name, cause })
    }

    fn error(&self, cause: io::Error) -> SamplingError {
        SamplingError::Write { what: self.name.clone(), cause }
    }
}

/// Only its owner may read a recording: it holds addresses of memory. What was recorded before stays,
/// with `.old` behind its name, as perf keeps it. Anything but a file (a device, say) is written to.
fn create_file(path: &Path) -> io::Result<File> {
    if path.symlink_metadata().is_ok_and(|it| it.is_file() && it.len() > 0) {
        let mut old = path.as_os_str().to_owned();
        old.push(".old");
        std::fs::rename(path, PathBuf::from(old))?;
    }
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}
