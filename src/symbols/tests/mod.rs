//! The whole module against programs that are compiled here, and against binutils.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSegment, ObjectSymbol};

use super::resolved_image::ResolvedImage;
use super::*;

mod files;
mod hostile;
mod lookups;

const C_PROGRAM: &str = "\
#include <stdlib.h>
int counters[64];
static inline __attribute__((always_inline)) int inner(int *at, int by)
{
    return __sync_add_and_fetch(at, by);
}
static inline __attribute__((always_inline)) int middle(int *at)
{
    return inner(at, 3) + 1;
}
__attribute__((noinline)) int bump(int *at)
{
    return middle(at) * 2;
}
int main(int argc, char **argv)
{
    (void)argv;
    return bump(&counters[argc & 63]) == abs(argc);
}
";

const CPP_PROGRAM: &str = "\
namespace ns {
template <class T> struct Cell {
    volatile T value;
    __attribute__((noinline)) T add(T by) { return step(by); }
    __attribute__((always_inline)) T step(T by) { value = value + by; return value; }
};
}
int main(int argc, char **) { ns::Cell<long> cell{1}; return (int)cell.add(argc); }
";

/// Runs a tool; `None`, said aloud, when the tool is missing or cannot do what is asked.
fn run<S: AsRef<OsStr>>(tool: &str, arguments: impl IntoIterator<Item = S>) -> Option<String> {
    let output = match Command::new(tool).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            skipped(&format!("{tool} does not run here: {error}"));
            return None;
        }
    };
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        skipped(&format!("{tool} fails here: {message}"));
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Compiles a program into `directory`, with a build-id and debug information.
fn compile(directory: &Path, source: (&str, &str), flags: &[&str]) -> Option<PathBuf> {
    let (name, text) = source;
    let source = directory.join(name);
    fs::write(&source, text).expect("the source is written");
    let program = source.with_extension("out");
    let compiler = if name.ends_with(".cc") { "c++" } else { "cc" };
    let mut arguments: Vec<&OsStr> = vec![
        "-g".as_ref(),
        "-O2".as_ref(),
        "-Wl,--build-id=sha1".as_ref(),
        "-o".as_ref(),
        program.as_ref(),
        source.as_ref(),
    ];
    arguments.extend(flags.iter().map(OsStr::new));
    run(compiler, arguments)?;
    Some(program)
}

fn compile_c(directory: &Path, flags: &[&str]) -> Option<PathBuf> {
    compile(directory, ("program.c", C_PROGRAM), flags)
}

fn resolve(path: &Path) -> ResolvedImage {
    let finder = ImageFinder::default();
    let image = finder.find(path, None).expect("an image");
    ResolvedImage::new(image, path, &finder, DemangleStyle::Full)
}

/// The offset and the address of the start of a function.
fn function_start(path: &Path, name: &str) -> (FileOffset, ImageAddress) {
    let bytes = fs::read(path).expect("the program is read");
    let file = object::File::parse(&*bytes).expect("the program is an image");
    let address = file
        .symbols()
        .find(|symbol| symbol.name() == Ok(name))
        .expect("the function is there")
        .address();
    let offset = file
        .segments()
        .find_map(|segment| {
            let delta = address.checked_sub(segment.address())?;
            let (offset, size) = segment.file_range();
            (delta < size).then_some(offset + delta)
        })
        .expect("the function is in a segment");
    (FileOffset(offset), ImageAddress(address))
}

fn functions(location: &Location) -> Vec<&str> {
    let name = |frame| -> &str {
        let frame: &Frame = frame;
        frame.function.as_deref().unwrap_or("?")
    };
    location.frames.iter().map(name).collect()
}

/// Says why something was skipped, past the test runner, which keeps what passing tests print to
/// itself.
pub(in crate::symbols) fn skipped(reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}
