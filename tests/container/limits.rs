//! Runs a test in a process of its own that may take only so much memory and CPU time.

use std::process::Command;

/// Address space, KiB: the test binary and its threads' stacks take a good part of it.
const MEMORY: u32 = 1 << 20;
/// CPU time, s; a machine that is busy with something else does not count.
const TIME: u32 = 60;

/// Runs the ignored test `name` of this binary and panics when it fails or runs into a limit.
pub fn run(name: &str) {
    let binary = std::env::current_exe().expect("tests have a binary");
    let script =
        format!("ulimit -v {MEMORY}; ulimit -t {TIME}; exec \"$0\" --exact \"$1\" --ignored");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(binary)
        .arg(name)
        .env("RUST_TEST_THREADS", "1")
        .output()
        .expect("every system has a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{name} within {MEMORY} KiB and {TIME} s: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("1 passed"), "{name} is no test of this binary:\n{text}");
}
