//! `hitm watch`: exactly the threads, bytes, directions and instructions that the program states.

use serde_json::Value;

use crate::compile::Build;
use crate::outcome::address;
use crate::record::{Program, Turn};
use crate::running::{Running, watched};
use crate::support::perf_oracle::perf;
use crate::uses::{Uses, add, line_with, of_program};

fn accesses(report: &Value) -> &[Value] {
    report["accesses"].as_array().expect("accesses")
}

fn seen(report: &Value) -> Uses {
    let mut uses = Uses::new();
    for access in accesses(report) {
        let at = address(&access["address"]);
        add(&mut uses, &access["tid"], at, &access["size"], &access["kind"]);
    }
    uses
}

/// Function and source line of each access.
fn places(report: &Value) -> Vec<(String, u64)> {
    let mut places: Vec<(String, u64)> = accesses(report)
        .iter()
        .map(|access| {
            assert_eq!(access["is_exact"], true, "{access}");
            let line = access["source"]["line"].as_u64().expect("a source line");
            (access["label"].as_str().expect("a function").to_owned(), line)
        })
        .collect();
    places.sort();
    places.dedup();
    places
}

#[test]
fn a_variable_shows_its_two_threads_and_perf_agrees_with_every_access() {
    Turn::take(|| {
        let Some(program) = Program::build("atomic_counters", Build::C) else { return };
        let running = Running::start(&program, "2", "contended");
        let recording = program.recording();
        let report = watched(running.pid(), "counters/16", &["--hits", "400"], &recording);
        let said = running.said();
        let line = address(&report["address"]);
        assert_eq!(line, said.contended[0].addresses[0]);
        assert_eq!(seen(&report), of_program(&said, line, 16));
        let counting = line_with("atomic_counters", "__atomic_fetch_add");
        assert_eq!(places(&report), [("count".to_owned(), counting)]);
        let count = accesses(&report).len();
        assert!((100..=400).contains(&count), "{count} accesses");
        // Two threads on two CPUs that trap at the same pace.
        let handovers = report["handovers"].as_u64().expect("a count");
        assert!(handovers >= 20, "{handovers} of {count}");
        let by_threads: u64 = report["summary"]
            .as_array()
            .expect("sums")
            .iter()
            .map(|sum| {
                assert_eq!(sum["cpus"].as_array().expect("CPUs").len(), 1, "pinned");
                sum["accesses"].as_u64().expect("a count")
            })
            .sum();
        assert_eq!(by_threads, count as u64);

        let Some(perf) = perf() else { return };
        let of_perf: Vec<(u64, u32, u64, u64)> = perf
            .dump(&recording)
            .iter()
            .map(|it| {
                (it.time.expect("a time"), it.cpu.expect("a CPU"), it.thread.1 as u64, it.addr)
            })
            .collect();
        let ours: Vec<(u64, u32, u64, u64)> = accesses(&report)
            .iter()
            .map(|it| {
                let number = |name: &str| it[name].as_u64().expect("a number");
                (
                    number("recorded_ns"),
                    number("cpu") as u32,
                    number("tid"),
                    address(&it["address"]),
                )
            })
            .collect();
        assert_eq!(of_perf, ours);
    });
}

#[test]
fn readers_and_writers_are_told_apart() {
    Turn::take(|| {
        let Some(program) = Program::build("occasional_writer", Build::FixedAddress) else {
            return;
        };
        let running = Running::start(&program, "2", "contended");
        let recording = program.recording();
        // A static variable of a program at a fixed address.
        let report = watched(running.pid(), "shared/16", &["--hits", "600"], &recording);
        let said = running.said();
        assert_eq!(seen(&report), of_program(&said, said.contended[0].addresses[0], 16));
        let reading = ("read_often".to_owned(), line_with("occasional_writer", "total += *read"));
        let writing = ("write_seldom".to_owned(), line_with("occasional_writer", "*written += 1"));
        assert_eq!(places(&report), [reading, writing]);
    });
}

#[test]
fn writes_alone_leave_the_reader_out() {
    Turn::take(|| {
        let Some(program) = Program::build("occasional_writer", Build::C) else { return };
        let running = Running::start(&program, "2", "contended");
        let recording = program.recording();
        let options = ["--writes", "--hits", "50"];
        let report = watched(running.pid(), "shared/16", &options, &recording);
        let said = running.said();
        let writer = said.touches.iter().find(|touch| touch.is_written).expect("a writer").tid;
        let count = accesses(&report).len();
        assert!((10..=50).contains(&count), "{count} accesses");
        assert!(accesses(&report).iter().all(|it| it["tid"] == writer && it["offset"] == 8));
    });
}

#[test]
fn an_offset_and_a_budget_are_kept_to() {
    Turn::take(|| {
        let Some(program) = Program::build("atomic_counters", Build::Static) else { return };
        let running = Running::start(&program, "2", "contended");
        let recording = program.recording();
        let report = watched(running.pid(), "counters+8/8", &["--hits", "40"], &recording);
        let said = running.said();
        let line = said.contended[0].addresses[0];
        assert_eq!(seen(&report), of_program(&said, line + 8, 8));
        let count = accesses(&report).len();
        assert!((10..=40).contains(&count), "{count} accesses");
        let Some(perf) = perf() else { return };
        assert_eq!(perf.dump(&recording).len(), count);
    });
}

#[test]
fn what_nobody_touches_is_said_so() {
    Turn::take(|| {
        let Some(program) = Program::build("atomic_counters", Build::C) else { return };
        let running = Running::start(&program, "1.5", "contended");
        let options = ["--duration", "0.3"];
        let report = watched(running.pid(), "counters+16/32", &options, &program.recording());
        assert_eq!((accesses(&report).len(), &report["threads"]), (0, &Value::from(3)));
        drop(running.said());
    });
}
