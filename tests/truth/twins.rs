//! Whether the programs suffer at all: how much faster the twins are.

use serde_json::Value;

use crate::compile::Build;
use crate::outcome::{address, share};
use crate::record::{Program, Turn};

const PROGRAMS: [(&str, Build, &str, &str); 22] = [
    ("atomic_counters", Build::C, "contended", "padded"),
    ("plain_stores", Build::C, "contended", "padded"),
    ("vector_stores", Build::C, "contended", "padded"),
    ("library", Build::Library, "contended", "padded"),
    ("split_access", Build::C, "contended", "padded"),
    ("stack_variable", Build::C, "contended", "padded"),
    ("heap_structs", Build::C, "contended", "padded"),
    ("spinlock", Build::C, "contended", "padded"),
    ("thread_local", Build::C, "lent", "private"),
    ("two_processes", Build::C, "contended", "padded"),
    ("phases", Build::C, "contended", "padded"),
    ("store_then_lock", Build::C, "contended", "padded"),
    ("store_among_ten", Build::C, "contended", "padded"),
    ("occasional_writer", Build::C, "contended", "padded"),
    ("pointer_chase", Build::C, "contended", "padded"),
    ("generated_code", Build::C, "contended", "padded"),
    ("short_threads", Build::C, "contended", "padded"),
    ("copies", Build::C, "contended", "padded"),
    ("gather", Build::C, "contended", "padded"),
    ("objects", Build::CPlusPlus, "contended", "padded"),
    ("rust_static", Build::Rust, "contended", "padded"),
    ("rust_heap", Build::Rust, "contended", "padded"),
];

/// Prints the table of `README.md`, here and in the project's folder: for each program the speed-up of its
/// two threads in the twin (medians of interleaved pairs, and the smallest and largest of both
/// together), the share of CPU time that both lose to contention, and what a recording says of it: the
/// cost of the lines that are contended, seen waiting and at most, and of all other lines that it claims.
#[test]
#[ignore = "a measurement: two minutes to itself, on an idle machine"]
fn speed_up() {
    const PAIRS: usize = 11;
    Turn::take(|| {
        println!(
            "| program | first thread | second thread | together | range | lost | seen waiting | at most | elsewhere |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        for (name, build, contended, padded) in PROGRAMS {
            let Some(program) = Program::build(name, build) else { return };
            // Names sort as the program prints them or not; pairs are by name, so it does not matter.
            let mut ratios = [Vec::new(), Vec::new(), Vec::new()];
            let mut lost = Vec::new();
            for _ in 0..PAIRS {
                let work = |mode: &str| -> Vec<f64> {
                    program.run("0.3", mode).work.values().map(|steps| *steps as f64).collect()
                };
                let (slow, fast) = (work(contended), work(padded));
                ratios[0].push(fast[0] / slow[0]);
                ratios[1].push(fast[1] / slow[1]);
                ratios[2].push((fast[0] + fast[1]) / (slow[0] + slow[1]));
                lost.push(1.0 - (slow[0] / fast[0] + slow[1] / fast[1]) / 2.0);
            }
            ratios.iter_mut().for_each(|ratio| ratio.sort_by(f64::total_cmp));
            lost.sort_by(f64::total_cmp);
            let [first, second, both] = &ratios;
            let outcome = program.outcome("2", contended);
            let (right, others): (Vec<_>, Vec<_>) = outcome.lines().iter().partition(|line| {
                let address = address(&line["address"]);
                outcome.said.contended.iter().any(|truth| truth.addresses.contains(&address))
            });
            let sum = |lines: &[&Value], name: &str| -> f64 {
                lines.iter().map(|line| share(line, name) * 100.0).fold(0.0, |a, b| a + b)
            };
            println!(
                "| {name} | {:.2} | {:.2} | {:.2} | {:.2} … {:.2} | {:.1} % | {:.1} % | {:.1} % | {:.1} % |",
                first[PAIRS / 2],
                second[PAIRS / 2],
                both[PAIRS / 2],
                both[0],
                both[PAIRS - 1],
                lost[PAIRS / 2] * 100.0,
                sum(&right, "share_waited"),
                sum(&right, "share_high").min(100.0),
                sum(&others, "share_high"),
            );
        }
    });
}
