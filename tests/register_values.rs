//! Which variables registers hold, against the code itself: each field of the programs here has an
//! offset that no other has, so the displacement of an instruction tells what its base register points
//! to.
#![cfg(target_arch = "x86_64")]

use std::path::{Path, PathBuf};
use std::process::Command;

use hitm::symbols::{ImageAddress, RegisterValue, SymbolOptions, Symbolizer, TypeKind, ValuePlace};
use iced_x86::{Decoder, DecoderOptions, Instruction, Register};
use object::{Object, ObjectSection};

#[path = "support/skipped.rs"]
#[allow(dead_code)]
mod skipped;

/// The fields by their offsets: type, field, offset.
const FIELDS: [(&str, &str, u64); 5] = [
    ("alpha", "first", 0x1110),
    ("alpha", "second", 0x1138),
    ("beta", "one", 0x2220),
    ("beta", "two", 0x2248),
    ("gamma", "only", 0x3330),
];

const C_PROGRAM: &str = r#"
#include <pthread.h>
#include <stdlib.h>
struct alpha { char pad[0x1110]; long first; char gap[0x20]; long second; };
struct beta { char pad[0x2220]; long one; char gap[0x20]; long two; };
struct gamma { char pad[0x3330]; long only; };
struct all { struct gamma *gamma; struct beta *beta; };
static inline __attribute__((always_inline)) void step(struct alpha *inner, long by)
{
    inner->first += by;
    if (inner->second > 100) inner->second = inner->first;
}
__attribute__((noinline)) long spin(struct alpha *self, volatile struct beta *other, long rounds)
{
    for (long i = 0; i < rounds; i++) {
        step(self, i);
        other->one += 1;
        if (other->two == i) return i;
    }
    return self->first;
}
__attribute__((noinline)) long follow(struct all *all, int n)
{
    struct gamma *found = all->gamma;
    struct beta *b = all->beta;
    long sum = 0;
    while (n--) {
        sum += __atomic_fetch_add(&found->only, n, __ATOMIC_RELAXED);
        b->two = sum;
    }
    return sum;
}
__attribute__((noinline)) long late(struct alpha *first, struct beta *last)
{
    long kept = first->first;
    free(malloc((size_t)kept));
    last->one = kept;
    return last->two + first->second;
}
static void *worker(void *argument)
{
    struct all *all = argument;
    follow(all, 10);
    return NULL;
}
int main(int argc, char **argv)
{
    (void)argv;
    struct alpha *a = calloc(1, sizeof *a);
    struct beta *b = calloc(1, sizeof *b);
    struct gamma *g = calloc(1, sizeof *g);
    struct all all = { g, b };
    spin(a, b, argc);
    late(a, b);
    pthread_t thread;
    pthread_create(&thread, NULL, worker, &all);
    pthread_join(thread, NULL);
    return (int)(a->first + b->one + g->only);
}
"#;

const CPP_PROGRAM: &str = r#"
#include <atomic>
#include <memory>
struct alpha { char pad[0x1110]; std::atomic<long> first; char gap[0x20]; long second;
    void add(long by) { first.fetch_add(by, std::memory_order_relaxed); second = by; }
    __attribute__((noinline)) long loop(int n) { long s = 0; while (n--) { add(n); s += second; } return s; } };
struct beta { char pad[0x2220]; long one; char gap[0x20]; long two; };
struct gamma { char pad[0x3330]; long only; };
__attribute__((noinline)) long both(alpha &a, beta *b, const std::unique_ptr<gamma> &g, int n)
{
    long sum = 0;
    gamma &inner = *g;
    for (int i = 0; i < n; i++) { a.add(i); b->one += sum; sum += b->two + inner.only; inner.only = i; }
    return sum;
}
int main(int argc, char **)
{
    auto a = std::make_unique<alpha>(); auto b = std::make_unique<beta>(); auto g = std::make_unique<gamma>();
    return (int)(a->loop(argc) + both(*a, b.get(), g, argc));
}
"#;

