//! Watching the suspects of a recording while it is made.

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::budget::{Budget, trap_cost};
use super::place::{Place, WatchPlan};
use super::schedule::Schedule;
use super::turn::{STEP, Turn};
use crate::perf_data::{
    ByteOrder, Encoder, EventAttr, EventChange, EventUpdate, RecordType, WatchTurn, Writer,
};
use crate::system::process_cpu_time;

/// When the recording is looked at, ms after its start; then again after as long as the last time.
const LOOKS_MS: [u64; 5] = [700, 2_000, 5_000, 15_000, 60_000];

/// What watching came to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WatchSummary {
    /// Lines that were watched.
    pub lines: u64,
    /// Turns.
    pub turns: u64,
    /// Accesses that were seen.
    pub hits: u64,
    /// Accesses that found no room.
    pub lost: u64,
    /// What they cost the target, ns.
    pub cost: u64,
    /// Whether the kernel had no debug register for us where one was wanted.
    pub is_without_registers: bool,
}

/// The watcher of one recording.
#[derive(Debug)]
pub(in crate::sampling) struct Alongside {
    like: EventAttr,
    share: f64,
    /// An event's id that records without one of their own carry.
    event_id: u64,
    started: Instant,
    next_look: Duration,
    looks: usize,
    is_looking: bool,
    recordings: Option<Sender<Vec<u8>>>,
    places: Receiver<Vec<Place>>,
    schedule: Schedule,
    /// The cost of a hit is measured when there is something to watch.
    budget: Option<Budget>,
    /// CPU time of processes before the recording.
    before: FxHashMap<u32, u64>,
    /// Whether a process that was not there before has begun since.
    has_command: bool,
    turn: Option<Turn>,
    records: Vec<u8>,
    summary: WatchSummary,
    /// The process of a place for which no register was free, until the recording knows it.
    without_registers: Option<u32>,
}

impl Alongside {
    /// `processes` are those that run already.
    pub(in crate::sampling) fn new(
        plan: &WatchPlan,
        like: EventAttr,
        event_id: u64,
        processes: &[u32],
        has_command: bool,
    ) -> io::Result<Self> {
        let (recordings, received) = channel::<Vec<u8>>();
        let (found, places) = channel();
        let find = plan.find.clone();
        std::thread::Builder::new().name("hitm-suspects".to_owned()).spawn(move || {
            for recording in received {
                if found.send(find(recording)).is_err() {
                    break;
                }
            }
        })?;
        let before = processes.iter().map(|&pid| (pid, cpu_time(pid)));
        Ok(Self {
            like,
            share: plan.share,
            event_id,
            started: Instant::now(),
            next_look: Duration::from_millis(LOOKS_MS[0]),
            looks: 0,
            is_looking: false,
            recordings: Some(recordings),
            places,
            schedule: Schedule::default(),
            budget: None,
            before: if has_command { FxHashMap::default() } else { before.collect() },
            has_command,
            turn: None,
            records: Vec::new(),
            summary: WatchSummary::default(),
            without_registers: None,
        })
    }

    /// How long the recorder may wait before the next [`step`](Self::step).
    pub(in crate::sampling) fn patience(&self) -> Duration {
        const IDLE: Duration = Duration::from_millis(20);
        match (&self.turn, self.budget.is_some() || self.is_looking) {
            (Some(_), _) => STEP,
            (None, true) => IDLE,
            (None, false) => self.next_look.saturating_sub(self.started.elapsed()).max(STEP),
        }
    }

    /// Whether a turn is under way.
    pub(in crate::sampling) fn is_watching(&self) -> bool {
        self.turn.is_some()
    }

    /// Whether a copy of the recording is wanted.
    pub(in crate::sampling) fn wants_recording(&self) -> bool {
        !self.is_looking && self.recordings.is_some() && self.started.elapsed() >= self.next_look
    }

    /// Takes the copy; `None` ends the looking.
    pub(in crate::sampling) fn look_at(&mut self, recording: Option<Vec<u8>>) {
        self.looks += 1;
        self.next_look = match LOOKS_MS.get(self.looks) {
            Some(&ms) => Duration::from_millis(ms),
            None => self.started.elapsed() + Duration::from_millis(LOOKS_MS[LOOKS_MS.len() - 1]),
        };
        let sender = self.recordings.take();
        if let (Some(recording), Some(sender)) = (recording, sender)
            && sender.send(recording).is_ok()
        {
            self.is_looking = true;
            self.recordings = Some(sender);
        }
    }

