//! What lay on the heap in a line while it was contended, and who had allocated it.

use std::ops::Range;

use rustc_hash::FxHashSet;
use serde::Serialize;

use super::describe::Describe;
use super::heap_site::{SiteFrame, call_site};
use super::names::Names;
use super::objects::NamedObject;
use super::session::Session;
use super::warning::Warning;
use crate::lines::LineAddress;
use crate::perf_data::{
    EventChange, EventUpdate, HeapTurn, RecordType, Recording, SamplePosition, Task,
};
use crate::process::heap::{Allocation, End, HeapEvent, HeapHistory, HeapRanges};
use crate::process::{Pid, Tid, Time};
use crate::symbols::Language;

/// So many objects of one line are listed: those that were there longest while it was contended.
const MOST_OBJECTS: usize = 8;

/// When and by whom an object on the heap was allocated.
#[derive(Debug, Clone, Serialize)]
pub struct HeapFacts {
    /// The function that allocated it, as its symbol names it.
    pub function: String,
    /// When, ns since the recording began.
    pub from_ns: u64,
    /// When it was freed, ns since the recording began; `None` when it was not, as far as is known.
    pub to_ns: Option<u64>,
    /// The thread that allocated it.
    pub tid: u32,
    /// Its name.
    pub comm: Option<String>,
    /// The thread that freed it; `None` when that was not seen.
    pub freed_by: Option<u32>,
    /// When tracing stopped while it was there, ns since the recording began: it may have been freed
    /// since, and its memory used again. `None` when tracing never stopped.
    pub certain_until_ns: Option<u64>,
    /// Callers, innermost first, those within the allocator and the language's library left out.
    pub callers: Vec<SiteFrame>,
}

/// The traced allocations of a recording.
pub(super) struct HeapObjects {
    history: HeapHistory,
    /// Names of functions by their number.
    functions: Vec<String>,
    turns: Vec<HeapTurn>,
    samples: u64,
    event_ids: FxHashSet<u64>,
    began: Time,
}

/// One record that says something of the heap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Fork { parent: u32, child: u32 },
    Exec { pid: u32 },
    Exit { tid: u32 },
    Call { event: usize, position: SamplePosition },
}

impl HeapObjects {
    /// Reads all calls of allocation functions; `None` where none were traced.
    pub(super) fn of(recording: &Recording<'_>) -> Option<Self> {
        let events: Vec<Option<HeapEvent>> = recording.events().iter().map(HeapEvent::of).collect();
        if events.iter().all(Option::is_none) {
            return None;
        }
        let mut functions: Vec<String> = Vec::new();
        let numbers: Vec<u16> = events
            .iter()
            .map(|event| {
                let name = event.as_ref().map_or("", |event| &event.function.name);
                let known = functions.iter().position(|known| known == name);
                let number = known.unwrap_or(functions.len());
                if known.is_none() {
                    functions.push(name.to_owned());
                }
                number as u16
            })
            .collect();
        let mut steps = calls(recording, &events);
        let samples = steps.len() as u64;
        steps.extend(process_steps(recording));
        steps.sort_unstable();
        let mut ranges = HeapRanges::default();
        for (time, step) in &steps {
            match *step {
                Step::Fork { parent, child } => ranges.fork(Pid(parent), Pid(child), *time),
                Step::Exec { pid } => ranges.exec(Pid(pid), *time),
                Step::Exit { tid } => ranges.exit(Tid(tid)),
                Step::Call { event, position } => {
                    let record = recording.sample_at(position);
                    let sample = record.and_then(|record| recording.decode(&record).ok());
                    let call =
                        events[event].as_ref().zip(sample).and_then(|(event_of, (_, it))| {
                            event_of.call(numbers[event], &it, position)
                        });
                    if let Some(call) = call {
                        ranges.call(&call);
                    }
                }
            }
        }
        let first = steps.iter().find(|(_, step)| matches!(step, Step::Call { .. }));
        let first = first.map(|(time, _)| *time);
        let sampled = recording.features().sample_time.map(|(first, _)| Time(first));
        let began = first.into_iter().chain(sampled).min().unwrap_or(Time(0));
        let of_heap = recording.events().iter().zip(&events).filter(|(_, it)| it.is_some());
        let event_ids = of_heap.flat_map(|(event, _)| event.ids.iter().copied()).collect();
        Some(Self {
            history: ranges.finish(),
            functions,
            turns: turns(recording),
            samples,
            event_ids,
            began,
        })
    }

    /// The ids of the events that trace them.
    pub(super) fn event_ids(&self) -> &FxHashSet<u64> {
        &self.event_ids
    }

    /// Entries and returns that were traced.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// What lay in a range of addresses at some moment of some stretches of time.
    pub(super) fn objects(
        &self,
        session: &Session<'_, '_>,
        pid: Pid,
        range: &Range<u64>,
        times: &[Range<Time>],
        names: &mut Names<'_>,
    ) -> Vec<NamedObject> {
        let mut found: Vec<(u64, Allocation)> = Vec::new();
        for time in times {
            for allocation in self.history.objects_in(pid, range, time) {
                let end = allocation.end.map_or(time.end, |(end, _)| end.min(time.end));
                let there = end.0.saturating_sub(allocation.from.0.max(time.start.0));
                match found.iter_mut().find(|(_, known)| *known == allocation) {
                    Some((sum, _)) => *sum = sum.saturating_add(there),
                    None => found.push((there, allocation)),
                }
            }
        }
        found.sort_by_key(|(there, it)| (std::cmp::Reverse(*there), it.base, it.from));
        found.truncate(MOST_OBJECTS);
        found.sort_by_key(|(_, it)| (it.base, it.from));
        found.iter().map(|(_, allocation)| self.object(session, allocation, names)).collect()
    }

