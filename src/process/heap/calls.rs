//! A sample of an allocation function's entry or return, as what was asked for or given.

use super::function::{AllocationFunction, Shape};
use crate::perf_data::{Event, Sample, SamplePosition, SampleType};
use crate::process::{Pid, Tid, Time};

/// An event of the recording that traces an allocation function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapEvent {
    /// The function.
    pub function: AllocationFunction,
    /// Whether it traces its return.
    pub is_return: bool,
    /// The registers of its samples.
    registers: u64,
}

/// One entry or return of an allocation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeapCall<'s> {
    /// When.
    pub time: Time,
    /// Process.
    pub pid: Pid,
    /// Thread.
    pub tid: Tid,
    /// Number of the function's name: the same for its entries and its returns.
    pub function: u16,
    /// The stack pointer when the function is entered, also of its return.
    pub stack: u64,
    /// What was asked for or given.
    pub step: Step<'s>,
    /// The sample.
    pub position: SamplePosition,
}

/// What was asked for or given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'s> {
    /// Memory is asked for.
    Allocate {
        /// Bytes; `None` when the product of two numbers has no room, so that nothing is given.
        size: Option<u64>,
        /// Where the address is to go, where it is not returned.
        into: Option<u64>,
    },
    /// Memory is to be made larger or smaller.
    Reallocate {
        /// Its address, 0 for none.
        old: u64,
        /// Bytes wanted.
        size: Option<u64>,
    },
    /// Memory is given back.
    Free {
        /// Its address, 0 for none.
        old: u64,
    },
    /// The function returns.
    Return {
        /// The returned value.
        value: u64,
        /// The bytes on the stack above the return address, as far as they were recorded.
        above: &'s [u8],
    },
}

/// Registers of x86-64 by their number in `PERF_REG_X86_*`: the first four arguments, the returned
/// value and the stack pointer (System V ABI).
const ARGUMENTS: [u32; 4] = [5, 4, 3, 2];
const RETURNED: u32 = 0;
const STACK: u32 = 7;

impl HeapEvent {
    /// What an event traces, if it traces the heap and its samples have what that takes.
    pub fn of(event: &Event) -> Option<Self> {
        let (function, is_return) = AllocationFunction::of_event(&event.name)?;
        let needed = SampleType::TID | SampleType::TIME | SampleType::REGS_USER;
        let registers = event.attr.sample_regs_user;
        let needed_registers: &[u32] = match (is_return, function.shape) {
            (true, _) => &[RETURNED, STACK],
            (false, Shape::Free) => &[ARGUMENTS[0], STACK],
            (false, _) => &[ARGUMENTS[0], ARGUMENTS[1], ARGUMENTS[2], ARGUMENTS[3], STACK],
        };
        let has_registers = needed_registers.iter().all(|it| registers >> it & 1 == 1);
        (event.attr.sample_type.contains(needed) && has_registers).then_some(Self {
            function,
            is_return,
            registers,
        })
    }

    /// What a sample of it says; `None` when it has no registers. `function` numbers its function.
    pub fn call<'s>(
        &self,
        function: u16,
        sample: &Sample<'s>,
        position: SamplePosition,
    ) -> Option<HeapCall<'s>> {
        let registers = sample.regs_user.filter(|registers| registers.abi != 0)?;
        let register = |number: u32| {
            let index = (self.registers & ((1 << number) - 1)).count_ones() as usize;
            registers.values.get(index)
        };
        let argument = |number: u8| register(*ARGUMENTS.get(usize::from(number))?);
        let bytes = |size: u8, count: Option<u8>| {
            Some(match count {
                Some(count) => argument(size)?.checked_mul(argument(count)?),
                None => Some(argument(size)?),
            })
        };
        let (pid, tid) = sample.thread?;
        let stack = register(STACK)?;
        let step = if self.is_return {
            let above = sample.stack_user.unwrap_or_default();
            let valid = usize::try_from(above.valid).unwrap_or(usize::MAX).min(above.bytes.len());
            Step::Return { value: register(RETURNED)?, above: &above.bytes[..valid] }
        } else {
            match self.function.shape {
                Shape::Allocate { size, count } => {
                    Step::Allocate { size: bytes(size, count)?, into: None }
                }
                Shape::AllocateInto { size } => {
                    Step::Allocate { size: bytes(size, None)?, into: Some(argument(0)?) }
                }
                Shape::Reallocate { size, count } => {
                    Step::Reallocate { old: argument(0)?, size: bytes(size, count)? }
                }
                Shape::Free => Step::Free { old: argument(0)? },
            }
        };
        Some(HeapCall {
            time: Time(sample.time?),
            pid: Pid(pid),
            tid: Tid(tid),
            function,
            // The return has taken its address off the stack.
            stack: if self.is_return { stack.wrapping_sub(8) } else { stack },
            step,
            position,
        })
    }
}
