//! The tracer's thread: it waits for what its threads do, takes samples between, and writes them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use super::follower::Follower;
use crate::kernel::{ChildSignals, Command, PidFile, monotonic_time, poll};
use crate::sampling::error::SamplingError;
use crate::sampling::fact::write_facts;
use crate::sampling::observer::Observer;
use crate::sampling::output::Output;
use crate::sampling::recorder::{End, RecordOptions, command_error};
use crate::sampling::target::Target;

/// Other things than tracees are looked at so often, ns.
const LOOK: u64 = 20_000_000;
/// Records are written, and handed to the system, so often, ns.
const WRITE: u64 = 100_000_000;
const FLUSH: u64 = 500_000_000;
/// Threads that were asked to stop are waited for at the end, so long at most, ns. Most take some 50 µs.
const LAST_STOPS: u64 = 50_000_000;
/// Until the command runs, some of its changes may not wake the tracer, ns.
const STARTING: u64 = 500_000;

/// A process whose end is the end of the recording.
#[derive(Debug)]
struct Root {
    pid: u32,
    is_over: bool,
    /// To learn of the end of one that is not traced.
    file: Option<PidFile>,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Driven {
    pub(super) end: End,
    pub(super) status: Option<ExitStatus>,
    pub(super) notes: Vec<String>,
}

/// What a driver works on.
#[derive(Debug)]
pub(super) struct Driver<'d> {
    options: &'d RecordOptions,
    output: &'d mut Output,
    observer: &'d mut Observer,
    follower: Follower,
    event_id: u64,
    roots: Vec<Root>,
    /// How the command ended.
    status: Option<ExitStatus>,
}

impl<'d> Driver<'d> {
    pub(super) fn new(
        options: &'d RecordOptions,
        output: &'d mut Output,
        observer: &'d mut Observer,
        follower: Follower,
        event_id: u64,
    ) -> Self {
        Self { options, output, observer, follower, event_id, roots: Vec::new(), status: None }
    }

    /// Takes a process whose end is that of the recording.
    pub(super) fn add_root(&mut self, pid: u32) {
        self.roots.push(Root { pid, is_over: false, file: PidFile::open(pid).ok() });
    }

    /// Follows until the end. The caller's thread is the tracer, and ends when this is done. A command
    /// that runs is left in `child`, also when something fails.
    pub(super) fn run(
        mut self,
        mut command: Option<Command>,
        child: &mut Option<Child>,
        stop: BorrowedFd<'_>,
    ) -> Result<Driven, SamplingError> {
        let end = self.follow(&mut command, child, stop);
        self.await_last_stops(command.is_none());
        if let Some(command) = command {
            *child = Some(self.started(command)?);
        }
        let end = end?;
        self.write(monotonic_time())?;
        Ok(Driven { end, status: self.status, notes: self.follower.notes })
    }

    fn follow(
        &mut self,
        command: &mut Option<Command>,
        child: &mut Option<Child>,
        stop: BorrowedFd<'_>,
    ) -> Result<End, SamplingError> {
        if let Some(command) = command {
            command.let_go();
        }
        let delay = self.options.delay.map_or(0, nanoseconds);
        let enable_at = monotonic_time().saturating_add(delay);
        let end_at = self.options.duration.map(|time| enable_at.saturating_add(nanoseconds(time)));
        let (mut next_tick, mut next_look) = (enable_at, 0);
        let (mut next_write, mut next_flush) = (0, 0);
        loop {
            self.take_changes(command.is_none());
            if let Some(started) = command.take_if(|command| command.has_started()) {
                *child = Some(self.started(started)?);
                continue;
            }
            let now = monotonic_time();
            if now >= next_tick {
                self.follower.enable(now, self.options.delay.is_some());
                self.follower.tick(now);
                next_tick = monotonic_time() + self.follower.schedule.pause();
            }
            if now >= next_write {
                self.write(now)?;
                next_write = now + WRITE;
                if now >= next_flush {
                    self.output.flush()?;
                    next_flush = now + FLUSH;
                }
            }
            if now >= next_look {
                next_look = now + LOOK;
                if self.is_asked(stop)? {
                    return Ok(End::Asked);
                }
                if end_at.is_some_and(|end| now >= end) {
                    return Ok(End::Duration);
                }
                if self.options.max_size.is_some_and(|most| self.output.size() >= most) {
                    return Ok(End::Size);
                }
            }
            if self.roots.iter().all(|root| root.is_over) && command.is_none() {
                return Ok(End::TargetEnded);
            }
            let next = next_tick.min(next_look);
            let limit = if command.is_some() { STARTING } else { LOOK };
            let time = next.saturating_sub(monotonic_time()).min(limit);
            if time > 0 {
                ChildSignals::wait(Duration::from_nanos(time));
            }
        }
    }

