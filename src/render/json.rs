//! `--format json`: the report as it is.

use std::io::{self, Write};

use serde::Serialize;

/// Writes one JSON object on one line: reports of many lines are large, and readers indent as they
/// like.
///
/// # Errors
///
/// What the writer answers.
pub fn json(report: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, report)?;
    out.write_all(b"\n")
}
