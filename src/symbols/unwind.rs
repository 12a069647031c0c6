//! From a frame to its caller, by the unwind tables of the image that it runs in.

use gimli::{CfaRule, EhFrame, RegisterRule, UnwindContext, UnwindSection};

use super::ImageAddress;
use super::unwind_table::UnwindTable;

/// How many registers DWARF numbers on x86-64 before the return address, which is number 16.
const REGISTERS: usize = 16;
const STACK_POINTER: u16 = 7;
const RETURN_ADDRESS: u16 = 16;

/// Registers by their DWARF number on x86-64 (System V ABI: rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to
/// r15); `None` where the value is not known.
pub type FrameRegisters = [Option<u64>; REGISTERS];

/// A frame of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackFrame {
    /// Where its code is, in the process: what it called returns to here.
    pub return_address: u64,
    /// Its registers at that moment.
    pub registers: FrameRegisters,
}

impl StackFrame {
    /// The stack pointer.
    pub fn stack_pointer(&self) -> Option<u64> {
        self.registers[usize::from(STACK_POINTER)]
    }

    /// The caller of code without unwind tables that keeps frame pointers, as far as `read` has the
    /// words of its stack.
    pub fn caller_by_frame_pointer(&self, read: impl Fn(u64) -> Option<u64>) -> Option<Self> {
        const FRAME_POINTER: usize = 6;
        let frame = self.registers[FRAME_POINTER]?;
        if frame < self.stack_pointer()? || frame % 8 != 0 {
            return None;
        }
        let mut registers = self.registers;
        registers[FRAME_POINTER] = read(frame);
        registers[usize::from(STACK_POINTER)] = frame.checked_add(16);
        Some(Self { return_address: read(frame.checked_add(8)?)?, registers })
    }
}

impl UnwindTable {
    /// The caller of a frame whose code is at `address` of the image; `read` has the words of the stack
    /// that are known. `None` where the tables do not tell, or a word is missing.
    pub(super) fn caller(
        &self,
        frame: &StackFrame,
        address: ImageAddress,
        read: impl Fn(u64) -> Option<u64>,
    ) -> Option<StackFrame> {
        let (frames, bases) = self.frames()?;
        let mut context = UnwindContext::new();
        let row = match self.index() {
            Some(index) => index.table()?.unwind_info_for_address(
                frames,
                bases,
                &mut context,
                address.0,
                EhFrame::cie_from_offset,
            ),
            None => frames.unwind_info_for_address(
                bases,
                &mut context,
                address.0,
                EhFrame::cie_from_offset,
            ),
        }
        .ok()?;
        let register = |number: u16| frame.registers.get(usize::from(number)).copied().flatten();
        let top = match row.cfa() {
            CfaRule::RegisterAndOffset { register: base, offset } => {
                register(base.0)?.checked_add_signed(*offset)?
            }
            // Only stubs of the procedure linkage table need that, and they call nothing.
            CfaRule::Expression(_) => return None,
        };
        // A stack grows down: a frame that does not is none, and might never end.
        if top <= frame.stack_pointer()? {
            return None;
        }
        let value = |number: u16, rule: RegisterRule<usize>| match rule {
            RegisterRule::SameValue => register(number),
            // What a function may use as it likes is not known any more; the others are as they were.
            RegisterRule::Undefined if matches!(number, 3 | 6 | 12..=15) => register(number),
            RegisterRule::Offset(offset) => read(top.checked_add_signed(offset)?),
            RegisterRule::ValOffset(offset) => top.checked_add_signed(offset),
            RegisterRule::Register(other) => register(other.0),
            _ => None,
        };
        let return_address = value(RETURN_ADDRESS, row.register(gimli::Register(RETURN_ADDRESS))?)?;
        let mut registers: FrameRegisters = std::array::from_fn(|number| {
            let number = number as u16;
            let rule = row.register(gimli::Register(number)).unwrap_or(RegisterRule::Undefined);
            value(number, rule)
        });
        registers[usize::from(STACK_POINTER)] = Some(top);
        (return_address != 0).then_some(StackFrame { return_address, registers })
    }
}
