//! Calls in all orders, against what they must come to.

use std::ops::Range;

use proptest::prelude::*;

use super::{Allocation, End, HeapCall, HeapHistory, HeapRanges, Step};
use crate::perf_data::SamplePosition;
use crate::process::{Pid, Tid, Time};

const PID: Pid = Pid(1);

/// Feeds calls whose times count up.
#[derive(Default)]
struct Calls {
    ranges: HeapRanges,
    time: u64,
}

impl Calls {
    fn call(&mut self, tid: u32, function: u16, stack: u64, step: Step<'_>) -> &mut Self {
        self.call_of(PID, tid, function, stack, step)
    }

    fn call_of(
        &mut self,
        pid: Pid,
        tid: u32,
        function: u16,
        stack: u64,
        step: Step<'_>,
    ) -> &mut Self {
        self.time += 1;
        let mut position = SamplePosition::default();
        position.ordinal = self.time;
        let (time, tid) = (Time(self.time), Tid(tid));
        self.ranges.call(&HeapCall { time, pid, tid, function, stack, step, position });
        self
    }

    fn enter(&mut self, tid: u32, function: u16, stack: u64, size: u64) -> &mut Self {
        self.call(tid, function, stack, Step::Allocate { size: Some(size), into: None })
    }

    fn leave(&mut self, tid: u32, function: u16, stack: u64, value: u64) -> &mut Self {
        self.call(tid, function, stack, Step::Return { value, above: &[] })
    }

    fn allocate(&mut self, base: u64, size: u64) -> &mut Self {
        self.enter(1, 0, 0x1000, size).leave(1, 0, 0x1000, base)
    }

    fn free(&mut self, base: u64) -> &mut Self {
        self.call(1, 9, 0x1000, Step::Free { old: base })
    }

    fn finish(&mut self) -> HeapHistory {
        std::mem::take(&mut self.ranges).finish()
    }
}

fn always() -> Range<Time> {
    Time(0)..Time(u64::MAX)
}

/// Base, size, from when to when, of what lay there.
fn all(history: &HeapHistory, pid: Pid) -> Vec<(u64, u64, u64, Option<u64>)> {
    let found = history.objects_in(pid, &(0..u64::MAX), &always());
    found.iter().map(|it| (it.base, it.size, it.from.0, it.end.map(|end| end.0.0))).collect()
}

#[test]
fn memory_that_is_used_again_is_told_apart() {
    let mut calls = Calls::default();
    let history = calls.allocate(0x100, 24).free(0x100).allocate(0x100, 20).finish();
    assert_eq!(all(&history, PID), [(0x100, 24, 2, Some(3)), (0x100, 20, 5, None)]);
    let at = |time: u64| {
        let found = history.objects_in(PID, &(0x110..0x111), &(Time(time)..Time(time + 1)));
        found.iter().map(|it| it.size).collect::<Vec<_>>()
    };
    assert_eq!([at(1), at(2), at(3), at(4), at(5)], [vec![], vec![24], vec![], vec![], vec![20]]);
    assert!(history.objects_in(PID, &(0x118..0x200), &always()).is_empty());
    assert!(history.objects_in(Pid(2), &(0..u64::MAX), &always()).is_empty());
}

#[test]
fn what_was_freed_unseen_ends_where_something_else_begins() {
    let mut calls = Calls::default();
    calls.allocate(0x100, 0x40).allocate(0x140, 0x40).allocate(0x200, 8);
    let history = calls.allocate(0x120, 0x40).finish();
    let ends: Vec<_> =
        history.objects_in(PID, &(0..u64::MAX), &always()).iter().map(|it| it.end).collect();
    let unseen = Some((Time(8), End::Unseen));
    assert_eq!(ends, [unseen, None, unseen, None]);
}