    /// A thread that the kernel lets go while it stands is not set back before a call that it was
    /// woken from: none stands when this is done.
    fn await_last_stops(&mut self, with_ends: bool) {
        let until = monotonic_time().saturating_add(LAST_STOPS);
        loop {
            self.take_changes(with_ends);
            if !self.follower.awaits_stops() || monotonic_time() >= until {
                return;
            }
            ChildSignals::wait(Duration::from_nanos(STARTING));
        }
    }

    fn started(&self, command: Command) -> Result<Child, SamplingError> {
        let program = match &self.options.target {
            Target::Command(program) => &program[..],
            _ => &[],
        };
        command.start().map_err(|cause| command_error(program, cause))
    }

    /// Handles all that has happened.
    fn take_changes(&mut self, with_ends: bool) {
        self.follower.take_changes(with_ends);
        for (pid, status) in self.follower.ended_processes() {
            if let Some(root) = self.roots.iter_mut().find(|root| root.pid == pid) {
                root.is_over = true;
                self.status = Some(status);
            }
        }
    }

    /// Whether the user wants an end. Looks for the ends of roots that are not traced, too.
    fn is_asked(&mut self, stop: BorrowedFd<'_>) -> Result<bool, SamplingError> {
        let untraced: Vec<usize> = (0..self.roots.len())
            .filter(|index| {
                let root = &self.roots[*index];
                !root.is_over && !self.follower.tracees.processes.contains_key(&root.pid)
            })
            .collect();
        let mut polled = vec![stop];
        polled.extend(
            untraced.iter().filter_map(|index| Some(self.roots[*index].file.as_ref()?.as_fd())),
        );
        let failed = |cause: io::Error| SamplingError::System { what: "waiting failed", cause };
        let ready = poll(&polled, Duration::ZERO).map_err(failed)?;
        drop(polled);
        let mut ready = ready.into_iter();
        let asked = ready.next().is_some_and(|stop| stop.is_readable || stop.is_over);
        for index in untraced {
            let root = &mut self.roots[index];
            // Without a descriptor only its folder tells.
            root.is_over = match root.file {
                Some(_) => ready.next().is_some_and(|it| it.is_readable || it.is_over),
                None => !Path::new(&format!("/proc/{}", root.pid)).exists(),
            };
        }
        Ok(asked)
    }

    /// Writes what has come together.
    fn write(&mut self, now: u64) -> Result<(), SamplingError> {
        self.follower.read_what_is_due(now);
        let (records, observer) = (&mut self.follower.records, &mut *self.observer);
        self.output.write(|writer| {
            observer.observe(records.bytes(), &[], |bytes| writer.encoded_records(bytes))
        })?;
        if !records.bytes().is_empty() {
            self.output.write(|writer| writer.finished_round())?;
        }
        records.clear();
        let mut facts = std::mem::take(&mut self.follower.facts);
        facts.extend(self.observer.facts());
        write_facts(self.output, &facts, self.event_id)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
