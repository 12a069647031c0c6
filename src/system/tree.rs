//! Small files below a root, read as text.

use std::path::{Path, PathBuf};

/// The text of a file without its last line end; `None` where there is none to read.
pub(super) fn text(root: &Path, path: &str) -> Option<String> {
    let bytes = std::fs::read(root.join(path)).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\0']).to_owned())
}

/// A decimal number.
pub(super) fn number<T: std::str::FromStr>(root: &Path, path: &str) -> Option<T> {
    text(root, path)?.trim().parse().ok()
}

/// The names in a directory, sorted; none where it cannot be read.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// The numbered entries `PREFIX0`, `PREFIX1` … of a directory, by number.
pub(super) fn numbered(folder: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let mut found: Vec<(u32, PathBuf)> = names(folder)
        .into_iter()
        .filter_map(|name| {
            let digits = name.strip_prefix(prefix)?;
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.parse().ok().filter(|_| is_number)?;
            Some((number, folder.join(&name)))
        })
        .collect();
    found.sort_unstable();
    found
}