#[test]
fn calls_within_calls_make_one_allocation() {
    // operator new (1) calls malloc (0), whose address it returns.
    let mut calls = Calls::default();
    calls.enter(1, 1, 0x1000, 24).enter(1, 0, 0xf00, 32).leave(1, 0, 0xf00, 0x100);
    let history = calls.leave(1, 1, 0x1000, 0x100).finish();
    assert_eq!(all(&history, PID), [(0x100, 24, 4, None)]);
    let made = history.objects_in(PID, &(0..u64::MAX), &always())[0];
    assert_eq!((made.function, made.entry.ordinal), (1, 1), "the outer call is to blame");

    // What the inner one takes for itself, elsewhere, is another allocation.
    let mut calls = Calls::default();
    calls.enter(1, 1, 0x1000, 24).enter(1, 0, 0xf00, 32).leave(1, 0, 0xf00, 0x900);
    let history = calls.leave(1, 1, 0x1000, 0x100).finish();
    assert_eq!(all(&history, PID), [(0x100, 24, 4, None), (0x900, 32, 3, None)]);

    // A jump at the end of a function: both return to the same place.
    let mut calls = Calls::default();
    calls.enter(1, 1, 0x1000, 24).enter(1, 0, 0x1000, 24).leave(1, 0, 0x1000, 0x100);
    let history = calls.leave(1, 1, 0x1000, 0x100).finish();
    assert_eq!(all(&history, PID), [(0x100, 24, 4, None)]);

    // Threads do not disturb each other.
    let mut calls = Calls::default();
    calls.enter(1, 0, 0x1000, 24).enter(2, 0, 0x1000, 48);
    let history = calls.leave(1, 0, 0x1000, 0x100).leave(2, 0, 0x1000, 0x200).finish();
    assert_eq!(all(&history, PID), [(0x100, 24, 3, None), (0x200, 48, 4, None)]);
}

#[test]
fn returns_that_were_not_seen_leave_nothing_behind() {
    let mut calls = Calls::default();
    calls.enter(1, 0, 0xf00, 24).enter(1, 0, 0x1000, 48).leave(1, 0, 0x1000, 0x100);
    calls.leave(1, 0, 0xf00, 0x500).leave(3, 0, 0x1000, 0x600);
    assert_eq!(all(&calls.finish(), PID), [(0x100, 48, 3, None)]);
}

#[test]
fn memory_moves_and_grows() {
    let grow = |calls: &mut Calls, old: u64, size: Option<u64>, new: u64| {
        calls.call(1, 2, 0x1000, Step::Reallocate { old, size }).leave(1, 2, 0x1000, new);
    };
    let mut calls = Calls::default();
    calls.allocate(0x100, 24);
    grow(&mut calls, 0x100, Some(48), 0x200);
    grow(&mut calls, 0x200, Some(96), 0x200);
    // One that fails leaves all as it was, also where the number of bytes has no room.
    grow(&mut calls, 0x200, Some(1 << 60), 0);
    grow(&mut calls, 0x200, None, 0);
    // None becomes some, and some none.
    grow(&mut calls, 0, Some(8), 0x300);
    grow(&mut calls, 0x300, Some(0), 0);
    let expected = [
        (0x100, 24, 2, Some(3)),
        (0x200, 48, 4, Some(5)),
        (0x200, 96, 6, None),
        (0x300, 8, 12, Some(13)),
    ];
    assert_eq!(all(&calls.finish(), PID), expected);

    // By malloc (0) and free (9) within.
    let mut calls = Calls::default();
    calls.allocate(0x100, 24);
    calls.call(1, 2, 0x1000, Step::Reallocate { old: 0x100, size: Some(48) });
    calls.enter(1, 0, 0xf00, 48).leave(1, 0, 0xf00, 0x200);
    calls.call(1, 9, 0xf00, Step::Free { old: 0x100 }).leave(1, 2, 0x1000, 0x200);
    assert_eq!(all(&calls.finish(), PID), [(0x100, 24, 2, Some(3)), (0x200, 48, 7, None)]);
}

