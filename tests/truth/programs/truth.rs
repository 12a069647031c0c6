// What the programs in Rust have in common; `truth.h` says what is printed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

unsafe extern "C" {
    fn gettid() -> i32;
    fn sched_setaffinity(pid: i32, size: usize, mask: *const u64) -> i32;
}

#[repr(align(128))]
struct Flag(AtomicBool);

static STOP: Flag = Flag(AtomicBool::new(false));

pub const STEPS: u64 = 1000;

pub struct Options {
    pub seconds: f64,
    pub mode: String,
}

/// What a thread says at its end.
pub struct Done {
    pub tid: i32,
    pub iterations: u64,
}

pub fn options(modes: &[&str]) -> Options {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(2.0, |text| text.parse().expect("seconds"));
    let mode = arguments.next().unwrap_or_else(|| "contended".to_owned());
    if !modes.contains(&mode.as_str()) {
        eprintln!("mode is one of {modes:?}");
        std::process::exit(2);
    }
    Options { seconds, mode }
}

/// Runs both, on CPUs 0 and 1, or both on CPU 0 in mode `pinned`; `work` does 1 000 steps.
pub fn run(options: &Options, first: impl Fn() + Send, second: impl Fn() + Send) -> [Done; 2] {
    let other = if options.mode == "pinned" { 0 } else { 1 };
    let done = std::thread::scope(|scope| {
        let first = scope.spawn(move || repeat(0, first));
        let second = scope.spawn(move || repeat(other, second));
        std::thread::sleep(Duration::from_secs_f64(options.seconds));
        STOP.0.store(true, Ordering::Relaxed);
        [first.join().expect("first"), second.join().expect("second")]
    });
    println!("work first {}\nwork second {}", done[0].iterations, done[1].iterations);
    done
}

fn repeat(cpu: u32, work: impl Fn()) -> Done {
    let mask = 1_u64 << cpu;
    // SAFETY: the mask is eight bytes and lives until the call returns.
    let (tid, pinned) = unsafe { (gettid(), sched_setaffinity(0, 8, &raw const mask)) };
    assert_eq!(pinned, 0, "sched_setaffinity");
    let mut iterations = 0;
    while !STOP.0.load(Ordering::Relaxed) {
        work();
        iterations += STEPS;
    }
    Done { tid, iterations }
}

pub fn contended<T>(at: &T, label: &str) {
    println!("contended {:#x} {label}", std::ptr::from_ref(at).addr() & !63);
}

pub fn touches<T>(at: &T, done: &Done, how: &str, label: &str) {
    let address = std::ptr::from_ref(at).addr();
    println!("touches {address:#x} {} {} {how} {label}", size_of::<T>(), done.tid);
}
