//! Variables and fields of programs that are compiled here.

use std::path::{Path, PathBuf};
use std::process::Command;

use hitm::render::LayoutStyle;
use hitm::report::Layout;
use hitm::symbols::{
    DataVariable, FieldExtent, ImageAddress, ImageId, Language, SymbolOptions, Symbolizer,
};
use object::{Object, ObjectSymbol};

#[path = "support/skipped.rs"]
#[allow(dead_code)]
mod skipped;

const C_PROGRAM: &str = r#"
#include <stdatomic.h>
#include <pthread.h>
struct slot { long hits; int small; char text[12]; };
struct flags { unsigned a : 3; unsigned b : 5; unsigned c : 24; char tail; };
union either { long whole; int half[2]; double real; };
struct counters {
    struct slot slots[8];
    union either u;
    struct flags f;
    _Atomic long atomic;
    struct { int in; union { int x; float y; }; };
    short matrix[3][4];
    char hole_before; long after; pthread_mutex_t lock;

};
struct counters counters = { .u = { .whole = 3 } };
static volatile int hidden = 7;
_Thread_local long mine = 4;
_Thread_local struct slot my_slot;
struct open { int n; struct slot rest[]; };
struct open opened = { 2, { { 1 }, { 2 } } };
extern int unknown_size[];
int unknown_size[5] = { 1 };
long bump(int by)
{
    static long calls;
    calls += by;
    return calls + hidden + mine + my_slot.hits + unknown_size[by] + opened.rest[by].hits;
}
int main(int argc, char **argv)
{
    (void)argv;
    counters.slots[argc].hits += bump(argc);
    return (int)counters.slots[1].hits;
}
"#;

const CPP_PROGRAM: &str = r#"
#include <atomic>
#include <mutex>
namespace ns {
struct Base { virtual ~Base() = default; int base_field = 1; };
struct Other { long other_field = 2; };
template <class T> struct Derived : Base, Other { T value; std::atomic<long> hits; std::mutex lock; };
Derived<int> derived;
struct Virtual : virtual Base { int v; };
class Holder { public: static long total; static std::atomic<int> ready; };
long Holder::total = 5;
std::atomic<int> Holder::ready{1};
}
namespace { std::atomic<unsigned> hidden{3}; }
struct Tail { int a; char b; Tail() {} };
struct Empty {};
struct Reuses : Empty, Tail { char c; };
Reuses reuses;
ns::Virtual virtually;
int count() { static int calls = 0; return ++calls; }
int main(int argc, char **)
{
    ns::derived.hits += argc;
    hidden += 1;
    ns::Holder::ready += 1;
    return (int)(ns::derived.hits + ns::Holder::total + count() + hidden);
}
"#;

const RUST_PROGRAM: &str = r#"
use std::sync::Mutex;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, AtomicBool, Ordering};
pub mod inner {
    use super::*;
    #[repr(C)]
    pub struct Slot { pub hits: AtomicU64, pub ready: AtomicBool, pub pair: (u32, u16) }
    pub static TABLE: [Slot; 4] = [const { Slot { hits: AtomicU64::new(0), ready: AtomicBool::new(false), pair: (1, 2) } }; 4];
}
#[repr(C)]
pub enum Shape { Circle { radius: u64 }, Square(u32, u64), None }
pub struct Guarded { pub total: u64, pub last: u64 }
pub static LOCKED: Mutex<Guarded> = Mutex::new(Guarded { total: 1, last: 2 });
pub struct Cell(UnsafeCell<Shape>);
unsafe impl Sync for Cell {}
pub static SHAPE: Cell = Cell(UnsafeCell::new(Shape::Circle { radius: 3 }));
fn main() {
    let n = std::env::args().count();
    inner::TABLE[n].hits.fetch_add(1, Ordering::Relaxed);
    inner::TABLE[n].ready.store(true, Ordering::Relaxed);
    LOCKED.lock().unwrap().total += n as u64;
    unsafe { *std::hint::black_box(SHAPE.0.get()) = if n > 3 { Shape::Square(1, 2) } else if n > 7 { Shape::None } else { Shape::Circle { radius: 1 } } };
    println!("{} {}", inner::TABLE[n].hits.load(Ordering::Relaxed), LOCKED.lock().unwrap().last);
}
"#;

struct Built {
    path: PathBuf,
    symbolizer: Symbolizer,
    image: ImageId,
}

fn run(command: &mut Command) -> bool {
    match command.output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            skipped::skipped(&format!("{command:?} fails here: {message}"));
            false
        }
        Err(error) => {
            skipped::skipped(&format!("{command:?} does not run here: {error}"));
            false
        }
    }
}

