//! Options of every command that samples.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::report::{CpuList, parse_cpus};
use hitm::sampling::{Privilege, Rate, SamplerChoice, SamplerKind, SamplerOptions, Target};

/// What is sampled, and how.
#[derive(Debug, Args)]
pub struct SamplingOptions {
    /// Sample these processes, with the threads and children that they have and will have
    #[arg(help_heading = "Target", short, long, value_name = "PID,…", value_delimiter = ',')]
    pub pid: Vec<u32>,

    /// Sample these threads
    #[arg(help_heading = "Target", short, long, value_name = "TID,…", value_delimiter = ',')]
    pub tid: Vec<u32>,

    /// Sample all CPUs
    #[arg(help_heading = "Target", short, long)]
    pub all_cpus: bool,

    /// Sample these CPUs, such as 0-3,8
    #[arg(help_heading = "Target", short = 'C', long, value_name = "CPUS", value_parser = parse_cpus)]
    pub cpu: Option<CpuList>,

    /// Sample a cgroup, and so a container: its path below the cgroup mount
    #[arg(help_heading = "Target", short = 'G', long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// Keep only samples of programs whose file matches, such as '*/deps/*'
    #[arg(help_heading = "Target", long, value_name = "GLOB")]
    pub only_exe: Vec<String>,

    /// Keep only samples of threads whose name matches
    #[arg(help_heading = "Target", long, value_name = "GLOB")]
    pub comm: Vec<String>,

    /// How to sample: auto takes the best that opens here
    #[arg(help_heading = "Sampling", long, value_enum, default_value_t = Sampler::Auto)]
    pub sampler: Sampler,

    /// Samples a second on each CPU [default: 1000 with the clock, 125 with ptrace]
    #[arg(help_heading = "Sampling", short = 'F', long, value_name = "HZ")]
    pub freq: Option<u64>,

    /// Events between samples instead; ns with the clock and ptrace
    #[arg(help_heading = "Sampling", short = 'c', long, value_name = "N", conflicts_with = "freq")]
    pub period: Option<u64>,

    /// Sample user code only
    #[arg(help_heading = "Sampling", short = 'u', long)]
    pub all_user: bool,

    /// Sample the kernel only
    #[arg(help_heading = "Sampling", short = 'k', long, conflicts_with = "all_user")]
    pub all_kernel: bool,

    /// Record callers, by frame pointers
    #[arg(help_heading = "Sampling", short = 'g', long)]
    pub call_graph: bool,

    /// Loads that take fewer cycles are not sampled (PEBS, SPE, newest IBS)
    #[arg(help_heading = "Sampling", long, value_name = "CYCLES")]
    pub ldlat: Option<u32>,

    /// Do not watch suspects with debug registers meanwhile
    #[arg(help_heading = "Watching", long)]
    pub no_watch: bool,

    /// Share of the target's CPU time that watching may take, in percent
    #[arg(help_heading = "Watching", long, value_name = "PERCENT", default_value = "1", value_parser = parse_percent, conflicts_with = "no_watch")]
    pub watch_budget: f64,

    /// Trace allocations from now on, so that objects on the heap have the place that allocated them
    /// (needs root)
    #[arg(help_heading = "Heap", long)]
    pub heap: bool,

    /// Share of the target's CPU time that tracing allocations may take, in percent
    #[arg(help_heading = "Heap", long, value_name = "PERCENT", default_value = "10", value_parser = parse_percent, requires = "heap")]
    pub heap_budget: f64,

    /// Stop after so many seconds
    #[arg(help_heading = "Time and space", long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub duration: Option<Duration>,

    /// Begin to sample after so many seconds
    #[arg(help_heading = "Time and space", long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub delay: Option<Duration>,

    /// Pages of each CPU's ring buffer, a power of two
    #[arg(help_heading = "Time and space", short = 'm', long, value_name = "N", value_parser = parse_pages)]
    pub mmap_pages: Option<usize>,

    /// End when the recording has this size, such as 500M
    #[arg(help_heading = "Time and space", long, value_name = "SIZE", value_parser = parse_size)]
    pub max_size: Option<u64>,

    /// Compress the recording
    #[arg(help_heading = "Time and space", short = 'z', long)]
    pub compress: bool,