    fn object(
        &self,
        session: &Session<'_, '_>,
        allocation: &Allocation,
        names: &mut Names<'_>,
    ) -> NamedObject {
        let callers = call_site(session, allocation.entry, names);
        let since = |time: Time| time.0.saturating_sub(self.began.0);
        let end = allocation.end;
        let stopped = self.turns.iter().map(|turn| turn.to).find(|to| {
            *to != HeapTurn::UNENDED
                && *to >= allocation.from.0
                && end.is_none_or(|(end, _)| end.0 > *to)
        });
        NamedObject {
            kind: "heap",
            name: None,
            base: allocation.base,
            size: allocation.size,
            data_type: None,
            language: Language::Other,
            allocated_at: callers.iter().map(SiteFrame::to_string).collect(),
            heap: Some(HeapFacts {
                function: self
                    .functions
                    .get(usize::from(allocation.function))
                    .cloned()
                    .unwrap_or_default(),
                from_ns: since(allocation.from),
                to_ns: end.map(|(end, _)| since(end)),
                tid: allocation.tid.0,
                comm: session
                    .processes
                    .name(allocation.tid, allocation.from)
                    .map(|name| name.to_string()),
                freed_by: match end {
                    Some((_, End::Freed(tid))) => Some(tid.0),
                    _ => None,
                },
                certain_until_ns: stopped.map(|time| since(Time(time))),
                callers,
            }),
        }
    }

    /// What is not known of the heap of a run that was sampled for so long.
    pub(super) fn warnings(&self, times: Option<(Time, Time)>) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let (first, last) = times.unwrap_or_default();
        let first = first.min(self.began);
        let of_ns = last.0.saturating_sub(first.0);
        let traced_ns: u64 = self
            .turns
            .iter()
            .map(|turn| turn.to.min(last.0).saturating_sub(turn.from.max(first.0)))
            .sum();
        let has_paused = self.turns.iter().any(|turn| turn.to != HeapTurn::UNENDED);
        if has_paused && of_ns > 0 {
            warnings.push(Warning::HeapPaused { traced_ns: traced_ns.min(of_ns), of_ns });
        }
        let lost: u64 = self.turns.iter().map(|turn| turn.lost).sum();
        if lost > 0 {
            warnings.push(Warning::HeapLost { records: lost });
        }
        if self.history.forgotten > 0 {
            warnings.push(Warning::HeapForgotten { allocations: self.history.forgotten });
        }
        warnings
    }
}

impl Describe<'_> {
    /// Adds what was allocated in a line and there at some moment of some stretches of time.
    pub(super) fn add_heap(
        &self,
        objects: &mut Vec<NamedObject>,
        (pid, address): (Pid, LineAddress),
        times: &[Range<Time>],
        names: &mut Names<'_>,
    ) {
        if let Some(heap) = &self.session.heap {
            let line = address.0..address.0.saturating_add(self.session.line_size.bytes());
            objects.extend(heap.objects(self.session, pid, &line, times, names));
        }
    }
}

/// All samples of heap events, with their times.
fn calls(recording: &Recording<'_>, events: &[Option<HeapEvent>]) -> Vec<(Time, Step)> {
    let mut steps = Vec::new();
    for batch in recording.batches() {
        for (position, record) in recording.samples(batch) {
            if let Ok((event, sample)) = recording.decode(&record)
                && events.get(event).is_some_and(Option::is_some)
            {
                let time = Time(sample.time.unwrap_or(0));
                steps.push((time, Step::Call { event, position }));
            }
        }
    }
    steps
}

fn process_steps(recording: &Recording<'_>) -> Vec<(Time, Step)> {
    let mut steps = Vec::new();
    for (_, record) in recording.other_records() {
        const MISC_COMM_EXEC: u16 = 1 << 13;
        let mut cursor = record.cursor();
        let step = match record.kind {
            RecordType::FORK => Task::decode(&mut cursor)
                .ok()
                .filter(|task| task.pid != task.ppid)
                .map(|task| Step::Fork { parent: task.ppid, child: task.pid }),
            RecordType::EXIT => {
                Task::decode(&mut cursor).ok().map(|task| Step::Exit { tid: task.tid })
            }
            RecordType::COMM if record.misc & MISC_COMM_EXEC != 0 => {
                cursor.u32().ok().map(|pid| Step::Exec { pid })
            }
            _ => None,
        };
        let time = recording.sample_id(&record).time;
        steps.extend(step.zip(time).map(|(step, time)| (Time(time), step)));
    }
    steps
}

/// When tracing was on. A turn is written when it begins, and again when it ends.
fn turns(recording: &Recording<'_>) -> Vec<HeapTurn> {
    let mut turns: Vec<HeapTurn> = Vec::new();
    for (_, record) in recording.other_records() {
        if record.kind != RecordType::EVENT_UPDATE {
            continue;
        }
        let update = EventUpdate::decode(&mut record.cursor());
        if let Ok(EventUpdate { change: EventChange::Heap(turn), .. }) = update {
            match turns.iter_mut().find(|known| known.from == turn.from) {
                Some(known) => *known = turn,
                None => turns.push(turn),
            }
        }
    }
    turns
}
