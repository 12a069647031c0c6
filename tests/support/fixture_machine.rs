//! Machines that are not here, as trees of the files of `/proc` and `/sys` that are read.

use std::path::{Path, PathBuf};

use hitm::system::Machine;
use tempfile::TempDir;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/machines")
}

/// The names of all machines, sorted.
pub fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the folder of machines");
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            Some(name.strip_suffix(".txt")?.to_owned())
        })
        .collect();
    names.sort();
    names
}

/// Unpacks a machine: each line a path, a tab and the content, `\n` for a line end and `\\` for a
/// backslash; a path that ends in `/` is an empty folder; `#` begins a comment.
pub fn unpack(name: &str) -> TempDir {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let root = tempfile::tempdir().expect("a directory");
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (path, content) = line.split_once('\t').unwrap_or((line, ""));
        let target = root.path().join(path);
        if path.ends_with('/') {
            std::fs::create_dir_all(&target).expect("a folder");
            continue;
        }
        std::fs::create_dir_all(target.parent().expect("a parent")).expect("its folder");
        std::fs::write(&target, unescape(content)).expect("a file");
    }
    root
}

/// The capabilities of a machine.
pub fn machine(name: &str) -> Machine {
    Machine::read(unpack(name).path())
}

/// The same machine for a user without any capability, at a paranoid level.
pub fn unprivileged(name: &str, paranoid: i32) -> Machine {
    let mut machine = machine(name);
    machine.permissions.capabilities = 0;
    machine.permissions.paranoid = Some(paranoid);
    machine
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next().expect("a line does not end in a backslash") {
            'n' => out.push('\n'),
            other => out.push(other),
        }
    }
    out
}
