//! Whom to stop, and when.
//!
//! A sample is due to the thread that has run longest without one. The tracer itself needs a CPU, and
//! where all are busy it takes it from a thread of the target: that thread has just been interrupted at
//! a random moment while the others ran, as by the kernel's clock, and is the one to look at. (The
//! others run alone for a moment, so where they stand says less of what they wait for.) So the
//! tracer takes turns on the CPUs, and goes where most time is without samples. Where it wakes on an
//! idle CPU, a thread is interrupted where it runs.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::proc_files::{ThreadFiles, ThreadState};
use super::tracees::{Asked, Thread};
use crate::kernel::{AllowedCpus, current_cpu};
use crate::sampling::clock::jittered_period;
use crate::sampling::open::next_random;

/// Threads that have not run at so many looks are looked at now and then only.
const QUIET: u32 = 16;
/// Threads that have run at one of so many looks may run now.
const RECENT: u32 = 4;
/// So many of them at each tick; and when nothing runs.
const LOOKS: usize = 8;
const IDLE_LOOKS: usize = 64;
/// So many threads at most have open files while they do not run.
const OPEN_FILES: usize = 500;
/// So many threads are asked at most what they do, at each tick.
const CANDIDATES: usize = 4;
/// The tracer moves to a thread's CPU when that is behind by so many samples.
const BEHIND: u64 = 2;
/// The longest time between two ticks, in periods.
const IDLE_PERIODS: u64 = 8;
/// The shortest time between two ticks, unless a shorter period is asked for, ns: more often would
/// cost more than 5 % of a CPU.
const SHORTEST_TICK: u64 = 1_000_000;

/// When, and whom.
#[derive(Debug)]
pub(super) struct Schedule {
    period: u64,
    shortest: u64,
    running: Vec<u32>,
    sleeping: VecDeque<u32>,
    /// CPUs that the target has kept busy lately.
    busy: f64,
    last: u64,
    idle: u64,
    random: u64,
    cpus: Option<AllowedCpus>,
    is_moved: bool,
}

impl Schedule {
    pub(super) fn new(period: u64) -> Self {
        Self {
            period,
            shortest: period.min(SHORTEST_TICK),
            running: Vec::new(),
            sleeping: VecDeque::new(),
            busy: 1.0,
            last: 0,
            idle: 1,
            random: u64::from(std::process::id()) | 1 << 40,
            cpus: AllowedCpus::of_this_thread(),
            is_moved: false,
        }
    }

    /// A thread to look at from now on.
    pub(super) fn add(&mut self, tid: u32) {
        self.running.push(tid);
        self.idle = 1;
    }

    /// Sampling begins: what ran before does not count.
    pub(super) fn begin(&mut self, now: u64) {
        self.last = now;
    }

    /// Time until the next tick, ns.
    pub(super) fn pause(&mut self) -> u64 {
        self.random = next_random(self.random);
        if self.running.is_empty() {
            self.idle = (self.idle * 2).min(IDLE_PERIODS);
        }
        let busy = self.busy.round().max(1.0) as u64;
        jittered_period((self.period * self.idle / busy).max(self.shortest), self.random)
    }

    /// Looks at the threads; the one to be stopped now, if there is one.
    pub(super) fn tick(
        &mut self,
        now: u64,
        threads: &mut FxHashMap<u32, Thread>,
    ) -> Option<(u32, Asked)> {
        self.wake(threads);
        let ran = self.read(threads);
        if self.last != 0 && now > self.last {
            let busy = ran as f64 / (now - self.last) as f64;
            // The kernel counts in ticks of its own: even that out.
            self.busy = self.busy * 0.9 + busy * 0.1;
        }
        self.last = now;
        let mut candidates: Vec<(u64, u32)> = self
            .running
            .iter()
            .filter_map(|tid| {
                let thread = threads.get(tid).filter(|thread| thread.asked.is_none())?;
                // The CPU time of a thread that runs just now is known only as of some time ago.
                let seems_to_run = thread.quiet < RECENT;
                let is_due = thread.unsampled() >= self.period
                    || seems_to_run && now.saturating_sub(thread.sampled_at) >= self.period / 2;
                is_due.then_some((thread.unsampled(), *tid))
            })
            .collect();
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        self.pick(now, &candidates, threads)
    }

