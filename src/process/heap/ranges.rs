//! What is on the heap, kept up to date with every call, in order of time.

use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashMap;

use super::calls::{HeapCall, Step};
use super::history::{Allocation, End, HeapHistory, HeapSpace};
use crate::process::{Pid, Tid, Time};

/// So many allocations that were freed are remembered; the oldest are forgotten first.
pub const MOST_FREED: usize = 1 << 21;
/// So many allocations that were not freed are remembered; later ones are forgotten.
const MOST_LIVE: usize = 1 << 22;
/// Calls of one thread that have not returned: deeper nesting is a sign of returns that were not seen.
const MOST_PENDING: usize = 16;

/// Calls of allocation functions, becoming allocations.
///
/// A call inside of another one of the same thread (`operator new` in `malloc`, `realloc` in `malloc`
/// and `free`) makes no allocation of its own where the outer one's covers its memory.
#[derive(Debug, Default)]
pub struct HeapRanges {
    spaces: Vec<HeapSpace>,
    current: FxHashMap<Pid, u32>,
    live: Vec<BTreeMap<u64, Allocation>>,
    live_count: usize,
    freed: VecDeque<(u32, Allocation)>,
    most_freed: Option<usize>,
    freed_inherited: Vec<(u32, u64, Time, Tid)>,
    pending: FxHashMap<Tid, Vec<Pending>>,
    forgotten: u64,
}

/// A call that has not returned.
#[derive(Debug, Clone, Copy)]
struct Pending {
    function: u16,
    stack: u64,
    size: Option<u64>,
    into: Option<u64>,
    entered: Time,
    entry: crate::perf_data::SamplePosition,
    /// What it was to make larger or smaller.
    old: Option<Allocation>,
}

impl HeapRanges {
    /// As [`Default`], with another limit than [`MOST_FREED`].
    pub fn with_most_freed(most: usize) -> Self {
        Self { most_freed: Some(most), ..Self::default() }
    }

    /// Takes the next call.
    pub fn call(&mut self, call: &HeapCall<'_>) {
        let space = self.space(call.pid);
        match call.step {
            Step::Allocate { size, into } => self.enter(space, call, size, into, None),
            Step::Reallocate { old, size } => {
                let old = self.take(space, old);
                if old.is_none()
                    && let Step::Reallocate { old: address, .. } = call.step
                {
                    self.free_inherited(space, address, call);
                }
                self.enter(space, call, size, None, old);
            }
            Step::Free { old } => match self.take(space, old) {
                Some(allocation) => self.end(space, allocation, call.time, End::Freed(call.tid)),
                None => self.free_inherited(space, old, call),
            },
            Step::Return { value, above } => self.leave(space, call, value, above),
        }
    }

    /// A process forks: the new one has all that the old one has.
    pub fn fork(&mut self, parent: Pid, child: Pid, time: Time) {
        let parent = self.space(parent);
        self.start(child, time, Some(parent));
    }

    /// A process runs another program: all that it had is gone.
    pub fn exec(&mut self, pid: Pid, time: Time) {
        if let Some(&space) = self.current.get(&pid) {
            self.spaces[space as usize].until = Some(time);
        }
        self.start(pid, time, None);
    }

    /// A thread ends: its calls never return.
    pub fn exit(&mut self, tid: Tid) {
        self.pending.remove(&tid);
    }

    /// What it all came to.
    pub fn finish(mut self) -> HeapHistory {
        let mut all: Vec<(u32, Allocation)> = self.freed.into();
        for (space, live) in self.live.iter_mut().enumerate() {
            all.extend(std::mem::take(live).into_values().map(|it| (space as u32, it)));
        }
        HeapHistory::new(self.spaces, all, self.freed_inherited, self.forgotten)
    }

    fn space(&mut self, pid: Pid) -> u32 {
        match self.current.get(&pid) {
            Some(space) => *space,
            None => self.start(pid, Time(0), None),
        }
    }

    fn start(&mut self, pid: Pid, from: Time, parent: Option<u32>) -> u32 {
        let number = self.spaces.len() as u32;
        self.spaces.push(HeapSpace { pid, from, until: None, parent });
        self.live.push(BTreeMap::new());
        self.current.insert(pid, number);
        number
    }

    fn take(&mut self, space: u32, address: u64) -> Option<Allocation> {
        let taken = self.live[space as usize].remove(&address)?;
        self.live_count -= 1;
        Some(taken)
    }

