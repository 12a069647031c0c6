//! `hitm demo`.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, FromArgMatches, ValueEnum};

use super::Failure;
use super::record::record;
use super::report::{rendered_text, write_out};
use super::sampling_options::SamplingOptions;
use hitm::demo::{run_contended, run_padded, threads};

#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Sample for so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = parse_seconds)]
    seconds: Duration,

    /// Show all accesses of each line, and what could not be resolved
    #[arg(short, long)]
    verbose: bool,

    /// Be the program that is sampled, not the one that samples
    #[arg(long, hide = true, value_enum)]
    workload: Option<Workload>,
}

/// The program that is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// Fields that share a cache line.
    Contended,
    /// The twin.
    Padded,
}

/// Pairs of runs from which the speed-up is taken, and the length of each run.
const PAIRS: usize = 7;
const RUN: Duration = Duration::from_millis(200);

pub fn run(arguments: &DemoArguments) -> Result<ExitCode, Failure> {
    match arguments.workload {
        Some(Workload::Contended) => drop(run_contended(arguments.seconds)),
        Some(Workload::Padded) => drop(run_padded(arguments.seconds)),
        None => {
            demonstrate(arguments).map_err(|failure| Failure { code: Failure::USAGE, ..failure })?
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn demonstrate(arguments: &DemoArguments) -> Result<(), Failure> {
    let cpus = std::thread::available_parallelism().context("the number of CPUs is not known")?;
    if cpus.get() < 2 {
        return Err(anyhow::anyhow!(
            "contention takes two CPUs, and this process may use one: give it more (taskset, cpusets)"
        )
        .into());
    }
    let seconds = arguments.seconds.as_secs_f64();
    let count = threads();
    write_out(
        None,
        format!("{count} threads count, each in its own field of one struct, for {seconds} s.\n\n")
            .as_bytes(),
    )?;
    let folder = tempfile::Builder::new().prefix("hitm-").tempdir();
    let folder = folder.context("there is no place for the recording")?;
    let recording = folder.path().join("hitm.data");
    record(&sampling_options(seconds)?, Some(recording.clone()))?.say_notes();
    write_report(&recording, arguments.verbose)?;
    let speed_up = speed_up();
    write_out(
        None,
        format!(
            "\nWith each field on cache lines of its own, the same threads count {speed_up:.1} times as \
             fast:\nmeasured, median of {PAIRS} pairs of runs, without sampling.\n"
        )
        .as_bytes(),
    )?;
    Ok(())
}

fn write_report(recording: &Path, is_verbose: bool) -> anyhow::Result<()> {
    write_out(None, &rendered_text(recording, is_verbose)?)
}

/// The defaults of `hitm run`, with ourselves as the command.
fn sampling_options(seconds: f64) -> anyhow::Result<SamplingOptions> {
    let own = std::env::current_exe().context("this program's own file is not known")?;
    let seconds = seconds.to_string();
    let words: [OsString; 8] = [
        "hitm".into(),
        "--".into(),
        own.into(),
        "demo".into(),
        "--workload".into(),
        "contended".into(),
        "--seconds".into(),
        seconds.into(),
    ];
    let command = SamplingOptions::augment_args(clap::Command::new("hitm"));
    Ok(SamplingOptions::from_arg_matches(&command.try_get_matches_from(words)?)?)
}

/// How many times as fast the twin is: the median of interleaved pairs, so that what else the machine
/// does weighs on both.
fn speed_up() -> f64 {
    let mut ratios: Vec<f64> = (0..PAIRS)
        .map(|_| {
            let contended = run_contended(RUN).max(1);
            run_padded(RUN) as f64 / contended as f64
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[PAIRS / 2]
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("\"{text}\" is no number of seconds"))?;
    let seconds = Some(seconds).filter(|seconds| (0.1..=3600.0).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("{text} is not between 0.1 and 3600"))?;
    Ok(Duration::from_secs_f64(seconds))
}
