//! Watching a few bytes of one process, for `hitm watch`.

use std::io::{self, Cursor};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::armed::{ArmedThread, Drained};
use super::breakpoint::Watchpoint;
use super::error::WatchError;
use crate::kernel::{poll, set_open_file_limit};
use crate::perf_data::{
    ByteOrder, Comm, EventAttr, EventSpec, Features, Task, ThreadBase, Writer, WriterOptions,
};
use crate::perf_data::{Encoder, EventChange, EventUpdate, RecordType};
use crate::sampling::refusal::{Asked, explain};
use crate::sampling::sampler_options::SamplerOptions;
use crate::sampling::{clock, describe_machine, observer, synthesis};
use crate::system::{Machine, maps, status, thread_ids};

/// What to watch, and for how long.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// The process.
    pub pid: u32,
    /// The first byte.
    pub address: u64,
    /// How many bytes.
    pub length: u64,
    /// Which accesses.
    pub kind: super::WatchKind,
    /// Sees so many accesses at most.
    pub hits: u64,
    /// Ends after this time.
    pub duration: Duration,
    /// Whether callers are wanted.
    pub call_graph: bool,
}

/// What was watched.
#[derive(Debug)]
pub struct Watched {
    /// A recording as a file holds it: the accesses are samples of its events.
    pub recording: Vec<u8>,
    /// Accesses that were seen.
    pub hits: u64,
    /// Accesses that found no room.
    pub lost: u64,
    /// Threads that were watched.
    pub threads: usize,
    /// Threads that could not be watched, since they ended or the kernel refused.
    pub unwatched: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it ended.
    pub end: WatchEnd,
}

/// Why watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchEnd {
    /// Enough accesses.
    Hits,
    /// The time is over.
    Duration,
    /// The process has ended.
    TargetEnded,
    /// The user has asked for it.
    Asked,
}

/// Rings are emptied so often.
const TICK: Duration = Duration::from_millis(2);
/// New threads are looked for so often.
const LOOK: Duration = Duration::from_millis(10);
/// Pages of each thread's ring: more than a thread that does nothing but trap fills in a tick.
const PAGES: usize = 32;
/// Files that are open besides the events.
const OTHER_FILES: u64 = 64;

