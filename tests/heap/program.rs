//! Programs that say which objects lie in the line that their threads fight over.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::perf_oracle::perf;
use crate::support::skipped::skipped;

/// A source file, and how it is built.
pub struct Program {
    pub directory: tempfile::TempDir,
    pub path: PathBuf,
    source: PathBuf,
}

/// What a program says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub base: u64,
    pub size: u64,
    /// The function that wants the memory.
    pub function: String,
}

/// What a program said, and what was reported.
pub struct Run {
    pub expected: Vec<Expected>,
    pub line: u64,
    pub report: Value,
    pub said_by_hitm: String,
}

/// Our own program.
pub fn hitm() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hitm"))
}

/// Holds the machine: programs are recorded one at a time.
pub fn turn() -> Option<File> {
    if let Err(error) = hitm::sampling::heap::heap_tracing_works() {
        skipped(&format!("no probes can be defined here: {error}"));
        return None;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("heap.lock");
    let file = File::create(path).expect("the lock's file");
    file.lock().expect("the lock");
    Some(file)
}

impl Program {
    /// Builds a program; `None`, and said aloud, without the compiler. Its name is the source's.
    pub fn build(source: &str, options: &[&str]) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/heap/programs");
        let (name, extension) = source.split_once('.').expect("a file's name");
        let path = directory.path().join(name);
        let source = sources.join(source);
        let mut command = match extension {
            "rs" => Command::new("rustc"),
            "cpp" => Command::new("c++"),
            _ => Command::new("cc"),
        };
        command.args(match extension {
            "rs" => &["--edition", "2024", "-O", "-g"][..],
            _ => &["-O2", "-g", "-Wall", "-Werror", "-pthread"],
        });
        command.arg("-o").arg(&path).arg(&source).args(options).current_dir(directory.path());
        let Ok(output) = command.output() else {
            skipped(&format!("there is no {}", command.get_program().display()));
            return None;
        };
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} does not compile:\n{error}", source.display());
        Some(Self { directory, path, source })
    }

    /// Where recordings of it are.
    pub fn recording(&self) -> PathBuf {
        self.directory.path().join("hitm.data")
    }

    /// Records it with `--heap`, has perf read the recording, and reports it.
    pub fn run(&self, options: &[&str], arguments: &[&str]) -> Run {
        let mut command = hitm();
        command.args(["record", "--heap", "--no-watch", "-o"]).arg(self.recording()).args(options);
        command.arg("--").arg(&self.path).args(arguments).stdin(Stdio::null());
        let output = command.output().expect("hitm starts");
        self.reported(&output)
    }

    /// The report of its recording, beside what it said when it was recorded.
    pub fn reported(&self, output: &Output) -> Run {
        let said_by_hitm = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said_by_hitm}", output.status);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_perf_reads(&self.recording());
        let mut command = hitm();
        command.args(["report", "--show-all", "--format", "json", "-i"]).arg(self.recording());
        let output = command.output().expect("hitm starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let report = serde_json::from_slice(&output.stdout).expect("JSON");
        let hexadecimal = |text: &str| {
            u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("an address")
        };
        let (mut expected, mut line) = (Vec::new(), 0);
        for words in said.lines().map(|line| line.split(' ').collect::<Vec<_>>()) {
            match words[..] {
                ["object", base, size, function, ..] => expected.push(Expected {
                    base: hexadecimal(base),
                    size: size.parse().expect("bytes"),
                    function: function.to_owned(),
                }),
                ["line", address] => line = hexadecimal(address),
                _ => panic!("the program says {words:?}"),
            }
        }
        expected.sort_by_key(|it: &Expected| it.base);
        Run { expected, line, report, said_by_hitm }
    }

    /// The place of a function's allocation as reports have it: the line of the source with a comment
    /// that names it.
    pub fn site(&self, function: &str) -> String {
        let text = std::fs::read_to_string(&self.source).expect("the source");
        let marks = [format!("/* {function} */"), format!("// {function}")];
        let is_marked = |line: &str| marks.iter().any(|mark| line.trim_end().ends_with(mark));
        let index = text.lines().position(is_marked).expect("a marked line");
        let file = self.source.file_name().expect("a name").to_string_lossy();
        // Rust's functions have their crate before them.
        let function = match file.strip_suffix(".rs") {
            Some(name) => format!("{name}::{function}"),
            None => function.to_owned(),
        };
        format!("{function} {file}:{}", index + 1)
    }
}

impl Run {
    /// The line that the program speaks of.
    pub fn contended(&self) -> &Value {
        let address = format!("{:#x}", self.line);
        let lines = self.report["lines"].as_array().expect("lines");
        let found = lines.iter().find(|line| line["address"] == address.as_str());
        found.unwrap_or_else(|| panic!("the line {address} is in the report"))
    }

    /// The objects on the heap in that line.
    pub fn objects(&self) -> Vec<&Value> {
        let objects = self.contended()["objects"].as_array().expect("objects");
        objects
            .iter()
            .filter(|object| object["kind"] == "heap" && !object["heap"].is_null())
            .collect()
    }

    /// The objects are just those that the program states, with both sites right.
    pub fn assert_objects(&self, program: &Program) {
        let found: Vec<(String, u64, String)> = self
            .objects()
            .iter()
            .map(|object| {
                (
                    object["base"].as_str().expect("an address").to_owned(),
                    object["size"].as_u64().expect("bytes"),
                    object["allocated_at"][0].as_str().unwrap_or("nowhere").to_owned(),
                )
            })
            // What only made them meet.
            .filter(|(.., site)| !site.contains("main "))
            .collect();
        let expected: Vec<(String, u64, String)> = self
            .expected
            .iter()
            .map(|it| (format!("{:#x}", it.base), it.size, program.site(&it.function)))
            .collect();
        assert_eq!(found, expected, "{}", self.said_by_hitm);
    }

    /// The codes of the warnings.
    pub fn warnings(&self) -> Vec<&str> {
        let warnings = self.report["warnings"].as_array().expect("warnings");
        warnings.iter().filter_map(|warning| warning["code"].as_str()).collect()
    }
}

/// perf shows the traced functions by their names, and complains of nothing.
fn assert_perf_reads(recording: &Path) {
    let Some(_) = perf() else { return };
    let output = Command::new("perf")
        .args(["script", "-F", "tid,time,event,ip", "-i"])
        .arg(recording)
        .stdin(Stdio::null())
        .output()
        .expect("perf starts");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("hitm_heap:malloc_return"), "{text}");
}
