//! `hitm run`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::Failure;
use super::record::record;
use super::report::{rendered_text, write_out};
use super::sampling_options::SamplingOptions;

#[derive(Debug, Args)]
pub struct RunArguments {
    /// Write the report to PATH instead of standard error
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Keep the recording in FILE
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,

    /// Show all accesses of each line, and what could not be resolved
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    sampling: SamplingOptions,
}

pub fn run(arguments: &RunArguments) -> Result<ExitCode, Failure> {
    let folder = tempfile::Builder::new().prefix("hitm-").tempdir();
    let folder = folder.context("there is no place for the recording").map_err(Failure::own)?;
    let path = arguments.keep.clone().unwrap_or_else(|| folder.path().join("hitm.data"));
    let recording = record(&arguments.sampling, Some(path.clone()))?;
    let place = arguments.keep.as_ref().map(|path| format!(" in {}", path.display()));
    recording.report(&place.unwrap_or_default());
    // The command has done its work: that there is nothing to report does not make it fail.
    match rendered_text(&path, arguments.verbose) {
        Ok(report) => match &arguments.output {
            Some(output) => write_out(Some(output), &report).map_err(Failure::own)?,
            None => std::io::stderr()
                .lock()
                .write_all(&report)
                .map_err(|error| Failure::own(error.into()))?,
        },
        Err(error) => eprintln!("hitm: {error:#}"),
    }
    Ok(recording.exit_code())
}
