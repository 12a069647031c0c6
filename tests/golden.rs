//! What `hitm report` prints for the recordings in `testdata/`, byte by byte.
//!
//! `BLESS=1 cargo test --test golden` writes the recordings and the expected outputs anew; look at
//! the difference before committing it.

mod support;

use std::path::{Path, PathBuf};

use assert_cmd::Command;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn counters() -> PathBuf {
    testdata("counters")
}

fn blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// Compares with a file, or writes it.
fn compare(path: &Path, found: &[u8]) {
    let expected = std::fs::read(path).unwrap_or_default();
    if blessing() && found != expected {
        std::fs::write(path, found).expect("blessed");
        return;
    }
    assert!(
        found == expected,
        "{} differs from what was found (BLESS=1 accepts it):\n{}",
        path.display(),
        String::from_utf8_lossy(found)
    );
}

#[test]
fn outputs_are_as_blessed() {
    compare(&counters().join("counters.data"), &support::counters::recording().expect("written"));
    let json = ("report.json", &["--format", "json"][..]);
    for (recording, name, options) in [
        ("counters", "report.txt", &[][..]),
        ("counters", "report-verbose.txt", &["-v", "-g", "--full-symbols"][..]),
        ("counters", "stats.txt", &["--stats"][..]),
        ("counters", "c2c.txt", &["--format", "c2c"][..]),
        ("counters", "c2c-nodes.txt", &["--format", "c2c", "-N", "-c", "pid,tid,iaddr"][..]),
        ("counters", json.0, json.1),
        ("two_counters", "report.txt", &[][..]),
        ("two_counters", "report-all.txt", &["-v", "--show-all"][..]),
        ("two_counters", json.0, json.1),
        ("counters", "report.md", &["--format", "markdown"][..]),
        ("two_counters", "report.md", &["--format", "markdown"][..]),
    ] {
        let file = format!("{recording}.data");
        let output = Command::cargo_bin("hitm")
            .expect("the program")
            .current_dir(testdata(recording))
            .args(["report", "-i", &file, "--symfs", "root"])
            .args(options)
            .output()
            .expect("it runs");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}");
        assert!(output.status.success(), "{name}: {}", output.status);
        compare(&testdata(recording).join("expected").join(name), &output.stdout);
    }
}

#[test]
fn heat_beside_a_layout_is_as_blessed() {
    let output = Command::cargo_bin("hitm")
        .expect("the program")
        .current_dir(counters())
        .args(["layout", "-i", "counters.data", "--symfs", "root", "root/opt/counters"])
        .arg("struct statistics")
        .output()
        .expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    compare(&counters().join("expected/layout.txt"), &output.stdout);
}

#[test]
fn the_readme_shows_what_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).expect("a README");
    let printed = std::fs::read_to_string(counters().join("expected/report.txt")).expect("blessed");
    assert!(readme.contains(&format!("```text\n{printed}```")), "the README shows an older output");
}

/// The numbers behind the golden files: what was written is what is counted.
#[test]
fn the_line_names_its_code_and_lines() {
    let output = Command::cargo_bin("hitm")
        .expect("the program")
        .current_dir(counters())
        .args(["report", "-i", "counters.data", "--symfs", "root", "--format", "json"])
        .output()
        .expect("it runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let line = &json["lines"][0];
    assert_eq!(line["address"], "0x404080");
    assert_eq!((line["readers"].clone(), line["writers"].clone()), (3.into(), 2.into()));
    let place = |access: &serde_json::Value| {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        (
            access["offset"].as_u64(),
            text(&access["kind"]),
            text(&access["symbol"]),
            access["source"]["line"].as_u64(),
            text(&access["inlines"][0]["symbol"]),
        )
    };
    let found: Vec<_> = line["accesses"].as_array().expect("accesses").iter().map(place).collect();
    // As `addr2line -if` says of these addresses.
    let expected = [
        (0, "load", "serve", 17, "count"),
        (0, "store", "serve", 17, "count"),
        (8, "load", "fetch", 17, "count"),
        (8, "store", "fetch", 17, "count"),
        (16, "load", "watch", 38, ""),
    ];
    let expected = expected.map(|(offset, kind, symbol, line, inlined)| {
        (Some(offset), kind.to_owned(), symbol.to_owned(), Some(line), inlined.to_owned())
    });
    assert_eq!(found, expected);
}

/// A filter chooses whose time is counted; the thread that the chosen one contends with stays in view.
#[test]
fn a_filter_leaves_the_other_side_in_view() {
    let report = |options: &[&str]| -> serde_json::Value {
        let output = Command::cargo_bin("hitm")
            .expect("the program")
            .current_dir(testdata("two_counters"))
            .args(["report", "-i", "two_counters.data", "--symfs", "root", "--format", "json"])
            .args(options)
            .output()
            .expect("it runs");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let (all, one) = (report(&[]), report(&["--tid", "9864"]));
    let accesses = |json: &serde_json::Value| -> Vec<(u64, u64)> {
        let accesses = json["lines"][0]["accesses"].as_array().expect("accesses");
        let number = |value: &serde_json::Value| value.as_u64().expect("a number");
        accesses.iter().map(|it| (number(&it["offset"]), number(&it["samples"]))).collect()
    };
    assert_eq!(accesses(&all), [(0, 203), (8, 222)]);
    assert_eq!(accesses(&one), accesses(&all));
    let line = &one["lines"][0];
    assert_eq!((&line["samples"], &line["verdict"]), (&203.into(), &"false".into()));
    let waited = |json: &serde_json::Value, at: usize| {
        json["lines"][0]["accesses"][at]["waited"].as_f64().expect("a count")
    };
    assert_eq!((waited(&one, 0), waited(&one, 1)), (waited(&all, 0), 0.0));
    assert!(
        one["summary"]["detection_floor"].as_f64() > all["summary"]["detection_floor"].as_f64()
    );
}
