//! The `hitm` command.

use std::process::ExitCode;

use clap::Parser;

mod cli;

fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            // Nobody can be told that the terminal is gone.
            let _ = error.print();
            return ExitCode::from(cli::usage_code(std::env::args_os()));
        }
        Err(help) => help.exit(),
    };
    match cli::run(arguments) {
        Ok(code) => code,
        // The reader has seen enough: `hitm report | head`.
        Err(failure) if cli::is_broken_pipe(&failure.error) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hitm: {:#}", failure.error);
            ExitCode::from(failure.code)
        }
    }
}
