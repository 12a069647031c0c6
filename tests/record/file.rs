//! The file: perf reads it as we do, and without a word of complaint.

use std::process::{Command, Stdio};

use hitm::perf_data::{Input, RecordType, Recording};
use tempfile::tempdir;

use crate::program::{alone, busy, held, held_in, hitm, output, said};
use crate::support::perf_oracle;

#[test]
fn perf_reads_what_we_write() {
    let (Some(busy), Some(perf)) = (busy(), perf_oracle::perf()) else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    for options in [&[][..], &["-g"], &["-z"], &["-u"], &["-a"]] {
        let path = folder.path().join("it.data");
        let mut command = hitm();
        command.args(["record", "-q", "--duration", "1", "-o"]).arg(&path).args(options);
        if options != ["-a"] {
            command.arg("--").arg(busy).arg("0.7");
        }
        let recorded = output(&mut command);
        assert!(recorded.status.success(), "{options:?}: {}", said(&recorded));
        let compared = perf_oracle::assert_agrees(&perf, &path);
        let least = if options == ["-a"] { 1 } else { 100 };
        assert!(compared >= least, "{options:?}: {compared} samples");
        for report in
            [&["script"][..], &["report", "--stdio"], &["evlist", "-v"], &["buildid-list"]]
        {
            let mut command = Command::new("perf");
            // A pager or a terminal would change what is printed.
            command.args(report).arg("-i").arg(&path).stdin(Stdio::null());
            let printed = output(&mut command);
            assert!(printed.status.success(), "{options:?} {report:?}: {}", said(&printed));
            assert_eq!(said(&printed), "", "{options:?} {report:?}");
            assert!(!printed.stdout.is_empty(), "{options:?} {report:?}");
        }
    }
}

#[test]
fn perf_script_and_the_report_see_the_same_names() {
    let (Some(busy), Some(_)) = (busy(), perf_oracle::perf()) else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let recorded =
        output(hitm().args(["record", "-q", "-o"]).arg(&path).arg("--").arg(busy).arg("0.5"));
    assert!(recorded.status.success(), "{}", said(&recorded));
    let script =
        output(Command::new("perf").args(["script", "-F", "comm,ip,sym", "-i"]).arg(&path));
    let script = String::from_utf8_lossy(&script.stdout).into_owned();
    let in_count = script.lines().filter(|line| line.trim_end().ends_with(" count")).count();
    assert!(in_count * 10 > script.lines().count() * 9, "perf finds the function: {script}");
    let report = output(hitm().args(["report", "-i"]).arg(&path).args(["--format", "json"]));
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).expect("JSON");
    assert_eq!(report["recording"]["samplers"], serde_json::json!(["clock"]));
    let accesses = report["lines"][0]["accesses"].as_array().expect("a contended line");
    assert!(accesses.iter().all(|access| access["symbol"] == "count"), "{accesses:?}");
    let offsets: Vec<_> = accesses.iter().filter_map(|access| access["offset"].as_u64()).collect();
    assert_eq!(offsets, [0, 8]);
}

#[test]
fn a_pipe_carries_a_recording() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let recorded = output(hitm().args(["record", "-q", "-o", "-", "--"]).arg(busy).arg("0.5"));
    assert!(recorded.status.success(), "{}", said(&recorded));
    let held = held_in(&Input::from_bytes(recorded.stdout));
    assert!(held.samples.len() >= 100, "{} samples", held.samples.len());
    assert!(held.damage.is_empty(), "{:?}", held.damage);
}

#[test]
fn a_compressed_recording_is_smaller_and_holds_as_much() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let size_per_sample = |options: &[&str]| {
        let path = folder.path().join("it.data");
        let mut command = hitm();
        command.args(["record", "-q"]).args(options).arg("-o").arg(&path);
        let recorded = output(command.arg("--").arg(busy).arg("0.7"));
        assert!(recorded.status.success(), "{}", said(&recorded));
        let samples = held(&path).samples.len() as u64;
        assert!(samples >= 100, "{samples} samples");
        std::fs::metadata(&path).expect("a file").len() / samples
    };
    let (plain, compressed) = (size_per_sample(&[]), size_per_sample(&["-z"]));
    assert!(compressed * 2 < plain, "{compressed} bytes a sample, {plain} without compression");
}

#[test]
fn the_file_says_what_perf_c2c_needs_to_know() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let recorded =
        output(hitm().args(["record", "-q", "-o"]).arg(&path).arg("--").arg(busy).arg("0.3"));
    assert!(recorded.status.success(), "{}", said(&recorded));
    let input = Input::open(&path).expect("a file");
    let recording = Recording::open(&input).expect("a recording");
    let features = recording.features();
    assert!(features.numa_nodes.as_ref().is_some_and(|nodes| !nodes.is_empty()));
    assert!(features.sample_time.is_some_and(|(first, last)| first < last));
    assert!(features.hostname.is_some() && features.os_release.is_some());
    assert!(features.cpus.is_some() && features.cpu_topology.is_some());
    assert!(features.version.as_ref().is_some_and(|version| version.starts_with("hitm ")));
    assert!(features.command_line.iter().any(|word| word == "record"));
    assert!(recording.counts().contains_key(&RecordType::FINISHED_ROUND));
    let metadata = std::fs::metadata(&path).expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
    assert_eq!(mode & 0o777, 0o600, "recordings hold addresses of memory");
    // A second recording keeps the first one.
    let first = std::fs::read(&path).expect("the file");
    output(hitm().args(["record", "-q", "-o"]).arg(&path).args(["--", "true"]));
    assert_eq!(std::fs::read(folder.path().join("it.data.old")).expect("the old one"), first);
}
