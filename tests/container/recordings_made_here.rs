//! Recordings that the installed perf makes on this machine: a directory, and compressed ones.

use std::path::Path;
use std::process::{Command, Stdio};

use hitm::perf_data::{Input, RecordType, Recording};

use crate::support::perf_oracle;
use crate::support::skipped::skipped;

/// Records something that runs for a moment; `false`, said aloud, where perf may not.
fn record(options: &[&str], path: &Path) -> bool {
    let status = Command::new("perf")
        .args(["record", "-e", "cpu-clock", "-F", "2000"])
        .args(options)
        .arg("-o")
        .arg(path)
        .args(["--", "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let recorded = status.is_ok_and(|status| status.success());
    if !recorded {
        skipped(&format!("perf record {} is refused here", options.join(" ")));
    }
    recorded
}

/// Records with these options and compares what is read; hands the recording to a last check.
fn check(options: &[&str], check: impl Fn(&Recording<'_>)) {
    let Some(perf) = perf_oracle::perf() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    if !record(options, &path) {
        return;
    }
    assert!(perf_oracle::assert_agrees(&perf, &path) > 0, "a loop without a sample");
    let input = Input::open(&path).unwrap();
    let recording = Recording::open(&input).unwrap();
    assert_eq!(recording.damage(), []);
    assert_eq!(recording.events()[0].name.split(':').next(), Some("cpu-clock"));
    assert!(recording.features().hostname.is_some());
    check(&recording);
}

fn count(recording: &Recording<'_>, kind: RecordType) -> u64 {
    recording.counts().get(&kind).copied().unwrap_or(0)
}

#[test]
fn a_plain_file() {
    check(&["-d", "--phys-data", "-W", "--sample-cpu"], |recording| {
        assert!(count(recording, RecordType::MMAP2) > 0);
    });
}

#[test]
fn a_file_with_call_chains_and_registers() {
    check(&["-g", "--call-graph", "dwarf,1024", "--intr-regs=ax,ip"], |recording| {
        assert!(count(recording, RecordType::MMAP2) > 0);
    });
}

#[test]
fn a_compressed_file() {
    check(&["-z"], |recording| {
        let compressed =
            count(recording, RecordType::COMPRESSED) + count(recording, RecordType::COMPRESSED2);
        assert!(compressed > 0);
    });
}

#[test]
fn a_directory() {
    check(&["--threads"], |recording| {
        assert_eq!(recording.features().directory_format, Some(1));
    });
}

#[test]
fn a_compressed_directory() {
    check(&["--threads", "-z"], |recording| {
        assert!(recording.features().compression.is_some());
    });
}
