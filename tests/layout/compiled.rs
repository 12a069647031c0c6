//! Programs that are compiled here, and their types.

use std::path::{Path, PathBuf};
use std::process::Command;

use hitm::symbols::{DataType, ImageId, SymbolOptions, Symbolizer};

use crate::skipped::skipped;

/// Runs a command; `None`, said aloud, where it is missing or fails.
pub fn run(command: &mut Command) -> Option<String> {
    match command.output() {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            skipped(&format!("{command:?} fails here: {message}"));
            None
        }
        Err(error) => {
            skipped(&format!("{command:?} does not run here: {error}"));
            None
        }
    }
}

/// Compiles and links a program with debug information.
pub fn compile(directory: &Path, name: &str, text: &str, flags: &[&str]) -> Option<PathBuf> {
    let source = directory.join(name);
    std::fs::write(&source, text).expect("the source is written");
    let path = source.with_extension("out");
    let compiler = match name.rsplit('.').next() {
        Some("c") => "cc",
        Some("rs") => "rustc",
        _ => "c++",
    };
    let mut command = Command::new(compiler);
    command.arg("-g").args(flags).arg("-o").arg(&path).arg(&source).current_dir(directory);
    run(&mut command).map(|_| path)
}

/// The types of one program.
pub struct Program {
    pub symbolizer: Symbolizer,
    pub image: ImageId,
}

impl Program {
    pub fn open(path: &Path) -> Self {
        let mut symbolizer = Symbolizer::new(SymbolOptions::default());
        let image = symbolizer.image(path, None);
        Self { symbolizer, image }
    }

    pub fn types(&mut self, name: &str) -> Vec<DataType> {
        self.symbolizer.types_named(self.image, name)
    }
}
