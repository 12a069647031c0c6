//! Running the two programs.

use crate::support::skipped::skipped;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The version of the installed perf, `6.1`; `None`, said aloud, where there is none.
pub fn perf_version() -> Option<String> {
    let output = Command::new("perf").arg("--version").output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        skipped("no perf is installed to compare with");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().last().expect("perf says its version");
    let mut parts = version.split('.');
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

/// What `perf c2c report --stdio` prints.
pub fn perf(recording: &Path, options: &[&str]) -> String {
    // perf dies of SIGPIPE when its addr2line ends early, as it does where an image is missing. It
    // inherits what a shell ignores; a child of Rust's own would get the default back.
    let output = Command::new("sh")
        .args(["-c", "trap '' PIPE; exec perf c2c report --stdio -i \"$@\"", "perf"])
        .arg(recording)
        .args(options)
        .env("PERF_CONFIG", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .expect("perf was there a moment ago");
    succeeded("perf", recording, options, output)
}

/// What `hitm report --format c2c` prints.
pub fn hitm(recording: &Path, options: &[&str], perf_version: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hitm"))
        .args(["report", "--format", "c2c", "--perf-version", perf_version, "-i"])
        .arg(recording)
        .args(options)
        .stdin(Stdio::null())
        .output()
        .expect("cargo built it");
    succeeded("hitm", recording, options, output)
}

fn succeeded(program: &str, recording: &Path, options: &[&str], output: Output) -> String {
    assert!(
        output.status.success(),
        "{program} with {options:?} on {}: {}\n{}",
        recording.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("the recordings hold nothing else than UTF-8")
}
