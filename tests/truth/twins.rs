//! Whether the programs suffer at all: how much faster the twins are.

use crate::compile::Build;
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

/// Prints the table of `README.md`: for each program the speed-up of its two threads in the twin,
/// medians of interleaved pairs, and the smallest and largest of both threads together.
#[test]
#[ignore = "a measurement: half a minute to itself, on an idle machine"]
fn speed_up() {
    const PAIRS: usize = 11;
    Turn::take(|| {
        println!("| program | first thread | second thread | together | range |");
        println!("| --- | --- | --- | --- | --- |");
        for (name, build, contended, padded) in PROGRAMS {
            let Some(program) = Program::build(name, build) else { return };
            // Names sort as the program prints them or not; pairs are by name, so it does not matter.
            let mut ratios = [Vec::new(), Vec::new(), Vec::new()];
            for _ in 0..PAIRS {
                let work = |mode: &str| -> Vec<f64> {
                    program.run("0.3", mode).work.values().map(|steps| *steps as f64).collect()
                };
                let (slow, fast) = (work(contended), work(padded));
                ratios[0].push(fast[0] / slow[0]);
                ratios[1].push(fast[1] / slow[1]);
                ratios[2].push((fast[0] + fast[1]) / (slow[0] + slow[1]));
            }
            for ratio in &mut ratios {
                ratio.sort_by(f64::total_cmp);
            }
            let [first, second, both] = &ratios;
            println!(
                "| {name} | {:.2} | {:.2} | {:.2} | {:.2} … {:.2} |",
                first[PAIRS / 2],
                second[PAIRS / 2],
                both[PAIRS / 2],
                both[0],
                both[PAIRS - 1]
            );
        }
    });
}
