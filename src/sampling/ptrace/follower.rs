//! Following threads: what each of their stops asks for, and what is written of it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitStatus;

use super::address_spaces::AddressSpace;
use super::own_tracing::OwnTracing;
use super::proc_files::ThreadFiles;
use super::records::{Records, Taken};
use super::repeat;
use super::schedule::Schedule;
use super::tracees::{Asked, Process, Thread, Tracees};
use crate::kernel::monotonic_time;
use crate::kernel::ptrace::{self, Change, Stop, ThreadRegisters};
use crate::perf_data::{RecordType, Task, ThreadBase};
use crate::sampling::fact::Fact;
use crate::sampling::synthesis::{BuildIds, Written};
use crate::system::{executable, status};

/// A thread that took longer than this to stop may have moved to another CPU before, ns.
const MOVED: u64 = 200_000;

/// What a follower is to do, and may.
#[derive(Debug, Clone, Copy)]
pub(super) struct Following {
    /// Nanoseconds of CPU time between two samples of a thread.
    pub(super) period: u64,
    /// Whether threads that are found in a system call are sampled.
    pub(super) wants_kernel: bool,
    /// Whether the tracer may trace programs that run as another user.
    pub(super) is_privileged: bool,
}

/// All that is traced, and the records of what it does.
#[derive(Debug)]
pub(super) struct Follower {
    following: Following,
    pub(super) tracees: Tracees,
    pub(super) schedule: Schedule,
    pub(super) records: Records,
    pub(super) facts: Vec<Fact>,
    /// Sentences for the user.
    pub(super) notes: Vec<String>,
    /// Processes that have ended, until they are asked for.
    ended: Vec<(u32, ExitStatus)>,
    own_tracing: OwnTracing,
    build_ids: BuildIds,
    is_enabled: bool,
}

impl Follower {
    pub(super) fn new(records: Records, following: Following) -> Self {
        Self {
            following,
            tracees: Tracees::default(),
            schedule: Schedule::new(following.period),
            records,
            facts: Vec::new(),
            notes: Vec::new(),
            ended: Vec::new(),
            own_tracing: OwnTracing::default(),
            build_ids: BuildIds::default(),
            is_enabled: false,
        }
    }

    /// Takes a process that was seized.
    pub(super) fn add_seized(&mut self, pid: u32, threads: &[u32], written: Written) {
        for &tid in threads {
            let name = written.threads.iter().find(|(id, _)| *id == tid);
            let name = name.map(|(_, name)| name.clone().into_bytes()).unwrap_or_default();
            let thread = Thread { pid, name, ..Thread::default() };
            self.tracees.threads.insert(tid, thread);
            self.schedule.add(tid);
        }
        let parent = status(Path::new("/"), pid).map_or(0, |status| status.parent);
        let space = AddressSpace::new(pid, written.mappings);
        self.tracees.processes.insert(pid, Process { parent, space });
    }

    /// Handles all that has happened.
    pub(super) fn take_changes(&mut self, with_ends: bool) {
        // Without tracees there is nothing, which is an error to the kernel only.
        while let Ok(Some((tid, change))) = ptrace::next_change(with_ends) {
            match change {
                Change::Stopped(stop) => self.stopped(tid, stop),
                Change::Ended(status) => self.ended(tid, status),
            }
        }
    }

    /// Whatever fails here fails because the thread was killed meanwhile; its end is told next.
    fn stopped(&mut self, tid: u32, stop: Stop) {
        if !self.tracees.threads.contains_key(&tid) {
            self.adopt_unannounced(tid);
        }
        match stop {
            Stop::Signal(signal) => {
                self.before_signal(tid, signal);
                let _ = ptrace::resume(tid, signal);
            }
            Stop::Interrupted => self.interrupted(tid),
            Stop::Group => {
                if let Some(thread) = self.tracees.threads.get_mut(&tid) {
                    thread.is_listening = true;
                    thread.asked = None;
                }
                let _ = ptrace::listen(tid);
            }
            Stop::Started => {
                if let Ok(started) = ptrace::event_message(tid)
                    && let Ok(started) = u32::try_from(started)
                {
                    self.adopt(tid, started);
                }
                self.resume(tid);
            }
            Stop::Exec => self.executed(tid),
            Stop::Other => self.resume(tid),
        }
    }

    fn resume(&mut self, tid: u32) {
        if let Some(thread) = self.tracees.threads.get_mut(&tid) {
            thread.asked = None;
        }
        let _ = ptrace::resume(tid, 0);
    }