/// Watches until there are enough accesses, the time is over, the process has ended or `stop` becomes
/// readable.
///
/// # Errors
///
/// [`WatchError`].
pub fn watch(
    machine: &Machine,
    options: &WatchOptions,
    stop: BorrowedFd<'_>,
) -> Result<Watched, WatchError> {
    let root = Path::new("/");
    let pid = options.pid;
    check_mapped(root, options, machine)?;
    let points = super::covering(options.address, options.length, options.kind)
        .ok_or(WatchError::TooLong { address: options.address, length: options.length })?;
    let sampler_options =
        SamplerOptions { call_graph: options.call_graph, ..SamplerOptions::default() };
    let like = clock::plan(machine, &sampler_options)
        .map_err(|error| WatchError::Machine(error.to_string()))?
        .events[0]
        .attr;
    let mut watching = Watching {
        machine,
        options,
        points,
        like,
        threads: FxHashMap::default(),
        drained: Drained::default(),
    };
    let unwritten = |cause| WatchError::System { what: "the accesses cannot be kept", cause };

    // The first threads open before anything is written: their ids are the first event's.
    let first = thread_ids(root, pid).map_err(|_| WatchError::NoProcess { pid })?;
    let mut unwatched = 0;
    for tid in first {
        unwatched += usize::from(!watching.arm(tid)?);
    }
    let mut features = Features {
        version: Some(format!("hitm {}", env!("CARGO_PKG_VERSION"))),
        command_line: std::env::args().collect(),
        ..Features::default()
    };
    describe_machine(root, machine, &mut features);
    let specs = watching.specs(None);
    let event_id = specs.first().and_then(|spec| spec.ids.first()).copied().unwrap_or(0);
    let writer_options = WriterOptions { order: ByteOrder::NATIVE, ..WriterOptions::default() };
    let mut writer =
        Writer::file(Cursor::new(Vec::new()), specs, writer_options).map_err(unwritten)?;
    let mut build_ids = synthesis::BuildIds::default();
    synthesis::process(root, pid, 0, &mut writer, event_id, &mut build_ids).map_err(unwritten)?;
    for &tid in watching.threads.keys() {
        write_base(&mut writer, event_id, pid, tid).map_err(unwritten)?;
    }

    let started = Instant::now();
    // Half of what may be made at once; the rest is for those that turn out to be busy.
    watching.grant(options.hits / 2, &mut writer).map_err(unwritten)?;
    let mut records = Vec::new();
    let mut looked = started;
    let end = loop {
        let left = options.duration.saturating_sub(started.elapsed());
        let ready = poll(&[stop], left.min(TICK))
            .map_err(|cause| WatchError::System { what: "waiting failed", cause })?;
        records.clear();
        watching.drain(&mut records);
        writer.encoded_records(&records).map_err(unwritten)?;
        writer.finished_round().map_err(unwritten)?;
        if ready.first().is_some_and(|stop| stop.is_readable || stop.is_over) {
            break WatchEnd::Asked;
        }
        if watching.taken() >= options.hits {
            break WatchEnd::Hits;
        }
        let free = options.hits.saturating_sub(watching.taken() + watching.outstanding());
        let used_up = watching.used_up();
        if used_up > 0 {
            if free == 0 {
                // Others may still come by, but what the busy ones do would be missing.
                break WatchEnd::Hits;
            }
            let share = free.div_ceil(2).max(used_up.min(free));
            watching.grant(share, &mut writer).map_err(unwritten)?;
        }
        if left.is_zero() {
            break WatchEnd::Duration;
        }
        if looked.elapsed() < LOOK {
            continue;
        }
        looked = Instant::now();
        let Ok(now) = thread_ids(root, pid) else {
            break WatchEnd::TargetEnded;
        };
        for tid in now {
            if watching.threads.contains_key(&tid) {
                continue;
            }
            if !watching.arm(tid).unwrap_or(false) {
                unwatched += 1;
                continue;
            }
            for spec in watching.specs(Some(tid)) {
                writer.add_event(spec).map_err(unwritten)?;
            }
            let id = synthesis::sample_id(pid, tid, 0, event_id);
            let task = Task { pid, ppid: pid, tid, ptid: pid, time: 0 };
            writer.task(RecordType::FORK, 0, &task, &id).map_err(unwritten)?;
            let name = status(root, tid).map(|status| status.name).unwrap_or_default();
            let comm = Comm { pid, tid, name: name.as_bytes() };
            writer.comm(0, &comm, &id).map_err(unwritten)?;
            write_base(&mut writer, event_id, pid, tid).map_err(unwritten)?;
        }
    };
    let elapsed = started.elapsed();
    records.clear();
    watching.threads.values().for_each(ArmedThread::stop);
    watching.drain(&mut records);
    writer.encoded_records(&records).map_err(unwritten)?;
    let threads = watching.threads.len();
    let (hits, lost) = (watching.drained.hits, watching.drained.lost);
    let recording = writer.finish(&features).map_err(unwritten)?.into_inner();
    Ok(Watched { recording, hits, lost, threads, unwatched, elapsed, end })
}

struct Watching<'o> {
    machine: &'o Machine,
    options: &'o WatchOptions,
    points: Vec<Watchpoint>,
    like: EventAttr,
    threads: FxHashMap<u32, ArmedThread>,
    /// What all rings have given.
    drained: Drained,
}