    /// The command to run and sample
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Names of samplers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sampler {
    /// The best that opens here.
    Auto,
    /// Intel's precise events.
    Pebs,
    /// AMD's instruction-based sampling.
    Ibs,
    /// Arm's statistical profiling extension.
    Spe,
    /// The kernel's clock.
    Clock,
    /// Threads are stopped for a moment: works where the kernel refuses all others, and costs 1 to 2 %
    /// at its default rate.
    Ptrace,
}

impl SamplingOptions {
    /// What is to be sampled: exactly one target.
    pub fn target(&self) -> anyhow::Result<Target> {
        let mut targets = Vec::new();
        if !self.command.is_empty() {
            targets.push(("a command", Target::Command(self.command.clone())));
        }
        if !self.pid.is_empty() {
            targets.push(("-p", Target::Processes(self.pid.clone())));
        }
        if !self.tid.is_empty() {
            targets.push(("-t", Target::Threads(self.tid.clone())));
        }
        if let Some(cgroup) = &self.cgroup {
            targets.push(("-G", Target::Cgroup(cgroup.clone())));
        }
        if let Some(CpuList(cpus)) = &self.cpu {
            targets.push(("-C", Target::Cpus(cpus.iter().map(|cpu| cpu.0).collect())));
        } else if self.all_cpus {
            targets.push(("-a", Target::Cpus(Vec::new())));
        }
        let names: Vec<&str> = targets.iter().map(|(name, _)| *name).collect();
        anyhow::ensure!(
            targets.len() < 2,
            "{} are different targets: give one of them",
            names.join(" and ")
        );
        let target = targets.pop().map(|(_, target)| target);
        target.ok_or_else(|| {
            anyhow::anyhow!("nothing to sample: give a command behind --, or -p, -t, -a, -C or -G")
        })
    }

    /// Which sampler.
    pub fn choice(&self) -> SamplerChoice {
        match self.sampler {
            Sampler::Auto => SamplerChoice::Auto,
            Sampler::Pebs => SamplerChoice::Only(SamplerKind::Pebs),
            Sampler::Ibs => SamplerChoice::Only(SamplerKind::Ibs),
            Sampler::Spe => SamplerChoice::Only(SamplerKind::Spe),
            Sampler::Clock => SamplerChoice::Only(SamplerKind::Clock),
            Sampler::Ptrace => SamplerChoice::Only(SamplerKind::Ptrace),
        }
    }

    /// What every sampler has to know.
    pub fn sampler_options(&self) -> SamplerOptions {
        SamplerOptions {
            ldlat: self.ldlat,
            rate: match (self.period, self.freq) {
                (Some(period), _) => Rate::Period(period),
                (None, Some(frequency)) => Rate::Frequency(frequency),
                (None, None) => Rate::Default,
            },
            privilege: match (self.all_user, self.all_kernel) {
                (true, _) => Privilege::User,
                (_, true) => Privilege::Kernel,
                _ => Privilege::Any,
            },
            call_graph: self.call_graph,
            ..SamplerOptions::default()
        }
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("\"{text}\" is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{text} seconds cannot be waited for"))
}

/// A share, 0 to 1, of a number of percent.
fn parse_percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.trim_end_matches('%').trim().parse().unwrap_or(f64::NAN);
    match percent {
        percent if percent > 0.0 && percent <= 50.0 => Ok(percent / 100.0),
        _ => Err(format!("\"{text}\" is no number of percent above 0 and up to 50")),
    }
}

fn parse_pages(text: &str) -> Result<usize, String> {
    let pages: Option<usize> = text.parse().ok();
    let pages = pages.filter(|pages| pages.is_power_of_two() && *pages <= 1 << 20);
    pages.ok_or_else(|| format!("\"{text}\" is no power of two from 1 to 1048576"))
}

fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{text}\" is no size: give bytes, or a number with K, M or G");
    let (digits, shift) = match text.trim_end_matches('B').split_at_checked(text.len() - 1) {
        Some((digits, "K" | "k")) => (digits, 10),
        Some((digits, "M" | "m")) => (digits, 20),
        Some((digits, "G" | "g")) => (digits, 30),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}
