//! Programs from their sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::skipped::skipped;

/// How a program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// C with `-O2`, position independent, as distributions have it.
    C,
    /// The same at a fixed address.
    FixedAddress,
    /// With the C library in it.
    Static,
    /// Without symbols and debug information; the unwind tables are loaded and stay.
    Stripped,
    /// C with a shared library of its own.
    Library,
    /// C++.
    CPlusPlus,
    /// Rust.
    Rust,
}

/// The programs of this suite.
pub const PROGRAMS: &str = "tests/truth/programs";

/// Builds `NAME.*` of a folder of the project into the directory; `None`, and said aloud, without the
/// compiler.
pub fn compile(folder: &str, name: &str, build: Build, directory: &Path) -> Option<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = project.join(folder);
    let program = directory.join(name);
    let headers = format!("-I{}", project.join(PROGRAMS).display());
    let c = ["-O2", "-g", "-Wall", "-Werror", "-pthread", &headers];
    let source = |extension: &str| sources.join(format!("{name}.{extension}"));
    let mut command;
    match build {
        Build::CPlusPlus => {
            command = Command::new("c++");
            command.args(c).arg("-o").arg(&program).arg(source("cpp"));
        }
        Build::Rust => {
            command = Command::new("rustc");
            command.args(["--edition", "2024", "-O", "-g", "-o"]).arg(&program).arg(source("rs"));
        }
        Build::Library => {
            let library = directory.join("libwork.so");
            let mut first = Command::new("cc");
            first.args(c).args(["-fPIC", "-shared", "-o"]).arg(&library);
            succeed(first.arg(sources.join("library_work.c")), name)?;
            command = Command::new("cc");
            command.args(c).arg("-o").arg(&program).arg(source("c")).arg(&library);
            command.arg(format!("-Wl,-rpath,{}", directory.display()));
        }
        Build::C | Build::FixedAddress | Build::Static | Build::Stripped => {
            command = Command::new("cc");
            command.args(c).arg("-o").arg(&program).arg(source("c"));
            command.args(match build {
                Build::FixedAddress => &["-no-pie", "-fno-pie"][..],
                Build::Static => &["-static"],
                Build::Stripped => &["-s"],
                _ => &["-pie", "-fPIE"],
            });
        }
    }
    succeed(&mut command, name)?;
    Some(program)
}

fn succeed(command: &mut Command, name: &str) -> Option<()> {
    let Ok(output) = command.output() else {
        skipped(&format!("{name}: there is no {}", command.get_program().display()));
        return None;
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} does not compile:\n{error}");
    Some(())
}
