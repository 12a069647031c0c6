// Truth: the static `TOTALS` is one line; one thread counts in `sent` (offset 0), the other in `received`
// (offset 4, four bytes). Padded: the second thread counts in `APART`, lines away.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

mod truth;

#[repr(C, align(128))]
struct Totals {
    sent: AtomicU32,
    received: AtomicU32,
    unused: AtomicU64,
}

static TOTALS: Totals =
    Totals { sent: AtomicU32::new(0), received: AtomicU32::new(0), unused: AtomicU64::new(0) };
static APART: Totals =
    Totals { sent: AtomicU32::new(0), received: AtomicU32::new(0), unused: AtomicU64::new(0) };

#[inline(never)]
fn count(field: &AtomicU32) {
    for _ in 0..truth::STEPS {
        field.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() {
    let options = truth::options(&["contended", "padded", "pinned"]);
    let other = if options.mode == "padded" { &APART } else { &TOTALS };
    let [first, second] =
        truth::run(&options, || count(&TOTALS.sent), || count(&other.received));
    if options.mode == "contended" {
        truth::contended(&TOTALS, "TOTALS");
    }
    truth::touches(&TOTALS.sent, &first, "both", "TOTALS");
    truth::touches(&other.received, &second, "both", "TOTALS");
    assert_eq!(TOTALS.unused.load(Ordering::Relaxed), 0);
}
