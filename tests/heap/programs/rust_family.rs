//! What Rust allocates, two objects at a time in one line.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[inline(never)]
fn by_box() -> *mut u64 {
    let made = Box::new(black_box([0_u64; 3])); // by_box
    Box::into_raw(black_box(made)).cast()
}

#[inline(never)]
fn by_vec() -> *mut u64 {
    let mut made: Vec<u64> = Vec::with_capacity(black_box(3)); // by_vec
    made.push(0);
    black_box(made).leak().as_mut_ptr()
}

#[inline(never)]
fn by_zeroed() -> *mut u64 {
    let made = vec![0_u64; black_box(3)]; // by_zeroed
    black_box(made).leak().as_mut_ptr()
}

#[inline(never)]
fn by_growing() -> *mut u64 {
    let mut made: Vec<u64> = black_box(Vec::new());
    made.push(0); // by_growing
    black_box(made).leak().as_mut_ptr()
}

#[repr(align(32))]
struct Aligned(#[allow(dead_code)] [u64; 4]);

#[inline(never)]
fn by_aligned_box() -> *mut u64 {
    let made = Box::new(black_box(Aligned([0; 4]))); // by_aligned_box
    Box::into_raw(black_box(made)).cast()
}

#[inline(never)]
fn by_text() -> *mut u64 {
    let made = black_box("exactly three words, yes").to_owned(); // by_text
    black_box(made).leak().as_mut_ptr().cast()
}

const WAYS: [(fn() -> *mut u64, u64, &str); 6] = [
    (by_box, 24, "by_box"),
    (by_vec, 24, "by_vec"),
    (by_zeroed, 24, "by_zeroed"),
    (by_growing, 32, "by_growing"),
    (by_aligned_box, 32, "by_aligned_box"),
    (by_text, 24, "by_text"),
];

fn count(address: usize, until: Instant) {
    // The counters are leaked, and each is one thread's.
    let word = unsafe { AtomicU64::from_ptr(std::ptr::with_exposed_provenance_mut(address)) };
    while Instant::now() < until {
        for _ in 0..100_000 {
            word.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |index: usize| arguments[index].parse::<usize>().expect("a number");
    let seconds: f64 = arguments[1].parse().expect("seconds");
    let (first, second) = (WAYS[number(2)], WAYS[number(3)]);
    let mut tries = 0;
    let (one, two) = loop {
        let pair = (first.0().expose_provenance(), second.0().expose_provenance());
        if pair.0 / 64 == pair.1 / 64 {
            break pair;
        }
        black_box(Vec::<u8>::with_capacity(8 + 16 * (tries % 7))).leak();
        tries += 1;
        assert!(tries < 1000, "they never share a line");
    };
    println!("object {one:#x} {} {}", first.1, first.2);
    println!("object {two:#x} {} {}", second.1, second.2);
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    std::thread::scope(|scope| {
        scope.spawn(|| count(one, until));
        scope.spawn(|| count(two, until));
    });
    println!("line {:#x}", one & !63);
}
