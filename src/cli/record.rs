//! `hitm record`.

use std::io::{self, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context;
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Failure;
use super::sampling_options::SamplingOptions;
use hitm::kernel::send_signal;
use hitm::render::{counted, grouped};
use hitm::report::{NameOptions, ReportOptions, watch_places};
use hitm::sampling::heap::{HeapError, HeapPlan, HeapSummary};
use hitm::sampling::watch::{Place, WatchPlan, WatchSummary};
use hitm::sampling::{
    self, End, RecordOptions, Recorded, SamplerChoice, SamplerKind, SamplerPlan, SamplingError,
    Target, ThisKernel, cannot_follow, choose, first_that_opens,
};
use hitm::system::Machine;

#[derive(Debug, Args)]
pub struct RecordArguments {
    /// The recording; - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "hitm.data")]
    output: PathBuf,

    /// Say nothing but what went wrong
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    sampling: SamplingOptions,
}

pub fn run(arguments: &RecordArguments) -> Result<ExitCode, Failure> {
    let is_stdout = arguments.output == Path::new("-");
    let output = (!is_stdout).then(|| arguments.output.clone());
    let recording = record(&arguments.sampling, output)?;
    if !arguments.quiet {
        let place = match is_stdout {
            true => " on standard output".to_owned(),
            false => format!(" in {}", arguments.output.display()),
        };
        recording.report(&place);
    }
    Ok(recording.exit_code())
}

/// A recording that was made.
pub struct Recording {
    recorded: Recorded,
    plan: SamplerPlan,
    has_command: bool,
}

/// Samples until the target ends, or the user says so.
pub fn record(options: &SamplingOptions, output: Option<PathBuf>) -> Result<Recording, Failure> {
    let target = options.target().map_err(Failure::own)?;
    let has_command = matches!(target, Target::Command(_));
    let machine = Machine::read(Path::new("/"));
    let mut plans = choose(&machine, options.choice(), &options.sampler_options())
        .map_err(|error| Failure::own(error.into()))?;
    if let Some(reason) = cannot_follow(&target) {
        if options.choice() == SamplerChoice::Only(SamplerKind::Ptrace) {
            return Err(Failure::own(reason.into()));
        }
        plans.retain(|plan| plan.kind != SamplerKind::Ptrace);
    }
    let stop = Stop::register().context("signals cannot be caught").map_err(Failure::own)?;
    let plan = first_that_opens(&plans, &machine, &ThisKernel)
        .map_err(|error| Failure::own(error.into()))?;
    if options.heap && plan.kind == SamplerKind::Ptrace {
        let error = HeapError::Sampler(plan.reason.clone());
        return Err(Failure::own(anyhow::Error::new(error)));
    }
    let record_options = RecordOptions {
        target,
        output,
        duration: options.duration,
        delay: options.delay,
        ring_pages: options.mmap_pages,
        max_size: options.max_size,
        compression_level: options.compress.then_some(1),
        only_programs: options.only_exe.clone(),
        only_names: options.comm.clone(),
        command_line: std::env::args().collect(),
        watch: watch_plan(options, &plan),
        heap: options.heap.then_some(HeapPlan { share: options.heap_budget }),
        kernel_build_id: hitm::symbols::running_kernel_build_id().map(|id| id.as_bytes().to_vec()),
    };
    let recorded = sampling::record(&machine, &plan, record_options, stop.pipe.as_fd());
    let mut recorded = recorded.map_err(sampling_failure)?;
    // A command that still runs is not ended with its recording: what it answers is the answer. An
    // interrupt it has got from the terminal itself; a request to end was meant for both.
    if let Some(mut child) = recorded.command.take() {
        if stop.signal.load(Ordering::Relaxed) == SIGTERM as usize {
            // One that has just ended needs none.
            let _ = send_signal(&child, SIGTERM);
        }
        recorded.status = child.wait().ok();
    }
    Ok(Recording { recorded, plan, has_command })
}

/// Suspects are watched where the clock samples: hardware needs no proof.
fn watch_plan(options: &SamplingOptions, plan: &SamplerPlan) -> Option<WatchPlan> {
    (plan.kind == SamplerKind::Clock && !options.no_watch)
        .then(|| WatchPlan { share: options.watch_budget, find: Arc::new(find_places) })
}

/// The suspects of what was recorded so far, found on one CPU at most: the target needs the others.
fn find_places(recording: Vec<u8>) -> Vec<Place> {
    let names = NameOptions { recorded_here: true, ..NameOptions::default() };
    let options = ReportOptions { names, ..ReportOptions::default() };
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(1).build() else {
        return Vec::new();
    };
    let places = pool.install(|| watch_places(recording, &options));
    places
        .into_iter()
        .map(|place| Place {
            pid: place.pid,
            line: place.line,
            words: place.words,
            known_words: place.known_words,
            threads: place.threads,
        })
        .collect()
}

/// Exit codes as `env` and `timeout` have them: 127 when there is no such command, 126 when it cannot
/// be run, 125 when we fail ourselves.
fn sampling_failure(error: SamplingError) -> Failure {
    let code = match &error {
        SamplingError::Command { cause, .. } if cause.kind() == io::ErrorKind::NotFound => 127,
        SamplingError::Command { .. } => 126,
        _ => Failure::OWN,
    };
    Failure { error: error.into(), code }
}

impl Recording {
    /// Says what was recorded, what was not, and what to change.
    pub fn report(&self, place: &str) {
        let recorded = &self.recorded;
        let end = match recorded.end {
            End::TargetEnded | End::Asked => "",
            End::Duration => ", the time is over",
            End::Size => ", the size is reached",
        };
        let kib = recorded.size.div_ceil(1024);
        eprintln!(
            "hitm: {} ({} KiB){place}{end}; sampled with {}",
            counted(recorded.samples, "sample"),
            grouped(kib),
            self.plan.reason
        );
        if recorded.dropped > 0 {
            let samples = counted(recorded.dropped, "sample");
            eprintln!("hitm: dropped {samples} of other programs");
        }
        if recorded.lost > 0 {
            eprintln!(
                "hitm: lost {}: give larger buffers (-m 512) or a lower rate (-F)",
                counted(recorded.lost, "record")
            );
        }
        if recorded.throttled > 0 {
            eprintln!(
                "hitm: the kernel throttled sampling {}: give a lower rate (-F)",
                counted(recorded.throttled, "time")
            );
        }
        if let Some(watched) = recorded.watched {
            report_watching(&watched);
        }
        if let Some(heap) = recorded.heap {
            report_heap(&heap);
        }
        self.say_notes();
        if recorded.is_without_kernel {
            eprintln!(
                "hitm: the kernel's part of the target was refused, and is not in the samples"
            );
        }
        if recorded.samples == 0 {
            eprintln!("hitm: the target used no CPU while it was sampled, or ended at once");
        }
    }

    /// Says why it was sampled so, and what was not sampled.
    pub fn say_notes(&self) {
        for note in self.plan.notes.iter().chain(&self.recorded.notes) {
            eprintln!("hitm: {note}");
        }
    }

    /// The command's own code, or 128 and the signal that ended it.
    pub fn exit_code(&self) -> ExitCode {
        let of_status = |status: ExitStatus| {
            let signal = status.signal().map(|signal| 128 + signal);
            ExitCode::from(status.code().or(signal).unwrap_or(0) as u8)
        };
        self.recorded.status.filter(|_| self.has_command).map_or(ExitCode::SUCCESS, of_status)
    }
}

fn report_watching(watched: &WatchSummary) {
    if watched.turns > 0 {
        eprintln!(
            "hitm: {} watched with debug registers in {}: {} accesses seen, at a cost of {:.1} ms of \
             the target's CPU time",
            counted(watched.lines, "line"),
            counted(watched.turns, "turn"),
            grouped(watched.hits),
            watched.cost as f64 / 1e6
        );
    }
    if watched.is_without_registers {
        eprintln!(
            "hitm: some suspects were not watched: there are no debug registers left; end what holds \
             them (a debugger, perf record -e mem:…)"
        );
    }
}

fn report_heap(heap: &HeapSummary) {
    eprintln!(
        "hitm: {} allocation functions traced with {}, at a cost of {:.1} ms of the target's CPU time",
        heap.functions,
        counted(heap.samples, "sample"),
        heap.cost as f64 / 1e6
    );
    if heap.pauses > 0 {
        let go_on = if heap.has_given_up {
            "tracing did not go on for want of open files: raise ulimit -n"
        } else {
            "what was allocated meanwhile has no site: give more with --heap-budget"
        };
        eprintln!(
            "hitm: tracing allocations stopped {} to keep its budget; {go_on}",
            counted(heap.pauses, "time")
        );
    }
    if heap.lost > 0 {
        eprintln!("hitm: lost {} of allocations", counted(heap.lost, "record"));
    }
}

/// Becomes readable when the user wants an end. A second interrupt ends the process at once.
pub struct Stop {
    pub pipe: PipeReader,
    /// The signal that came, 0 before.
    signal: Arc<AtomicUsize>,
}

impl Stop {
    pub fn register() -> io::Result<Self> {
        let (pipe, writer) = io::pipe()?;
        let is_second = Arc::new(AtomicBool::new(false));
        let caught = Arc::new(AtomicUsize::new(0));
        // Who started us with a signal ignored, as shells do in the background, means that for the
        // command too, which inherits it as long as nobody handles it.
        let ignored = hitm::system::signal_sets(std::process::id()).map_or(0, |sets| sets.ignored);
        let is_ignored = |signal: &i32| ignored >> (signal - 1) & 1 == 1;
        for signal in [SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(signal)) {
            // In this order: the first one only sets the flag.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                128 + signal,
                is_second.clone(),
            )?;
            signal_hook::flag::register(signal, is_second.clone())?;
            signal_hook::flag::register_usize(signal, caught.clone(), signal as usize)?;
            signal_hook::low_level::pipe::register(signal, OwnedFd::from(writer.try_clone()?))?;
        }
        Ok(Self { pipe, signal: caught })
    }
}
