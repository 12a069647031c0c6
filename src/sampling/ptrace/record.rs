//! From a target to a recording, by `ptrace`.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::Child;

use rustc_hash::FxHashMap;

use super::attach::seize_all;
use super::driver::{Driven, Driver};
use super::follower::{Follower, Following};
use super::records::Records;
use crate::kernel::{ChildSignals, Command, set_open_file_limit};
use crate::perf_data::{AttrFlags, ByteOrder, EventChange, EventSpec, SampleFormat, WriterOptions};
use crate::sampling::calibration::calibrate;
use crate::sampling::error::SamplingError;
use crate::sampling::fact::{Fact, taken_since_start, write_change, write_facts};
use crate::sampling::observer::Observer;
use crate::sampling::output::Output;
use crate::sampling::program_filter::ProgramFilter;
use crate::sampling::recorder::{End, RecordOptions, Recorded, features, prepare};
use crate::sampling::sampler::SamplerPlan;
use crate::sampling::synthesis::{self, BuildIds, Written};
use crate::sampling::target::Target;
use crate::system::{Capability, Machine, TakenTimeReader};

/// The id of the one event.
const EVENT_ID: u64 = 1;
/// Files of threads and processes that are open at once, at most.
const OPEN_FILES: u64 = 4096;

/// Records a command, or processes, until they end, the time is over or `stop` becomes readable.
///
/// # Errors
///
/// [`SamplingError`]: what stands in the way, and what to do.
pub(in crate::sampling) fn record(
    machine: &Machine,
    plan: &SamplerPlan,
    options: RecordOptions,
    stop: BorrowedFd<'_>,
) -> Result<Recorded, SamplingError> {
    let command = match &options.target {
        Target::Command(program) => Some(prepare(program)?),
        _ => None,
    };
    let system = |what| move |cause| SamplingError::System { what, cause };
    // From here on nothing is started that would inherit either.
    let _signals = ChildSignals::keep_back().map_err(system("signals cannot be kept back"))?;
    set_open_file_limit(OPEN_FILES).map_err(system("the limit of open files"))?;
    // The tracer is a thread of its own: when it ends, the kernel lets go of all that it traces.
    let mut child = None;
    let tracer = || follow(machine, plan, options, command, &mut child, stop);
    let recorded = std::thread::scope(|scope| {
        let tracer =
            std::thread::Builder::new().name("hitm-tracer".into()).spawn_scoped(scope, tracer);
        let tracer = tracer.map_err(system("a thread cannot be started"))?;
        tracer.join().unwrap_or_else(|_| {
            let cause = std::io::Error::other("it ended early");
            Err(SamplingError::System { what: "the tracing thread", cause })
        })
    });
    match (recorded, child) {
        (Ok(recorded), child) => Ok(Recorded { command: child, ..recorded }),
        (Err(error), child) => {
            // What was sampled cannot be written, but the command is not at fault: let it finish.
            if let Some(mut child) = child {
                let _ = child.wait();
            }
            Err(error)
        }
    }
}

fn follow(
    machine: &Machine,
    plan: &SamplerPlan,
    options: RecordOptions,
    command: Option<Command>,
    child: &mut Option<Child>,
    stop: BorrowedFd<'_>,
) -> Result<Recorded, SamplingError> {
    let root = Path::new("/");
    let event = plan.events.first().ok_or_else(|| SamplingError::System {
        what: "a plan without an event",
        cause: std::io::ErrorKind::InvalidInput.into(),
    })?;
    let roots = match (&options.target, &command) {
        (Target::Processes(pids), _) => pids.clone(),
        (_, Some(command)) => vec![command.pid()],
        _ => Vec::new(),
    };
    let seized = seize_all(machine, &roots)?;
    let taken = match roots.first() {
        Some(pid) => TakenTimeReader::of_process(root, *pid),
        None => TakenTimeReader::of_machine(root),
    };

    let mut features = features(machine, &options);
    features.memory_topology = None;
    let spec = EventSpec { attr: event.attr, name: event.name.clone(), ids: vec![EVENT_ID] };
    let writer_options =
        WriterOptions { order: ByteOrder::NATIVE, compression_level: options.compression_level };
    let path = options.output.as_deref();
    let mut output = Output::create(path, vec![spec], &features, writer_options)?;
    let formats = FxHashMap::from_iter([(0, SampleFormat::from(&event.attr))]);
    let filter = ProgramFilter::new(&options.only_programs, &options.only_names);
    let mut observer = Observer::new(&event.attr, formats, filter);
    // The registers of each sample tell them.
    observer.finds_bases = false;
    // Names come at the end of a file; the encoding alone is that of the kernel's clock, for which a
    // recording that was cut short must not be taken.
    write_change(&mut output, EVENT_ID, EventChange::Name(event.name.as_bytes()))?;
    output.write(|writer| synthesis::kernel(root, writer, EVENT_ID))?;

    let mut build_ids = BuildIds::default();
    let mut found = Vec::new();
    for (pid, threads) in seized {
        let mut written = Written::default();
        // A command has nothing yet that it will keep.
        if command.is_none() {
            output.write(|writer| {
                written = synthesis::process(root, pid, 0, writer, EVENT_ID, &mut build_ids)?;
                Ok(())
            })?;
            observer.add_process(pid, &written);
        }
        found.push((pid, threads, written));
    }
    output.flush()?;

    let following = Following {
        period: event.attr.sample_period,
        wants_kernel: !event.attr.flags.contains(AttrFlags::EXCLUDE_KERNEL),
        is_privileged: machine.permissions.has(Capability::SysPtrace),
    };
    let mut follower = Follower::new(Records::new(&event.attr, EVENT_ID), following);
    for (pid, threads, written) in found {
        follower.add_seized(pid, &threads, written);
    }
    let mut driver = Driver::new(&options, &mut output, &mut observer, follower, EVENT_ID);
    roots.iter().for_each(|pid| driver.add_root(*pid));
    let Driven { end, status, notes } = driver.run(command, child, stop)?;

    let mut facts = observer.code_of_gone_files();
    facts.push(taken_since_start(&taken));
    facts.push(Fact::Calibration(calibrate()));
    write_facts(&mut output, &facts, EVENT_ID)?;
    features.sample_time = observer.times;
    let size = output.finish(&features)?;
    // One that was let go is waited for as any child.
    let status = status.or_else(|| match (child.as_mut(), end) {
        (Some(child), End::TargetEnded) => child.wait().ok(),
        _ => None,
    });
    if status.is_some() {
        *child = None;
    }
    Ok(Recorded {
        watched: None,
        heap: None,
        samples: observer.samples,
        dropped: observer.dropped,
        lost: observer.lost,
        throttled: 0,
        size,
        end,
        is_without_kernel: false,
        command: None,
        status,
        notes,
    })
}
