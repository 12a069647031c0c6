//! A Rust program's types, as the program itself measures them.

use std::process::Command;

use hitm::symbols::MemberRole;

use crate::compiled::{Program, compile, run};

/// Prints `type member offset size`, and `type - alignment size` for the type itself.
const PROGRAM: &str = r#"
use std::cell::{Cell, RefCell, UnsafeCell};
use std::mem::{align_of, offset_of, size_of};
use std::sync::atomic::*;
use std::sync::{Arc, Mutex, RwLock};
pub mod shapes {
    pub struct Plain { pub a: u8, pub b: u64, pub c: u16, pub d: bool, pub e: char, pub f: u128 }
    #[repr(C)] pub struct Fixed { pub a: u8, pub b: u64, pub c: u16 }
    #[repr(C, packed)] pub struct Packed { pub a: u8, pub b: u64, pub c: u16 }
    #[repr(align(128))] pub struct Aligned { pub hits: std::sync::atomic::AtomicU64, pub flag: bool }
    pub struct Tuple(pub u8, pub u32, pub u16);
    pub struct Generic<T, U> { pub t: T, pub list: Vec<U>, pub both: (T, U), pub array: [T; 5] }
    #[repr(C)] pub union Either { pub whole: u64, pub half: [u32; 2] }
}
use shapes::*;
pub struct Shared { counter: AtomicU64, lock: Mutex<Plain>, cell: UnsafeCell<u32>, own: Option<Box<u8>>,
    text: String, slice: &'static [u16], any: Arc<RwLock<u8>>, small: Cell<u8>, r: RefCell<u16>, pointer: AtomicPtr<u8> }
pub enum Kind { Empty, One(u8), Two { big: u64, small: u16 } }
#[repr(u16)] pub enum Stated { A(u8), B { long: u64 } }
macro_rules! fields {
    ($name:literal, $t:ty, $($f:tt)*) => {{
        println!("{} - {} {}", $name, align_of::<$t>(), size_of::<$t>());
        $(println!("{} {} {} {}", $name, stringify!($f), offset_of!($t, $f), size(|x: &$t| unsafe { std::ptr::addr_of!((*(x as *const $t)).$f) }));)*
    }};
}
fn size<T, F>(_: impl Fn(&T) -> *const F) -> usize { size_of::<F>() }
fn main() {
    fields!("program::shapes::Plain", Plain, a b c d e f);
    fields!("program::shapes::Fixed", Fixed, a b c);
    fields!("program::shapes::Packed", Packed, a b c);
    fields!("program::shapes::Aligned", Aligned, hits flag);
    fields!("program::shapes::Tuple", Tuple, 0 1 2);
    fields!("program::shapes::Generic<u8, u64>", Generic<u8, u64>, t list both array);
    fields!("program::shapes::Generic<i16, bool>", Generic<i16, bool>, t list both array);
    fields!("program::shapes::Either", Either, whole half);
    fields!("program::Shared", Shared, counter lock cell own text slice any small r pointer);
    println!("program::Kind - {} {}", align_of::<Kind>(), size_of::<Kind>());
    println!("program::Stated - {} {}", align_of::<Stated>(), size_of::<Stated>());
    let kinds = [Kind::Empty, Kind::One(1), Kind::Two { big: 2, small: 3 }];
    for kind in &kinds {
        let base = kind as *const Kind as usize;
        let at = |p: usize| p - base;
        match kind {
            Kind::Empty => {}
            Kind::One(x) => println!("program::Kind One.0 {} 1", at(x as *const u8 as usize)),
            Kind::Two { big, small } => {
                println!("program::Kind Two.big {} 8", at(big as *const u64 as usize));
                println!("program::Kind Two.small {} 2", at(small as *const u16 as usize));
            }
        }
    }
    let stated = [Stated::A(1), Stated::B { long: 2 }];
    for one in &stated {
        let base = one as *const Stated as usize;
        match one {
            Stated::A(x) => println!("program::Stated A.0 {} 1", x as *const u8 as usize - base),
            Stated::B { long } => println!("program::Stated B.long {} 8", long as *const u64 as usize - base),
        }
    }
    let plain = || Plain { a: 1, b: 2, c: 3, d: true, e: 'x', f: 4 };
    let shared = Shared { counter: AtomicU64::new(1), lock: Mutex::new(plain()), cell: UnsafeCell::new(1), own: None,
        text: String::new(), slice: &[1], any: Arc::new(RwLock::new(1)), small: Cell::new(1), r: RefCell::new(1), pointer: AtomicPtr::new(std::ptr::null_mut()) };
    std::hint::black_box((&kinds, &stated, &shared, &plain(), &Fixed { a: 1, b: 2, c: 3 }, &Packed { a: 1, b: 2, c: 3 },
        &Aligned { hits: AtomicU64::new(1), flag: true }, &Tuple(1, 2, 3),
        &Generic::<u8, u64> { t: 1, list: vec![], both: (1, 2), array: [1; 5] },
        &Generic::<i16, bool> { t: 1, list: vec![], both: (1, true), array: [1; 5] }, &Either { whole: 1 }));
}
"#;

#[test]
fn rust_types_are_as_the_program_measures_them() {
    let directory = tempfile::tempdir().expect("a directory");
    for flags in [&[][..], &["-O"], &["-C", "split-debuginfo=unpacked"]] {
        let Some(path) = compile(directory.path(), "program.rs", PROGRAM, flags) else { return };
        let Some(measured) = run(&mut Command::new(&path)) else { return };
        let mut program = Program::open(&path);
        let mut checked = 0;
        for line in measured.lines() {
            let mut parts = line.rsplitn(4, ' ');
            let size: u64 = parts.next().and_then(|part| part.parse().ok()).expect("a size");
            let at: u64 = parts.next().and_then(|part| part.parse().ok()).expect("an offset");
            let member = parts.next().expect("a member");
            let name = parts.next().expect("a type");
            let types = program.types(name);
            let [of] = &types[..] else { panic!("{name}: {types:?}") };
            if member == "-" {
                assert_eq!((of.size(), of.alignment()), (Some(size), at), "{name}");
            } else if let Some((variant, field)) = member.split_once('.') {
                let variants = of.members();
                let is_it = |m: &&hitm::symbols::Member| m.name.as_deref() == Some(variant);
                let found = variants.iter().find(is_it).expect("the variant");
                assert_eq!(found.role, MemberRole::Variant);
                let fields = found.data_type.members();
                let field = fields.iter().find(|m| m.name.as_deref() == Some(field));
                let field = field.expect("the field");
                assert_eq!((field.offset, field.size), (Some(at), size), "{name} {member}");
                let path = of.path_at(at, size).expect("inside").field.path;
                assert!(path.split(['{', '|', '}']).any(|p| p == member), "{path} is {member}");
            } else {
                let members = of.members();
                let field = members.iter().find(|m| m.name.as_deref() == Some(member));
                let field = field.unwrap_or_else(|| panic!("{name} has {members:?}"));
                assert_eq!((field.offset, field.size), (Some(at), size), "{name} {member}");
            }
            checked += 1;
        }
        assert_eq!(checked, 53, "{measured}");
    }
}
