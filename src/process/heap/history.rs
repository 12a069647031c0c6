//! All allocations of a recording, to be asked what lay where when.

use std::ops::Range;

use crate::perf_data::SamplePosition;
use crate::process::{Pid, Tid, Time};

/// One stretch of memory that a program had for itself for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// Its first address.
    pub base: u64,
    /// Bytes that were asked for.
    pub size: u64,
    /// Since when.
    pub from: Time,
    /// Until when, and how that is known; `None` while it lasts.
    pub end: Option<(Time, End)>,
    /// The process that allocated it.
    pub pid: Pid,
    /// The thread that allocated it.
    pub tid: Tid,
    /// Number of the function's name that did.
    pub function: u16,
    /// The sample of that function's entry.
    pub entry: SamplePosition,
}

/// How an allocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A thread freed it, or had it moved.
    Freed(Tid),
    /// It must have been freed unseen: other memory was given out in its place.
    Unseen,
}

impl Allocation {
    /// Whether it was there at some moment of a time, the end excluded.
    pub fn is_alive_in(&self, time: &Range<Time>) -> bool {
        self.from < time.end && self.end.is_none_or(|(end, _)| end > time.start)
    }

    /// The first address after it. An allocation of no bytes has its address for itself all the same.
    pub fn end_address(&self) -> u64 {
        self.base.saturating_add(self.size.max(1))
    }
}

/// A program in a process: what it had on the heap goes when another takes its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeapSpace {
    pub(super) pid: Pid,
    pub(super) from: Time,
    pub(super) until: Option<Time>,
    /// The space that it was forked from, which it has inherited everything from.
    pub(super) parent: Option<u32>,
}

/// Allocations by address space.
#[derive(Debug, Default)]
pub struct HeapHistory {
    spaces: Vec<HeapSpace>,
    /// By space and address.
    allocations: Vec<(u32, Allocation)>,
    /// The greatest end among those of the same space up to each index: tells when looking back is in
    /// vain.
    reach: Vec<u64>,
    /// What was freed that a space may have inherited, by space and address.
    freed_inherited: Vec<(u32, u64, Time, Tid)>,
    /// Allocations that were forgotten because there were too many.
    pub forgotten: u64,
}

/// Forks that are followed to find who allocated something.
const MAX_FORKS: usize = 64;

impl HeapHistory {
    pub(super) fn new(
        spaces: Vec<HeapSpace>,
        mut allocations: Vec<(u32, Allocation)>,
        mut freed_inherited: Vec<(u32, u64, Time, Tid)>,
        forgotten: u64,
    ) -> Self {
        allocations.sort_unstable_by_key(|(space, it)| (*space, it.base, it.from, it.entry));
        freed_inherited.sort_unstable_by_key(|&(space, base, time, _)| (space, base, time));
        let mut reach = Vec::with_capacity(allocations.len());
        let mut last = None;
        for (space, allocation) in &allocations {
            let before = reach.last().copied().filter(|_| last == Some(*space)).unwrap_or(0);
            reach.push(allocation.end_address().max(before));
            last = Some(*space);
        }
        Self { spaces, allocations, reach, freed_inherited, forgotten }
    }

    /// How many allocations are known.
    pub fn len(&self) -> usize {
        self.allocations.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.allocations.is_empty()
    }

    /// What a process had in a range of addresses at some moment of a time: by address, then by time.
    pub fn objects_in(&self, pid: Pid, range: &Range<u64>, time: &Range<Time>) -> Vec<Allocation> {
        let mut found = Vec::new();
        for (number, space) in self.spaces.iter().enumerate() {
            let start = space.from.max(time.start);
            let end = space.until.map_or(time.end, |until| until.min(time.end));
            if space.pid == pid && start < end {
                found.extend(self.objects_of(number as u32, range, &(start..end), MAX_FORKS));
            }
        }
        found.sort_unstable_by_key(|it| (it.base, it.from, it.entry));
        found
    }

    fn objects_of(
        &self,
        space: u32,
        range: &Range<u64>,
        time: &Range<Time>,
        forks: usize,
    ) -> Vec<Allocation> {
        let key = |&(space, it): &(u32, Allocation)| (space, it.base);
        let after = self.allocations.partition_point(|it| key(it) < (space, range.end));
        let mut found: Vec<Allocation> = (0..after)
            .rev()
            .take_while(|index| {
                self.allocations[*index].0 == space && self.reach[*index] > range.start
            })
            .map(|index| self.allocations[index].1)
            .filter(|it| it.end_address() > range.start && it.is_alive_in(time))
            .collect();
        let known = self.spaces.get(space as usize);
        let Some((parent, forked)) = known.and_then(|it| Some((it.parent?, it.from))) else {
            return found;
        };
        if forks > 0 {
            let moment = forked..Time(forked.0.saturating_add(1));
            let inherited = self.objects_of(parent, range, &moment, forks - 1);
            let inherited = inherited.into_iter().map(|it| self.inherited(space, it));
            found.extend(inherited.filter(|it| it.is_alive_in(time)));
        }
        found
    }

    /// An inherited allocation, with the end that it had in the space that inherited it.
    fn inherited(&self, space: u32, allocation: Allocation) -> Allocation {
        let freed = &self.freed_inherited;
        let first = freed.partition_point(|it| (it.0, it.1) < (space, allocation.base));
        let freed = freed.get(first).filter(|it| (it.0, it.1) == (space, allocation.base));
        let freed = freed.map(|&(.., time, tid)| (time, End::Freed(tid)));
        let always = Time(0)..Time(u64::MAX);
        let range = allocation.base..allocation.end_address();
        let replaced = self.objects_of(space, &range, &always, 0);
        let replaced = replaced.iter().map(|it| it.from).min().map(|time| (time, End::Unseen));
        Allocation { end: freed.into_iter().chain(replaced).min_by_key(|it| it.0), ..allocation }
    }
}
