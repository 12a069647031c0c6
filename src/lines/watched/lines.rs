//! The turns of a recording, and what they say of each line.

use rustc_hash::{FxHashMap, FxHashSet};

use super::hits::{PlacedHit, hits};
use super::line::{LineTurn, WatchedLine};
use crate::lines::timed::CodeSource;
use crate::lines::{Identity, LineKey};
use crate::perf_data::{ArmedRegister, EventChange, EventUpdate, RecordType, Recording, WatchTurn};
use crate::process::{Pid, ThreadBases, Time};

/// When a turn began and ended is known to within the time between two looks at the rings.
const SLACK_NS: u64 = 3_000_000;

/// All lines that were watched.
#[derive(Debug, Default)]
pub struct WatchedLines {
    /// They, by their identity.
    pub lines: FxHashMap<LineKey, WatchedLine>,
    /// Hits on all of them.
    pub hits: u64,
    /// When which processes were watched, by time of the beginning.
    turns: Vec<(Time, Time, Pid)>,
}

impl WatchedLines {
    /// Reads the turns and hits of a recording.
    pub fn of(
        recording: &Recording<'_>,
        identity: &Identity<'_>,
        source: &mut dyn CodeSource,
        bases: &ThreadBases,
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
        for placed in hits(recording, identity, source, bases) {
            if let Some(&turn) = turn_of.get(&placed.hit.id) {
                hits_of[turn].push(placed);
            }
        }
        let mut watched = Self::default();
        for (turn, hits) in turns.iter().zip(&hits_of) {
            watched.add(turn, hits, identity);
        }
        watched.turns.sort_unstable();
        watched
    }

    fn add(&mut self, turn: &WatchTurn, hits: &[PlacedHit], identity: &Identity<'_>) {
        let key = |pid: Pid, time: Time, address: u64| {
            let mapping = identity.processes().find_user(pid, address, time);
            identity.user_key(pid, time, address, mapping)
        };
        let (pid, time) = (Pid(turn.pid), Time(turn.time));
        self.turns.push((Time(turn.time.saturating_sub(turn.duration)), time, pid));
        let mut armed: FxHashMap<LineKey, (LineTurn, FxHashSet<u32>)> = FxHashMap::default();
        for register in &turn.registers {
            let line_size = identity.line_size();
            let line = line_size.line_of(register.address).0;
            let (of_line, ran) =
                armed.entry(key(pid, time, register.address)).or_insert_with(|| {
                    (LineTurn { line, time, ..LineTurn::default() }, FxHashSet::default())
                });
            of_line.words |= 1 << (line_size.offset_of(register.address).0 / 8).min(63);
            // A good part of the turn: it had the time to come by.
            if register.ran == ArmedRegister::UNKNOWN || register.ran >= turn.duration / 8 {
                ran.insert(register.tid);
            }
        }
        for (line, (of_line, ran)) in armed {
            let hits: Vec<PlacedHit> = hits
                .iter()
                .filter(|it| key(it.hit.pid, it.hit.time, it.hit.address) == line)
                .copied()
                .collect();
            self.hits += hits.len() as u64;
            let known = self.lines.entry(line).or_default();
            known.add_turn(&hits, &LineTurn { has_run: ran.len() >= 2, ..of_line });
        }
    }

    /// Whether watching has slowed a process down at a time: what it waited for then was the debugger's
    /// trap.
    pub fn has_disturbed(&self, pid: Pid, time: Time) -> bool {
        let (from, to) = (time.0.saturating_sub(SLACK_NS), time.0.saturating_add(SLACK_NS));
        // Turns follow each other, and none is longer than its own length.
        let begun = self.turns.partition_point(|(start, ..)| start.0 <= to);
        self.turns[..begun].iter().rev().take(8).any(|(_, end, of)| *of == pid && end.0 >= from)
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
