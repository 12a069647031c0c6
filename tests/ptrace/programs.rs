//! Programs of these tests, and `hitm` on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use hitm::perf_data::{Input, Recording};

use crate::support::skipped::skipped;

/// A program of `programs/`, compiled once; `None`, said aloud, without a compiler. Everyone may run it.
pub fn program(name: &str) -> Option<PathBuf> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = open_folder();
        for name in ["behaves", "locked_out", "traces"] {
            let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ptrace/programs");
            let output = Command::new("cc")
                .args(["-O2", "-g", "-Wall", "-Werror", "-pthread", "-o"])
                .arg(folder.join(name))
                .arg(sources.join(name).with_extension("c"))
                .output();
            let Ok(output) = output else {
                skipped("no C compiler is installed");
                return None;
            };
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name} does not compile:\n{error}");
        }
        std::fs::copy(env!("CARGO_BIN_EXE_hitm"), folder.join("hitm")).expect("a copy");
        Some(folder)
    });
    folder.as_ref().map(|folder| folder.join(name))
}

/// A folder in which everyone may write. It stays.
fn open_folder() -> PathBuf {
    let folder = tempfile::tempdir().expect("a folder").keep();
    open(&folder);
    folder
}

/// Lets everyone write in a folder.
pub fn open(folder: &Path) {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder, permissions).expect("the folder is ours");
}

/// `hitm` as nobody, and without `perf_event_open`.
pub fn locked_out() -> Option<Command> {
    let mut command = Command::new(program("locked_out")?);
    command.arg(program("hitm")?).stdin(Stdio::null()).current_dir("/");
    Some(command)
}

/// `hitm record` by `ptrace` into a file, at this rate.
pub fn record(recording: &Path, rate: &str) -> Command {
    let mut command = crate::record::hitm();
    command.args(["record", "--quiet", "--sampler", "ptrace", "-F", rate, "-o"]).arg(recording);
    command.stdin(Stdio::null());
    command
}

/// One test at a time: each keeps all CPUs busy.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was said on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The number of samples in a whole recording.
pub fn samples(path: &Path) -> usize {
    let input = Input::open(path).expect("a file");
    let recording = Recording::open(&input).expect("a recording");
    assert!(recording.damage().is_empty(), "{:?}", recording.damage());
    recording.batches().iter().map(|batch| recording.samples(batch).count()).sum()
}