    /// Goes on with the turn under way, or begins the next one; `latest` is the time of the last
    /// sample of any event.
    pub(in crate::sampling) fn step<W: Write>(
        &mut self,
        writer: &mut Writer<W>,
        latest: u64,
    ) -> io::Result<()> {
        match self.places.try_recv() {
            Ok(places) => {
                self.is_looking = false;
                self.take_places(places);
            }
            Err(TryRecvError::Disconnected) => self.recordings = None,
            Err(TryRecvError::Empty) => {}
        }
        if self.turn.is_some() {
            self.take_hits(writer)?;
        }
        match &mut self.turn {
            Some(turn) if turn.is_over() => self.end_turn(writer, latest)?,
            Some(_) => {
                if let Some((turn, budget)) = self.turn.as_mut().zip(self.budget) {
                    turn.continue_within(&budget, cpu_time_since(&self.before));
                }
            }
            None => self.begin_turn(),
        }
        self.tell_of_no_registers(writer, latest)
    }

    /// Ends what is under way, and tells what it all came to.
    pub(in crate::sampling) fn finish<W: Write>(
        mut self,
        writer: &mut Writer<W>,
        latest: u64,
    ) -> io::Result<WatchSummary> {
        if self.turn.is_some() {
            self.end_turn(writer, latest)?;
        }
        self.tell_of_no_registers(writer, latest)?;
        self.summary.lines = self.schedule.watched() as u64;
        self.summary.cost = self.budget.map_or(0, |budget| budget.spent());
        Ok(self.summary)
    }

    fn take_places(&mut self, places: Vec<Place>) {
        if !places.is_empty() && self.budget.is_none() {
            match trap_cost(&self.like) {
                Ok(cost) => self.budget = Some(Budget::new(self.share, cost)),
                Err(_) => {
                    self.lack_registers(places[0].pid);
                    self.recordings = None;
                    return;
                }
            }
        }
        for place in &places {
            let is_new = !self.before.contains_key(&place.pid);
            if is_new {
                // What began after us has used all its time since.
                let before = if self.has_command { 0 } else { cpu_time(place.pid) };
                self.before.insert(place.pid, before);
            }
        }
        self.schedule.update(places);
    }

    fn begin_turn(&mut self) {
        let Some(budget) = self.budget else { return };
        let cpu_time = cpu_time_since(&self.before);
        // A turn of two threads is the least that tells.
        const LEAST: u64 = 2 * 4 * 4;
        if !budget.allows(LEAST, cpu_time) {
            return;
        }
        let Some((place, words)) = self.schedule.next(self.started.elapsed()) else { return };
        match Turn::begin(&place, &words, &self.like, &budget, cpu_time) {
            Ok(Some(turn)) => {
                self.summary.turns += 1;
                self.turn = Some(turn);
            }
            Ok(None) => {}
            Err(error) => {
                if error.raw_os_error() == Some(libc::ENOSPC) {
                    self.lack_registers(place.pid);
                }
                self.schedule.give_up(&place);
            }
        }
    }

    fn end_turn<W: Write>(&mut self, writer: &mut Writer<W>, latest: u64) -> io::Result<()> {
        if let Some(turn) = &self.turn {
            turn.stop();
        }
        self.take_hits(writer)?;
        let Some(turn) = self.turn.take() else {
            return Ok(());
        };
        self.write_turn(writer, turn.record(latest))
    }

    fn write_turn<W: Write>(&self, writer: &mut Writer<W>, turn: WatchTurn) -> io::Result<()> {
        let change = EventChange::Watched(turn);
        let mut body = Encoder::new(ByteOrder::NATIVE);
        EventUpdate { id: self.event_id, change }.encode(&mut body);
        writer.record(RecordType::EVENT_UPDATE, 0, body.as_slice())
    }

    fn lack_registers(&mut self, pid: u32) {
        if !self.summary.is_without_registers {
            self.summary.is_without_registers = true;
            self.without_registers = Some(pid);
        }
    }

    /// Reports say it too, once.
    fn tell_of_no_registers<W: Write>(
        &mut self,
        writer: &mut Writer<W>,
        time: u64,
    ) -> io::Result<()> {
        match self.without_registers.take() {
            Some(pid) => self.write_turn(writer, WatchTurn { pid, time, ..WatchTurn::default() }),
            None => Ok(()),
        }
    }

    /// Hands the hits on; the recording knows their events first.
    fn take_hits<W: Write>(&mut self, writer: &mut Writer<W>) -> io::Result<()> {
        let Some(turn) = &mut self.turn else {
            return Ok(());
        };
        self.records.clear();
        let drained = turn.drain(&mut self.records);
        for event in turn.new_events() {
            writer.add_event(event)?;
        }
        self.summary.hits += drained.hits;
        self.summary.lost += drained.lost;
        if let Some(budget) = &mut self.budget {
            budget.spend(drained.hits + drained.lost);
        }
        writer.later_records(&self.records)
    }
}

fn cpu_time(pid: u32) -> u64 {
    process_cpu_time(Path::new("/"), pid).unwrap_or(0)
}

/// What all processes with watched places have used since the recording began, ns. One that has ended
/// counts no more: its budget is spent.
fn cpu_time_since(before: &FxHashMap<u32, u64>) -> u64 {
    before.iter().map(|(&pid, &before)| cpu_time(pid).saturating_sub(before)).sum()
}
