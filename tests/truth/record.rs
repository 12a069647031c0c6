//! Recordings of programs, one at a time: two busy threads fill a small machine.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::compile::{Build, PROGRAMS, compile};
use crate::outcome::Outcome;
use crate::quiet::wait_for_two_cpus;
use crate::said::Said;
use crate::support::skipped::skipped;

/// How long programs run unless a test needs more.
pub const SECONDS: &str = "1";

/// So often a run is looked at until what it shows is right. What is claimed of samples is claimed of
/// chance: a machine that stops a CPU for most of a second shows no contention in it. What is wrong by
/// its nature is wrong each time.
const ATTEMPTS: usize = 3;

/// Holds the machine: no two programs are measured at once, not even of two test runs.
pub struct Turn;

impl Turn {
    /// Waits for it, and does what a test does; says so aloud where nothing can be contended, and where
    /// it takes another attempt.
    pub fn take(test: impl Fn()) {
        let cpus = std::thread::available_parallelism().expect("the number of CPUs").get();
        if cpus < 2 {
            skipped("contention takes two CPUs");
            return;
        }
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("truth.lock");
        let file = File::create(path).expect("the lock's file");
        file.lock().expect("the lock");
        for attempt in 1..=ATTEMPTS {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&test));
            let Err(panic) = outcome else { return };
            if attempt == ATTEMPTS {
                std::panic::resume_unwind(panic);
            }
            eprintln!("attempt {attempt} of {ATTEMPTS} went wrong");
            wait_for_two_cpus();
        }
    }
}

/// A program, built, in a directory of its own.
pub struct Program {
    pub directory: tempfile::TempDir,
    pub path: PathBuf,
    name: String,
}

impl Program {
    pub fn build(name: &str, build: Build) -> Option<Self> {
        Self::build_in(PROGRAMS, name, build)
    }

    /// One of the programs in another folder of the project.
    pub fn build_in(folder: &str, name: &str, build: Build) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = compile(folder, name, build, directory.path())?;
        Some(Self { directory, path, name: name.to_owned() })
    }

    /// Its arguments.
    pub fn command(&self, seconds: &str, mode: &str) -> Vec<OsString> {
        vec![self.path.clone().into(), seconds.into(), mode.into()]
    }

    /// What it says when nobody watches.
    pub fn run(&self, seconds: &str, mode: &str) -> Said {
        let mut command = Command::new(&self.path);
        self.said(&mut command, &[seconds.into(), mode.into()])
    }

    /// Recorded by the clock alone, and reported.
    pub fn outcome(&self, seconds: &str, mode: &str) -> Outcome {
        let mut command = hitm();
        command.args(["record", "--no-watch", "--quiet"]);
        self.outcome_of(command, seconds, mode)
    }

    /// Recorded by this form of `hitm record`, and reported.
    pub fn outcome_of(&self, mut record: Command, seconds: &str, mode: &str) -> Outcome {
        record.arg("-o").arg(self.recording()).arg("--");
        let said = self.said(&mut record, &self.command(seconds, mode));
        self.reported(mode, said)
    }

    /// Recorded by `perf record` with these options, and reported by us.
    pub fn outcome_of_perf(&self, seconds: &str, mode: &str, options: &[&str]) -> Outcome {
        let mut command = Command::new("perf");
        command.args(["record", "-q", "-e", "cpu-clock", "-F", "1000"]).args(options);
        command.arg("-o").arg(self.recording()).arg("--");
        let said = self.said(&mut command, &self.command(seconds, mode));
        self.reported(mode, said)
    }

    /// Where its recording is.
    pub fn recording(&self) -> PathBuf {
        self.directory.path().join("hitm.data")
    }

    /// The report of its recording, beside what it said.
    pub fn reported(&self, mode: &str, said: Said) -> Outcome {
        let mut command = hitm();
        command.args(["report", "--format", "json", "-i"]).arg(self.recording());
        let output = command.output().expect("hitm runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {mode}: hitm report: {error}", self.name);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        Outcome { name: format!("{} {mode}", self.name), said, report }
    }

    /// What it says when a command runs it.
    pub fn said(&self, command: &mut Command, arguments: &[OsString]) -> Said {
        let output = command.args(arguments).stdin(Stdio::null()).output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {}: {error}", output.status);
        Said::parse(&String::from_utf8_lossy(&output.stdout))
    }
}

/// Our own program.
pub fn hitm() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hitm"))
}
