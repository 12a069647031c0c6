//! The program that is sampled, and `hitm` on it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hitm::perf_data::{Input, Recording};

use crate::support::skipped::skipped;

/// The program, compiled once; `None`, said aloud, where there is no C compiler or no clock event.
pub fn busy() -> Option<&'static Path> {
    static BUSY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = BUSY.get_or_init(|| {
        let opens = hitm().args(["record", "-q", "-o", "/dev/null", "--", "true"]).output();
        let opens = opens.expect("hitm runs");
        if !opens.status.success() {
            skipped(&format!("no event opens: {}", String::from_utf8_lossy(&opens.stderr)));
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder").keep();
        let program = folder.join("busy");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/record/busy.c");
        let compiled = Command::new("cc")
            .args(["-O2", "-g", "-pthread", "-o"])
            .arg(&program)
            .arg(source)
            .status();
        match compiled {
            Ok(status) if status.success() => Some(program),
            _ => {
                skipped("no C compiler is installed");
                None
            }
        }
    });
    found.as_deref()
}

/// One test at a time: each keeps all CPUs busy.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `hitm`, to be given arguments.
pub fn hitm() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hitm"));
    command.stdin(Stdio::null());
    command
}

/// Runs to the end.
pub fn output(command: &mut Command) -> Output {
    command.output().expect("it runs")
}

/// What was said on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a recording holds.
#[derive(Debug, Default)]
pub struct Held {
    /// Process, thread and CPU of each sample.
    pub samples: Vec<(u32, u32, u32)>,
    /// What is wrong with it.
    pub damage: Vec<String>,
}

/// Reads a recording.
pub fn held(path: &Path) -> Held {
    let input = Input::open(path).expect("a file");
    held_in(&input)
}

/// Reads a recording that is in memory or mapped.
pub fn held_in(input: &Input) -> Held {
    let recording = Recording::open(input).expect("a recording");
    let damage = recording.damage().iter().map(ToString::to_string).collect();
    let mut held = Held { damage, ..Held::default() };
    for batch in recording.batches() {
        for (_, record) in recording.samples(batch) {
            let (_, sample) = recording.decode(&record).expect("a sample");
            let (pid, tid) = sample.thread.expect("a thread");
            held.samples.push((pid, tid, sample.cpu.expect("a CPU")));
        }
    }
    held
}

/// Waits until something is so; a minute is more than any machine needs.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a recording has grown beyond its header.
pub fn wait_for_samples(path: &Path) {
    wait_until("samples are in the file", || {
        std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 100_000)
    });
}

/// Sends a signal by its name.
pub fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success(), "no process to signal");
}
