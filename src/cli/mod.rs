//! The command line: flags in, plain options out, errors printed once.

mod demo;
mod doctor;
mod layout;
mod progress;
mod record;
mod report;
mod run;
mod sampling_options;
mod watch;

use std::process::ExitCode;

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
    /// Says what this machine can sample, what stands in the way, and what removes it.
    Doctor(doctor::DoctorArguments),
    /// Samples a small built-in program with false sharing, reports, and measures what padding gains.
    Demo(demo::DemoArguments),
    /// Samples a command, processes or the whole machine into a recording.
    Record(Box<record::RecordArguments>),
    /// Reports the hot cache lines of a recording made by perf or hitm.
    Report(Box<report::ReportArguments>),
    /// Records a command and reports at once.
    Run(Box<run::RunArguments>),
    /// Shows how a type lies in memory: offsets, holes and cache lines.
    Layout(layout::LayoutArguments),
    /// Shows who touches a few bytes of a process, in order, by debug registers.
    Watch(watch::WatchArguments),
}

/// An error, and the exit code that goes with it.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong, as sentences for the user.
    pub error: anyhow::Error,
    /// Exit code.
    pub code: u8,
}

impl Failure {
    /// Our own failures where the exit code is the command's, as `env` and `timeout` have it.
    pub const OWN: u8 = 125;
    /// Errors of usage and input.
    pub const USAGE: u8 = 2;

    fn own(error: anyhow::Error) -> Self {
        Self { error, code: Self::OWN }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { error, code: Self::USAGE }
    }
}

/// The exit code for a command line that cannot be understood.
pub fn usage_code(words: impl Iterator<Item = std::ffi::OsString>) -> u8 {
    let mut words = words.skip(1).filter(|word| !word.to_string_lossy().starts_with('-'));
    match words.next() {
        Some(word) if word == "record" || word == "run" => Failure::OWN,
        _ => Failure::USAGE,
    }
}

/// Runs the command.
///
/// # Errors
///
/// What went wrong, and the exit code.
pub fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Doctor(arguments) => Ok(doctor::run(&arguments).map(|()| ExitCode::SUCCESS)?),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Record(arguments) => record::run(&arguments),
        Command::Report(arguments) => Ok(report::run(&arguments).map(|()| ExitCode::SUCCESS)?),
        Command::Run(arguments) => run::run(&arguments),
        Command::Layout(arguments) => Ok(layout::run(&arguments).map(|()| ExitCode::SUCCESS)?),
        Command::Watch(arguments) => Ok(watch::run(&arguments).map(|()| ExitCode::SUCCESS)?),
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
