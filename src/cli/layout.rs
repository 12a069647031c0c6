//! `hitm layout`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::report::{report_of, write_out};
use hitm::render::{LayoutMargin, LayoutNote, LayoutStyle, clean, grouped, json, layout};
use hitm::report::{Heat, Hole, Layout, LayoutSums, heat};
use hitm::symbols::{DataType, SymbolOptions, Symbolizer};

#[derive(Debug, Args)]
pub struct LayoutArguments {
    /// Program or library whose debug information describes the type
    #[arg(value_name = "BINARY")]
    binary: PathBuf,

    /// Name of the type: foo, "struct foo", ns::Foo<int>, crate::module::Foo; outer scopes and the
    /// arguments of a template may be left out
    #[arg(value_name = "TYPE")]
    type_name: String,

    /// Bytes of a cache line; 128 where lines are fetched in pairs
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = ["64", "128"])]
    line_size: String,

    /// Show the members of nested types too
    #[arg(long)]
    expand: bool,

    /// A recording, whose samples are told beside the members
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// With -i, a directory that stands for the root of the recorded machine
    #[arg(long, value_name = "DIR", requires = "input")]
    symfs: Option<PathBuf>,

    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What `--format json` prints.
#[derive(Debug, Serialize)]
struct LayoutReport<'a> {
    line_size: u64,
    lines: u64,
    #[serde(flatten)]
    layout: &'a Layout,
    holes: Vec<Hole>,
    sums: LayoutSums,
    #[serde(skip_serializing_if = "Option::is_none")]
    heat: Option<Vec<Heat>>,
}

/// What the samples say, as notes beside the members.
fn margin(heat: &[Heat]) -> LayoutMargin {
    let note = |it: &Heat| LayoutNote {
        offset: it.offset,
        size: it.size,
        text: format!(
            "{:>9} {:>9} {:>3} {:>3}",
            grouped(it.samples),
            grouped(it.waits.round() as u64),
            it.readers,
            it.writers
        ),
    };
    LayoutMargin {
        title: format!("{:>9} {:>9} {:>3} {:>3}", "samples", "waits", "rd", "wr"),
        notes: heat.iter().map(note).collect(),
    }
}

pub fn run(arguments: &LayoutArguments) -> anyhow::Result<()> {
    let path = std::path::absolute(&arguments.binary)
        .with_context(|| format!("the path {} is not usable", arguments.binary.display()))?;
    let mut symbolizer = Symbolizer::new(SymbolOptions::default());
    let image = symbolizer.image(&path, None);
    let name = &arguments.type_name;
    let types = symbolizer.types_named(image, name);
    let layouts: Vec<(&DataType, Layout)> =
        types.iter().filter_map(|one| Some((one, Layout::of(one, arguments.expand)?))).collect();
    let line_size = arguments.line_size.parse().unwrap_or(64);
    match &layouts[..] {
        [(data_type, only)] => {
            let mut out = Vec::new();
            let heat = match &arguments.input {
                Some(recording) => {
                    let found = heat(
                        &report_of(recording, arguments.symfs.as_deref())?,
                        &data_type.name(),
                        only.size,
                    );
                    if found.is_empty() {
                        eprintln!(
                            "hitm: no contended line of {} is known to hold a {}.",
                            recording.display(),
                            clean(&data_type.name())
                        );
                    }
                    Some(found)
                }
                None => None,
            };
            match arguments.format {
                Format::Text => {
                    let style = LayoutStyle { line_size, start_in_line: 0 };
                    let margin = heat.as_deref().map(margin);
                    out.extend(layout(only, &style, margin.as_ref()).into_bytes());
                }
                Format::Json => {
                    let report = LayoutReport {
                        line_size,
                        lines: only.lines(line_size),
                        layout: only,
                        holes: only.holes(),
                        sums: only.sums(),
                        heat,
                    };
                    json(&report, &mut out)?;
                }
            }
            write_out(None, &out)
        }
        [] => {
            if let Some((_, problem)) = symbolizer.problems().first() {
                bail!("{problem}");
            }
            let path = arguments.binary.display();
            match types.first() {
                Some(other) => bail!(
                    "{} in {path} is {}, which has no members.",
                    clean(name),
                    clean(&other.stripped().name())
                ),
                None => bail!(
                    "The debug information of {path} defines no type {}; name it as the source does, \
                     and compile what uses it with -g.",
                    clean(name)
                ),
            }
        }
        several => {
            let mut text = format!(
                "{} types of {} are called {}; name one of them in full:",
                several.len(),
                arguments.binary.display(),
                clean(name)
            );
            for (data_type, layout) in several {
                let at = layout.declared_at.as_deref().unwrap_or("an unknown place");
                let own = data_type.name();
                text += &format!(
                    "\n  {}, {} bytes, declared at {}",
                    clean(&own),
                    layout.size,
                    clean(at)
                );
            }
            bail!("{text}")
        }
    }
}
