//! C++ and Rust, and allocators that are linked in.

use crate::program::{Program, turn};

fn pairs_are_found(program: &Program, pairs: &[(&str, &str)]) {
    for (first, second) in pairs {
        let run = program.run(&[], &["0.3", first, second]);
        run.assert_objects(program);
    }
}

#[test]
fn operator_new_is_traced_once_and_its_caller_blamed() {
    let Some(_turn) = turn() else { return };
    let Some(program) = Program::build("cpp_family.cpp", &[]) else { return };
    pairs_are_found(&program, &[("0", "1"), ("2", "0"), ("0", "3"), ("4", "5")]);
}

#[test]
fn so_it_is_where_the_libraries_are_linked_in() {
    let Some(_turn) = turn() else { return };
    let Some(program) = Program::build("cpp_family.cpp", &["-static"]) else { return };
    pairs_are_found(&program, &[("0", "1"), ("4", "5")]);
}

#[test]
fn boxes_and_vectors_of_rust_are_found() {
    let Some(_turn) = turn() else { return };
    let Some(program) = Program::build("rust_family.rs", &[]) else { return };
    pairs_are_found(&program, &[("0", "1"), ("2", "5"), ("1", "3"), ("0", "4")]);
}

#[test]
fn allocators_are_known_by_their_names() {
    let Some(_turn) = turn() else { return };
    for prefix in ["je_", "_rjem_", "tc_", "mi_"] {
        let option = format!("-DPREFIX={prefix}");
        let Some(program) = Program::build("own_allocator.c", &[&option]) else { return };
        let run = program.run(&[], &["0.3"]);
        run.assert_objects(&program);
        for object in run.objects() {
            let function = object["heap"]["function"].as_str().expect("a name");
            assert!(function.starts_with(prefix), "{function}");
        }
    }
}