fn build(directory: &Path, name: &str, text: &str, flags: &[&str]) -> Option<Built> {
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
    run(&mut command).then(|| open(&path))
}

fn open(path: &Path) -> Built {
    let mut symbolizer = Symbolizer::new(SymbolOptions::default());
    let image = symbolizer.image(path, None);
    Built { path: path.to_owned(), symbolizer, image }
}

impl Built {
    fn address(&self, contains: &str) -> u64 {
        let bytes = std::fs::read(&self.path).expect("read");
        let file = object::File::parse(&*bytes).expect("an image");
        file.symbols()
            .find(|symbol| symbol.name().is_ok_and(|name| name == contains))
            .or_else(|| {
                file.symbols()
                    .find(|symbol| symbol.name().is_ok_and(|name| name.contains(contains)))
            })
            .unwrap_or_else(|| panic!("{contains} is no symbol"))
            .address()
    }

    fn variable(&mut self, symbol: &str) -> DataVariable {
        let address = self.address(symbol);
        let found = self.symbolizer.variable_at(self.image, ImageAddress(address));
        assert_eq!(self.symbolizer.problems().len(), 0, "{:?}", self.symbolizer.problems());
        found.unwrap_or_else(|| panic!("no variable at {symbol}"))
    }
}

fn path(variable: &DataVariable, offset: u64, size: u64) -> (String, FieldExtent) {
    let data_type = variable.data_type.as_ref().expect("a type");
    let found = data_type.path_at(offset, size).expect("inside");
    (found.field.of(&variable.name), found.extent)
}

fn check(variable: &DataVariable, expected: &[(u64, u64, &str)]) {
    for &(offset, size, wanted) in expected {
        let (found, extent) = path(variable, offset, size);
        assert_eq!(found, wanted, "at {offset} of {} bytes: {extent:?}", size);
    }
}

fn check_c(built: &mut Built) {
    let counters = built.variable("counters");
    assert_eq!((counters.name.as_str(), counters.language), ("counters", Language::C));
    let data_type = counters.data_type.clone().expect("a type");
    assert_eq!(data_type.name(), "struct counters");
    assert_eq!(counters.size, data_type.size().expect("sized"));
    assert_eq!(counters.declared_at.clone().expect("declared").line, 17);
    let slot = 24;
    let u = 8 * slot;
    check(
        &counters,
        &[
            (3 * slot, 8, "counters.slots[3].hits"),
            (3 * slot + 8, 4, "counters.slots[3].small"),
            (3 * slot + 12 + 5, 1, "counters.slots[3].text[5]"),
            (slot + 12, 8, "counters.slots[1].text[0...7]"),
            (u, 8, "counters.u.{whole|real}"),
            (u + 4, 4, "counters.u.half[1]"),
            (u + 8, 1, "counters.f.{a|b}"),
            (u + 9, 1, "counters.f.c"),
            (u + 8, 4, "counters.f.{a|b|c}"),
            (u + 12, 1, "counters.f.tail"),
            (u + 16, 8, "counters.atomic"),
            (u + 24, 4, "counters.in"),
            (u + 28, 4, "counters.{x|y}"),
            (u + 32 + 2 * 8 + 2, 2, "counters.matrix[2][1]"),
            (u + 56, 1, "counters.hole_before"),
            (u + 60, 4, "counters"),
            (u + 64, 8, "counters.after"),
            (u + 72, 4, "counters.lock"),
        ],
    );
    assert!(matches!(path(&counters, u, 8).1, FieldExtent::Alternatives(_)));
    assert!(matches!(path(&counters, u + 8, 1).1, FieldExtent::BitFields(_)));
    assert_eq!(path(&counters, u + 60, 4).1, FieldExtent::Padding);
    assert!(matches!(path(&counters, slot, 16).1, FieldExtent::Several(_)));
    assert_eq!(built.variable("hidden").name, "hidden");
    let calls = built.variable("calls");
    assert_eq!((calls.name.as_str(), calls.size), ("bump::calls", 8));
    assert_eq!(built.variable("unknown_size").size, 20);
    let opened = built.variable("opened");
    check(&opened, &[(0, 4, "opened.n"), (8 + slot, 8, "opened.rest[1].hits")]);
    let inside = ImageAddress(built.address("opened") + 8 + slot + 8);
    let opened = built.symbolizer.variable_at(built.image, inside).expect("a variable");
    assert_eq!((opened.name.as_str(), opened.size), ("opened", 8 + 2 * slot));
    check(&opened, &[(8 + slot + 8, 4, "opened.rest[1].small")]);
    let listed: Vec<(u64, u64, String)> = data_type
        .fields_in(u - 24, u + 32)
        .into_iter()
        .map(|field| (field.offset + 24 - u, field.size, field.path))
        .filter(|(.., path)| !path.contains("text"))
        .collect();
    let expected = [
        (0, 8, "slots[7].hits"),
        (8, 4, "slots[7].small"),
        (24, 8, "u.whole"),
        (24, 4, "u.half[0]"),
        (24, 8, "u.real"),
        (28, 4, "u.half[1]"),
        (32, 1, "f.a"),
        (32, 1, "f.b"),
        (33, 3, "f.c"),
        (36, 1, "f.tail"),
        (40, 8, "atomic"),
        (48, 4, "in"),
        (52, 4, "x"),
        (52, 4, "y"),
    ];
    let expected = expected.map(|(offset, size, path)| (offset, size, path.to_owned()));
    assert_eq!(listed, expected);
    assert_eq!(data_type.fields_in(0, u64::MAX).len(), 139);
    let neighbours = ImageAddress(counters.address)..ImageAddress(counters.address + 64);
    let all = built.symbolizer.variables_in(built.image, neighbours);
    assert!(all.iter().any(|one| one.name == "counters"), "{all:?}");
    let offset = built.address("my_slot");
    let own = built.symbolizer.thread_local_at(built.image, offset + 8).expect("a variable");
    assert_eq!((own.name.as_str(), own.thread_local, own.size), ("my_slot", true, 24));
}

