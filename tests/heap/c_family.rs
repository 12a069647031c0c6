//! The functions of C that allocate.

use crate::program::{Program, turn};

/// Two functions by their number in the program.
fn pair_is_found(program: &Program, first: &str, second: &str) {
    let run = program.run(&[], &["0.3", first, second]);
    run.assert_objects(program);
    for object in run.objects() {
        let callers = object["allocated_at"].as_array().expect("callers");
        let last = callers.last().and_then(|it| it.as_str()).expect("a caller");
        assert!(last.starts_with("main c_family.c:"), "{callers:?}");
        let heap = &object["heap"];
        assert!(heap["freed_by"].is_u64() && heap["to_ns"].as_u64() > heap["from_ns"].as_u64());
        assert_eq!(heap["freed_by"], heap["tid"]);
    }
    assert!(run.warnings().iter().all(|code| !code.starts_with("heap")), "{:?}", run.warnings());
}

#[test]
fn both_neighbours_have_their_site() {
    let Some(_turn) = turn() else { return };
    let Some(program) = Program::build("c_family.c", &[]) else { return };
    for (first, second) in [("0", "1"), ("2", "3"), ("0", "4"), ("0", "5"), ("0", "6"), ("7", "0")]
    {
        pair_is_found(&program, first, second);
    }
}
