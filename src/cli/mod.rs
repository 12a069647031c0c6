//! The command line: flags in, plain options out, errors printed once.

mod progress;
mod report;

use clap::{Parser, Subcommand};

/// Finds the cache lines that CPUs fight over.
#[derive(Debug, Parser)]
#[command(name = "hitm", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reports the hot cache lines of a recording made by perf or hitm.
    Report(Box<report::ReportArguments>),
}

/// Runs the command.
///
/// # Errors
///
/// What went wrong, as sentences for the user.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.command {
        Command::Report(arguments) => report::run(&arguments),
    }
}

/// Whether an error only says that nobody reads the output any more.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|error| error.io_error_kind() == Some(std::io::ErrorKind::BrokenPipe))
    })
}
