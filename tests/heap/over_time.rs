//! Memory that is freed and used again, processes that fork, libraries that come later.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::program::{Program, Run, hitm, turn};

fn time(object: &Value, name: &str) -> Option<u64> {
    object["heap"][name].as_u64()
}

#[test]
fn what_took_the_place_of_another_is_told_apart() {
    let Some(_turn) = turn() else { return };
    let Some(program) = Program::build("reused.c", &[]) else { return };
    let run = program.run(&[], &["0.4"]);
    run.assert_objects(&program);
    let objects = run.objects();
    // By address, then by time.
    let (early, late, neighbour) = (objects[0], objects[1], objects[2]);
    let freed = time(early, "to_ns").expect("it was freed");
    assert!(time(late, "from_ns").expect("a time") >= freed + 300_000_000, "{early} {late}");
    assert_eq!(early["heap"]["freed_by"], early["heap"]["tid"]);
    assert_eq!((time(late, "to_ns"), time(neighbour, "to_ns")), (None, None));
}

#[test]
fn a_child_has_what_its_parent_had() {
    let Some(_turn) = turn() else { return };
    let Some(program) = Program::build("forked.c", &[]) else { return };
    let run = program.run(&[], &["0.4"]);
    run.assert_objects(&program);
}

fn run_with_library(program: &Program, way: &str) -> Run {
    let library = Program::build("late_library.c", &["-fPIC", "-shared"]).expect("a compiler");
    let path = library.path.display().to_string();
    let run = program.run(&[], &["0.4", &path, way]);
    run.assert_objects(&library);
    run
}

#[test]
fn a_library_that_is_loaded_later_is_traced() {
    let Some(_turn) = turn() else { return };
    let Some(program) = Program::build("late.c", &[]) else { return };
    run_with_library(&program, "libc");
    let run = run_with_library(&program, "own");
    for object in run.objects() {
        assert_eq!(object["heap"]["function"], "mi_malloc");
    }
}

#[test]
fn a_process_that_runs_already_is_traced() {
    let Some(_turn) = turn() else { return };
    let Some(program) = Program::build("c_family.c", &[]) else { return };
    let mut target = std::process::Command::new(&program.path)
        .args(["0.4", "0", "1", "wait"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let recorder = hitm()
        .args(["record", "--heap", "--no-watch", "-o"])
        .arg(program.recording())
        .args(["-p", &target.id().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("hitm starts");
    while !program.recording().exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(500));
    target.stdin.take().expect("a pipe").write_all(b"\n").expect("it waits");
    let said = target.wait_with_output().expect("it ends");
    let mut output = recorder.wait_with_output().expect("hitm ends");
    output.stdout = said.stdout;
    program.reported(&output).assert_objects(&program);
}

#[test]
fn programs_that_a_shell_runs_are_traced() {
    let Some(_turn) = turn() else { return };
    let Some(program) = Program::build("c_family.c", &[]) else { return };
    let output = hitm()
        .args(["record", "--heap", "--no-watch", "-o"])
        .arg(program.recording())
        .args(["--", "sh", "-c"])
        .arg(format!("true; {} 0.3 0 1; true", program.path.display()))
        .stdin(Stdio::null())
        .output()
        .expect("hitm starts");
    program.reported(&output).assert_objects(&program);
}
