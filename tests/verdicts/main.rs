//! Programs whose verdict is known, and what the reports of their recordings say of it.
//!
//! `cases.rs` is the table: for each program and mode the verdict, the object, and the change to make; which
//! fields are used the running program says itself. Each case is a test, recorded by the clock (`live`);
//! the same programs' instructions and variables appear in made-up recordings of a machine with PEBS
//! (`hardware`). Two measurements print the README's tables: `rates` and `gain`.

#[path = "../support/mod.rs"]
mod support;

#[path = "../truth/compile.rs"]
#[allow(dead_code, reason = "this suite has fewer kinds of executables")]
mod compile;
#[path = "../truth/outcome.rs"]
#[allow(dead_code, reason = "what is claimed is judged by this suite itself")]
mod outcome;
#[path = "../truth/quiet.rs"]
mod quiet;
#[path = "../truth/record.rs"]
#[allow(dead_code, reason = "this suite records in one way")]
mod record;
#[path = "../truth/said.rs"]
#[allow(dead_code, reason = "these programs have no phases to say")]
mod said;

mod cases;
mod gain;
mod hardware;
mod judge;
mod live;
mod rates;
