//! The forms that executables come in.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::compile::Build;
use crate::outcome::Standing;
use crate::record::{Program, SECONDS, Turn, hitm};
use crate::said::Said;

fn both_modes(build: Build) {
    Turn::take(|| {
        let Some(program) = Program::build("atomic_counters", build) else { return };
        program.outcome(SECONDS, "contended").assert_found(Standing::Claimed);
        program.outcome(SECONDS, "padded").assert_nothing();
    });
}

#[test]
fn at_a_fixed_address() {
    both_modes(Build::FixedAddress);
}

#[test]
fn with_the_c_library_in_it() {
    both_modes(Build::Static);
}

#[test]
fn without_symbols() {
    both_modes(Build::Stripped);
}

/// Without symbols, functions that jump about and fall into each other's samples are still decoded
/// from their starts.
#[test]
fn without_symbols_and_with_many_functions() {
    Turn::take(|| {
        let Some(program) = Program::build("heap_structs", Build::Stripped) else { return };
        program.outcome(SECONDS, "contended").assert_found(Standing::Claimed);
    });
}

/// The executable is deleted while it runs, before the recorder has looked at what is mapped and after
/// that: no file has its code when the report is made.
#[test]
fn deleted_while_it_runs() {
    Turn::take(|| {
        for milliseconds in [0, 700] {
            let Some(program) = Program::build("atomic_counters", Build::C) else { return };
            let mut command = hitm();
            command.args(["record", "--quiet", "-o"]).arg(program.recording()).arg("--");
            command.args(program.command(SECONDS, "contended"));
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = command.spawn().expect("it starts");
            // The recorder looks around before it starts the command: wait for the latter.
            while !runs(&program.path) {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_millis(milliseconds));
            std::fs::remove_file(&program.path).expect("the program is there");
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let said = Said::parse(&String::from_utf8_lossy(&output.stdout));
            program.reported("contended", said).assert_found(Standing::Claimed);
        }
    });
}

/// A process that already runs and keeps starting threads is followed; the recorder ends with it.
#[test]
fn attached_to() {
    Turn::take(|| {
        for (name, standing) in
            [("atomic_counters", Standing::Claimed), ("short_threads", Standing::Suspected)]
        {
            let Some(program) = Program::build(name, Build::C) else { return };
            let mut words = program.command("2.5", "contended").into_iter();
            let mut command = std::process::Command::new(words.next().expect("its path"));
            command.args(words).stdin(Stdio::null()).stdout(Stdio::piped());
            let child = command.spawn().expect("it starts");
            std::thread::sleep(Duration::from_millis(200));
            let mut recorder = hitm();
            recorder.args(["record", "--quiet", "-p", &child.id().to_string(), "-o"]);
            let recorded = recorder.arg(program.recording()).output().expect("hitm runs");
            assert!(recorded.status.success(), "{}", String::from_utf8_lossy(&recorded.stderr));
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{name}: {}", output.status);
            let said = Said::parse(&String::from_utf8_lossy(&output.stdout));
            let outcome = program.reported("contended", said);
            if standing == Standing::Claimed {
                outcome.assert_found(standing);
                continue;
            }
            // The first tenth of its threads had gone before.
            let line = outcome.lines().iter().find(|line| {
                crate::outcome::address(&line["address"]) == outcome.said.contended[0].addresses[0]
            });
            let line = line.unwrap_or_else(|| panic!("{}: not found", outcome.name));
            let accesses = line["accesses"].as_array().expect("accesses");
            let seen: usize = accesses
                .iter()
                .map(|access| access["threads"].as_array().map_or(0, Vec::len))
                .sum();
            let all = outcome.said.threads().len();
            assert!(seen * 10 > all * 7, "{seen} of {all} threads are seen");
            assert_eq!(outcome.lines().len(), 1, "{}", outcome.name);
        }
    });
}

/// Whether a process runs this executable.
fn runs(path: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").expect("/proc is there");
    processes
        .filter_map(Result::ok)
        .any(|process| std::fs::read_link(process.path().join("exe")).is_ok_and(|exe| exe == path))
}
