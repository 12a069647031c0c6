//! The table: each program and mode, and what is to be said of it.

use crate::compile::Build::{self, C, CPlusPlus, Rust};

/// What is to be said of a program.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Name of the test.
    pub name: &'static str,
    pub program: &'static str,
    pub build: Build,
    pub mode: &'static str,
    /// `false`, `true`, `mixed`, or `none`: nothing is claimed.
    pub verdict: &'static str,
    /// Kind of the object in each line that is claimed.
    pub kind: &'static str,
    /// Its name, or several with `|` between; empty where there is none.
    pub object: &'static str,
    /// Kinds of advice that are right.
    pub advice: &'static [&'static str],
    /// The mode without the contention, if there is one.
    pub twin: Option<&'static str>,
}

/// Advice to part what different threads use: members of a struct.
const MEMBERS: &[&str] = &["align", "reorder", "split"];
/// The same where a part of it is used by several threads whatever the layout is.
const MIXED: &[&str] = &["align", "reorder", "split", "shard"];
const MIXED_ELEMENTS: &[&str] = &["pad", "align", "shard"];
/// Elements of an array.
const ELEMENTS: &[&str] = &["pad", "align"];
/// The allocation is to blame, or the type's size and it.
const ALLOCATION: &[&str] = &["allocate"];
const ALLOCATED_ELEMENTS: &[&str] = &["pad", "align", "allocate"];
const OBJECTS: &[&str] = &["align", "pad", "split"];
/// No layout helps.
const SHARED: &[&str] = &["shard"];
const LOCK: &[&str] = &["lock", "shard"];
const BESIDE_LOCK: &[&str] = &["lock", "align", "reorder", "split"];
const NONE: &[&str] = &[];

macro_rules! cases {
    ($($name:ident: $program:literal $build:ident $mode:literal, $verdict:literal $kind:literal $object:literal
       $advice:ident $twin:expr;)*) => {
        /// All cases.
        pub const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            program: $program,
            build: $build,
            mode: $mode,
            verdict: $verdict,
            kind: $kind,
            object: $object,
            advice: $advice,
            twin: $twin,
        }),*];

        /// Each case as a test.
        mod recorded {
            $(#[test]
            fn $name() {
                crate::live::check(stringify!($name));
            })*
        }
    };
}

/// The cases that `HITM_CASES` names, with blanks between; without it, all.
pub fn wanted() -> impl Iterator<Item = &'static Case> {
    let names = std::env::var("HITM_CASES").unwrap_or_default();
    CASES.iter().filter(move |case| {
        names.trim().is_empty() || names.split_whitespace().any(|name| name == case.name)
    })
}

/// One by its name.
pub fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).expect("names are those of the table")
}