fn check_cpp(built: &mut Built) {
    let derived = built.variable("_ZN2ns7derivedE");
    assert_eq!((derived.name.as_str(), derived.language), ("ns::derived", Language::Cpp));
    let data_type = derived.data_type.clone().expect("a type");
    assert_eq!(data_type.name(), "ns::Derived<int>");
    check(
        &derived,
        &[
            (0, 8, "ns::derived.(virtual table)"),
            (8, 4, "ns::derived.base_field"),
            (16, 8, "ns::derived.other_field"),
            (24, 4, "ns::derived.value"),
            (32, 8, "ns::derived.hits"),
            (40, 4, "ns::derived.lock"),
        ],
    );
    let reuses = built.variable("reuses");
    check(&reuses, &[(0, 4, "reuses.a"), (4, 1, "reuses.b"), (5, 1, "reuses.c"), (6, 1, "reuses")]);
    let remote = built.variable("virtually");
    check(&remote, &[(8, 4, "virtually.v")]);
    let (_, extent) = path(&remote, 16, 8);
    assert_eq!(extent, FieldExtent::Alternatives(vec!["(virtual base ns::Base)".to_owned()]));
    assert_eq!(built.variable("_ZN2ns6Holder5totalE").name, "ns::Holder::total");
    let ready = built.variable("_ZN2ns6Holder5readyE");
    check(&ready, &[(0, 4, "ns::Holder::ready")]);
    let hidden = built.variable("hidden");
    assert_eq!(hidden.name, "(anonymous namespace)::hidden");
    check(&hidden, &[(0, 4, "(anonymous namespace)::hidden")]);
    assert_eq!(built.variable("calls").name, "count::calls");
}

fn check_rust(built: &mut Built) {
    let table = built.variable("5inner5TABLE");
    assert_eq!(table.language, Language::Rust);
    let expected = [
        (0, 8, "TABLE[0].hits"),
        (24, 8, "TABLE[1].hits"),
        (32, 1, "TABLE[1].ready"),
        (36, 4, "TABLE[1].pair.0"),
        (40, 2, "TABLE[1].pair.1"),
    ];
    let prefix = "program::inner::";
    for (offset, size, wanted) in expected {
        assert_eq!(path(&table, offset, size).0, format!("{prefix}{wanted}"));
    }
    let locked = built.variable("6LOCKED");
    check(&locked, &[(8, 8, "program::LOCKED.data.total"), (16, 8, "program::LOCKED.data.last")]);
    let shape = built.variable("5SHAPE");
    check(
        &shape,
        &[
            (0, 4, "program::SHAPE.(discriminant)"),
            (8, 4, "program::SHAPE.Square.0"),
            (8, 8, "program::SHAPE.Circle.radius"),
            (16, 8, "program::SHAPE.Square.1"),
        ],
    );
}

/// Forms of debug information.
const FORMS: &[&[&str]] = &[
    &["-gdwarf-4"],
    &["-gdwarf-5"],
    &["-gdwarf-5", "-O2"],
    &["-gdwarf-4", "-fdebug-types-section"],
    &["-gdwarf-5", "-fdebug-types-section"],
    &["-gz"],
    &["-gdwarf-4", "-gsplit-dwarf"],
    &["-gdwarf-5", "-gsplit-dwarf"],
    &["-gdwarf-4", "-gsplit-dwarf", "-fdebug-types-section"],
    &["-gdwarf-5", "-gsplit-dwarf", "-fdebug-types-section"],
];

