//! A real image for synthetic recordings, so that reports have names and source lines to find.

use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSegment, ObjectSymbol, SegmentFlags, SymbolKind, elf};

use super::processes::Image;

/// Compiles `program.c` into `directory`; `None` where there is no C compiler.
pub fn compile(directory: &Path) -> Option<Image> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/program.c");
    let path = directory.join("program");
    let status = Command::new("cc")
        .args(["-g", "-O1", "-fno-omit-frame-pointer", "-o"])
        .arg(&path)
        .arg(&source)
        .status()
        .ok()?;
    assert!(status.success(), "cc is there and does not compile {}", source.display());
    let bytes = std::fs::read(&path).expect("the compiler wrote the program");
    let file = object::File::parse(&*bytes).expect("the compiler wrote an ELF file");
    let is_executable = |flags| match flags {
        SegmentFlags::Elf { p_flags, .. } => p_flags.contains(elf::PF_X),
        _ => false,
    };
    let text = file.segments().find(|segment| is_executable(segment.flags()))?;
    let (text_offset, _) = text.file_range();
    let mut code = Vec::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let in_text = symbol.address().checked_sub(text.address());
        let Some(start) = in_text.filter(|_| symbol.size() > 0) else {
            continue;
        };
        // Any address within a function will do: a report does not decode instructions.
        code.extend((0..symbol.size()).step_by(7).map(|at| text_offset + start + at));
    }
    let text_length = text.size().next_multiple_of(4096);
    Some(Image { path, inode: 41, text_offset, text_length, code })
}