    fn before_signal(&mut self, tid: u32, signal: i32) {
        if let Some(thread) = self.tracees.threads.get_mut(&tid) {
            // The stop that was asked for came with this one.
            thread.asked = None;
            let repeated = thread.repeated.take();
            thread.repeated = repeat::at_signal(tid, signal, repeated).ok().flatten();
        }
    }

    fn interrupted(&mut self, tid: u32) {
        let Some(thread) = self.tracees.threads.get_mut(&tid) else {
            let _ = ptrace::resume(tid, 0);
            return;
        };
        let asked = thread.asked.take();
        let was_listening = std::mem::take(&mut thread.is_listening);
        let registers = ptrace::registers(tid);
        let time = monotonic_time();
        if let Ok(found) = &registers
            && !was_listening
        {
            thread.repeated = repeat::repeat(tid, found);
        }
        let _ = ptrace::resume(tid, 0);
        if let (Some(asked), Ok(registers)) = (asked, registers)
            && self.is_enabled
        {
            self.sample(tid, time, asked, &registers);
        }
    }

    /// Writes a sample, and what it needs to be understood. The thread runs again.
    fn sample(&mut self, tid: u32, time: u64, asked: Asked, registers: &ThreadRegisters) {
        let Some(thread) = self.tracees.threads.get_mut(&tid) else { return };
        let pid = thread.pid;
        // A kernel that does not count has one sample stand for one period.
        let period = match thread.unsampled() {
            0 => self.following.period,
            unsampled => unsampled,
        };
        thread.sampled = Some(thread.ran);
        thread.sampled_at = time;
        let before = time.saturating_sub(1);
        let mut state = asked.state;
        if time.saturating_sub(asked.time) > MOVED {
            state = thread.files.as_ref().and_then(ThreadFiles::state).unwrap_or(state);
        }
        let cpu = state.cpu;
        if state.name != thread.name {
            self.records.comm(pid, tid, &state.name, before, false);
            thread.name = state.name;
        }
        if thread.base != Some(registers.segment_base()) && !registers.is_32_bit() {
            let base = registers.segment_base();
            thread.base = Some(base);
            self.facts.push(Fact::Base(ThreadBase { pid, tid, time: before, base }));
        }
        if let Some(process) = self.tracees.processes.get_mut(&pid) {
            let code = registers.instruction();
            process.space.look(pid, code, before, &mut self.records, &mut self.build_ids);
        }
        if self.following.wants_kernel || registers.system_call().is_none() {
            self.records.sample(&Taken { pid, tid, time, cpu, period, registers });
        }
    }

    /// Takes a thread or process that a tracee has started.
    fn adopt(&mut self, parent: u32, tid: u32) {
        let Some(of) = self.tracees.threads.get(&parent) else { return };
        let (ppid, name) = (of.pid, of.name.clone());
        if self.tracees.threads.contains_key(&tid) {
            return;
        }
        let pid = if ptrace::is_thread_of(ppid, tid) { ppid } else { tid };
        self.add_started(Task { pid, ppid, tid, ptid: parent, time: monotonic_time() }, name);
    }

    /// Takes one whose stop came before its parent's.
    fn adopt_unannounced(&mut self, tid: u32) {
        let Ok(found) = status(Path::new("/"), tid) else { return };
        let is_thread = found.process != tid;
        let parent = if is_thread { found.process } else { found.parent };
        let pid = found.process;
        let task = Task { pid, ppid: parent, tid, ptid: parent, time: monotonic_time() };
        self.add_started(task, found.name.into_bytes());
    }

    fn add_started(&mut self, task: Task, name: Vec<u8>) {
        let Task { pid, ppid, tid, .. } = task;
        let tracees = &mut self.tracees;
        let thread = Thread { pid, name, sampled: Some(0), ..Thread::default() };
        tracees.threads.insert(tid, thread);
        if !tracees.processes.contains_key(&pid) {
            let of_parent = tracees.processes.get(&ppid).map(|it| it.space.of_child(pid));
            let space = of_parent.unwrap_or_else(|| AddressSpace::new(pid, Vec::new()));
            tracees.processes.insert(pid, Process { parent: ppid, space });
        }
        self.schedule.add(tid);
        self.records.task(RecordType::FORK, &task);
    }

