//! Registers of a stopped thread: x86-64.

use std::io;
use std::mem::offset_of;
use std::ptr;

use super::{check, id};

/// Registers of a stopped thread.
#[derive(Debug, Clone, Copy)]
pub struct ThreadRegisters(libc::user_regs_struct);

/// The code segment of 32-bit programs (`__USER32_CS`).
const CODE_SEGMENT_32: u64 = 0x23;
/// `syscall`, `sysenter` and `int $0x80` are two bytes long.
const SYSTEM_CALL_LENGTH: u64 = 2;

impl ThreadRegisters {
    /// The instruction that is about to run.
    pub fn instruction(&self) -> u64 {
        self.0.rip
    }

    /// The system call that the thread is in, or has just left. Other ways into the kernel leave a
    /// negative number there.
    pub fn system_call(&self) -> Option<u64> {
        Some(self.0.orig_rax).filter(|number| number.cast_signed() >= 0)
    }

    /// The result of a system call.
    pub fn result(&self) -> i64 {
        self.0.rax.cast_signed()
    }

    /// Where the thread's `fs` segment begins.
    pub fn segment_base(&self) -> u64 {
        self.0.fs_base
    }

    /// Whether it runs 32-bit code.
    pub fn is_32_bit(&self) -> bool {
        self.0.cs == CODE_SEGMENT_32
    }

    /// As the kernel's events sample them: `PERF_REG_X86_AX` 0 to `FLAGS` 9, then `R8` to `R15`.
    pub fn sampled(&self) -> [u64; 18] {
        let it = &self.0;
        [
            it.rax, it.rbx, it.rcx, it.rdx, it.rsi, it.rdi, it.rbp, it.rsp, it.rip, it.eflags,
            it.r8, it.r9, it.r10, it.r11, it.r12, it.r13, it.r14, it.r15,
        ]
    }

    /// Whether a thread with these registers stands where one with those does, and would go on alike.
    /// Flags are left out: the kernel sets some of its own.
    pub fn is_same_state(&self, other: &Self) -> bool {
        const FLAGS: usize = 9;
        let others = other.sampled();
        self.sampled().iter().enumerate().all(|(at, value)| at == FLAGS || *value == others[at])
    }

    /// As they were before the system call that the thread is in: it makes the call again, with the
    /// same arguments.
    #[must_use]
    pub fn before_system_call(&self) -> Self {
        let mut registers = self.0;
        registers.rip = registers.rip.wrapping_sub(SYSTEM_CALL_LENGTH);
        registers.rax = registers.orig_rax;
        // So that the kernel does not set it back once more.
        registers.orig_rax = u64::MAX;
        Self(registers)
    }
}

/// The registers of a stopped tracee.
///
/// # Errors
///
/// `ESRCH` when it does not stand (any more).
pub fn registers(tid: u32) -> io::Result<ThreadRegisters> {
    // SAFETY: the structure is plain numbers, for which all zero is valid.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the kernel writes one such structure to the address.
    check(unsafe { libc::ptrace(libc::PTRACE_GETREGS, id(tid)?, nothing, &raw mut registers) })?;
    Ok(ThreadRegisters(registers))
}

/// Sets the registers of a stopped tracee.
///
/// # Errors
///
/// As [`registers`]; `EIO` for values that the CPU would refuse.
pub fn set_registers(tid: u32, registers: &ThreadRegisters) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the kernel reads one such structure from the address.
    check(unsafe { libc::ptrace(libc::PTRACE_SETREGS, id(tid)?, nothing, &raw const registers.0) })
}

/// A debug register of a stopped tracee: 0 to 3 hold addresses, 6 says which was hit, 7 has the
/// conditions.
///
/// # Errors
///
/// As [`registers`]; `EIO` for a number above 7.
pub fn debug_register(tid: u32, number: usize) -> io::Result<u64> {
    // A word is the answer, so that only the error number tells a failure from -1.
    // SAFETY: the address is this thread's own error number.
    unsafe { *libc::__errno_location() = 0 };
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the request takes numbers; the library hands it the address of a word of its own.
    let value = unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, id(tid)?, offset(number)?, nothing) };
    let error = io::Error::last_os_error();
    if value == -1 && error.raw_os_error() != Some(0) {
        return Err(error);
    }
    Ok(value.cast_unsigned())
}

/// Sets a debug register of a stopped tracee.
///
/// # Errors
///
/// As [`debug_register`]; `EINVAL` for an address of the kernel or a condition that does not exist,
/// `ENOSPC` when another tool holds the registers.
pub fn set_debug_register(tid: u32, number: usize, value: u64) -> io::Result<()> {
    // SAFETY: the request takes numbers and touches no memory of ours.
    check(unsafe { libc::ptrace(libc::PTRACE_POKEUSER, id(tid)?, offset(number)?, value) })
}

fn offset(number: usize) -> io::Result<usize> {
    let within = (number < 8).then_some(offset_of!(libc::user, u_debugreg) + 8 * number);
    within.ok_or_else(|| io::Error::from_raw_os_error(libc::EIO))
}
