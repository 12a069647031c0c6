//! Who called an allocation function.

use std::fmt;

use serde::Serialize;

use super::model::SourceLine;
use super::names::Names;
use super::session::Session;
use crate::access::CodeAddress;
use crate::perf_data::SamplePosition;
use crate::process::heap::AllocationFunction;
use crate::process::{Pid, Time};
use crate::symbols::{FrameRegisters, StackFrame};

/// A function that allocated, or called one that did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SiteFrame {
    /// The function, else the image and the offset in its file, else the address.
    pub function: String,
    /// Where in it.
    pub source: Option<SourceLine>,
    /// The image that it is in.
    pub image: Option<String>,
}

impl fmt::Display for SiteFrame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.function)?;
        if let Some(SourceLine { file, line }) = &self.source {
            let file = file.rsplit('/').next().unwrap_or(file);
            write!(formatter, " {file}:{line}")?;
        }
        Ok(())
    }
}

/// So many frames of a stack are looked at.
const MOST_FRAMES: usize = 48;
/// So many callers are told.
const MOST_CALLERS: usize = 8;

/// Registers of x86-64: the numbers in `PERF_REG_X86_*`, in DWARF's order.
const PERF_REGISTERS: [u32; 16] = [0, 3, 2, 1, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];

/// The callers of an allocation function, as a sample of its entry tells: innermost first, beginning
/// with the first one outside of allocators and languages' libraries, where there is one.
pub(super) fn call_site(
    session: &Session<'_, '_>,
    entry: SamplePosition,
    names: &mut Names<'_>,
) -> Vec<SiteFrame> {
    let mut frames = frames(session, entry, names).unwrap_or_default();
    // Nor does who calls `main`, or a thread's first function, say anything.
    while frames.len() > 1 && frames.last().is_some_and(is_of_runtime) {
        frames.pop();
    }
    let first = frames.iter().position(|frame| !is_of_runtime(frame)).unwrap_or(0);
    frames.into_iter().skip(first).take(MOST_CALLERS).collect()
}

fn frames(
    session: &Session<'_, '_>,
    entry: SamplePosition,
    names: &mut Names<'_>,
) -> Option<Vec<SiteFrame>> {
    let recording = session.recording;
    let record = recording.sample_at(entry)?;
    let (event, sample) = recording.decode(&record).ok()?;
    let mask = recording.events().get(event)?.attr.sample_regs_user;
    let (values, stack) = (sample.regs_user?.values, sample.stack_user?);
    let (pid, time) = (Pid(sample.thread?.0), Time(sample.time?));
    let register = |number: u32| {
        let index = (mask & ((1 << number) - 1)).count_ones() as usize;
        values.get(index).filter(|_| mask >> number & 1 == 1)
    };
    let mut registers: FrameRegisters = PERF_REGISTERS.map(register);
    let top = registers[7]?;
    let valid = usize::try_from(stack.valid).unwrap_or(usize::MAX).min(stack.bytes.len());
    let bytes = &stack.bytes[..valid];
    let read = |address: u64| {
        let offset = usize::try_from(address.checked_sub(top)?).ok()?;
        let word = bytes.get(offset..offset.checked_add(8)?)?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    };
    // A function is entered with its return address on top of the stack.
    registers[7] = top.checked_add(8);
    let mut frame = StackFrame { return_address: read(top)?, registers };
    let mut sites = Vec::new();
    for _ in 0..MOST_FRAMES {
        let code = CodeAddress(frame.return_address.wrapping_sub(1));
        let mapping = session.processes.find_user(pid, code.0, time);
        if mapping.is_none() {
            break;
        }
        add_frames(&mut sites, names, mapping, code, pid);
        match names.caller(mapping, &frame, read) {
            Some(caller) => frame = caller,
            None => break,
        }
    }
    Some(sites)
}

/// The function at an address, and what was inlined into it, innermost first.
fn add_frames(
    sites: &mut Vec<SiteFrame>,
    names: &mut Names<'_>,
    mapping: Option<u32>,
    code: CodeAddress,
    pid: Pid,
) {
    let name = names.code(mapping, code, pid);
    let image = name.object.as_ref().map(|image| image.to_string());
    let place = |source: &Option<(String, u32)>| {
        source.as_ref().map(|(file, line)| SourceLine { file: file.clone(), line: *line })
    };
    if name.inlined.is_empty() {
        let (function, source) = (name.label(code), place(&name.source));
        sites.push(SiteFrame { function, source, image });
        return;
    }
    for frame in &name.inlined {
        let function = frame.function.clone().unwrap_or_else(|| name.label(code));
        sites.push(SiteFrame { function, source: place(&frame.source), image: image.clone() });
    }
}