    /// Another program runs in a process: it has one thread, and nothing of the old one.
    fn executed(&mut self, tid: u32) {
        let time = monotonic_time();
        let was_known = self.tracees.threads.get(&tid).is_some_and(|thread| thread.pid == tid);
        for gone in self.tracees.keep_only_leader(tid) {
            let task = Task { pid: tid, ppid: tid, tid: gone, ptid: tid, time };
            self.records.task(RecordType::EXIT, &task);
        }
        let thread = Thread { pid: tid, ..Thread::default() };
        self.tracees.threads.insert(tid, thread);
        if !was_known {
            self.schedule.add(tid);
        }
        let root = Path::new("/");
        let found = status(root, tid);
        if let (Ok(found), Some(thread)) = (&found, self.tracees.threads.get_mut(&tid)) {
            thread.name = found.name.clone().into_bytes();
            self.records.comm(tid, tid, &thread.name, time, true);
        }
        let parent = found.map_or(0, |found| found.parent);
        let process = self
            .tracees
            .processes
            .entry(tid)
            .or_insert_with(|| Process { parent, space: AddressSpace::new(tid, Vec::new()) });
        process.space.forget(tid);
        process.space.read(tid, time, &mut self.records, &mut self.build_ids);
        // It has changed by the time of the first sample: the libraries come after this.
        process.space.is_stale = true;
        self.note_lost_rights(tid);
        if self.own_tracing.of_process(tid) {
            self.let_go(tid, time);
        } else {
            let _ = ptrace::resume(tid, 0);
        }
    }

    /// A program that traces others itself goes on alone.
    fn let_go(&mut self, tid: u32, time: u64) {
        let _ = ptrace::detach(tid, 0);
        self.tracees.threads.remove(&tid);
        self.tracees.processes.remove(&tid);
        self.records.task(RecordType::EXIT, &Task { pid: tid, ppid: tid, tid, ptid: tid, time });
        let note = format!(
            "{} uses ptrace itself, so it and what it starts were not sampled",
            program_of(tid)
        );
        add_note(&mut self.notes, note);
    }

    /// The kernel keeps the rights of a file's owner from programs that are traced.
    fn note_lost_rights(&mut self, pid: u32) {
        const SET_OWNER_OR_GROUP: u32 = 0o6000;
        if self.following.is_privileged {
            return;
        }
        let file = std::fs::metadata(format!("/proc/{pid}/exe"));
        if file.is_ok_and(|file| file.mode() & SET_OWNER_OR_GROUP != 0) {
            let note = format!(
                "{} ran without the rights of its file's owner, which the kernel keeps from traced \
                 programs: sample it as root, or with --sampler clock",
                program_of(pid)
            );
            add_note(&mut self.notes, note);
        }
    }

    fn ended(&mut self, tid: u32, status: ExitStatus) {
        let thread = self.tracees.threads.remove(&tid);
        let pid = thread.map_or(tid, |thread| thread.pid);
        let parent = self.tracees.processes.get(&pid).map_or(0, |process| process.parent);
        let (ppid, ptid) = if pid == tid { (parent, parent) } else { (pid, pid) };
        let task = Task { pid, ppid, tid, ptid, time: monotonic_time() };
        self.records.task(RecordType::EXIT, &task);
        if pid == tid {
            self.tracees.processes.remove(&pid);
            self.ended.push((pid, status));
        }
    }

    /// The processes that have ended since this was asked last, and how.
    pub(super) fn ended_processes(&mut self) -> Vec<(u32, ExitStatus)> {
        std::mem::take(&mut self.ended)
    }

    /// Samples are written from now on; what ran before is not the recording's if it was delayed.
    pub(super) fn enable(&mut self, now: u64, is_delayed: bool) {
        if self.is_enabled {
            return;
        }
        self.is_enabled = true;
        if is_delayed {
            for thread in self.tracees.threads.values_mut() {
                thread.sampled = None;
            }
            self.schedule.begin(now);
        }
    }

    /// Asks the thread to stop whose turn it is, if it is anyone's.
    pub(super) fn tick(&mut self, now: u64) {
        let threads = &mut self.tracees.threads;
        if let Some((tid, asked)) = self.schedule.tick(now, threads)
            && let Some(thread) = threads.get_mut(&tid)
            && ptrace::interrupt(tid).is_ok()
        {
            thread.asked = Some(asked);
        }
    }

    /// Whether a thread was asked to stop, and has not yet.
    pub(super) fn awaits_stops(&self) -> bool {
        self.tracees.threads.values().any(|thread| thread.asked.is_some())
    }

    /// Reads the address spaces that it took too long to read before.
    pub(super) fn read_what_is_due(&mut self, now: u64) {
        if !self.is_enabled {
            return;
        }
        for (pid, process) in &mut self.tracees.processes {
            if process.space.is_due() {
                process.space.read(*pid, now, &mut self.records, &mut self.build_ids);
            }
        }
    }
}

fn program_of(pid: u32) -> String {
    executable(Path::new("/"), pid)
        .map_or_else(|_| format!("process {pid}"), |path| path.display().to_string())
}

fn add_note(notes: &mut Vec<String>, note: String) {
    if !notes.contains(&note) {
        notes.push(note);
    }
}
