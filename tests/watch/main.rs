//! Debug registers on programs whose truth is known, because they say it themselves: by hand, and
//! beside the clock. The programs are those of `tests/truth`.

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code)]
#[path = "../truth/compile.rs"]
mod compile;
#[allow(dead_code)]
#[path = "../truth/outcome.rs"]
mod outcome;
#[path = "../truth/quiet.rs"]
mod quiet;
#[allow(dead_code)]
#[path = "../truth/record.rs"]
mod record;
#[allow(dead_code)]
#[path = "../truth/said.rs"]
mod said;

mod alongside;
mod by_hand;
mod errors;
mod running;
mod uses;