const RUST_PROGRAM: &str = r#"
use std::sync::atomic::{AtomicU64, Ordering};
#[repr(C)] pub struct alpha { pad: [u8; 0x1110], first: AtomicU64, gap: [u8; 0x20], second: AtomicU64 }
#[repr(C)] pub struct beta { pad: [u8; 0x2220], one: u64, gap: [u8; 0x20], two: u64 }
#[repr(C)] pub struct gamma { pad: [u8; 0x3330], only: AtomicU64 }
impl alpha {
    fn add(&self, by: u64) { self.first.fetch_add(by, Ordering::Relaxed); }
    #[inline(never)] pub fn run(&self, n: u64) -> u64 { for i in 0..n { self.add(i); self.second.store(i, Ordering::Relaxed); } self.second.load(Ordering::Relaxed) }
}
#[inline(never)] pub fn both(a: &alpha, b: &mut beta, g: &gamma, n: u64) -> u64 {
    let mut sum = 0;
    for i in 0..n { b.one += g.only.fetch_add(i, Ordering::Relaxed); a.add(b.two); b.two += i; sum += b.one; }
    sum
}
fn main() {
    let n = std::env::args().count() as u64;
    let a = Box::new(alpha { pad: [0; 0x1110], first: AtomicU64::new(n), gap: [0; 0x20], second: AtomicU64::new(n) });
    let mut b = Box::new(beta { pad: [0; 0x2220], one: n, gap: [0; 0x20], two: n });
    let g = Box::new(gamma { pad: [0; 0x3330], only: AtomicU64::new(n) });
    println!("{} {}", a.run(n), both(&a, &mut b, &g, n));
}
"#;

/// Compiles a program; `None`, said aloud, where that cannot be done.
fn compile(directory: &Path, name: &str, text: &str, flags: &[&str]) -> Option<PathBuf> {
    let source = directory.join(name);
    std::fs::write(&source, text).expect("the source is written");
    let path = source.with_extension("out");
    let compiler = match name.rsplit('.').next() {
        Some("c") => "cc",
        Some("rs") => "rustc",
        _ => "c++",
    };
    let mut command = Command::new(compiler);
    command.arg("-g").args(flags).arg("-o").arg(&path).arg(&source).current_dir(directory);
    match command.output() {
        Ok(output) if output.status.success() => Some(path),
        Ok(output) => {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            skipped::skipped(&format!("{command:?} fails here: {message}"));
            None
        }
        Err(error) => {
            skipped::skipped(&format!("{command:?} does not run here: {error}"));
            None
        }
    }
}

/// The instructions with a displacement that only one field has.
fn accesses(path: &Path) -> Vec<(u64, u16, usize, String)> {
    let bytes = std::fs::read(path).expect("read");
    let file = object::File::parse(&*bytes).expect("an image");
    let text = file.section_by_name(".text").expect("code");
    let code = text.data().expect("its bytes");
    let mut decoder = Decoder::with_ip(64, code, text.address(), DecoderOptions::NONE);
    let mut found = Vec::new();
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let displacement = instruction.memory_displacement64();
        let field = FIELDS.iter().position(|(.., offset)| *offset == displacement);
        let (Some(field), Some(register)) = (field, number(instruction.memory_base())) else {
            continue;
        };
        if instruction.memory_index() == Register::None {
            found.push((instruction.ip(), register, field, format!("{:?}", instruction.code())));
        }
    }
    found
}

/// The DWARF number of a register; none for the frame's own.
fn number(register: Register) -> Option<u16> {
    use Register::*;
    let order = [RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15];
    let number = order.iter().position(|one| *one == register)? as u16;
    (register != RSP).then_some(number)
}

/// The name of the structure that a value points to, without scopes.
fn points_to(value: &RegisterValue) -> Option<String> {
    let of = value.data_type.as_ref()?.stripped();
    if value.part.is_some() || !matches!(of.kind(), TypeKind::Pointer | TypeKind::Reference) {
        return None;
    }
    let name = of.target()?.stripped().plain_name()?;
    Some(name.rsplit("::").next()?.to_owned())
}

