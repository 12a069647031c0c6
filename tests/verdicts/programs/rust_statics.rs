// Truth: two atomics of one line, each with a thread of its own: false. `fields`: of a static struct; `slots`:
// elements of a static array; `same`: both threads count in one field: true; `readonly`: both read: none; `padded`: as
// `fields`, with lines of their own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[path = "../../truth/programs/truth.rs"]
mod truth;

#[repr(align(128))]
struct Stats {
    hits: AtomicU64,
    misses: AtomicU64,
}

#[repr(align(128))]
struct Slots([AtomicU64; 8]);

#[repr(align(128))]
struct Padded(AtomicU64);

struct PaddedStats {
    hits: Padded,
    misses: Padded,
}

static STATS: Stats = Stats { hits: AtomicU64::new(0), misses: AtomicU64::new(0) };
static SLOTS: Slots = Slots([const { AtomicU64::new(0) }; 8]);
static PADDED: PaddedStats =
    PaddedStats { hits: Padded(AtomicU64::new(0)), misses: Padded(AtomicU64::new(0)) };

#[inline(never)]
fn count(counter: &AtomicU64) {
    for _ in 0..truth::STEPS {
        counter.fetch_add(1, Relaxed);
    }
}

#[inline(never)]
fn read(counter: &AtomicU64) {
    for _ in 0..truth::STEPS {
        std::hint::black_box(counter.load(Relaxed));
    }
}

fn main() {
    let options = truth::options(&["fields", "slots", "same", "readonly", "padded"]);
    let (first, second, labels) = match options.mode.as_str() {
        "slots" => (&SLOTS.0[2], &SLOTS.0[5], ["SLOTS.0[2]|SLOTS[2]|SLOTS.__0[2]", "SLOTS.0[5]|SLOTS[5]|SLOTS.__0[5]"]),
        "same" => (&STATS.hits, &STATS.hits, ["STATS.hits"; 2]),
        "padded" => (&PADDED.hits.0, &PADDED.misses.0, ["PADDED.hits", "PADDED.misses"]),
        _ => (&STATS.hits, &STATS.misses, ["STATS.hits", "STATS.misses"]),
    };
    let is_read = options.mode == "readonly";
    let work = |counter| if is_read { read(counter) } else { count(counter) };
    let done = truth::run(&options, || work(first), || work(second));
    if !["readonly", "padded"].contains(&options.mode.as_str()) {
        truth::contended(first, if options.mode == "slots" { "SLOTS" } else { "STATS" });
    }
    let how = if is_read { "read" } else { "both" };
    truth::touches(first, &done[0], how, labels[0]);
    truth::touches(second, &done[1], how, labels[1]);
}
