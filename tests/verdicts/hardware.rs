//! Recordings of a machine with PEBS of the same programs: HITM loads and stores at their instructions, in
//! their variables, made up. Where instructions and variables are, the executable itself says.

mod code;
mod recording;

use crate::cases::{Case, case};
use crate::judge::Judgement;
use crate::live::build;
use crate::outcome::Outcome;
use crate::record::Program;
use crate::said::{ContendedLine, Said, Touch};
use code::Executable;
use recording::{FIRST_TID, HEAP, Hit};

/// What a thread does with some bytes.
#[derive(Debug, Clone, Copy)]
struct Use {
    thread: u32,
    /// Whose instructions do it.
    function: &'static str,
    /// The operand's displacement from the pointer in a register; it does not count where the operand names
    /// the variable.
    displacement: i64,
    /// First byte, from the object's beginning.
    at: u64,
    size: u64,
    how: &'static str,
    /// The field.
    label: &'static str,
}

/// When threads use bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    AtOnce,
    /// One after the other, in halves of the recording.
    InHalves,
}

const fn uses(
    thread: u32,
    function: &'static str,
    displacement: i64,
    (at, size): (u64, u64),
    how: &'static str,
    label: &'static str,
) -> Use {
    Use { thread, function, displacement, at, size, how, label }
}

/// What the report has to say of uses of an object: a variable, or where that is empty memory on the heap,
/// whose beginning lies so far behind that of a line.
fn check(name: &str, variable: &str, heap_offset: u64, when: When, of: &[Use]) {
    let case = case(name);
    let Some(program) = build(case) else { return };
    let outcome = outcome(case, &program, variable, heap_offset, when, of);
    let judgement = Judgement::of(case, &outcome);
    let wrong = judgement.failures(case);
    assert!(wrong.is_empty(), "{name}:\n  {}", wrong.join("\n  "));
}

fn outcome(
    case: &Case,
    program: &Program,
    variable: &str,
    heap_offset: u64,
    when: When,
    of: &[Use],
) -> Outcome {
    let executable = Executable::read(&program.path);
    let object =
        if variable.is_empty() { HEAP + heap_offset } else { executable.variable(variable) };
    let mut hits = Vec::new();
    for one in of {
        let address = object + one.at;
        let (loads, stores) =
            executable.accesses(one.function, one.displacement, (address, one.size));
        let reads = ["read", "both"].contains(&one.how);
        let writes = ["write", "both"].contains(&one.how);
        assert!(!reads || !loads.is_empty(), "{}: no load in {one:?}", case.name);
        assert!(!writes || !stores.is_empty(), "{}: no store in {one:?}", case.name);
        let hit = |is_store| move |code| Hit { thread: one.thread, code, address, is_store };
        hits.extend(loads.into_iter().filter(|_| reads).map(hit(false)));
        hits.extend(stores.into_iter().filter(|_| writes).map(hit(true)));
    }
    let said = said(case, object, of);
    let is_contended = case.verdict != "none";
    recording::write(
        &program.recording(),
        &executable,
        &hits,
        is_contended,
        when == When::InHalves,
    );
    program.reported(case.mode, said)
}

/// What the program would say.
fn said(case: &Case, object: u64, of: &[Use]) -> Said {
    let touch = |one: &Use| Touch {
        address: object + one.at,
        size: one.size,
        tid: u64::from(FIRST_TID + one.thread),
        is_read: one.how != "write",
        is_written: one.how != "read",
        label: one.label.to_owned(),
    };
    let touches: Vec<Touch> = of.iter().map(touch).collect();
    let mut said = Said { touches, ..Said::default() };
    let is_fought_over = |line: u64| {
        let on_it = || said.touches.iter().filter(|touch| touch.address / 64 == line);
        on_it().any(|one| one.is_written && on_it().any(|other| other.tid != one.tid))
    };
    let mut lines: Vec<u64> = said.touches.iter().map(|touch| touch.address / 64).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.retain(|line| case.verdict != "none" && is_fought_over(*line));
    said.contended = lines
        .into_iter()
        .map(|line| ContendedLine { addresses: vec![line * 64], label: case.object.to_owned() })
        .collect();
    said
}

const FIRST: (u64, u64) = (0, 8);

#[test]
fn slots() {
    let of = [
        uses(0, "count", 0, (8, 8), "both", "counters.slots[0].hits"),
        uses(0, "count", 8, (16, 8), "both", "counters.slots[0].misses"),
        uses(1, "count", 0, (24, 8), "both", "counters.slots[1].hits"),
        uses(1, "count", 8, (32, 8), "both", "counters.slots[1].misses"),
    ];
    check("slots", "counters", 0, When::AtOnce, &of);
}

#[test]
fn slots_by_name() {
    let of = [
        uses(0, "count_first", 0, (8, 8), "both", "counters.slots[0].hits"),
        uses(1, "count_second", 0, (24, 8), "both", "counters.slots[1].hits"),
    ];
    check("slots_by_name", "counters", 0, When::AtOnce, &of);
}

#[test]
fn fields() {
    let of = [
        uses(0, "serve", 0, (8, 8), "both", "server.served"),
        uses(1, "refuse", 0, (32, 8), "both", "server.refused"),
    ];
    check("fields", "server", 0, When::AtOnce, &of);
}

