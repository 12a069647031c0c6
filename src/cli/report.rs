//! `hitm report`.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgAction, Args, FromArgMatches, ValueEnum};

use super::progress::Progress;
use hitm::access::PerfVersion;
use hitm::lines::{Coalesce, Display, Filter, LineSize, SortKey};
use hitm::perf_data::{Features, Input, Recording};
use hitm::process::{Cpu, Pid, Tid, Time};
use hitm::render::{C2cStyle, TextStyle};
use hitm::report::{GroupBy, NameOptions, ReportOptions};
use hitm::system::Host;

/// So many lines the text shows unless told otherwise.
const TEXT_LINES: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// As `perf c2c report --stdio` prints it.
    C2c,
    /// For scripts.
    Json,
    /// For a review or a ticket.
    Markdown,
}

#[derive(Debug, Args)]
pub struct ReportArguments {
    /// The recording: a file, a directory, or - for standard input [default: hitm.data, else
    /// perf.data]
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Write to PATH instead of standard output
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Only the totals, no lines
    #[arg(help_heading = "Lines", long)]
    stats: bool,

    /// Rank lines of --format c2c by all, local or remote HITMs, or peer snoops [default: tot; peer
    /// for arm64]
    #[arg(help_heading = "perf c2c", short, long, value_name = "tot|lcl|rmt|peer")]
    display: Option<Display>,

    /// Tell rows of --format c2c apart by these, separated by commas: pid, tid, iaddr, dso
    /// [default: iaddr]
    #[arg(help_heading = "perf c2c", short, long, value_name = "KEYS", value_delimiter = ',')]
    coalesce: Vec<Coalesce>,

    /// Show nodes with their CPUs; twice: as CPU lists
    #[arg(help_heading = "perf c2c", short = 'N', long, action = ArgAction::Count)]
    node_info: u8,

    /// Show the callers of each access
    #[arg(help_heading = "Lines", short = 'g', long)]
    call_graph: bool,

    /// The image of the recorded kernel
    #[arg(help_heading = "Names", short = 'k', long, value_name = "FILE")]
    vmlinux: Option<PathBuf>,

    /// Show all accesses of each line, and what could not be resolved
    #[arg(help_heading = "Lines", short, long)]
    verbose: bool,

    /// Show all lines, not only contended ones
    #[arg(help_heading = "Lines", long)]
    show_all: bool,

    /// Do not shorten names of functions and files
    #[arg(help_heading = "Names", long)]
    full_symbols: bool,

    /// Do not look up source lines
    #[arg(help_heading = "Names", long)]
    no_source: bool,

    /// Take cache lines in pairs, as CPUs do that prefetch the adjacent line
    #[arg(help_heading = "Lines", long)]
    double_cl: bool,

    /// Bytes of a cache line [default: as recorded, else 64]
    #[arg(help_heading = "Lines", long, value_name = "64|128|256")]
    line_size: Option<LineSize>,

    /// Count as this version of perf does [default: the newest]
    #[arg(help_heading = "perf c2c", long, value_name = "X.Y")]
    perf_version: Option<PerfVersion>,

    /// Only these processes
    #[arg(help_heading = "Samples", long, value_name = "PID", value_delimiter = ',')]
    pid: Vec<u32>,

    /// Only these threads
    #[arg(help_heading = "Samples", long, value_name = "TID", value_delimiter = ',')]
    tid: Vec<u32>,

    /// Only threads of these names
    #[arg(help_heading = "Samples", long, value_name = "NAME", value_delimiter = ',')]
    comm: Vec<String>,

    /// Only these CPUs, as a list such as 0-3,8
    #[arg(help_heading = "Samples", long, value_name = "LIST", value_parser = parse_cpus)]
    cpu: Option<CpuList>,

    /// Only code in these images, by path or file name
    #[arg(help_heading = "Samples", long, value_name = "NAME", value_delimiter = ',')]
    object: Vec<String>,

    /// Only this time, in seconds of the recording's clock; either end may be left out
    #[arg(help_heading = "Samples", long, value_name = "FROM,TO", value_parser = parse_time_range)]
    time: Option<TimeRange>,

    /// List so many lines at most [default: 10 in text, else all]
    #[arg(help_heading = "Lines", long, value_name = "N")]
    limit: Option<usize>,

    /// Order of lines: cost, hitm, samples, stores or address [default: cost]
    #[arg(help_heading = "Lines", long, value_name = "KEY")]
    sort: Option<SortKey>,

    /// Sum lines by what they have in common: type, field, site (the instructions that fight), symbol
    /// or line [default: type, where types are known]
    #[arg(help_heading = "Lines", long, value_name = "KEY")]
    group_by: Option<GroupBy>,

