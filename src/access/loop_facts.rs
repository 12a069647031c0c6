//! What a loop does in each of its rounds.

/// A loop of a function, as far as its rounds can be counted and weighed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoopFacts {
    /// Addresses of its instructions, in order, in the address space of the function's code; the first
    /// of them that runs is `header`.
    pub instructions: Vec<u64>,
    /// Where each round begins.
    pub header: u64,
    /// Instructions that run once in every round.
    pub always: u32,
    /// Those of them that are atomic.
    pub locked: u32,
    /// Whether it calls functions.
    pub has_calls: bool,
    /// Whether there are loops in it.
    pub has_inner_loops: bool,
    /// Registers that tell how many rounds were made.
    pub counters: Vec<LoopCounter>,
    /// Rounds that it makes each time it is entered, where the code fixes that.
    pub trip: Option<u64>,
}

/// A register that changes by the same in every round, and in no other way within the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopCounter {
    /// Its number in samples (`PERF_REG_X86_*`).
    pub register: u8,
    /// By how much it changes.
    pub step: i64,
    /// Whether only its low 32 bits count.
    pub is_narrow: bool,
}

impl LoopCounter {
    /// The rounds between two values of the register; `None` where these are not of one run of the
    /// loop: the difference is no multiple of the step, or points backwards.
    pub fn rounds(&self, before: u64, after: u64) -> Option<u64> {
        let difference = match self.is_narrow {
            true => i64::from((after as u32).wrapping_sub(before as u32) as i32),
            false => after.wrapping_sub(before) as i64,
        };
        let is_forward = (difference < 0) == (self.step < 0) || difference == 0;
        (is_forward && difference.checked_rem(self.step)? == 0)
            .then(|| (difference / self.step).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_counted_in_the_steps_direction() {
        let up = LoopCounter { register: 0, step: 8, is_narrow: false };
        assert_eq!(up.rounds(0x100, 0x140), Some(8));
        assert_eq!(up.rounds(0x140, 0x100), None);
        assert_eq!(up.rounds(0x100, 0x141), None);
        assert_eq!(up.rounds(7, 7), Some(0));
        let down = LoopCounter { register: 0, step: -1, is_narrow: true };
        assert_eq!(down.rounds(0, 0xffff_fffe), Some(2), "through zero");
        assert_eq!(down.rounds(5, 9), None);
        assert_eq!(LoopCounter { step: 0, ..up }.rounds(0, 8), None);
    }
}
