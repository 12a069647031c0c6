//! Saying aloud that a test could not do what it is for.

use std::io::Write;

/// Says why something was skipped, past the test runner, which keeps what passing tests print to
/// itself.
pub fn skipped(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}
