//! Images that were made or damaged to do harm.

use object::ObjectSection;

use super::*;

/// DWARF by hand: one unit, one function over all of `main`, and in it a chain of inlined functions
/// without any attribute.
fn deeply_inlined(depth: usize) -> String {
    format!(
        "\
        .text\n.globl main\n.type main,@function\nmain:\n.Lb: nop\nret\n.Le:\n.size main,.-main\n\
        .section .debug_abbrev,\"\",@progbits\n\
        .byte 1,0x11,1,0x11,1,0x12,7,0,0\n\
        .byte 2,0x2e,1,0x11,1,0x12,7,0,0\n\
        .byte 3,0x1d,1,0,0\n.byte 0\n\
        .section .debug_info,\"\",@progbits\n\
        .long .Lend-.Lstart\n.Lstart: .short 4\n.long 0\n.byte 8\n\
        .byte 1\n.quad .Lb\n.quad .Le-.Lb\n\
        .byte 2\n.quad .Lb\n.quad .Le-.Lb\n\
        .fill {depth},1,3\n.fill {depth},1,0\n.byte 0,0\n.Lend:\n\
        .section .debug_line,\"\",@progbits\n.byte 0\n\
        .section .note.GNU-stack,\"\",@progbits\n"
    )
}

#[test]
#[cfg(target_arch = "x86_64")]
fn inlining_without_end_does_not_overflow_the_stack() {
    let directory = tempfile::tempdir().expect("a directory");
    for (depth, refused) in [(200, false), (2_000_000, true)] {
        let source = deeply_inlined(depth);
        let Some(program) = compile(directory.path(), ("deep.s", &source), &["-g0"]) else {
            return;
        };
        let (start, _) = function_start(&program, "main");
        let resolved = resolve(&program);
        let location = resolved.locate(start);
        assert_eq!(functions(&location), ["main"]);
        let problems = resolved.problems();
        assert_eq!(!problems.is_empty(), refused, "{problems:?}");
        if refused {
            assert!(problems[0].to_string().contains("inlined into each other"));
        }
    }
}

#[test]
fn damaged_images_never_panic() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(program) = compile_c(directory.path(), &[]) else {
        return;
    };
    let original = fs::read(&program).expect("the program is read");
    let path = directory.path().join("damaged");
    // A small generator with a fixed seed: a failure can be repeated.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % (below as u64)).expect("it is below a usize")
    };
    let parsed = object::File::parse(&*original).expect("an image");
    let ranges: Vec<_> = parsed
        .sections()
        .filter(|section| section.name().is_ok_and(|name| name.starts_with(".debug")))
        .filter_map(|section| section.file_range())
        .map(|(offset, size)| (offset as usize, size as usize))
        .collect();
    let mut with_lines = 0;
    for round in 0..400 {
        let mut bytes = original.clone();
        // A few bytes of the header end the reading early, so most rounds damage one debug section,
        // some the rest of the file, and some cut it short.
        let (start, size) = match round % 8 {
            0 => (0, 512),
            1 => (64, bytes.len() - 64),
            _ => ranges[random(ranges.len())],
        };
        for _ in 0..=random(8) {
            bytes[start + random(size)] = u8::try_from(random(256)).expect("a byte");
        }
        if round % 16 == 1 {
            bytes.truncate(random(bytes.len()));
        }
        fs::write(&path, &bytes).expect("written");
        let mut symbolizer = Symbolizer::new(SymbolOptions::default());
        let image = symbolizer.image(&path, None);
        for offset in (0..original.len() as u64).step_by(61).chain([u64::MAX]) {
            let location = symbolizer.locate(image, FileOffset(offset));
            with_lines += usize::from(location.frames.iter().any(|f| f.line.is_some()));
            symbolizer.data_symbol(image, FileOffset(offset));
        }
        for (_, problem) in symbolizer.problems() {
            assert!(problem.to_string().ends_with('.'), "{problem}");
        }
        fs::remove_file(&path).expect("removed");
    }
    assert!(with_lines > 100, "only {with_lines} lookups got past the damage");
}