#[test]
fn variables_and_fields_of_a_c_program() {
    let directory = tempfile::tempdir().expect("a directory");
    for flags in FORMS {
        eprintln!("{flags:?}");
        if let Some(mut built) = build(directory.path(), "program.c", C_PROGRAM, flags) {
            check_c(&mut built);
        }
    }
}

#[test]
fn variables_and_fields_of_a_cpp_program() {
    let directory = tempfile::tempdir().expect("a directory");
    for flags in FORMS {
        eprintln!("{flags:?}");
        if let Some(mut built) = build(directory.path(), "program.cc", CPP_PROGRAM, flags) {
            check_cpp(&mut built);
        }
    }
}

#[test]
fn variables_and_fields_of_a_rust_program() {
    let directory = tempfile::tempdir().expect("a directory");
    for flags in [&[][..], &["-O"], &["-C", "split-debuginfo=unpacked"]] {
        eprintln!("{flags:?}");
        if let Some(mut built) = build(directory.path(), "program.rs", RUST_PROGRAM, flags) {
            check_rust(&mut built);
        }
    }
}

/// All questions about an image, and how many variables with a type were found.
fn ask_everything(path: &Path) -> usize {
    let mut built = open(path);
    let (symbolizer, image) = (&mut built.symbolizer, built.image);
    let mut found = symbolizer.variables_in(image, ImageAddress(0x3000)..ImageAddress(0x6000));
    found.extend((0..64).step_by(8).filter_map(|at| symbolizer.thread_local_at(image, at)));
    let mut types: Vec<_> = found.iter().filter_map(|one| one.data_type.clone()).collect();
    let typed = types.len();
    for name in ["slot", "struct counters", "union either", "open", "flags", "Derived", "mutex"] {
        types.extend(symbolizer.types_named(image, name));
    }
    for of in types {
        let (_, _, _) = (of.name(), of.alignment(), of.declared_at());
        for at in (0..320).step_by(7) {
            let _ = of.path_at(at, 1 + at % 16);
            assert!(of.fields_in(at, at + 64).len() <= 256);
        }
        let _ = (of.path_at(u64::MAX, u64::MAX), of.fields_in(0, u64::MAX));
        if let Some(layout) = Layout::of(&of, true) {
            let _ = hitm::render::layout(&layout, &LayoutStyle::default(), None);
        }
    }
    for at in (0x1000..0x1600).step_by(5) {
        let values = symbolizer.register_values(image, ImageAddress(at));
        assert!(values.len() <= 4096);
    }
    for (_, problem) in symbolizer.problems() {
        assert!(problem.to_string().ends_with('.'), "{problem}");
    }
    typed
}

#[test]
fn damaged_debug_information_never_panics() {
    let directory = tempfile::tempdir().expect("a directory");
    let sources = [
        ("c4.c", C_PROGRAM, "-gdwarf-4"),
        ("c5.c", C_PROGRAM, "-gdwarf-5"),
        ("t4.cc", CPP_PROGRAM, "-fdebug-types-section"),
    ];
    for (name, text, flag) in sources {
        let Some(built) = build(directory.path(), name, text, &[flag]) else { return };
        let original = std::fs::read(&built.path).expect("read");
        let parsed = object::File::parse(&*original).expect("an image");
        use object::ObjectSection;
        let sections: Vec<(usize, usize)> = parsed
            .sections()
            .filter(|section| section.name().is_ok_and(|name| name.starts_with(".debug")))
            .filter_map(|section| section.file_range())
            .map(|(offset, size)| (offset as usize, size as usize))
            .collect();
        let info = sections.iter().max_by_key(|(_, size)| *size).copied().expect("a section");
        // A small generator with a fixed seed: a failure can be repeated.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let path = directory.path().join("damaged");
        let mut typed = 0;
        for round in 0..100 {
            let mut bytes = original.clone();
            let (start, size) =
                if round % 2 == 0 { info } else { sections[random(sections.len())] };
            for _ in 0..=random(12) {
                bytes[start + random(size)] = random(256) as u8;
            }
            std::fs::write(&path, &bytes).expect("written");
            typed += usize::from(ask_everything(&path) > 0);
            std::fs::remove_file(&path).expect("removed");
        }
        assert!(typed > 30, "only {typed} of 100 got past the damage");
    }
}
