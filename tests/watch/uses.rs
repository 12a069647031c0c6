//! Who reads and writes what, as programs say it and as debug registers see it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::said::Said;

/// Reads and writes by thread, address and size.
pub type Uses = BTreeMap<(u64, u64, u64), (bool, bool)>;

/// What a program says of these bytes.
pub fn of_program(said: &Said, from: u64, length: u64) -> Uses {
    let mut uses = Uses::new();
    for touch in &said.touches {
        if (from..from + length).contains(&touch.address) {
            let seen = uses.entry((touch.tid, touch.address, touch.size)).or_default();
            *seen = (seen.0 | touch.is_read, seen.1 | touch.is_written);
        }
    }
    uses
}

/// Adds an access.
pub fn add(uses: &mut Uses, tid: &Value, address: u64, size: &Value, kind: &Value) {
    let size = size.as_u64().expect("the size is known");
    let kind = kind.as_str().expect("the direction is known");
    assert!(["load", "store", "rmw"].contains(&kind), "{kind}");
    let seen = uses.entry((tid.as_u64().expect("a thread"), address, size)).or_default();
    *seen = (seen.0 | (kind != "store"), seen.1 | (kind != "load"));
}

/// The number of the source line that holds a text.
pub fn line_with(program: &str, text: &str) -> u64 {
    let path = format!("{}/tests/truth/programs/{program}.c", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(path).expect("the program's source");
    let found = source.lines().position(|line| line.contains(text)).expect("the text");
    found as u64 + 1
}