impl Watching<'_> {
    /// Hits that were made.
    fn taken(&self) -> u64 {
        self.drained.hits + self.drained.lost
    }

    /// Hits that may still be made.
    fn outstanding(&self) -> u64 {
        self.threads.values().map(ArmedThread::outstanding).sum()
    }

    /// Registers that have made all hits that they may.
    fn used_up(&self) -> u64 {
        self.threads.values().map(ArmedThread::used_up).sum()
    }

    /// Shares so many hits among the registers that have had theirs.
    fn grant(&mut self, hits: u64, writer: &mut Writer<Cursor<Vec<u8>>>) -> io::Result<()> {
        let mut left = hits;
        let mut registers = self.used_up();
        let mut opened = Vec::new();
        for thread in self.threads.values_mut() {
            let own = thread.used_up();
            // The last ones get what does not come out even.
            let each = left / registers.max(1);
            let each = if each == 0 && own <= left { 1 } else { each };
            if own == 0 || each == 0 {
                continue;
            }
            // A thread that has ended meanwhile has nothing to start.
            let _ = thread.grant(each, |point, id| opened.push((point, id)));
            left = left.saturating_sub(each * own);
            registers -= own;
        }
        opened.into_iter().try_for_each(|(point, id)| writer.add_event(self.spec(&point, vec![id])))
    }

    fn drain(&mut self, records: &mut Vec<u8>) {
        for thread in self.threads.values_mut() {
            let drained = thread.drain(records);
            self.drained.hits += drained.hits;
            self.drained.lost += drained.lost;
        }
    }

    /// Opens a thread's events; `false` when it has ended.
    fn arm(&mut self, tid: u32) -> Result<bool, WatchError> {
        let files = (self.threads.len() as u64 + 1) * (self.points.len() as u64 + 1);
        set_open_file_limit(files + OTHER_FILES)
            .map_err(|cause| WatchError::System { what: "the limit of open files", cause })?;
        let opened = match ArmedThread::open(tid, &self.points, &self.like, PAGES) {
            // Memory that may be locked is used up: a small ring loses hits at worst, and says so.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                ArmedThread::open(tid, &self.points, &self.like, 1).map_err(|_| error)
            }
            opened => opened,
        };
        match opened {
            Ok(thread) => {
                self.threads.insert(tid, thread);
                Ok(true)
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::ESRCH) => Ok(false),
                Some(libc::ENOSPC) => {
                    Err(WatchError::NoRegisters { tid, wanted: self.points.len() })
                }
                Some(errno) => Err(refused(self.options.pid, errno, self.machine)),
                None => Err(WatchError::System { what: "a debug register", cause: error }),
            },
        }
    }

    fn spec(&self, point: &Watchpoint, ids: Vec<u64>) -> EventSpec {
        EventSpec { attr: point.attr(&self.like), name: point.name(), ids }
    }

    /// The events, with the ids of one thread's or of all.
    fn specs(&self, only: Option<u32>) -> Vec<EventSpec> {
        let events: Vec<(Watchpoint, u64)> = self
            .threads
            .values()
            .filter(|thread| only.is_none_or(|tid| tid == thread.tid))
            .flat_map(ArmedThread::events)
            .collect();
        let ids = |point: &Watchpoint| {
            let of_point = events.iter().filter(|(it, _)| it == point);
            of_point.map(|(_, id)| *id).collect()
        };
        self.points.iter().map(|point| self.spec(point, ids(point))).collect()
    }
}

fn refused(pid: u32, errno: i32, machine: &Machine) -> WatchError {
    let asked = match errno {
        libc::EACCES | libc::EPERM => Asked::OtherProcess,
        _ => Asked::Breakpoint,
    };
    let refusal = explain(errno, asked, machine);
    WatchError::Refused { pid, cause: refusal.why, remedy: refusal.remedy }
}

fn check_mapped(root: &Path, options: &WatchOptions, machine: &Machine) -> Result<(), WatchError> {
    let pid = options.pid;
    let mappings = maps(root, pid).map_err(|cause| match cause.raw_os_error() {
        Some(errno @ (libc::EACCES | libc::EPERM)) => refused(pid, errno, machine),
        _ => WatchError::NoProcess { pid },
    })?;
    let end = options.address.saturating_add(options.length.max(1));
    let mut next = options.address;
    while next < end {
        let holds = |map: &&crate::system::MapLine| map.start <= next && next < map.end;
        match mappings.iter().find(holds) {
            Some(map) => next = map.end,
            None => return Err(WatchError::Unmapped { pid, address: next }),
        }
    }
    Ok(())
}

fn write_base(writer: &mut Writer<Cursor<Vec<u8>>>, id: u64, pid: u32, tid: u32) -> io::Result<()> {
    let Some(base) = observer::thread_base(pid, tid) else {
        return Ok(());
    };
    let mut body = Encoder::new(ByteOrder::NATIVE);
    let change = EventChange::ThreadBase(ThreadBase { pid, tid, time: 0, base });
    EventUpdate { id, change }.encode(&mut body);
    writer.record(RecordType::EVENT_UPDATE, 0, body.as_slice())
}