    fn pick(
        &mut self,
        now: u64,
        candidates: &[(u64, u32)],
        threads: &mut FxHashMap<u32, Thread>,
    ) -> Option<(u32, Asked)> {
        let here = current_cpu();
        let mut elsewhere: Option<(u64, u32, ThreadState)> = None;
        let mut own: Option<(u64, u32, ThreadState)> = None;
        for &(unsampled, tid) in candidates.iter().take(CANDIDATES) {
            let state = threads.get(&tid).and_then(|thread| thread.files.as_ref()?.state());
            let Some(state) = state.filter(|state| state.is_running) else {
                continue;
            };
            let of_cpu = if Some(state.cpu) == here { &mut own } else { &mut elsewhere };
            of_cpu.get_or_insert((unsampled, tid, state));
        }
        match (&own, &elsewhere) {
            (Some((own, ..)), Some((most, _, state))) if *most > own + BEHIND * self.period => {
                self.move_to(Some(state.cpu));
            }
            (None, _) => self.move_to(None),
            _ => {}
        }
        let (_, tid, state) = own.or(elsewhere)?;
        Some((tid, Asked { time: now, state }))
    }

    /// Moves the tracer to a CPU, or lets it run where it likes.
    fn move_to(&mut self, cpu: Option<u32>) {
        let Some(all) = self.cpus else { return };
        match cpu {
            Some(cpu) => self.is_moved = all.only(cpu).is_some_and(|only| only.apply()),
            None if self.is_moved => self.is_moved = !all.apply(),
            None => {}
        }
    }

    /// Finds threads that run again.
    fn wake(&mut self, threads: &mut FxHashMap<u32, Thread>) {
        let looks = if self.running.is_empty() { IDLE_LOOKS } else { LOOKS };
        for _ in 0..looks.min(self.sleeping.len()) {
            let Some(tid) = self.sleeping.pop_front() else { return };
            let count = threads.len();
            let Some(thread) = threads.get_mut(&tid) else { continue };
            let before = thread.ran;
            if read(tid, thread).is_some_and(|ran| ran != before) {
                thread.quiet = 0;
                // What it ran counts when it is read again.
                thread.ran = before;
                self.add(tid);
            } else {
                if count > OPEN_FILES {
                    thread.files = None;
                }
                self.sleeping.push_back(tid);
            }
        }
    }

    /// Reads the CPU time of all that run; how much it was in all since the last time, ns.
    fn read(&mut self, threads: &mut FxHashMap<u32, Thread>) -> u64 {
        let mut all = 0;
        let mut asleep = Vec::new();
        self.running.retain(|tid| {
            let Some(thread) = threads.get_mut(tid) else { return false };
            let before = thread.ran;
            let ran = read(*tid, thread).map_or(0, |ran| ran.saturating_sub(before));
            if thread.sampled.is_none() {
                thread.sampled = Some(thread.ran);
            } else {
                all += ran;
            }
            thread.quiet = if ran > 0 { 0 } else { thread.quiet + 1 };
            let stays = thread.quiet < QUIET;
            if !stays {
                asleep.push(*tid);
            }
            stays
        });
        self.sleeping.extend(asleep);
        all
    }
}

fn read(tid: u32, thread: &mut Thread) -> Option<u64> {
    if thread.files.is_none() {
        thread.files = ThreadFiles::open(thread.pid, tid);
    }
    thread.ran = thread.files.as_ref()?.run_time()?;
    Some(thread.ran)
}