    fn end(&mut self, space: u32, allocation: Allocation, time: Time, end: End) {
        if self.freed.len() >= self.most_freed.unwrap_or(MOST_FREED) {
            self.freed.pop_front();
            self.forgotten += 1;
        }
        self.freed.push_back((space, Allocation { end: Some((time, end)), ..allocation }));
    }

    /// Something is freed that was not allocated here.
    fn free_inherited(&mut self, space: u32, address: u64, call: &HeapCall<'_>) {
        let is_forked = self.spaces[space as usize].parent.is_some();
        if is_forked && address != 0 && self.freed_inherited.len() < MOST_FREED {
            self.freed_inherited.push((space, address, call.time, call.tid));
        }
    }

    fn enter(
        &mut self,
        space: u32,
        call: &HeapCall<'_>,
        size: Option<u64>,
        into: Option<u64>,
        old: Option<Allocation>,
    ) {
        let mut given_up = Vec::new();
        let pending = self.pending.entry(call.tid).or_default();
        // The stack grows down: what lies below this call has returned, seen or not.
        let has_returned = |it: &Pending| {
            it.stack < call.stack || (it.stack == call.stack && it.function == call.function)
        };
        while pending.last().is_some_and(has_returned) || pending.len() >= MOST_PENDING {
            given_up.extend(pending.pop());
        }
        pending.push(Pending {
            function: call.function,
            stack: call.stack,
            size,
            into,
            entered: call.time,
            entry: call.position,
            old,
        });
        self.give_up(space, call.tid, given_up);
    }

    /// Calls whose return was not seen: what they were to move is nowhere that is known.
    fn give_up(&mut self, space: u32, tid: Tid, calls: Vec<Pending>) {
        for call in calls {
            if let Some(old) = call.old {
                self.end(space, old, call.entered, End::Freed(tid));
            }
        }
    }

    fn leave(&mut self, space: u32, call: &HeapCall<'_>, value: u64, above: &[u8]) {
        let Some(pending) = self.pending.get_mut(&call.tid) else {
            return;
        };
        let is_it = |it: &Pending| it.function == call.function && it.stack == call.stack;
        let Some(index) = pending.iter().rposition(is_it) else {
            return;
        };
        let given_up = pending.split_off(index + 1);
        let Some(made) = pending.pop() else {
            return;
        };
        self.give_up(space, call.tid, given_up);
        let base = match made.into {
            None => value,
            // Returns 0 when it succeeds.
            Some(into) if value & 0xffff_ffff == 0 => {
                stored(above, into.wrapping_sub(call.stack.wrapping_add(8))).unwrap_or(0)
            }
            Some(_) => 0,
        };
        if let Some(old) = made.old {
            match (base, made.size) {
                // It failed, and left everything as it was.
                (0, None | Some(1..)) => self.put(space, old, made.entered),
                _ => self.end(space, old, made.entered, End::Freed(call.tid)),
            }
        }
        if let (Some(size), true) = (made.size, base != 0) {
            let allocation = Allocation {
                base,
                size,
                from: call.time,
                end: None,
                pid: call.pid,
                tid: call.tid,
                function: made.function,
                entry: made.entry,
            };
            self.put(space, allocation, made.entered);
        }
    }

    /// Adds an allocation in whose place there may be others: those that its own call has made since it
    /// was entered are it itself, all else must have been freed unseen.
    fn put(&mut self, space: u32, allocation: Allocation, entered: Time) {
        let (start, end) = (allocation.base, allocation.end_address());
        loop {
            let below = self.live[space as usize].range(..end).next_back();
            let Some((&base, other)) = below.filter(|(_, other)| other.end_address() > start)
            else {
                break;
            };
            let is_inner = other.tid == allocation.tid && other.from >= entered;
            if let Some(other) = self.take(space, base)
                && !is_inner
            {
                self.end(space, other, allocation.from, End::Unseen);
            }
        }
        if self.live_count >= MOST_LIVE {
            self.forgotten += 1;
            return;
        }
        self.live_count += 1;
        self.live[space as usize].insert(start, allocation);
    }
}

/// The word at an offset.
fn stored(bytes: &[u8], offset: u64) -> Option<u64> {
    let offset = usize::try_from(offset).ok()?;
    let word = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}
