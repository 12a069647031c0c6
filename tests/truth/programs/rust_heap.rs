// Truth: a `Vec` of 24-byte structs; each thread counts in `count` (offset 8) of its own elements, the even
// and the odd ones. Lines with elements of both threads are contended: all of them. Padded: each thread has a
// `Vec` of its own.

use std::sync::atomic::{AtomicU64, Ordering};

mod truth;

const ELEMENTS: usize = 16;

#[repr(C)]
struct Slot {
    key: u64,
    count: AtomicU64,
    unused: u64,
}

/// The first element begins a line, so that what is contended does not depend on the allocator.
#[repr(C, align(128))]
struct Slots([Slot; ELEMENTS]);

fn slots() -> Vec<Slots> {
    let slot = |key| Slot { key: key as u64, count: AtomicU64::new(0), unused: 0 };
    vec![Slots(std::array::from_fn(slot))]
}

#[inline(never)]
fn count(slots: &[Slot], first: usize) {
    for step in 0..truth::STEPS as usize {
        let index = first + 2 * (step % (ELEMENTS / 2));
        slots[index].count.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() {
    let options = truth::options(&["contended", "padded", "pinned"]);
    let (shared, apart) = (slots(), slots());
    let evens = &shared[0].0[..];
    let odds = if options.mode == "padded" { &apart[0].0[..] } else { evens };
    let [first, second] = truth::run(&options, || count(evens, 0), || count(odds, 1));
    // 16 elements of 24 bytes are six whole lines, and no line has the counts of one thread only.
    for line in (0..ELEMENTS * 24 / 64).filter(|_| options.mode == "contended") {
        let element = &evens[(line * 64 + 23) / 24];
        truth::contended(&element.key, "slots");
    }
    for index in 0..ELEMENTS {
        let (slots, done) = if index % 2 == 0 { (evens, &first) } else { (odds, &second) };
        truth::touches(&slots[index].count, done, "both", "slots");
    }
    assert_eq!(evens[0].unused, 0);
}
