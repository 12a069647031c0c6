//! The command as a user meets it: exit codes, streams, widths, and sentences about bad input.

mod support;

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use support::skipped::skipped;
use support::synthetic::Synthetic;

fn hitm() -> Command {
    Command::cargo_bin("hitm").expect("the program")
}

fn counters() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/counters/counters.data")
}

/// Runs `hitm report` on bytes and returns exit code, stdout and stderr.
fn report_bytes(bytes: &[u8], options: &[&str]) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("perf.data");
    std::fs::write(&path, bytes).expect("written");
    let mut command = hitm();
    command.args(["report", "-i"]).arg(&path).args(options);
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Asserts that bytes are refused with exit code 2 and one sentence that holds all of `parts`.
fn is_refused(bytes: &[u8], parts: &[&str]) {
    let (code, out, error) = report_bytes(bytes, &[]);
    assert_eq!(code, Some(2), "{error}");
    assert_eq!(out, "");
    assert_eq!(error.lines().count(), 1, "{error}");
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn bad_input_gets_one_sentence() {
    is_refused(b"", &["empty"]);
    is_refused(b"\x7fELF\x02\x01\x01\x00 and more", &["not a perf.data file", "offset 0"]);
    is_refused(b"hello", &["not a perf.data file"]);
    let whole = Synthetic::default().file().expect("written");
    is_refused(&whole[..60], &["header is cut off", "60 bytes", "104"]);
    let mut wrong = whole.clone();
    wrong[8] = 99;
    is_refused(&wrong, &["offset 8", "99 bytes"]);
    let mut wrong = whole.clone();
    wrong[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    is_refused(&wrong, &["attribute section", "does not lie within the file"]);
    let mut wrong = whole;
    wrong[16..24].copy_from_slice(&7u64.to_le_bytes());
    is_refused(&wrong, &["7 bytes each"]);
}

#[test]
fn a_missing_file_and_a_device_are_refused() {
    for path in ["/nonexistent/perf.data", "/dev/zero"] {
        let output = hitm().args(["report", "-i", path]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(path) && error.matches("os error").count() < 2, "{error}");
    }
    let empty = tempfile::tempdir().expect("a directory");
    let output = hitm().arg("report").current_dir(empty.path()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("perf c2c record"));
    let directory = tempfile::tempdir().expect("a directory");
    let output = hitm().args(["report", "-i"]).arg(directory.path()).output().expect("it runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no file named \"data\""));
}

#[test]
fn wrong_options_are_usage_errors() {
    for options in [
        &["--line-size", "48"][..],
        &["--perf-version", "six"],
        &["-d", "all"],
        &["-c", "cpu"],
        &["--time", "2,1"],
        &["--format", "xml"],
        &["--sort", "name"],
        &["--cpu", "first"],
        &["--cpu", "1,x"],
        &["--cpu", "0,5-3"],
        &["--line-size", "32"],
        &["--display", "rmt"],
        &["--sort", "cost", "--format", "c2c"],
    ] {
        let output = hitm().arg("report").args(options).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn standard_input_is_read_as_file_and_as_pipe() {
    let model = Synthetic::default();
    let file = model.file().expect("written");
    let (code, expected, _) = report_bytes(&file, &["--format", "json"]);
    assert_eq!(code, Some(0));
    for bytes in [file, model.pipe().expect("written")] {
        let output = hitm()
            .args(["report", "-i", "-", "--format", "json"])
            .write_stdin(bytes)
            .output()
            .expect("it runs");
        assert!(output.status.success());
        let lines = |text: &[u8]| {
            let json: serde_json::Value = serde_json::from_slice(text).expect("JSON");
            json["lines"].clone()
        };
        assert_eq!(lines(&output.stdout), lines(expected.as_bytes()));
    }
}

#[test]
fn text_fits_a_hundred_columns_and_has_no_colour_when_it_is_no_terminal() {
    let model = Synthetic { samples: 30_000, ..Synthetic::default() };
    let bytes = model.file().expect("written");
    for options in [&["--limit", "60"][..], &["-v"], &["--stats"], &["--show-all", "-v"]] {
        let (code, out, error) = report_bytes(&bytes, options);
        assert_eq!(code, Some(0), "{error}");
        for line in out.lines() {
            assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
            assert!(!line.contains('\u{1b}'));
        }
    }
}

#[test]
fn the_output_file_gets_the_report_and_standard_output_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("report.json");
    let mut command = hitm();
    command.args(["report", "--format", "json", "-i"]).arg(counters()).arg("-o").arg(&path);
    let output = command.output().expect("it runs");
    assert!(output.status.success() && output.stdout.is_empty());
    let text = std::fs::read_to_string(&path).expect("written");
    serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
    let output = hitm()
        .args(["report", "-o", "/nonexistent/report.txt", "-i"])
        .arg(counters())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_image_of_another_build_gives_no_names_but_a_warning() {
    let directory = tempfile::tempdir().expect("a directory");
    let image = directory.path().join("opt/counters");
    std::fs::create_dir_all(directory.path().join("opt")).expect("made");
    // Any other program has another build-id.
    std::fs::copy(std::env::current_exe().expect("this test"), &image).expect("copied");
    let mut command = hitm();
    command.args(["report", "--format", "json", "-i"]).arg(counters());
    let output = command.arg("--symfs").arg(directory.path()).output().expect("it runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["lines"][0]["accesses"][0]["symbol"], serde_json::Value::Null);
    let warnings = json["warnings"].as_array().expect("warnings");
    let names: Vec<_> = warnings.iter().filter(|warning| warning["code"] == "names").collect();
    assert_eq!(names.len(), 1, "{warnings:?}");
    let text = names[0]["text"].as_str().unwrap_or_default();
    assert!(text.contains("build-id") && text.contains("18c687a22dcd"), "{text}");
}

#[test]
fn every_recording_is_reported_or_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings");
    if !root.is_dir() {
        skipped(&format!("there is no {}", root.display()));
        return;
    }
    let (mut reported, mut explained) = (0, 0);
    for folder in ["memory", "without-data-source", "na-data-source", "containers", "malformed"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            for format in ["text", "json", "c2c"] {
                let mut command = hitm();
                command.args(["report", "--format", format, "-i"]).arg(&path);
                let output = command.timeout(std::time::Duration::from_secs(60)).output();
                let output = output.expect("it runs");
                let error = String::from_utf8_lossy(&output.stderr);
                match output.status.code() {
                    Some(0) => {
                        // Some sample cycles with registers, without CPUs or code at hand: of
                        // these no contention is claimed.
                        if folder != "memory" && format == "json" {
                            let json: serde_json::Value =
                                serde_json::from_slice(&output.stdout).expect("JSON");
                            assert_eq!(json["recording"]["samplers"], serde_json::json!(["clock"]));
                            assert_eq!(json["lines"], serde_json::json!([]), "{}", path.display());
                        }
                        reported += 1;
                    }
                    Some(2) => {
                        assert_eq!(error.lines().count(), 1, "{}: {error}", path.display());
                        assert!(
                            error.contains("recording")
                                || error.contains("sample")
                                || error.contains("perf_event_attr"),
                            "{error}"
                        );
                        assert_ne!(folder, "memory", "{error}");
                        explained += 1;
                    }
                    code => panic!("{}: exit code {code:?}: {error}", path.display()),
                }
            }
        }
    }
    assert!(reported >= 6 && explained >= 150, "{reported} reported, {explained} explained");
}

#[test]
fn callers_are_shown_per_access() {
    let model = Synthetic { callchains: true, ..Synthetic::default() };
    let bytes = model.file().expect("written");
    let (_, out, error) = report_bytes(&bytes, &["--format", "json", "-g"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{error}"));
    let accesses = || {
        json["lines"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|line| line["accesses"].as_array())
            .flatten()
    };
    let with_callers = accesses().filter(|access| access["callers"] != serde_json::json!([]));
    assert!(with_callers.clone().count() > 20);
    for access in with_callers {
        let chains = access["callers"].as_array().expect("chains");
        let samples: u64 = chains.iter().filter_map(|chain| chain["samples"].as_u64()).sum();
        assert!(samples <= access["samples"].as_u64().expect("a number"));
        assert!(
            chains.iter().all(|chain| chain["frames"].as_array().is_some_and(|it| !it.is_empty()))
        );
    }
    let (_, text, _) = report_bytes(&bytes, &["-g"]);
    assert!(text.contains("callers at 0x"), "{text}");
    let (_, without, _) = report_bytes(&bytes, &["--format", "json"]);
    assert!(!without.contains("\"frames\""));
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let mut bytes = support::counters::recording().expect("written");
    // A thread of this name, in place of the real one.
    let name = b"counters";
    let at = bytes.windows(name.len()).position(|window| window == name).expect("the name");
    bytes[at..at + name.len()].copy_from_slice(b"a\x1b[31m\x07b");
    let (code, out, error) = report_bytes(&bytes, &["-v"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("a?[31m?b"), "{out}");
    assert!(!out.contains('\u{1b}') && !error.contains('\u{1b}'));
}
