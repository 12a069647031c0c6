//! Functions, lines, inlined functions and variables against what binutils says of them.

use std::collections::HashMap;
use std::fmt::Write as _;

use object::SymbolKind;

use super::*;

/// Compares every `step`th address of every function with what `addr2line` says of it.
fn compare_with_addr2line(path: &Path, step: usize) {
    let bytes = fs::read(path).expect("the program is read");
    let file = object::File::parse(&*bytes).expect("the program is an image");
    let addresses: Vec<u64> = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
        .flat_map(|s| (s.address()..s.address() + s.size()).step_by(step))
        .collect();
    assert!(!addresses.is_empty(), "the program has functions");
    let mut arguments: Vec<String> = ["-a", "-f", "-i", "-e"].map(str::to_owned).to_vec();
    arguments.push(path.display().to_string());
    arguments.extend(addresses.iter().map(|address| format!("{address:#x}")));
    let Some(expected) = run("addr2line", arguments) else {
        return;
    };

    let resolved = resolve(path);
    let mut ours = String::new();
    for &address in &addresses {
        let location = resolved.locate_address(ImageAddress(address));
        writeln!(ours, "{address:#018x}").expect("written");
        for frame in &location.frames {
            let function = frame.raw_function.as_deref().unwrap_or("??");
            let file = frame.file.as_deref().unwrap_or("??");
            let line = frame.line.map_or("?".to_owned(), |line| line.to_string());
            writeln!(ours, "{function}\n{file}:{line}").expect("written");
        }
    }
    // Code of the C runtime without lines is told differently, and discriminators are not told.
    let comparable = |text: &str| {
        let mut by_address: HashMap<String, Vec<String>> = HashMap::new();
        let mut current = String::new();
        for line in text.lines() {
            if line.starts_with("0x") {
                line.clone_into(&mut current);
            } else {
                let line = line.split(" (discriminator").next().unwrap_or(line);
                let told = by_address.entry(current.clone()).or_default();
                told.push(line.to_owned());
            }
        }
        by_address.retain(|_, told| !told.iter().any(|l| l.ends_with('?')));
        by_address
    };
    let (ours, expected) = (comparable(&ours), comparable(&expected));
    assert!(!expected.is_empty(), "addr2line knows some addresses");
    for (address, expected) in &expected {
        assert_eq!(ours.get(address), Some(expected), "at {address}");
    }
}

#[test]
fn c_functions_and_lines_are_those_of_addr2line() {
    let directory = tempfile::tempdir().expect("a directory");
    for flags in [&[][..], &["-gdwarf-4"], &["-gdwarf-3"], &["-static"], &["-no-pie"]] {
        let Some(program) = compile_c(directory.path(), flags) else {
            continue;
        };
        // A static program has thousands of functions of the C library.
        let step = if flags == ["-static"] { 4096 } else { 1 };
        compare_with_addr2line(&program, step);
    }
}

#[test]
fn inlined_functions_come_innermost_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(program) = compile_c(directory.path(), &[]) else {
        return;
    };
    let (start, address) = function_start(&program, "bump");
    let resolved = resolve(&program);
    assert_eq!(resolved.image().address_of(start), Some(address));

    let mut symbolizer = Symbolizer::new(SymbolOptions::default());
    let image = symbolizer.image(&program, None);
    assert_eq!(image, symbolizer.image(&program, None));
    let symbol = symbolizer.locate(image, start).symbol.expect("a symbol");
    assert_eq!((symbol.name.as_str(), symbol.address), ("bump", address.0));
    let all = (0..symbol.size).map(|at| symbolizer.locate(image, FileOffset(start.0 + at)));
    let deepest = all.max_by_key(|location| location.frames.len());
    let deepest = deepest.expect("a location");
    assert_eq!(functions(&deepest), ["inner", "middle", "bump"]);
    let lines: Vec<_> = deepest.frames.iter().map(|frame| frame.line).collect();
    assert_eq!(lines, [Some(5), Some(9), Some(13)]);
    let file = deepest.frames[0].file.as_deref().expect("a file");
    assert_eq!(Path::new(file), directory.path().join("program.c"));
    assert!(symbolizer.problems().is_empty());
}

