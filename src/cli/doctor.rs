//! `hitm doctor`.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use clap::Args;
use comfy_table::{Cell, ContentArrangement, Table, presets};

use hitm::render::clean;
use hitm::sampling::{Diagnosis, ThisKernel, Verdict, diagnose, probe};
use hitm::system::Machine;

/// Columns of the table where no terminal tells its own.
const WIDTH: u16 = 100;

#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Print it as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &DoctorArguments) -> anyhow::Result<()> {
    let root = Path::new("/");
    let machine = Machine::read(root);
    let diagnosis = diagnose(&machine, &probe(root, &machine, &ThisKernel));
    let mut out = io::stdout().lock();
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &diagnosis)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", text(&machine, &diagnosis))?;
    }
    Ok(out.flush()?)
}

fn text(machine: &Machine, diagnosis: &Diagnosis) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !io::stdout().is_terminal() {
        table.set_width(WIDTH).force_no_tty();
    }
    table.set_header(["", "Here", "Why", "What gives it"]);
    let mut rows = |verdicts: &[Verdict], kind: &str| {
        for verdict in verdicts {
            table.add_row([
                Cell::new(format!("{kind}{}", verdict.name)),
                Cell::new(if verdict.works { "yes" } else { "no" }),
                Cell::new(clean(&verdict.why)),
                Cell::new(clean(verdict.remedy.as_deref().unwrap_or_default())),
            ]);
        }
    };
    rows(&diagnosis.samplers, "sampler ");
    rows(&diagnosis.checks, "");
    let cpu = machine.cpu.name.as_deref().unwrap_or(&machine.arch);
    let kernel = machine.kernel_release.as_deref().unwrap_or("of unknown release");
    let best = match diagnosis.best {
        Some(kind) => format!("hitm samples here with: {kind}"),
        None => "hitm cannot sample here: no sampler opens".to_owned(),
    };
    let surroundings = &machine.surroundings;
    let mut place = format!("{cpu}, Linux {kernel}");
    if surroundings.virtualisation.is_virtual {
        place += ", in a virtual machine";
    }
    if let Some(container) = &surroundings.container {
        place += &format!(", in a container ({container})");
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>();
    clean(&format!("{best} ({place})")).into_owned() + "\n\n" + &lines
}
