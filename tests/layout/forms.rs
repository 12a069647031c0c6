//! The same types in every form in which debug information comes.

use std::path::{Path, PathBuf};
use std::process::Command;

use hitm::report::Layout;
use hitm::symbols::ImageAddress;

use crate::compiled::{Program, compile, run};
use crate::pahole::{C_PROGRAM, CPP_PROGRAM};

const C_TYPES: [&str; 9] = [
    "inner",
    "bits",
    "stopped",
    "crossing",
    "nested",
    "packed",
    "flexible",
    "mixed",
    "struct later",
];
const CPP_TYPES: [&str; 8] = [
    "ns::Derived<int>",
    "ns::Derived<double>",
    "Reuses",
    "Unique",
    "Queue",
    "Owner",
    "Line",
    "std::mutex",
];

/// The layouts of all types in a program, without what names the file of their source.
fn layouts(path: &Path, names: &[&str]) -> Vec<Layout> {
    let mut program = Program::open(path);
    let one = |name: &&str| {
        let types = program.types(name);
        assert_eq!(types.len(), 1, "{name} in {path:?}: {:?}", program.symbolizer.problems());
        let mut layout = Layout::of(&types[0], true).expect("a layout");
        forget_directories(&mut layout);
        layout
    };
    names.iter().map(one).collect()
}

/// Type units of DWARF 4 do not say in which directory they were compiled.
fn forget_directories(layout: &mut Layout) {
    if let Some(at) = &mut layout.declared_at {
        *at = at.rsplit('/').next().unwrap_or_default().to_owned();
    }
    for inner in layout.members.iter_mut().filter_map(|member| member.inner.as_mut()) {
        forget_directories(inner);
    }
}

/// Runs a tool on a copy of a program.
fn changed(path: &Path, to: &str, tool: &str, arguments: &[&str]) -> Option<PathBuf> {
    let copy = path.with_extension(to);
    std::fs::copy(path, &copy).expect("copied");
    run(Command::new(tool).args(arguments).arg(&copy))?;
    Some(copy)
}

fn forms(name: &str, text: &str, types: &[&str]) {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    eprintln!("{name}");
    let Some(plain) = compile(at, name, text, &["-gdwarf-5"]) else { return };
    let expected = layouts(&plain, types);
    for flags in [
        &["-gdwarf-4"][..],
        &["-gdwarf-4", "-fdebug-types-section"],
        &["-gdwarf-5", "-fdebug-types-section"],
        &["-gdwarf-5", "-gz"],
        &["-gdwarf-4", "-gsplit-dwarf"],
        &["-gdwarf-5", "-gsplit-dwarf"],
        &["-gdwarf-4", "-gsplit-dwarf", "-fdebug-types-section"],
        &["-gdwarf-5", "-gsplit-dwarf", "-fdebug-types-section"],
        &["-gdwarf-5", "-O2"],
    ] {
        eprintln!("{flags:?}");
        let Some(path) = compile(at, name, text, flags) else { continue };
        assert_eq!(layouts(&path, types), expected, "{flags:?}");
        if !flags.contains(&"-gsplit-dwarf") {
            continue;
        }
        // Packed into one file beside the program, with the files it was made of gone.
        let package = PathBuf::from(format!("{}.dwp", path.display()));
        let mut pack = Command::new("llvm-dwp");
        let packed = run(pack.arg("-e").arg(&path).arg("-o").arg(&package).current_dir(at));
        let remove = |extension: &str| {
            for entry in std::fs::read_dir(at).expect("listed").flatten() {
                if entry.path().extension().is_some_and(|found| found == extension) {
                    std::fs::remove_file(entry.path()).expect("removed");
                }
            }
        };
        remove("dwo");
        if packed.is_some() {
            assert_eq!(layouts(&path, types), expected, "packed, {flags:?}");
        }
        remove("dwp");
        let mut bare = Program::open(&path);
        assert!(bare.types(types[0]).is_empty(), "{flags:?}");
        let problems = bare.symbolizer.problems();
        let said = problems.first().map(|(_, problem)| problem.to_string()).unwrap_or_default();
        assert!(said.starts_with("1 of the split debug files of "), "{said}");
    }
    let debug = plain.with_extension("debug");
    let mut keep = Command::new("objcopy");
    if run(keep.arg("--only-keep-debug").args([&plain, &debug])).is_some() {
        let link = format!("--add-gnu-debuglink={}", debug.display());
        if let Some(stripped) = changed(&plain, "stripped", "objcopy", &["--strip-all", &link]) {
            assert_eq!(layouts(&stripped, types), expected, "separate");
        }
        std::fs::remove_file(&debug).expect("removed");
    }
    // What two programs share, in a file of its own.
    let (one, two) = (plain.with_extension("one"), plain.with_extension("two"));
    std::fs::copy(&plain, &one).expect("copied");
    std::fs::copy(&plain, &two).expect("copied");
    let common = at.join("common.debug");
    let mut dwz = Command::new("dwz");
    dwz.arg("-m").arg(&common).args([&one, &two]);
    if run(&mut dwz).is_some() {
        assert!(common.exists(), "dwz found nothing to share");
        assert_eq!(layouts(&one, types), expected, "shared");
    }
}

#[test]
fn c_types_are_the_same_in_every_form() {
    forms("program.c", C_PROGRAM, &C_TYPES);
}

#[test]
fn cpp_types_are_the_same_in_every_form() {
    forms("program.cc", CPP_PROGRAM, &CPP_TYPES);
}

#[test]
fn a_program_without_debug_information_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(path) = compile(directory.path(), "program.c", C_PROGRAM, &["-g0"]) else { return };
    let mut program = Program::open(&path);
    assert!(program.types("inner").is_empty());
    let problems = program.symbolizer.problems();
    assert!(problems[0].1.to_string().contains("compile it with -g"), "{problems:?}");
    // The symbol table still knows where the variables are.
    use object::{Object, ObjectSymbol};
    let bytes = std::fs::read(&path).expect("read");
    let file = object::File::parse(&*bytes).expect("an image");
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok("n")).expect("the variable");
    let at = ImageAddress(symbol.address() + 5);
    let found = program.symbolizer.variable_at(program.image, at).expect("a variable");
    assert_eq!((found.name.as_str(), found.size), ("n", symbol.size()));
    assert!(found.data_type.is_none());
}