cases! {
    // Different bytes.
    slots: "slots" C "contended", "false" "global" "counters" ELEMENTS Some("padded");
    slots_by_name: "slots" C "global", "false" "global" "counters" ELEMENTS None;
    fields: "fields" C "contended", "false" "global" "server" MEMBERS Some("padded");
    flag_beside_counter: "flag" C "contended", "false" "global" "state" MEMBERS Some("padded");
    structs_of_56_bytes: "tasks" C "contended", "false" "heap" "" ALLOCATED_ELEMENTS Some("padded");
    lines_that_straddle: "straddle" C "contended", "false" "heap" "" ALLOCATION Some("padded");
    two_heap_objects: "two_objects" C "contended", "false" "heap" "" ALLOCATION Some("padded");
    two_variables: "neighbours" C "contended", "false" "global" "hits" OBJECTS Some("padded");
    bit_fields_apart: "bit_fields" C "contended", "false" "global" "units" MEMBERS Some("padded");
    union_halves: "unions" C "contended", "false" "global" "cell" MEMBERS Some("padded");
    vector_halves: "halves" C "contended", "false" "global" "samples" ELEMENTS Some("padded");
    lent_thread_local: "tls" C "lent", "false" "thread-local" "counts" MEMBERS Some("padded");
    lent_stack: "stack" C "contended", "false" "stack" "" MEMBERS Some("padded");
    forked_processes: "processes" C "contended", "false" "shared" "" MEMBERS Some("padded");
    base_and_derived: "objects" CPlusPlus "inheritance", "false" "global" "net::connection" MEMBERS None;
    inlined_accessors: "objects" CPlusPlus "atomics", "false" "heap" "" MEMBERS Some("padded");
    static_member: "statics" CPlusPlus "member", "false" "global" "Registry::counts" MEMBERS Some("padded");
    function_static: "statics" CPlusPlus "local", "false" "global" "local" MEMBERS None;
    unnamed_namespace: "statics" CPlusPlus "anonymous", "false" "global" "hidden" MEMBERS None;
    rust_static: "rust_statics" Rust "fields", "false" "global" "STATS" MEMBERS Some("padded");
    rust_slots: "rust_statics" Rust "slots", "false" "global" "SLOTS" ELEMENTS None;
    rust_arc_of_slots: "rust_heap" Rust "slots", "false" "heap" "" ALLOCATED_ELEMENTS None;
    rust_boxed_fields: "rust_heap" Rust "fields", "false" "heap" "" MEMBERS Some("padded");

    // The same bytes.
    one_counter: "fields" C "same", "true" "global" "server" SHARED None;
    ticket_lock: "locks" C "ticket", "true" "global" "ticketed" LOCK None;
    spinlock: "locks" C "spin", "true" "global" "spinning" LOCK None;
    mutex: "locks" C "mutex", "true" "global" "guarded" LOCK None;
    padded_queue: "queue" C "padded", "true" "global" "padded_queue" SHARED None;
    padded_statistics: "statistics" C "padded", "true" "global" "padded_statistics" SHARED None;
    mailbox: "mailbox" C "contended", "true" "global" "mailbox|answer" SHARED None;
    bit_fields_together: "bit_fields" C "same", "true" "global" "packed" SHARED None;
    union_whole: "unions" C "same", "true" "global" "cell" SHARED None;
    mapped_elsewhere: "processes" C "same", "true" "shared" "" SHARED None;
    one_atomic: "objects" CPlusPlus "same", "true" "heap" "" SHARED None;
    rust_one_atomic: "rust_statics" Rust "same", "true" "global" "STATS" SHARED None;
    rust_mutex: "rust_heap" Rust "mutex", "true" "heap" "" LOCK None;

    // Both.
    queue: "queue" C "contended", "mixed" "global" "queue" MIXED Some("padded");
    statistics: "statistics" C "contended", "mixed" "global" "statistics" MIXED_ELEMENTS Some("padded");
    limit_beside_mutex: "locks" C "limit", "mixed" "global" "guarded" BESIDE_LOCK Some("padded");
    count_beside_data: "objects" CPlusPlus "intrusive", "mixed" "heap" "" MIXED None;
    shared_pointer: "objects" CPlusPlus "shared_ptr", "mixed" "heap" "" MIXED None;
    rust_arc: "rust_heap" Rust "arc", "mixed" "heap" "" MIXED None;

    // Nothing to claim.
    readonly: "no_contention" C "readonly", "none" "" "" NONE None;
    written_then_read: "no_contention" C "init", "none" "" "" NONE None;
    reuse_after_free: "no_contention" C "reuse", "none" "" "" NONE None;
    private_blocks: "no_contention" C "private", "none" "" "" NONE None;
    rarely_written: "no_contention" C "settings", "none" "" "" NONE None;
    handed_over: "no_contention" C "handover", "none" "" "" NONE None;
    lines_side_by_side: "no_contention" C "neighbours", "none" "" "" NONE None;
    own_thread_local: "tls" C "padded", "none" "" "" NONE None;
    slots_padded: "slots" C "padded", "none" "" "" NONE None;
    fields_on_one_cpu: "fields" C "pinned", "none" "" "" NONE None;
    heap_padded: "tasks" C "padded", "none" "" "" NONE None;
    lines_aligned: "straddle" C "padded", "none" "" "" NONE None;
    processes_padded: "processes" C "padded", "none" "" "" NONE None;
    accessors_padded: "objects" CPlusPlus "padded", "none" "" "" NONE None;
    rust_readonly: "rust_statics" Rust "readonly", "none" "" "" NONE None;
    rust_padded: "rust_heap" Rust "padded", "none" "" "" NONE None;
}
