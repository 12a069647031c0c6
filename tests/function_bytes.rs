//! Where functions begin, held against objdump's listing: of a program, and of the same program without
//! symbols.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use hitm::symbols::{FileOffset, SymbolOptions, Symbolizer};
use object::{Object, ObjectSection};
use support::skipped::skipped;

/// Addresses of all instructions in `.text`, by objdump.
fn listed(path: &Path) -> Option<BTreeSet<u64>> {
    let listing = Command::new("objdump").args(["-d", "-j", ".text"]).arg(path).output().ok()?;
    let text = String::from_utf8(listing.stdout).ok()?;
    let address = |line: &str| {
        let (address, rest) = line.trim_start().split_once(":\t")?;
        // Lines without a mnemonic carry on the bytes of the one before.
        rest.contains('\t').then(|| u64::from_str_radix(address, 16).ok())?
    };
    Some(text.lines().filter_map(address).collect())
}

/// Looks every instruction up; says how many have a function that begins for certain.
fn check(path: &Path, instructions: &BTreeSet<u64>) -> usize {
    let bytes = std::fs::read(path).expect("the program");
    let file = object::File::parse(&*bytes).expect("an image");
    let text = file.section_by_name(".text").expect("code");
    let (offset, _) = text.file_range().expect("in the file");
    let mut symbolizer = Symbolizer::new(SymbolOptions::default());
    let image = symbolizer.image(path, None);
    let mut certain = 0;
    for &address in instructions {
        let here = FileOffset(address - text.address() + offset);
        let function = symbolizer.function_bytes(image, here).expect("code is there");
        let start = function.address.0;
        let end = start + function.bytes.len() as u64;
        assert!((start..end).contains(&address), "{address:#x} is not in {start:#x}..{end:#x}");
        if start >= text.address() {
            let from = (start - text.address() + offset) as usize;
            assert_eq!(function.bytes, &bytes[from..from + function.bytes.len()]);
        }
        if function.starts_at_boundary && start >= text.address() {
            assert!(instructions.contains(&start), "{start:#x} is inside an instruction");
            certain += 1;
        }
    }
    certain
}

#[test]
fn functions_begin_where_objdump_lists_an_instruction() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, stripped) = (folder.path().join("whole"), folder.path().join("stripped"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/truth/programs/copies.c");
    let mut compiler = Command::new("cc");
    let compiled = compiler.args(["-O2", "-static", "-pthread", "-o"]).arg(&whole).arg(source);
    if !compiled.status().is_ok_and(|status| status.success()) {
        skipped("no C compiler is installed");
        return;
    }
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(&whole).status();
    let Some(instructions) = listed(&whole).filter(|_| strip.is_ok_and(|it| it.success())) else {
        skipped("objdump and strip (binutils) are not installed");
        return;
    };
    // The C library is in it: more than a hundred thousand instructions, hand-written ones among them.
    assert!(instructions.len() > 50_000, "{} instructions", instructions.len());
    for path in [&whole, &stripped] {
        let certain = check(path, &instructions);
        let share = certain as f64 / instructions.len() as f64;
        assert!(share > 0.97, "{}: {certain} of {}", path.display(), instructions.len());
    }
}

#[test]
fn the_page_of_user_code_that_the_kernel_maps_is_an_image() {
    let Some(bytes) = hitm::symbols::running_vdso() else {
        skipped("this kernel maps no page of user code");
        return;
    };
    let file = object::File::parse(&*bytes).expect("an image");
    let text = file.section_by_name(".text").expect("code");
    let (offset, size) = text.file_range().expect("in the file");
    let mut symbolizer = Symbolizer::new(SymbolOptions::default());
    let image = symbolizer.image_of_bytes("[vdso]", bytes.clone()).expect("an image");
    let middle = FileOffset(offset + size / 2);
    let function = symbolizer.function_bytes(image, middle).expect("code is there");
    assert!(function.starts_at_boundary && !function.bytes.is_empty());
}
