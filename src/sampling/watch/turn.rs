//! One turn: some words of one line, in the threads of its process, for a moment.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::armed::{ArmedThread, Drained};
use super::breakpoint::{REGISTER_BYTES, WatchKind, Watchpoint};
use super::budget::Budget;
use super::place::Place;
use crate::perf_data::{ArmedRegister, EventAttr, EventSpec, WatchTurn};
use crate::system::{thread_cpu_time, thread_ids};

/// How long a turn takes.
const LENGTH: Duration = Duration::from_millis(20);
/// A register has so many hits at a time: enough to see it interleave with others, and few enough that
/// a busy thread goes on.
const HITS: u64 = 4;
/// So often registers that have had their hits may have more.
pub(super) const STEP: Duration = Duration::from_millis(2);
/// So many threads of a process are watched at once.
const MOST_THREADS: usize = 32;
/// Pages of each thread's ring.
const PAGES: usize = 4;

/// A turn that is under way.
#[derive(Debug)]
pub(super) struct Turn {
    pid: u32,
    like: EventAttr,
    threads: Vec<ArmedThread>,
    ran_before: FxHashMap<u32, u64>,
    started: Instant,
    /// All events of the turn: what each watches, in which thread, and its id.
    events: Vec<(Watchpoint, u32, u64)>,
    /// The first of them that the recording does not know yet.
    unwritten: usize,
}

impl Turn {
    /// Arms the words of a place in the threads of its process, as many as the budget covers; `None`
    /// when it covers none yet, or the process has ended.
    ///
    /// # Errors
    ///
    /// What the kernel answers where no thread can be armed.
    pub(super) fn begin(
        place: &Place,
        words: &[u16],
        like: &EventAttr,
        budget: &Budget,
        cpu_time: u64,
    ) -> io::Result<Option<Self>> {
        let root = Path::new("/");
        let points: Vec<Watchpoint> = words
            .iter()
            .map(|&word| Watchpoint {
                address: place.line.wrapping_add(u64::from(word)),
                length: REGISTER_BYTES,
                kind: WatchKind::Accesses,
            })
            .collect();
        let running = thread_ids(root, place.pid).unwrap_or_default();
        let seen = place.threads.iter().filter(|tid| running.contains(tid));
        let others = running.iter().filter(|tid| !place.threads.contains(tid));
        // What may be hit at once must be within the budget; two threads are the least that tells.
        let affordable = (2..=MOST_THREADS)
            .rev()
            .find(|threads| budget.allows(*threads as u64 * points.len() as u64 * HITS, cpu_time));
        let Some(affordable) = affordable else {
            return Ok(None);
        };
        let (mut threads, mut refused) = (Vec::new(), None);
        for &tid in seen.chain(others).take(affordable) {
            match ArmedThread::open(tid, &points, like, PAGES) {
                Ok(thread) => threads.push(thread),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) if threads.is_empty() => return Err(error),
            _ if threads.is_empty() => return Ok(None),
            _ => {}
        }
        let events = threads
            .iter()
            .flat_map(|thread| thread.events().map(|(point, id)| (point, thread.tid, id)))
            .collect();
        let mut turn = Self {
            pid: place.pid,
            like: *like,
            ran_before: FxHashMap::default(),
            threads,
            started: Instant::now(),
            events,
            unwritten: 0,
        };
        turn.ran_before = turn.ran();
        turn.grant();
        Ok(Some(turn))
    }

    /// Whether its time is over.
    pub(super) fn is_over(&self) -> bool {
        self.started.elapsed() >= LENGTH
    }

    /// Hits that may still be made.
    pub(super) fn outstanding(&self) -> u64 {
        self.threads.iter().map(ArmedThread::outstanding).sum()
    }

    /// Registers that have had their hits.
    fn used_up(&self) -> u64 {
        self.threads.iter().map(ArmedThread::used_up).sum()
    }

    /// Lets those registers that have had their hits have more, if the budget covers that.
    pub(super) fn continue_within(&mut self, budget: &Budget, cpu_time: u64) {
        let more = self.used_up() * HITS;
        if more > 0 && budget.allows(self.outstanding() + more, cpu_time) {
            self.grant();
        }
    }

    fn grant(&mut self) {
        let events = &mut self.events;
        for thread in &mut self.threads {
            let tid = thread.tid;
            // A thread that has ended has nothing to start.
            let _ = thread.grant(HITS, |point, id| events.push((point, tid, id)));
        }
    }

    /// Events that the recording does not know yet.
    pub(super) fn new_events(&mut self) -> Vec<EventSpec> {
        let new = self.events[self.unwritten..].iter();
        self.unwritten = self.events.len();
        new.map(|(point, _, id)| EventSpec {
            attr: point.attr(&self.like),
            name: point.name(),
            ids: vec![*id],
        })
        .collect()
    }

    /// Takes the hits that are there.
    pub(super) fn drain(&mut self, records: &mut Vec<u8>) -> Drained {
        let mut all = Drained::default();
        for thread in &mut self.threads {
            let drained = thread.drain(records);
            all.hits += drained.hits;
            all.lost += drained.lost;
        }
        all
    }

    /// Stops all registers; hits that are left in the rings are still to be taken.
    pub(super) fn stop(&self) {
        self.threads.iter().for_each(ArmedThread::stop);
    }

    /// What it was, for the recording; `time` is the recording's when it ended.
    pub(super) fn record(&self, time: u64) -> WatchTurn {
        let ran = self.ran();
        let duration = self.started.elapsed().as_nanos() as u64;
        let registers = self.events.iter().take(WatchTurn::MAX_REGISTERS);
        WatchTurn {
            pid: self.pid,
            time,
            duration,
            registers: registers
                .map(|&(point, tid, id)| ArmedRegister {
                    id,
                    tid,
                    length: point.length as u16,
                    kind: point.kind.number() as u16,
                    address: point.address,
                    ran: match (self.ran_before.get(&tid), ran.get(&tid)) {
                        (Some(before), Some(after)) => after.saturating_sub(*before),
                        // It has ended meanwhile, or nobody counts.
                        _ => ArmedRegister::UNKNOWN,
                    },
                })
                .collect(),
        }
    }

    fn ran(&self) -> FxHashMap<u32, u64> {
        let threads = self.threads.iter();
        threads
            .filter_map(|thread| {
                Some((thread.tid, thread_cpu_time(Path::new("/"), self.pid, thread.tid)?))
            })
            .collect()
    }
}
