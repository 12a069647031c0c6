//! Programs behave as without us: the same output, the same end.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Output};

use tempfile::tempdir;

use crate::programs::{alone, program, record, said, samples};

/// Many times the default, so that stops meet whatever the program does.
const RATE: &str = "2000";

/// Runs a command alone and recorded, in a folder of its own each; the number of samples.
fn same(words: &[&str]) -> usize {
    let _alone = alone();
    let run = |mut command: Command| -> Output {
        let folder = tempdir().expect("a folder");
        command.current_dir(folder.path()).output().expect("it runs")
    };
    let (first, others) = words.split_first().expect("a command");
    let mut plain = Command::new(first);
    plain.args(others);
    let plain = run(plain);
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let mut recorder = record(&path, RATE);
    recorder.arg("--").args(words);
    let recorded = run(recorder);
    let printed = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(printed(&recorded), printed(&plain), "{words:?}: {}", said(&recorded));
    assert_eq!(said(&recorded), said(&plain), "{words:?}");
    assert_eq!(recorded.status.code(), Some(as_of_a_shell(plain.status)), "{words:?}");
    samples(&path)
}

fn as_of_a_shell(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().expect("a signal ended it"))
}

/// A mode of `behaves`, which runs long enough to be sampled.
fn same_in(mode: &str) {
    let Some(behaves) = program("behaves") else { return };
    let taken = same(&[text(&behaves), mode]);
    assert!(taken > 0, "{mode}: nothing was sampled, so nothing could be disturbed");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn one_that_crashes() {
    same_in("crash");
}

#[test]
fn one_that_aborts() {
    same_in("abort");
}

#[test]
fn one_that_is_killed() {
    same_in("kill");
}

#[test]
fn one_that_stops_itself_and_is_continued() {
    same_in("stop-self");
}

#[test]
fn one_that_stops_and_continues_its_children() {
    same_in("stops");
}

/// Nothing that waits is woken by a stop, or by a signal that is ignored.
#[test]
fn ones_whose_calls_must_not_be_interrupted() {
    same_in("waits");
    same_in("ignores");
}

#[test]
fn one_that_handles_signals_with_what_their_sender_said() {
    same_in("handles");
}

#[test]
fn one_that_starts_2000_short_threads() {
    same_in("threads");
}

/// Exit codes, signals, and whether there was a core, as a parent inside sees them.
#[test]
fn one_that_starts_processes_in_all_ways() {
    same_in("families");
}

#[test]
fn one_whose_thread_becomes_another_program() {
    same_in("becomes");
}

#[test]
fn ones_under_a_time_limit() {
    let Some(behaves) = program("behaves") else { return };
    for limit in [&["timeout", "0.5"][..], &["timeout", "-s", "KILL", "0.5"]] {
        assert!(same(&[limit, &[text(&behaves), "spin"]].concat()) > 0);
    }
}

/// The limit is outside: the recorder passes the signal on and ends with its command.
#[test]
fn a_time_limit_on_the_recorder() {
    let Some(behaves) = program("behaves") else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let mut command = Command::new("timeout");
    command.arg("1").arg(env!("CARGO_BIN_EXE_hitm")).args(["record", "-q", "--sampler", "ptrace"]);
    command.arg("-o").arg(&path).arg("--").arg(&behaves).arg("spin");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(124), "{}", said(&output));
    assert_eq!(output.stdout, b"spin\n");
    assert!(samples(&path) > 0);
}

/// It steps through its child, and nobody traces it: it is let go, and that is said.
#[test]
fn one_that_traces() {
    let Some(traces) = program("traces") else { return };
    same(&[text(&traces)]);
    // Also where a shell that is traced starts it.
    let script = format!("{0}; echo $?; {0} & wait $!; echo $?", text(&traces));
    same(&["sh", "-c", &script]);
    let _alone = alone();
    let mut run = crate::record::hitm();
    run.args(["record", "--sampler", "ptrace", "-o", "/dev/null", "--"]).arg(&traces);
    let output = run.output().expect("it runs");
    assert_eq!(output.status.code(), Some(11), "{}", said(&output));
    assert!(said(&output).contains("traces uses ptrace itself"), "{}", said(&output));
}