    /// A directory that stands for the root of the recorded machine
    #[arg(help_heading = "Names", long, value_name = "DIR")]
    symfs: Option<PathBuf>,
}

/// CPUs of a list such as `0-3,8`.
#[derive(Debug, Clone)]
pub struct CpuList(pub Vec<Cpu>);

/// From and to.
type TimeRange = (Option<Time>, Option<Time>);

pub fn run(arguments: &ReportArguments) -> anyhow::Result<()> {
    write_out(arguments.output.as_deref(), &rendered(arguments)?)
}

/// The report of a recording as `hitm run` shows it.
pub fn rendered_text(recording: &Path, is_verbose: bool) -> anyhow::Result<Vec<u8>> {
    let words = [OsStr::new("report"), OsStr::new("-i"), recording.as_os_str()];
    let words = words.into_iter().chain(is_verbose.then_some(OsStr::new("-v")));
    let command = ReportArguments::augment_args(clap::Command::new("report"));
    let matches = command.try_get_matches_from(words)?;
    rendered(&ReportArguments::from_arg_matches(&matches)?)
}

/// The report of a recording with all its contended lines.
pub fn report_of(recording: &Path, symfs: Option<&Path>) -> anyhow::Result<hitm::report::Report> {
    let words = [OsStr::new("report"), OsStr::new("-i"), recording.as_os_str()];
    let symfs = symfs.map(|folder| [OsStr::new("--symfs"), folder.as_os_str()]);
    let words = words.into_iter().chain(symfs.into_iter().flatten());
    let command = ReportArguments::augment_args(clap::Command::new("report"));
    let arguments = ReportArguments::from_arg_matches(&command.try_get_matches_from(words)?)?;
    let named = || recording.display().to_string();
    let input = Input::open(recording)?;
    let opened = Recording::open(&input).with_context(named)?;
    let options = arguments.options(recording, opened.features());
    hitm::report::report(&opened, &options, SortKey::Cost, None, &|_| {}).with_context(named)
}

fn rendered(arguments: &ReportArguments) -> anyhow::Result<Vec<u8>> {
    arguments.check()?;
    let path = arguments.input.clone().map_or_else(default_input, Ok)?;
    let is_stdin = path == Path::new("-");
    let named = || if is_stdin { "standard input".into() } else { path.display().to_string() };
    let progress = Progress::start();
    let input = if is_stdin { Input::standard_input() } else { Input::open(&path) }?;
    let recording = Recording::open(&input).with_context(named)?;
    let options = arguments.options(&path, recording.features());
    progress.expect(recording.sample_count() * 2);
    let step = |samples| progress.add(samples);

    let mut rendered = Vec::new();
    match arguments.format {
        Format::C2c => {
            let report = hitm::report::c2c_report(
                &recording,
                &options,
                arguments.display,
                if arguments.coalesce.is_empty() {
                    &[Coalesce::Iaddr]
                } else {
                    &arguments.coalesce
                },
                arguments.limit,
                &step,
            )
            .with_context(named)?;
            drop(progress);
            report.warnings.iter().for_each(print_warning);
            let style = C2cStyle {
                node_info: arguments.node_info,
                full_symbols: arguments.full_symbols,
                source: !arguments.no_source,
                stats_only: arguments.stats,
                callers: arguments.call_graph,
            };
            hitm::render::c2c(&report, &style, &mut rendered)?;
        }
        Format::Text | Format::Json | Format::Markdown => {
            let is_read = arguments.format != Format::Json && !arguments.show_all;
            let limit = arguments.limit.or(is_read.then_some(TEXT_LINES));
            let limit = if arguments.stats { Some(0) } else { limit };
            let report = hitm::report::report(
                &recording,
                &options,
                arguments.sort.unwrap_or(SortKey::Cost),
                limit,
                &step,
            )
            .with_context(named)?;
            drop(progress);
            match arguments.format {
                Format::Json => hitm::render::json(&report, &mut rendered)?,
                Format::Markdown => hitm::render::markdown(&report, &mut rendered)?,
                Format::Text | Format::C2c => {
                    let style = TextStyle {
                        colour: arguments.output.is_none() && wants_colour(),
                        verbose: arguments.verbose,
                        full_names: arguments.full_symbols,
                        lines: !arguments.stats,
                    };
                    hitm::render::text(&report, &style, &mut rendered)?;
                }
            }
        }
    }
    Ok(rendered)
}