/// Whether a frame is of an allocator or of a language's library, and so is never the one that wanted
/// the memory.
fn is_of_runtime(frame: &SiteFrame) -> bool {
    const IMAGES: [&str; 13] = [
        "libc.so",
        "libc-2.",
        "ld-linux",
        "ld-musl",
        "libstdc++.so",
        "libc++.so",
        "libc++abi.so",
        "libgcc_s.so",
        "libjemalloc.so",
        "libtcmalloc",
        "libmimalloc.so",
        "libglib-2.0.so",
        "libpthread",
    ];
    const FILES: [&str; 4] =
        ["/rustc/", "/rustlib/src/rust/library/", "/include/c++/", "/usr/lib/gcc/"];
    const FUNCTIONS: [&str; 24] = [
        "_start",
        "operator new",
        "std::",
        "__gnu_cxx::",
        "alloc::",
        "<alloc::",
        "core::",
        "<core::",
        "<std::",
        "hashbrown::",
        "__rust",
        "__rdl_",
        "__rg_",
        "tcmalloc::",
        "g_malloc",
        "g_new",
        "g_slice_",
        "g_realloc",
        "xmalloc",
        "xcalloc",
        "xrealloc",
        "xstrdup",
        "_rjem_",
        "je_",
    ];
    let image = frame.image.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or("");
    let name = qualified_name(&frame.function);
    let file = frame.source.as_ref().map_or("", |source| &source.file);
    IMAGES.iter().any(|known| image.starts_with(known))
        || FILES.iter().any(|known| file.contains(known))
        || FUNCTIONS.iter().any(|known| name.starts_with(known))
        || AllocationFunction::of_symbol(name).is_some()
}

/// A function's name without the type that it returns, which templates have before it.
fn qualified_name(function: &str) -> &str {
    let mut depth = 0_i32;
    let mut start = 0;
    for (index, letter) in function.char_indices() {
        match letter {
            '<' | '{' | '[' => depth += 1,
            '>' | '}' | ']' => depth -= 1,
            // What follows are parameters.
            '(' if depth == 0 && index > 0 => break,
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth == 0 && !function[..index].ends_with("operator") => start = index + 1,
            _ => {}
        }
    }
    &function[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, file: &str, image: &str) -> SiteFrame {
        let source = Some(SourceLine { file: file.to_owned(), line: 7 });
        SiteFrame { function: function.to_owned(), source, image: Some(image.to_owned()) }
    }

    #[test]
    fn allocators_and_libraries_are_not_to_blame() {
        for function in [
            "operator new(unsigned long)",
            "operator new",
            "void std::vector<int>::_M_realloc_insert<int const&>(int const*, int const&)",
            "unsigned long& std::vector<unsigned long>::emplace_back<>()",
            "std::make_unique<Counter>()",
            "alloc::raw_vec::finish_grow",
            "<alloc::vec::Vec<T> as core::clone::Clone>::clone",
            "malloc",
            "mi_zalloc",
            "g_malloc0",
            "xmalloc",
        ] {
            assert!(
                is_of_runtime(&frame(function, "/home/me/program.cc", "/home/me/program")),
                "{function}"
            );
        }
        assert!(is_of_runtime(&frame("strdup", "strdup.c", "/usr/lib/x86_64-linux-gnu/libc.so.6")));
        assert!(is_of_runtime(&frame(
            "Counter::new",
            "/rustc/abc/library/alloc/src/boxed.rs",
            "/home/me/p"
        )));
    }

    #[test]
    fn programs_are() {
        for function in [
            "main",
            "std::vector<int> make<int>(int)",
            "my::std::thing",
            "Pool::malloc_counters",
            "allocate",
            "<program::Table as core::default::Default>::default",
            "(anonymous namespace)::make()",
        ] {
            assert!(
                !is_of_runtime(&frame(function, "/home/me/program.cc", "/home/me/program")),
                "{function}"
            );
        }
    }

    #[test]
    fn a_frame_is_a_function_and_a_line() {
        assert_eq!(frame("main", "/home/me/program.cc", "/p").to_string(), "main program.cc:7");
        let bare = SiteFrame { function: "program+0x10".to_owned(), source: None, image: None };
        assert_eq!(bare.to_string(), "program+0x10");
    }
}