/// Asks about each access; returns how many there were and how many were answered for certain.
fn ask(path: &Path) -> (usize, usize) {
    let mut symbolizer = Symbolizer::new(SymbolOptions::default());
    let image = symbolizer.image(path, None);
    let accesses = accesses(path);
    let mut answered = 0;
    for (at, register, field, text) in &accesses {
        let (structure, name, offset) = FIELDS[*field];
        let values = symbolizer.value_in_register(image, ImageAddress(*at), *register);
        let mut right = false;
        for value in values.iter().filter(|value| value.certain) {
            let ValuePlace::Value { offset: 0 } = value.place else { continue };
            let Some(target) = points_to(value) else { continue };
            assert_eq!(target, structure, "{value:?} at {at:#x}: {text}");
            let of = value.data_type.as_ref().and_then(|of| of.stripped().target());
            let found = of.expect("a target").path_at(offset, 8).expect("inside");
            assert_eq!(found.field.path, name, "{text}");
            right = true;
        }
        answered += usize::from(right);
    }
    assert_eq!(symbolizer.problems().len(), 0, "{:?}", symbolizer.problems());
    (accesses.len(), answered)
}

/// Without optimisation every variable is in memory, and each base register was loaded from it by the
/// instruction before. The variable of that load must be the pointer; returns how many were.
fn ask_about_loads(path: &Path) -> usize {
    let mut symbolizer = Symbolizer::new(SymbolOptions::default());
    let image = symbolizer.image(path, None);
    let accesses = accesses(path);
    let mut answered = 0;
    for (at, register, field, text) in &accesses {
        let Some((load, from, displacement)) = load_before(path, *at, *register) else { continue };
        let found = symbolizer.variable_at_operand(image, ImageAddress(load), from, displacement);
        let (value, offset) = found.unwrap_or_else(|| panic!("nothing at {load:#x}: {text}"));
        assert_eq!(offset, 0, "{value:?}");
        assert_eq!(points_to(&value).as_deref(), Some(FIELDS[*field].0), "{value:?}");
        answered += 1;
    }
    answered
}

/// The instruction right before one, if it loads a register from the frame.
fn load_before(path: &Path, at: u64, register: u16) -> Option<(u64, u16, i64)> {
    let bytes = std::fs::read(path).expect("read");
    let file = object::File::parse(&*bytes).expect("an image");
    let text = file.section_by_name(".text").expect("code");
    let code = text.data().expect("its bytes");
    let mut decoder = Decoder::with_ip(64, code, text.address(), DecoderOptions::NONE);
    let mut before = Instruction::default();
    for instruction in decoder.iter() {
        if instruction.ip() == at {
            break;
        }
        before = instruction;
    }
    let is_load = before.code() == iced_x86::Code::Mov_r64_rm64
        && number(before.op0_register()) == Some(register)
        && before.memory_base() == Register::RBP;
    is_load.then(|| (before.ip(), 6, before.memory_displacement64().cast_signed()))
}

#[test]
fn pointers_in_the_frame_are_found_by_their_loads() {
    let directory = tempfile::tempdir().expect("a directory");
    for flags in [&["-O0"][..], &["-O0", "-gdwarf-4"]] {
        let Some(path) = compile(directory.path(), "program.c", C_PROGRAM, flags) else { return };
        let answered = ask_about_loads(&path);
        assert!(answered >= 10, "only {answered}");
    }
}

/// Accesses, and how many of ten must be answered for certain; the others have no variable there.
fn check(name: &str, text: &str, forms: &[&[&str]], at_least: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    for flags in forms {
        let Some(path) = compile(directory.path(), name, text, flags) else { return };
        let (all, answered) = ask(&path);
        eprintln!("{name} {flags:?}: {answered} of {all}");
        assert!(all >= 8, "{flags:?}: only {all} accesses");
        assert!(answered * 10 >= all * at_least, "{flags:?}: {answered} of {all}");
    }
}

#[test]
fn registers_of_a_c_program() {
    check(
        "program.c",
        C_PROGRAM,
        &[
            &["-O1"],
            &["-O2"],
            &["-O3"],
            &["-O2", "-gdwarf-4"],
            &["-O2", "-gsplit-dwarf"],
            &["-O2", "-gdwarf-4", "-gsplit-dwarf"],
            &["-O2", "-fdebug-types-section"],
        ],
        8,
    );
}

#[test]
fn registers_of_a_cpp_program() {
    check("program.cc", CPP_PROGRAM, &[&["-O1"], &["-O2"], &["-O3"]], 7);
}

#[test]
fn registers_of_a_rust_program() {
    let allow = "-Anon_camel_case_types";
    check("program.rs", RUST_PROGRAM, &[&["-O", allow], &["-C", "opt-level=1", allow]], 7);
}