#[test]
fn flag_beside_counter() {
    let of = [
        uses(0, "watch", 0, (0, 4), "read", "state.running"),
        uses(1, "step", 0, (8, 8), "both", "state.steps"),
    ];
    check("flag_beside_counter", "state", 0, When::AtOnce, &of);
}

#[test]
fn structs_of_56_bytes() {
    // The first line has the first task and the beginning of the second one. The compiler advances the pointer
    // to the next task but one after the first load.
    const NEXT: i64 = 2 * 56;
    let of = [
        uses(0, "run_tasks", 0, FIRST, "read", "started"),
        uses(0, "run_tasks", -NEXT, FIRST, "write", "started"),
        uses(0, "run_tasks", 48 - NEXT, (48, 8), "both", "done"),
        uses(1, "run_tasks", 0, (56, 8), "read", "started"),
        uses(1, "run_tasks", -NEXT, (56, 8), "write", "started"),
    ];
    check("structs_of_56_bytes", "", 0, When::AtOnce, &of);
}

#[test]
fn two_heap_objects() {
    let of = [
        uses(0, "send_all", 0, FIRST, "both", "sent"),
        uses(1, "receive_all", 8, (40, 8), "both", "received"),
    ];
    check("two_heap_objects", "", 0, When::AtOnce, &of);
}

#[test]
fn base_and_derived() {
    let of = [
        uses(
            0,
            "receive",
            8,
            (8, 8),
            "both",
            "net::connection.received|net::connection.Connection.received",
        ),
        uses(1, "decrypt", 24, (24, 8), "both", "net::connection.decrypted"),
    ];
    check("base_and_derived", "connection", 0, When::AtOnce, &of);
}

#[test]
fn inlined_accessors() {
    let of = [
        uses(0, "3hit", 0, FIRST, "both", "hits_"),
        uses(1, "4miss", 0, (8, 8), "both", "misses_"),
    ];
    check("inlined_accessors", "", 0, When::AtOnce, &of);
}

#[test]
fn rust_static() {
    let of = [
        uses(0, "5count", 0, FIRST, "both", "STATS.hits"),
        uses(1, "5count", 0, (8, 8), "both", "STATS.misses"),
    ];
    check("rust_static", "STATS", 0, When::AtOnce, &of);
}

#[test]
fn one_counter() {
    let of = [
        uses(0, "serve", 0, (8, 8), "both", "server.served"),
        uses(1, "refuse", 0, (8, 8), "both", "server.served"),
    ];
    check("one_counter", "server", 0, When::AtOnce, &of);
}

#[test]
fn spinlock() {
    let of = |thread| {
        [
            uses(thread, "with_spinlock", 0, (0, 4), "both", "spinning.lock"),
            uses(thread, "add", 0, (8, 8), "both", "spinning.count"),
        ]
    };
    check("spinlock", "spinning", 0, When::AtOnce, &[of(0), of(1)].concat());
}

#[test]
fn bit_fields_together() {
    let label = "packed.ready|packed.closed|packed";
    let of = [
        uses(0, "ready_packed", 0, (0, 1), "both", label),
        uses(1, "close_packed", 0, (0, 1), "both", label),
    ];
    check("bit_fields_together", "packed", 0, When::AtOnce, &of);
}

#[test]
fn queue() {
    let of = [
        uses(0, "produce", 0, (8, 8), "read", "queue.head"),
        uses(0, "produce", 0, (16, 8), "write", "queue.tail"),
        uses(1, "consume", 0, (16, 8), "read", "queue.tail"),
        uses(1, "consume", 0, (8, 8), "write", "queue.head"),
    ];
    check("queue", "queue", 0, When::AtOnce, &of);
}

#[test]
fn statistics() {
    let of = [
        uses(0, "count", 0, FIRST, "both", "statistics.slots[0]"),
        uses(1, "count_and_add_up", 0, FIRST, "read", "statistics.slots[0]"),
        uses(1, "count_and_add_up", 0, (8, 8), "both", "statistics.slots[1]"),
    ];
    check("statistics", "statistics", 0, When::AtOnce, &of);
}

#[test]
fn count_beside_data() {
    let of = |thread| {
        [
            uses(thread, "own_for_a_while", 0, FIRST, "both", "owners"),
            uses(thread, "own_for_a_while", 8, (8, 8), "read", "limit"),
            uses(thread, "own_for_a_while", 16, (16, 8), "read", "window"),
        ]
    };
    check("count_beside_data", "", 0, When::AtOnce, &[of(0), of(1)].concat());
}

#[test]
fn readonly() {
    let of = [
        uses(0, "read_table", 0, FIRST, "read", "table[0]"),
        uses(1, "read_table", 0, (8, 8), "read", "table[1]"),
    ];
    check("readonly", "table", 0, When::AtOnce, &of);
}

#[test]
fn written_then_read() {
    let of = [
        uses(0, "write_then_rest", 0, FIRST, "both", "table[0]"),
        uses(1, "rest_then_read", 0, FIRST, "read", "table[0]"),
    ];
    check("written_then_read", "table", 0, When::InHalves, &of);
}

#[test]
fn slots_padded() {
    let of = [
        uses(0, "count", 0, FIRST, "both", "apart[0].slot.hits"),
        uses(1, "count", 0, (128, 8), "both", "apart[1].slot.hits"),
    ];
    check("slots_padded", "apart", 0, When::AtOnce, &of);
}
