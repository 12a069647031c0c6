//! `hitm doctor`.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use comfy_table::{Cell, ContentArrangement, Table, presets};

use super::report::write_out;
use hitm::render::clean;
use hitm::sampling::{Diagnosis, ThisKernel, Verdict, diagnose, probe};
use hitm::self_test::{self_test, work};
use hitm::system::Machine;

/// Columns of the table where no terminal tells its own.
const WIDTH: u16 = 100;

#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Print it as one JSON object
    #[arg(long)]
    json: bool,

    /// Sample programs of known truth with every sampler that opens here, and measure the machine;
    /// takes up to half a minute
    #[arg(long)]
    self_test: bool,

    /// Write what the self-test measured to FILE, as JSON without names of users, hosts or files
    #[arg(short, long, value_name = "FILE", requires = "self_test")]
    output: Option<PathBuf>,

    /// Be a program that the self-test samples
    #[arg(long, hide = true, value_name = "JSON", conflicts_with_all = ["json", "self_test"])]
    workload: Option<String>,
}

pub fn run(arguments: &DoctorArguments) -> anyhow::Result<()> {
    let root = Path::new("/");
    let machine = Machine::read(root);
    if let Some(assignment) = &arguments.workload {
        return Ok(work(assignment)?);
    }
    if arguments.self_test {
        return run_self_test(arguments, &machine);
    }
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

fn run_self_test(arguments: &DoctorArguments, machine: &Machine) -> anyhow::Result<()> {
    let own = std::env::current_exe().context("this program's own file is not known")?;
    let worker = vec![own.into(), "doctor".into(), "--workload".into()];
    if let Some(output) = &arguments.output {
        // That it cannot be written is better told before the measurements than after.
        write_out(Some(output), b"")?;
    }
    let is_seen = io::stderr().is_terminal();
    let progress = |what: &str| {
        if is_seen {
            eprintln!("hitm: measuring {what}");
        }
    };
    let test = self_test(machine, worker, &progress)?;
    let mut json = serde_json::to_vec_pretty(&test)?;
    json.push(b'\n');
    if let Some(output) = &arguments.output {
        write_out(Some(output), &json)?;
    }
    if arguments.json {
        return write_out(None, &json);
    }
    let mut text = hitm::self_test::text(&test);
    text += &match &arguments.output {
        Some(output) => format!(
            "all of it, and nothing about users, hosts or files, is in {}\n",
            clean(&output.display().to_string())
        ),
        None => {
            "-o FILE.json writes all of it, and nothing about users, hosts or files\n".to_owned()
        }
    };
    write_out(None, text.as_bytes())
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
