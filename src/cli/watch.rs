//! `hitm watch`.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::record::Stop;
use super::report::write_out;
use hitm::perf_data::{Input, Recording};
use hitm::render::TextStyle;
use hitm::report::{NameOptions, ReportOptions, WatchFacts, watch_report};
use hitm::sampling::watch::{REGISTER_BYTES, REGISTERS, WatchKind, WatchOptions, covering, watch};
use hitm::symbols::find_variable;
use hitm::system::Machine;

#[derive(Debug, Args)]
pub struct WatchArguments {
    /// The process whose threads are watched, those to come included
    #[arg(short, long)]
    pid: u32,

    /// The bytes: an address such as 0x55e0c0a01040/8, or a variable such as counters, counters+64/8
    /// or ns::shard; without a length 8 bytes of an address, and all of a variable
    #[arg(value_name = "ADDRESS[/LEN]|SYMBOL[+OFFSET][/LEN]", value_parser = Place::parse)]
    place: Place,

    /// Watch for writes only
    #[arg(short, long)]
    writes: bool,

    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    duration: Duration,

    /// Stop after so many accesses: each costs its thread several microseconds
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    hits: u64,

    /// List so many of the accesses in order
    #[arg(long, value_name = "N", default_value_t = 40)]
    limit: usize,

    /// Keep the accesses in FILE, as a recording
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Form of what is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Do not shorten names
    #[arg(long)]
    full_symbols: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For scripts: every access.
    Json,
}

/// What to watch, as the user writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    what: What,
    length: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Address(u64),
    Variable { name: String, offset: u64 },
}

/// Bytes of an address without a length.
const WORD: u64 = 8;

/// Bytes that all registers cover.
const MOST: u64 = REGISTERS as u64 * REGISTER_BYTES;

pub fn run(arguments: &WatchArguments) -> anyhow::Result<()> {
    let root = Path::new("/");
    let pid = arguments.pid;
    anyhow::ensure!(
        root.join(format!("proc/{pid}")).exists(),
        "there is no process {pid}: it may have ended"
    );
    let (address, length, variable) = arguments.place.find(root, pid)?;
    let machine = Machine::read(root);
    let stop = Stop::register().context("signals cannot be caught")?;
    let options = WatchOptions {
        pid,
        address,
        length,
        kind: if arguments.writes { WatchKind::Writes } else { WatchKind::Accesses },
        hits: arguments.hits,
        duration: arguments.duration,
        call_graph: true,
    };
    let watched = watch(&machine, &options, stop.pipe.as_fd())?;
    if let Some(path) = &arguments.output {
        write_out(Some(path), &watched.recording)?;
    }
    let facts = WatchFacts {
        pid,
        address,
        length,
        variable,
        threads: watched.threads as u64,
        unwatched: watched.unwatched as u64,
        duration_ns: watched.elapsed.as_nanos() as u64,
        lost: watched.lost,
    };
    let input = Input::from_bytes(watched.recording);
    let recording = Recording::open(&input)?;
    let names = NameOptions { recorded_here: true, source_lines: true, ..NameOptions::default() };
    let options = ReportOptions { names, ..ReportOptions::default() };
    let report = watch_report(&recording, &options, facts);
    let mut rendered = Vec::new();
    match arguments.format {
        Format::Text => {
            let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let style = TextStyle {
                colour: io::stdout().is_terminal() && !no_colour,
                full_names: arguments.full_symbols,
                ..TextStyle::default()
            };
            hitm::render::watch_text(&report, arguments.limit, &style, &mut rendered)?;
        }
        Format::Json => hitm::render::json(&report, &mut rendered)?,
    }
    write_out(None, &rendered)
}

impl Place {
    fn parse(text: &str) -> Result<Self, String> {
        let (place, length) = match text.rsplit_once('/') {
            None => (text, None),
            Some((place, length)) => {
                let length = length.parse().ok().filter(|length| *length > 0);
                let length = length.ok_or_else(|| {
                    format!("\"{text}\" does not end with a number of bytes, such as /8")
                })?;
                (place, Some(length))
            }
        };
        let what = match number(place) {
            Some(address) => What::Address(address),
            None if place.is_empty() || place.starts_with(|first: char| first.is_ascii_digit()) => {
                return Err(format!("\"{place}\" is neither an address such as 0x7f00 nor a name"));
            }
            None => match place.rsplit_once('+') {
                Some((name, offset)) if !name.is_empty() && number(offset).is_some() => {
                    let offset = number(offset).unwrap_or(0);
                    What::Variable { name: name.to_owned(), offset }
                }
                // `operator+` and the like.
                _ => What::Variable { name: place.to_owned(), offset: 0 },
            },
        };
        Ok(Self { what, length })
    }

    /// The first byte, how many, and the variable.
    fn find(&self, root: &Path, pid: u32) -> anyhow::Result<(u64, u64, Option<String>)> {
        let (name, offset) = match &self.what {
            What::Address(address) => return Ok((*address, self.length.unwrap_or(WORD), None)),
            What::Variable { name, offset } => (name, *offset),
        };
        let variable = find_variable(root, pid, name)?;
        anyhow::ensure!(
            variable.size == 0 || offset < variable.size,
            "{name} has {} bytes, and {offset} is not an offset in it",
            variable.size
        );
        let address = variable.address.wrapping_add(offset);
        let whole = match variable.size {
            0 => WORD,
            size => size - offset,
        };
        let mut length = self.length.unwrap_or(whole);
        if self.length.is_none() {
            while length > MOST || covering(address, length, WatchKind::Accesses).is_none() {
                length = MOST.min(length - 1);
            }
            if length < whole {
                eprintln!(
                    "hitm: {name} has {whole} bytes, and a thread has {REGISTERS} debug registers \
                     of {REGISTER_BYTES} bytes: the first {length} are watched; for others give \
                     {name}+{}",
                    offset + length
                );
            }
        }
        let shown = if offset == 0 { name.clone() } else { format!("{name}+{offset}") };
        Ok((address, length, Some(shown)))
    }
}

/// A number as people write addresses and offsets: hexadecimal behind `0x`, otherwise decimal.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("\"{text}\" is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{text} seconds cannot be waited for"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_addresses_or_names() {
        let variable = |name: &str, offset| What::Variable { name: name.to_owned(), offset };
        let parse = |text| Place::parse(text).map(|place| (place.what, place.length));
        assert_eq!(parse("0x1040/4"), Ok((What::Address(0x1040), Some(4))));
        assert_eq!(parse("4160"), Ok((What::Address(0x1040), None)));
        assert_eq!(parse("cells"), Ok((variable("cells", 0), None)));
        assert_eq!(parse("cells+0x40/8"), Ok((variable("cells", 64), Some(8))));
        assert_eq!(parse("a::cells+8"), Ok((variable("a::cells", 8), None)));
        assert_eq!(parse("operator+"), Ok((variable("operator+", 0), None)));
        assert!(parse("cells/0").is_err());
        assert!(parse("cells/x").is_err());
        assert!(parse("12x").is_err() && parse("/8").is_err());
    }
}