impl ReportArguments {
    /// Refuses options that the chosen form would ignore.
    fn check(&self) -> anyhow::Result<()> {
        let is_c2c = self.format == Format::C2c;
        let needs_c2c = [
            ("--display", self.display.is_some()),
            ("--coalesce", !self.coalesce.is_empty()),
            ("--node-info", self.node_info > 0),
        ];
        for (option, is_given) in needs_c2c {
            anyhow::ensure!(is_c2c || !is_given, "{option} is for --format c2c only");
        }
        anyhow::ensure!(
            !is_c2c || self.group_by.is_none(),
            "--group-by is not for --format c2c, which has no groups"
        );
        anyhow::ensure!(!is_c2c || self.sort.is_none(), "--sort is not for --format c2c: use -d");
        Ok(())
    }

    fn options(&self, path: &Path, features: &Features) -> ReportOptions {
        let is_stdin = path == Path::new("-");
        let recorded = std::fs::metadata(path).ok().filter(|_| !is_stdin);
        let host = Host::read(Path::new("/"));
        let is_this_machine = features.hostname.is_some()
            && features.hostname == host.name
            && features.os_release == host.kernel_release;
        let since_start = recorded
            .as_ref()
            .and_then(|metadata| metadata.modified().ok())
            .zip(host.started)
            .is_some_and(|(modified, started)| modified >= started);
        // A pipe from a recorder that runs here has no file whose date could tell.
        let since_start = since_start || is_stdin;
        let (from, to) = self.time.unwrap_or_default();
        ReportOptions {
            filter: Filter {
                pids: self.pid.iter().map(|&pid| Pid(pid)).collect(),
                tids: self.tid.iter().map(|&tid| Tid(tid)).collect(),
                comms: self.comm.clone(),
                cpus: self.cpu.iter().flat_map(|list| list.0.iter().copied()).collect(),
                objects: self.object.clone(),
                from,
                to,
            },
            version: self.perf_version.unwrap_or(PerfVersion::NEWEST),
            line_size: self.line_size,
            double_lines: self.double_cl,
            show_all: self.show_all,
            group_by: self.group_by.unwrap_or_default(),
            call_graph: self.call_graph,
            names: NameOptions {
                symfs: self.symfs.clone(),
                vmlinux: self.vmlinux.clone(),
                recorded_here: is_this_machine && since_start,
                owner_uid: recorded.map(|metadata| metadata.uid()),
                source_lines: !self.no_source,
            },
        }
    }
}

fn default_input() -> anyhow::Result<PathBuf> {
    let found =
        ["hitm.data", "perf.data"].map(PathBuf::from).into_iter().find(|path| path.exists());
    found.context(
        "there is no hitm.data and no perf.data here; name a recording with -i, or make one with \
         perf c2c record",
    )
}

fn wants_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn print_warning(warning: &hitm::report::Warning) {
    let advice = warning.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
    eprintln!("hitm: warning: {}{advice}", hitm::render::clean(&warning.text()));
}

pub fn write_out(path: Option<&Path>, bytes: &[u8]) -> anyhow::Result<()> {
    let Some(path) = path else {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        return Ok(out.flush()?);
    };
    let file: File = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o666)
        .open(path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    let mut out = BufWriter::new(file);
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Strictly: a CPU that is left out silently would make the report one of other samples.
pub fn parse_cpus(text: &str) -> Result<CpuList, String> {
    let wrong = || format!("\"{text}\" is not a list of CPUs such as 0-3,8");
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong());
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(wrong());
        }
        cpus.extend((first..=last).map(|cpu| Cpu(u32::from(cpu))));
    }
    Ok(CpuList(cpus))
}

fn parse_time_range(text: &str) -> Result<TimeRange, String> {
    let (from, to) = text.split_once(',').unwrap_or((text, ""));
    let range = (parse_seconds(from)?, parse_seconds(to)?);
    match range {
        (None, None) => Err("give FROM,TO in seconds, such as 12.5,13".to_owned()),
        (Some(from), Some(to)) if from > to => Err(format!("{text} ends before it begins")),
        range => Ok(range),
    }
}

/// Seconds with up to nine decimals, exactly: a floating-point number does not hold the time of a
/// clock that has run for months.
fn parse_seconds(text: &str) -> Result<Option<Time>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let nanoseconds = (is_number(whole) && is_number(fraction) && fraction.len() <= 9)
        .then(|| {
            let seconds: u64 = whole.parse().ok()?;
            let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
            seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
        })
        .flatten();
    nanoseconds
        .map(|ns| Some(Time(ns)))
        .ok_or_else(|| format!("\"{text}\" is not a time in seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact() {
        assert_eq!(parse_seconds("12345678.123456789"), Ok(Some(Time(12_345_678_123_456_789))));
        assert_eq!(parse_time_range("1.5,"), Ok((Some(Time(1_500_000_000)), None)));
        assert!(parse_time_range("2,1").is_err());
        assert!(parse_time_range(",").is_err());
        assert!(parse_time_range("1.1234567891").is_err());
    }
}
