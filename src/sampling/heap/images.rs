//! The images that a target has mapped, or will have when it begins.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use object::read::elf::{FileHeader, ProgramHeader};

use crate::kernel::MappedFile;
use crate::system::maps;

/// Scripts that name scripts as their interpreters, as the kernel follows them.
const MAX_SCRIPTS: usize = 4;

/// The files that a command will map when it begins: its program, the interpreter and the libraries,
/// as the dynamic linker itself finds them. Empty where there is no such program.
pub(super) fn images_of_command(program: &[OsString]) -> Vec<PathBuf> {
    let Some(program) = program.first().and_then(|name| find_program(name)) else {
        return Vec::new();
    };
    let program = real_program(program);
    let mut images = vec![program.clone()];
    if let Some(interpreter) = interpreter_of(&program) {
        images.push(interpreter.clone());
        images.extend(libraries(&interpreter, &program));
    }
    images
}

/// The files with code that a process has mapped.
pub(super) fn images_of_process(pid: u32) -> Vec<MappedImage> {
    const PROT_EXEC: u32 = 4;
    let mappings = maps(Path::new("/"), pid).unwrap_or_default();
    let code = mappings.iter().filter(|it| it.protection & PROT_EXEC != 0 && it.inode != 0);
    code.map(|it| MappedImage { pid, start: it.start, end: it.end, name: it.name.clone() })
        .collect()
}

/// A file that a process has mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sampling) struct MappedImage {
    pub(in crate::sampling) pid: u32,
    pub(in crate::sampling) start: u64,
    pub(in crate::sampling) end: u64,
    pub(in crate::sampling) name: Vec<u8>,
}

impl MappedImage {
    /// Opens the very file, also where the process sees other files than we do.
    pub(super) fn open(&self) -> Option<File> {
        let Self { pid, start, end, name } = self;
        let mapped = format!("/proc/{pid}/map_files/{start:x}-{end:x}");
        let below_root = name
            .strip_prefix(b"/")
            .map(|name| Path::new(&format!("/proc/{pid}/root")).join(OsStr::from_bytes(name)));
        let paths = [Some(PathBuf::from(mapped)), below_root];
        let named = Path::new(OsStr::from_bytes(name)).to_owned();
        let mut paths = paths.into_iter().flatten().chain(name.starts_with(b"/").then_some(named));
        paths.find_map(|path| File::open(path).ok())
    }
}

/// Where a program is found as `execvp` finds it.
fn find_program(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name));
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(is_program)
}

/// The program that runs a script; a program itself.
fn real_program(mut program: PathBuf) -> PathBuf {
    for _ in 0..MAX_SCRIPTS {
        let mut start = [0; 256];
        let read = File::open(&program).and_then(|mut file| file.read(&mut start)).unwrap_or(0);
        let Some(line) = start[..read].strip_prefix(b"#!") else {
            break;
        };
        let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|it| !it.is_empty());
        let Some(path) = words.next() else {
            break;
        };
        program = PathBuf::from(OsStr::from_bytes(path));
        // `#!/usr/bin/env python3`: env becomes another program with the same libraries and more.
        if program.file_name() == Some(OsStr::new("env"))
            && let Some(found) = words.next().and_then(|name| find_program(OsStr::from_bytes(name)))
        {
            program = found;
        }
    }
    program
}

/// The dynamic linker that a program names.
fn interpreter_of(program: &Path) -> Option<PathBuf> {
    let data = MappedFile::open(program).ok()?;
    let object::File::Elf64(file) = object::File::parse(&*data).ok()? else {
        return None;
    };
    let endian = file.endian();
    let headers = file.elf_header().program_headers(endian, &*data).ok()?;
    let path = headers.iter().find_map(|it| it.interpreter(endian, &*data).ok()?)?;
    Some(PathBuf::from(OsString::from_vec(path.to_vec())))
}

/// What the dynamic linker would load, as it says itself: it looks into environment, run path and cache.
fn libraries(interpreter: &Path, program: &Path) -> Vec<PathBuf> {
    let mut command = Command::new(interpreter);
    command.arg("--list").arg(program);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let listed = output.map(|output| output.stdout).unwrap_or_default();
    listed.split(|&byte| byte == b'\n').filter_map(library).collect()
}

/// A line of such a list: `libm.so.6 => /lib/libm.so.6 (0x…)`, or the path alone.
fn library(line: &[u8]) -> Option<PathBuf> {
    let text = String::from_utf8_lossy(line);
    let path = text.split_once(" => ").map_or(text.trim(), |(_, path)| path.trim());
    let path = path.rsplit_once(" (0x").map_or(path, |(path, _)| path);
    path.starts_with('/').then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_dynamic_linker_are_understood() {
        let path = |line: &str| library(line.as_bytes());
        let with_space = "\tlibx.so => /opt/my libs/libx.so (0x00007f0000000000)";
        assert_eq!(path(with_space), Some(PathBuf::from("/opt/my libs/libx.so")));
        let linker = "\t/lib64/ld-linux-x86-64.so.2 (0x00007f5e5a000000)";
        assert_eq!(path(linker), Some(PathBuf::from("/lib64/ld-linux-x86-64.so.2")));
        for none in
            ["\tlinux-vdso.so.1 (0x00007ffc)", "\tlibz.so => not found", "", "statically linked"]
        {
            assert_eq!(path(none), None, "{none}");
        }
    }

    #[test]
    fn a_command_has_its_program_and_the_c_library() {
        let images = images_of_command(&["sh".into(), "-c".into()]);
        let has = |name: &str| images.iter().any(|it| it.to_string_lossy().contains(name));
        assert!(has("/sh") && (has("libc.so") || has("musl")), "{images:?}");
        assert_eq!(images_of_command(&["no-such-program-here".into()]), Vec::<PathBuf>::new());
        assert_eq!(images_of_command(&[]), Vec::<PathBuf>::new());
    }
}