#[test]
fn an_address_may_be_left_on_the_stack() {
    let into = |above: &[u8], value: u64| {
        let mut calls = Calls::default();
        calls.call(1, 3, 0x1000, Step::Allocate { size: Some(24), into: Some(0x1010) });
        calls.call(1, 3, 0x1000, Step::Return { value, above });
        all(&calls.finish(), PID)
    };
    let stack: Vec<u8> = [7_u64, 0xabc0].iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(into(&stack, 0), [(0xabc0, 24, 2, None)]);
    // The upper half of the register of an int is anything.
    assert_eq!(into(&stack, 0xffff_ffff_0000_0000), [(0xabc0, 24, 2, None)]);
    assert_eq!(into(&stack, 12), [], "it failed");
    assert_eq!(into(&stack[..12], 0), [], "it is not in what was recorded");
}

#[test]
fn a_child_inherits_and_a_new_program_has_nothing() {
    let child = Pid(2);
    let mut calls = Calls::default();
    calls.allocate(0x100, 8).allocate(0x200, 8).allocate(0x300, 8).free(0x300);
    calls.ranges.fork(PID, child, Time(calls.time));
    calls.free(0x100);
    calls.call_of(child, 2, 9, 0x1000, Step::Free { old: 0x200 });
    calls.call_of(child, 2, 0, 0x1000, Step::Allocate { size: Some(4), into: None });
    calls.call_of(child, 2, 0, 0x1000, Step::Return { value: 0x200, above: &[] });
    calls.ranges.exec(child, Time(50));
    let history = calls.finish();
    assert_eq!(
        all(&history, PID),
        [(0x100, 8, 2, Some(8)), (0x200, 8, 4, None), (0x300, 8, 6, Some(7))]
    );
    assert_eq!(
        all(&history, child),
        [(0x100, 8, 2, None), (0x200, 8, 4, Some(9)), (0x200, 4, 11, None)]
    );
    assert!(history.objects_in(child, &(0..u64::MAX), &(Time(50)..Time(60))).is_empty());
}

#[test]
fn what_was_freed_first_is_forgotten_first() {
    let mut calls = Calls { ranges: HeapRanges::with_most_freed(2), ..Calls::default() };
    for base in [0x100, 0x200, 0x300, 0x400] {
        calls.allocate(base, 8);
    }
    calls.free(0x200).free(0x100).free(0x400);
    let history = calls.finish();
    let bases: Vec<u64> = all(&history, PID).iter().map(|it| it.0).collect();
    assert_eq!((bases, history.forgotten), (vec![0x100, 0x300, 0x400], 1));
}

proptest! {
    /// A map of who has each byte at each time is the truth.
    #[test]
    fn agrees_with_a_byte_map(steps in prop::collection::vec((any::<bool>(), 0u64..48, 1u64..12), 1..60)) {
        let mut calls = Calls::default();
        let mut owners = [0_u64; 64];
        let mut truth = vec![owners];
        for (frees, base, size) in steps {
            if frees {
                calls.free(base + 0x100);
                // Only what begins there is freed.
                let owner = owners[base as usize];
                if owner != 0 && (base == 0 || owners[base as usize - 1] != owner) {
                    owners.iter_mut().filter(|it| **it == owner).for_each(|it| *it = 0);
                }
                truth.push(owners);
            } else {
                calls.allocate(base + 0x100, size);
                truth.push(owners);
                let range = base as usize..(base + size) as usize;
                let gone: Vec<u64> = owners[range.clone()].to_vec();
                owners.iter_mut().filter(|it| gone.contains(it)).for_each(|it| *it = 0);
                owners[range].fill(calls.time);
                truth.push(owners);
            }
        }
        let history = calls.finish();
        for (time, row) in truth.iter().enumerate() {
            for (byte, owner) in row.iter().enumerate() {
                let address = byte as u64 + 0x100;
                let moment = Time(time as u64)..Time(time as u64 + 1);
                let found = history.objects_in(PID, &(address..address + 1), &moment);
                let found: Vec<u64> = found.iter().map(|it: &Allocation| it.from.0).collect();
                let expected: Vec<u64> = (*owner != 0).then_some(*owner).into_iter().collect();
                prop_assert_eq!(found, expected, "byte {} at {}", byte, time);
            }
        }
    }
}
