//! The turns of a recording, and what they say of each line.

use rustc_hash::FxHashMap;

use super::hits::{PlacedHit, hits};
use super::line::{LineTurn, WatchedLine};
use crate::lines::timed::CodeSource;
use crate::lines::{Identity, LineKey};
use crate::perf_data::{ArmedRegister, EventChange, EventUpdate, RecordType, Recording, WatchTurn};
use crate::process::{Cores, Pid, ThreadBases, Tid, Time};

/// A hit disturbs the next clock sample of its thread so long: the clock's interrupt waits while the
/// trap is handled (5 to 30 µs on virtual machines), and then finds the thread right behind the access.
const SHADOW_NS: u64 = 50_000;

/// All lines that were watched.
#[derive(Debug, Default)]
pub struct WatchedLines {
    /// They, by their identity.
    pub lines: FxHashMap<LineKey, WatchedLine>,
    /// Hits on all of them.
    pub hits: u64,
    /// Whether the kernel had no debug register free where one was wanted.
    pub were_registers_taken: bool,
    /// When each thread was caught, in order.
    caught: FxHashMap<(Pid, Tid), Vec<Time>>,
}

impl WatchedLines {
    /// Reads the turns and hits of a recording.
    pub fn of(
        recording: &Recording<'_>,
        identity: &Identity<'_>,
        source: &mut dyn CodeSource,
        bases: &ThreadBases,
        cores: &Cores,
    ) -> Self {
        let turns = turns(recording);
        if turns.is_empty() {
            return Self::default();
        }
        let turn_of: FxHashMap<u64, usize> = turns
            .iter()
            .enumerate()
            .flat_map(|(index, turn)| turn.registers.iter().map(move |it| (it.id, index)))
            .collect();
        let mut hits_of: Vec<Vec<PlacedHit>> = vec![Vec::new(); turns.len()];
        let were_registers_taken = turns.iter().any(|turn| turn.registers.is_empty());
        let mut watched = Self { were_registers_taken, ..Self::default() };
        for placed in hits(recording, identity, source, bases) {
            watched.hits += 1;
            let caught = watched.caught.entry((placed.hit.pid, placed.hit.tid)).or_default();
            caught.push(placed.hit.time);
            if let Some(&turn) = turn_of.get(&placed.hit.id) {
                hits_of[turn].push(placed);
            }
        }
        for (turn, hits) in turns.iter().zip(&hits_of) {
            watched.add(turn, hits, identity, cores);
        }
        watched
    }

    fn add(
        &mut self,
        turn: &WatchTurn,
        hits: &[PlacedHit],
        identity: &Identity<'_>,
        cores: &Cores,
    ) {
        let key = |pid: Pid, time: Time, address: u64| {
            let mapping = identity.processes().find_user(pid, address, time);
            identity.user_key(pid, time, address, mapping)
        };
        let (pid, time) = (Pid(turn.pid), Time(turn.time));
        let mut armed: FxHashMap<LineKey, (LineTurn, Vec<PlacedHit>)> = FxHashMap::default();
        for register in &turn.registers {
            let line_size = identity.line_size();
            let line = line_size.line_of(register.address).0;
            let (of_line, _) = armed
                .entry(key(pid, time, register.address))
                .or_insert_with(|| (LineTurn { line, time, ..LineTurn::default() }, Vec::new()));
            of_line.words |= 1 << (line_size.offset_of(register.address).0 / 8).min(63);
            // A good part of the turn: it had the time to come by.
            if register.ran == ArmedRegister::UNKNOWN || register.ran >= turn.duration / 8 {
                of_line.ran.insert(Tid(register.tid));
            }
        }
        for hit in hits {
            if let Some((_, of_line)) =
                armed.get_mut(&key(hit.hit.pid, hit.hit.time, hit.hit.address))
            {
                of_line.push(*hit);
            }
        }
        for (line, (of_line, hits)) in armed {
            self.lines.entry(line).or_default().add_turn(&hits, of_line, cores);
        }
    }

    /// Whether a clock sample of a thread came right behind a hit of its own: it does not tell what the
    /// thread waited for then. Other samples do, those taken while registers were armed included: between
    /// its few hits a thread runs as ever.
    pub fn has_disturbed(&self, pid: Pid, tid: Tid, time: Time) -> bool {
        let Some(caught) = self.caught.get(&(pid, tid)) else {
            return false;
        };
        let before = caught.partition_point(|hit| *hit <= time);
        before > 0 && time.0 - caught[before - 1].0 <= SHADOW_NS
    }
}

fn turns(recording: &Recording<'_>) -> Vec<WatchTurn> {
    recording
        .other_records()
        .filter(|(_, record)| record.kind == RecordType::EVENT_UPDATE)
        .filter_map(|(_, record)| EventUpdate::decode(&mut record.cursor()).ok())
        .filter_map(|update| match update.change {
            EventChange::Watched(turn) => Some(turn),
            _ => None,
        })
        .collect()
}
