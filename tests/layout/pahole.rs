//! Every structure of a C program and of a C++ program, as `pahole` has it.

use std::path::Path;
use std::process::Command;

use hitm::report::{Layout, LayoutMember, LayoutRole};

use crate::compiled::{Program, compile, run};
use crate::pahole_text::{Printed, PrintedMember, SUMS, parse};

/// The members as `pahole` lists them.
fn members(layout: &Layout) -> Vec<PrintedMember> {
    let mut all = Vec::new();
    collect(layout, &mut all);
    all
}

fn collect(layout: &Layout, all: &mut Vec<PrintedMember>) {
    for member in &layout.members {
        if let Some(inner) = &member.inner {
            collect(inner, all);
        }
        // Where a virtual base class is, only the running program knows.
        let Some(offset) = member.offset else { continue };
        all.push(PrintedMember {
            name: name(member),
            offset,
            bit: member.bits.map(|bits| bits.start),
            size: member.size,
        });
    }
}

fn name(member: &LayoutMember) -> String {
    match member.role {
        LayoutRole::Data => member.name.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

/// The sums, with those left out that are zero, as `pahole` does.
fn sums(layout: &Layout) -> Vec<(&'static str, u64)> {
    let sums = layout.sums();
    let values = [
        layout.size,
        sums.members as u64,
        sums.member_bytes,
        sums.holes as u64,
        sums.hole_bytes,
        sums.member_bits,
        sums.bit_holes as u64,
        sums.hole_bits,
        sums.padding,
        sums.bit_padding,
    ];
    SUMS.into_iter().zip(values).collect()
}

/// What differs between a layout and what `pahole` printed; none if nothing does.
fn difference(layout: &Layout, printed: &Printed) -> Option<String> {
    let mut theirs = printed.members.clone();
    theirs.retain(|member| member.offset < u64::from(u32::MAX));
    let mut ours = members(layout);
    for member in &mut theirs {
        // Nor is it certain which of its classes without data have a byte.
        let empty = PrintedMember { size: 0, ..member.clone() };
        if member.size == 1 && ours.contains(&empty) {
            *member = empty;
        }
    }
    // Base classes without data have one byte for it at one time, and none at another.
    let is_empty_base = |member: &PrintedMember| member.name.is_empty() && member.size <= 1;
    for members in [&mut ours, &mut theirs] {
        members.retain(|member| !is_empty_base(member));
        // Members of one offset may stand in any order.
        members.sort();
    }
    if ours != theirs {
        let only = |of: &[PrintedMember], other: &[PrintedMember]| {
            of.iter().filter(|one| !other.contains(one)).cloned().collect::<Vec<_>>()
        };
        let (own, printed) = (only(&ours, &theirs), only(&theirs, &ours));
        return Some(format!("members {own:?}, and by pahole {printed:?}"));
    }
    let is_empty = ours.iter().all(|member| member.size == 0);
    if printed.contradicts_itself || printed.has_virtual_base || is_empty {
        return None;
    }
    let has_base = layout.members.iter().any(|member| member.role == LayoutRole::Base);
    for (name, ours) in sums(layout) {
        // Base classes are no members in this one of its sums. It is left out where nothing is
        // between the members.
        if name == "sum members" && (has_base || !printed.sums.iter().any(|(n, _)| n == name)) {
            continue;
        }
        let theirs = printed.sums.iter().find(|(known, _)| known == name).map_or(0, |(_, v)| *v);
        // Its sum of bit-fields is missing where there is no hole of either kind.
        if name == "sum bitfield members" && theirs == 0 {
            continue;
        }
        if ours != theirs {
            return Some(format!("{name}: {ours}, and by pahole {theirs}"));
        }
    }
    None
}

/// Compares every structure of a program, and returns how many there were.
fn compare(path: &Path) -> Option<usize> {
    let mut pahole = Command::new("pahole");
    let printed = run(pahole.args(["--show_private_classes", "-F", "dwarf"]).arg(path))?;
    let printed = parse(&printed);
    let mut program = Program::open(path);
    let mut wrong = Vec::new();
    let mut compared = 0;
    for one in printed.iter().filter(|one| !one.name.starts_with("union")) {
        compared += 1;
        let types = program.types(&one.name);
        let layouts: Vec<Layout> = types.iter().filter_map(|of| Layout::of(of, false)).collect();
        let differences: Vec<Option<String>> =
            layouts.iter().map(|layout| difference(layout, one)).collect();
        if !differences.iter().any(Option::is_none) {
            wrong.push(format!("{}: {:?}", one.name, differences));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {compared} structures differ:\n{}",
        wrong.len(),
        wrong.join("\n").replace("\\n", "\n")
    );
    Some(compared)
}

pub const C_PROGRAM: &str = r#"
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/ucontext.h>
#include <elf.h>
#include <net/if.h>
#include <linux/perf_event.h>
struct inner { char c; long l; char d; };
struct bits { unsigned a:3; unsigned b:5; unsigned c:20; char tail; unsigned long x:40; unsigned long y:10; unsigned z:1; };
struct stopped { int i; unsigned a:3; unsigned :0; unsigned b:4; };
struct crossing { uint64_t a:33; uint64_t b:31; uint8_t c:7; uint8_t d:2; int32_t e:17; } ;
struct alone { unsigned only:1; };
union either { int i; char b[12]; struct inner in; };
struct nested {
    char a; struct inner in;
    union { int x; float y; struct { char p; int q; }; };
    struct { int anon; } named;
    void (*fn)(int, long);
    union either uu; int m[3][4];
    _Alignas(64) int aligned; char end;
};
struct packed { char a; long b; short c:3; int d; } __attribute__((packed));
struct flexible { int n; struct inner f[]; };
struct empty { };
struct mixed {
    struct inner a[2]; struct empty e; struct flexible *p;
    const volatile char *const s; enum { A, B } en; _Bool bl; long double ld; __int128 wide;
};
struct big { long a[8]; char c; long b[7]; int d; char pad[3]; };
struct tight { short s; struct packed p; char c; } ;
typedef struct { int a; long b; } only_typedef;
struct holder { only_typedef t; char c; };
struct self { struct self *next; struct later *later; };
struct later { struct self me; char tail; };
struct inner i; struct bits b; struct stopped s; struct crossing c; struct alone al; union either e;
struct nested n; struct packed p; struct flexible f; struct mixed m; struct big bi; struct tight t;
struct holder h; struct later l;
int main(void) { return 0; }
"#;

pub const CPP_PROGRAM: &str = r#"
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
#include <shared_mutex>
#include <condition_variable>
namespace ns {
struct Base { virtual ~Base() {} int b; static int s; void f() {} };
struct Other { long o; char oc; };
template <class T> struct Derived : Base, Other {
    T v; std::atomic<long> hits; bool flag:1; unsigned w:7;
    enum class E { a, b } e; class In { int priv; public: char c; } in;
};
struct Virtual : virtual Base { int v; };
}
struct Empty {}; struct OfEmpty : Empty { int x; };
struct Unique { [[no_unique_address]] Empty e; int x; Empty f; };
struct Tail { int a; char b; Tail() {} };
struct Reuses : Tail { char c; };
class Private { int a; protected: char b; public: long c; private: virtual void g() {} };
struct alignas(64) Line { std::atomic<int> one; std::atomic<int> two; };
struct Queue { std::atomic<size_t> head; alignas(64) std::atomic<size_t> tail; std::vector<int> items; };
struct Owner { std::unique_ptr<int> own; std::shared_ptr<int> shared; std::string name; std::mutex lock; std::map<int, int> map; };
ns::Derived<int> d; ns::Derived<double> dd; ns::Virtual v; OfEmpty oe; Unique u; Reuses r; Private p;
Line line; Queue queue; Owner owner; std::shared_mutex sm; std::condition_variable cv; std::thread th;
int main() { return 0; }
"#;

#[test]
fn every_structure_of_a_c_program_is_as_pahole_has_it() {
    let directory = tempfile::tempdir().expect("a directory");
    for flags in [&["-gdwarf-4"][..], &["-gdwarf-5"]] {
        let mut flags = flags.to_vec();
        flags.push("-fno-eliminate-unused-debug-types");
        let Some(path) = compile(directory.path(), "program.c", C_PROGRAM, &flags) else { return };
        let Some(compared) = compare(&path) else { return };
        assert!(compared >= 90, "only {compared}");
        eprintln!("{compared} structures with {flags:?}");
    }
}

#[test]
fn every_structure_of_a_cpp_program_is_as_pahole_has_it() {
    let directory = tempfile::tempdir().expect("a directory");
    for flags in [&["-gdwarf-4"][..], &["-gdwarf-5"]] {
        let Some(path) = compile(directory.path(), "program.cc", CPP_PROGRAM, flags) else {
            return;
        };
        let Some(compared) = compare(&path) else { return };
        assert!(compared > 100, "only {compared}");
        eprintln!("{compared} structures with {flags:?}");
    }
}