#[test]
fn cpp_functions_are_those_of_addr2line_and_demangled() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(program) = compile(directory.path(), ("program.cc", CPP_PROGRAM), &[]) else {
        return;
    };
    compare_with_addr2line(&program, 1);
    let (start, _) = function_start(&program, "_ZN2ns4CellIlE3addEl");
    for (style, expected) in [
        (DemangleStyle::Short, "ns::Cell<long>::add"),
        (DemangleStyle::Full, "ns::Cell<long>::add(long)"),
    ] {
        let mut symbolizer = Symbolizer::new(SymbolOptions { style, ..SymbolOptions::default() });
        let image = symbolizer.image(&program, None);
        let location = symbolizer.locate(image, start);
        assert_eq!(functions(&location).last(), Some(&expected));
        assert_eq!(location.symbol.expect("a symbol").name, expected);
    }
}

#[test]
fn compressed_debug_sections_are_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(program) = compile_c(directory.path(), &[]) else {
        return;
    };
    let (start, _) = function_start(&program, "main");
    for format in ["zlib", "zstd", "zlib-gnu"] {
        let compressed = directory.path().join(format);
        let option = format!("--compress-debug-sections={format}");
        let paths = [program.as_os_str(), compressed.as_os_str()];
        if run("objcopy", [OsStr::new(&option)].into_iter().chain(paths)).is_none() {
            continue;
        }
        let location = resolve(&compressed).locate(start);
        assert_eq!(functions(&location).last(), Some(&"main"));
        assert!(location.frames[0].file.is_some(), "no line with {format}");
    }
}

#[test]
fn variables_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(program) = compile_c(directory.path(), &[]) else {
        return;
    };
    let bytes = fs::read(&program).expect("the program is read");
    let file = object::File::parse(&*bytes).expect("the program is an image");
    let counters = file.symbols().find(|s| s.name() == Ok("counters"));
    let address = counters.expect("the variable is there").address();
    let resolved = resolve(&program);
    let symbol = resolved.data_symbol(ImageAddress(address + 4 * 63));
    let symbol = symbol.expect("the variable is named");
    assert_eq!((symbol.name.as_str(), symbol.address, symbol.size), ("counters", address, 256));
    assert_ne!(
        resolved.data_symbol(ImageAddress(address + 256)).map(|s| s.name),
        Some("counters".to_owned())
    );
}

#[inline(never)]
fn known_function(value: u64) -> u64 {
    std::hint::black_box(value) + 1
}

#[test]
fn a_function_of_this_test_is_found_in_its_own_image() {
    let runtime = known_function as fn(u64) -> u64 as usize as u64;
    let maps = fs::read_to_string("/proc/self/maps").expect("the mappings are read");
    let offset = maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let offset = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        (start..end).contains(&runtime).then(|| FileOffset(runtime - start + offset))
    });
    let mut symbolizer = Symbolizer::new(SymbolOptions::default());
    let image = symbolizer.image(&std::env::current_exe().expect("a path"), None);
    let location = symbolizer.locate(image, offset.expect("the function is mapped"));
    let symbol = location.symbol.expect("a symbol");
    assert!(symbol.name.ends_with("tests::lookups::known_function"), "{}", symbol.name);
    assert_ne!(symbol.name, symbol.raw);
    let outer = location.frames.last().expect("a frame");
    assert!(outer.file.as_deref().is_some_and(|file| file.ends_with("tests/lookups.rs")));
    assert_eq!(known_function(1), 2);
}

#[test]
fn stubs_of_other_images_functions_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = "\
        #include <stdlib.h>\n\
        int main(int c, char **v) { return atoi(v[c - 1]) + rand(); }\n";
    let tracked = ["-Wl,-z,lazy", "-fcf-protection=full", "-Wl,-z,ibtplt"];
    for flags in [&["-Wl,-z,lazy"][..], &tracked] {
        let Some(program) = compile(directory.path(), ("stubs.c", source), flags) else {
            continue;
        };
        let arguments = ["-d", "--no-show-raw-insn"].map(OsStr::new);
        let listing = run("objdump", arguments.into_iter().chain([program.as_os_str()]));
        let Some(listing) = listing else { return };
        // A stub has two parts with branch tracking; the called one is the last that is listed.
        let stubs: HashMap<&str, u64> = listing
            .lines()
            .filter_map(|line| line.strip_suffix("@plt>:")?.split_once(" <"))
            .filter(|(_, name)| ["atoi", "strtol", "rand"].contains(name))
            .filter_map(|(address, name)| Some((name, u64::from_str_radix(address, 16).ok()?)))
            .collect();
        assert!(stubs.contains_key("rand"), "{listing}");
        if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            return;
        }
        let resolved = resolve(&program);
        for (name, address) in stubs {
            let symbol = resolved.locate_address(ImageAddress(address + 4)).symbol;
            let symbol = symbol.expect("the stub is named");
            assert_eq!((symbol.name, symbol.address), (format!("{name}@plt"), address));
        }
    }
}
