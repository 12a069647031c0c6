//! Programs that trace others themselves: debuggers, and what checks itself with `ptrace`.
//!
//! A thread has one tracer. What such a program starts would be ours, and its own `ptrace` would fail;
//! so it is let go when it begins to run, and with it all that it starts. Its use of `ptrace` shows in
//! its file: the symbol that it takes from the C library, or, with the C library in it, that symbol or
//! the system call itself. A program that calls `ptrace` through a library of its own, or by
//! `syscall(2)`, is not known as such.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use rustc_hash::FxHashMap;

use crate::kernel::MappedFile;

/// `mov $101, %eax; syscall`: `ptrace` on x86-64.
const SYSTEM_CALL: &[u8] = &[0xb8, 0x65, 0, 0, 0, 0x0f, 0x05];
/// Functions that a program has only if it traces. LeakSanitizer stops its own threads with `ptrace`
/// at its end, and makes programs fail when it cannot.
const NAMES: [&[u8]; 5] =
    [b"ptrace", b"__asan_init", b"__lsan_init", b"syscall.ptrace", b"golang.org/x/sys/unix.ptrace"];

/// Programs that were looked at, by device, inode and time of change.
#[derive(Debug, Default)]
pub(super) struct OwnTracing {
    known: FxHashMap<(u64, u64, i64), bool>,
}

impl OwnTracing {
    /// Whether the program that a process runs traces others. One that cannot be read is taken not to.
    pub(super) fn of_process(&mut self, pid: u32) -> bool {
        let path = PathBuf::from(format!("/proc/{pid}/exe"));
        let key =
            |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino(), file.mtime()));
        let Some(found) = key(&path) else {
            return false;
        };
        // This program can trace, but not while it is the one to be sampled.
        if key(Path::new("/proc/self/exe")) == Some(found) && is_workload(pid) {
            return false;
        }
        let look = || MappedFile::open(&path).is_ok_and(|file| traces(&file));
        *self.known.entry(found).or_insert_with(look)
    }
}

/// Whether a process of this program is what `hitm demo` samples.
fn is_workload(pid: u32) -> bool {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split(|byte| *byte == 0).any(|word| word == b"--workload")
}

fn traces(bytes: &[u8]) -> bool {
    let Ok(file) = object::File::parse(bytes) else {
        return false;
    };
    let mut dynamic = file.dynamic_symbols().peekable();
    if dynamic.peek().is_some() {
        return dynamic.any(|symbol| symbol.name_bytes().is_ok_and(|name| NAMES.contains(&name)));
    }
    let has_name = |name: &[u8]| NAMES.contains(&name);
    file.symbols().any(|symbol| symbol.is_definition() && symbol.name_bytes().is_ok_and(has_name))
        || file.sections().any(|section| {
            let code = section.data().ok().filter(|_| section.kind() == SectionKind::Text);
            code.is_some_and(|code| code.windows(SYSTEM_CALL.len()).any(|it| it == SYSTEM_CALL))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_traces_and_a_shell_does_not() {
        let mut own_tracing = OwnTracing::default();
        assert!(own_tracing.of_process(std::process::id()));
        let shell = MappedFile::open(Path::new("/bin/sh")).expect("a shell");
        assert!(!traces(&shell));
        assert!(!traces(b"#!/bin/sh\nptrace\n"));
    }
}
