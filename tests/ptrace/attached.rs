//! Processes that run already, and recorders that go away: programs go on as if nothing had been.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::tempdir;

use crate::programs::{alone, program, record, said, samples};

/// A program that has begun, and what more it says.
fn begun(path: &Path, mode: &str) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(path);
    command.arg(mode).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut first = String::new();
    lines.read_line(&mut first).expect("its first line");
    assert_eq!(first.trim_end(), mode);
    (child, lines)
}

/// The recorder comes and goes again and again while the program runs.
#[test]
fn a_process_is_followed_for_a_time_and_runs_on() {
    let Some(behaves) = program("behaves") else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    for (mode, code, end) in [
        ("waits", 0, "0 calls were interrupted\n"),
        (
            "handles",
            0,
            "3000 queued, sum 4498500, wrong 0\n200 alarms, wrong 0, some interrupted 1\n",
        ),
    ] {
        let (mut child, mut lines) = begun(&behaves, mode);
        let pid = child.id().to_string();
        let mut taken = 0;
        for _ in 0..3 {
            let output = record(&path, "2000").args(["--duration", "0.1", "-p", &pid]).output();
            let output = output.expect("it runs");
            if !output.status.success() {
                assert!(said(&output).contains("there is no process"), "{}", said(&output));
                break;
            }
            taken += samples(&path);
        }
        let mut text = String::new();
        lines.read_to_string(&mut text).expect("what it says");
        assert_eq!(text, end, "{mode}");
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{mode}");
        assert!(taken > 0, "{mode}: nothing was sampled");
    }
}

/// The recorder ends with the process that it was given.
#[test]
fn a_process_is_followed_to_its_end() {
    let Some(behaves) = program("behaves") else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let (mut child, mut lines) = begun(&behaves, "waits");
    let output = record(&path, "500").args(["-p", &child.id().to_string()]).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{}", said(&output));
    let mut text = String::new();
    lines.read_to_string(&mut text).expect("what it says");
    assert_eq!(text, "0 calls were interrupted\n");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(samples(&path) > 0);
}

/// Killed, the recorder does not take its command with it.
#[test]
fn a_killed_recorder_lets_its_command_go_on() {
    let Some(behaves) = program("behaves") else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let mut recorder = record(&path, "500");
    recorder.arg("--").arg(&behaves).arg("waits").stdout(Stdio::piped());
    let mut recorder = recorder.spawn().expect("it starts");
    let mut lines = BufReader::new(recorder.stdout.take().expect("a pipe"));
    let mut text = String::new();
    lines.read_line(&mut text).expect("its first line");
    let start = Instant::now();
    while std::fs::metadata(&path).map_or(0, |file| file.len()) < 20_000 {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing is written");
        std::thread::sleep(Duration::from_millis(5));
    }
    recorder.kill().expect("it runs");
    recorder.wait().expect("it has ended");
    text.clear();
    lines.read_to_string(&mut text).expect("what it says");
    assert!(text.ends_with(" calls were interrupted\n"), "it has not come to its end: {text}");
    // What was written is a recording, and still known as what it is.
    let mut report = crate::record::hitm();
    let output = report.args(["report", "--format", "json", "-i"]).arg(&path).output();
    let output = output.expect("it runs");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["recording"]["samplers"], serde_json::json!(["ptrace"]));
}
