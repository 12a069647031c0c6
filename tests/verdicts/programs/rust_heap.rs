// Truth: memory on Rust's heap.
//   slots    an `Arc<[AtomicU64]>`, an element for each thread: false
//   fields   two fields of a struct in a `Box`, counted through inlined methods: false
//   arc      both threads clone and drop an `Arc` and read what it holds: mixed
//   mutex    an `Arc<Mutex<…>>`: the lock beside what it protects: true
//   padded   as `fields`, each with lines of its own

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

#[path = "../../truth/programs/truth.rs"]
mod truth;

struct Session {
    id: u64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Session {
    fn send(&self) {
        self.sent.fetch_add(1, Relaxed);
    }

    fn receive(&self) {
        self.received.fetch_add(1, Relaxed);
    }
}

#[repr(align(128))]
struct Aligned<T>(T);

struct Settings {
    limit: u64,
    window: u64,
}

#[inline(never)]
fn send(session: &Session) {
    (0..truth::STEPS).for_each(|_| session.send());
}

#[inline(never)]
fn receive(session: &Session) {
    (0..truth::STEPS).for_each(|_| session.receive());
}

#[inline(never)]
fn count(counter: &AtomicU64) {
    (0..truth::STEPS).for_each(|_| {
        counter.fetch_add(1, Relaxed);
    });
}

#[inline(never)]
fn look(shared: &Arc<Settings>) {
    for _ in 0..truth::STEPS {
        let own = Arc::clone(std::hint::black_box(shared));
        for _ in 0..10 {
            // SAFETY: both are fields of what `own` holds.
            unsafe {
                std::ptr::read_volatile(&raw const own.limit);
                std::ptr::read_volatile(&raw const own.window);
            }
        }
    }
}

#[inline(never)]
fn add(shared: &Mutex<u64>) {
    for _ in 0..truth::STEPS / 20 {
        let mut count = shared.lock().expect("nobody panics");
        for _ in 0..20 {
            *std::hint::black_box(&mut *count) += 1;
        }
    }
}

fn same_line<T, U>(one: &T, other: &U) -> bool {
    std::ptr::from_ref(one).addr() / 64 == std::ptr::from_ref(other).addr() / 64
}

/// One of many that lies as it should.
fn choose<T>(make: impl Fn() -> T, is_right: impl Fn(&T) -> bool) -> T {
    let mut tries: Vec<T> = (0..64).map(|_| make()).collect();
    let right = tries.iter().position(is_right).expect("one of 64 lies right");
    let chosen = tries.swap_remove(right);
    std::mem::forget(tries);
    chosen
}

fn session() -> Session {
    Session { id: 7, sent: AtomicU64::new(0), received: AtomicU64::new(0) }
}

fn main() {
    let options = truth::options(&["slots", "fields", "arc", "mutex", "padded"]);
    match options.mode.as_str() {
        "slots" => {
            let make = || -> Arc<[AtomicU64]> { (0..3).map(|_| AtomicU64::new(0)).collect() };
            let slots = choose(make, |slots| same_line(&slots[0], &slots[2]));
            let done = truth::run(&options, || count(&slots[0]), || count(&slots[2]));
            truth::contended(&slots[0], "heap");
            truth::touches(&slots[0], &done[0], "both", "[0]");
            truth::touches(&slots[2], &done[1], "both", "[2]");
        }
        "fields" => {
            let own = choose(|| Box::new(session()), |own| same_line(&own.sent, &own.received));
            let done = truth::run(&options, || send(&own), || receive(&own));
            assert_eq!(own.id, 7);
            truth::contended(&own.sent, "heap");
            truth::touches(&own.sent, &done[0], "both", "sent");
            truth::touches(&own.received, &done[1], "both", "received");
        }
        "padded" => {
            let (one, other) = (Box::new(Aligned(session())), Box::new(Aligned(session())));
            let done = truth::run(&options, || send(&one.0), || receive(&other.0));
            truth::touches(&one.0.sent, &done[0], "both", "sent");
            truth::touches(&other.0.received, &done[1], "both", "received");
        }
        "arc" => {
            let strong = |own: &Arc<Settings>| {
                // The counts are right before what is held.
                let held = std::ptr::from_ref(&**own).cast::<AtomicU64>();
                held.wrapping_sub(2)
            };
            let make = || Arc::new(Settings { limit: 1, window: 2 });
            let own = choose(make, |own| strong(own).addr() / 64 == (&raw const own.window).addr() / 64);
            let done = truth::run(&options, || look(&own), || look(&own));
            truth::contended(&own.limit, "heap");
            for done in &done {
                // SAFETY: the strong count, an atomic, as long as `own` lives.
                truth::touches(unsafe { &*strong(&own) }, done, "both", "strong");
                truth::touches(&own.limit, done, "read", "limit|data.limit");
                truth::touches(&own.window, done, "read", "window|data.window");
            }
        }
        _ => {
            let own = Arc::new(Aligned(Mutex::new(0_u64)));
            let done = truth::run(&options, || add(&own.0), || add(&own.0));
            let count = own.0.lock().expect("nobody panics");
            truth::contended(&own.0, "heap");
            for done in &done {
                truth::touches(&*count, done, "both", "data");
            }
        }
    }
}
