//! Registers of a stopped thread, on architectures for which they are not known here: there are
//! none.

use std::io;

/// Registers of a stopped thread; there are no values of this type.
#[derive(Debug, Clone, Copy)]
pub enum ThreadRegisters {}

impl ThreadRegisters {
    /// The instruction that is about to run.
    pub fn instruction(&self) -> u64 {
        match *self {}
    }

    /// The system call that the thread is in.
    pub fn system_call(&self) -> Option<u64> {
        match *self {}
    }

    /// The result of a system call.
    pub fn result(&self) -> i64 {
        match *self {}
    }

    /// Where the thread's segment begins.
    pub fn segment_base(&self) -> u64 {
        match *self {}
    }

    /// Whether it runs 32-bit code.
    pub fn is_32_bit(&self) -> bool {
        match *self {}
    }

    /// As the kernel's events sample them.
    pub fn sampled(&self) -> [u64; 0] {
        match *self {}
    }

    /// Whether a thread with these registers stands where one with those does.
    pub fn is_same_state(&self, _other: &Self) -> bool {
        match *self {}
    }

    /// As they were before the system call that the thread is in.
    #[must_use]
    pub fn before_system_call(&self) -> Self {
        match *self {}
    }
}

/// The registers of a stopped tracee.
///
/// # Errors
///
/// Always: they are not known on this architecture.
pub fn registers(_tid: u32) -> io::Result<ThreadRegisters> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sets the registers of a stopped tracee.
///
/// # Errors
///
/// Never: there are no values to set.
pub fn set_registers(_tid: u32, registers: &ThreadRegisters) -> io::Result<()> {
    match *registers {}
}

/// A debug register of a stopped tracee.
///
/// # Errors
///
/// Always: they are not known on this architecture.
pub fn debug_register(_tid: u32, _number: usize) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sets a debug register of a stopped tracee.
///
/// # Errors
///
/// Always: they are not known on this architecture.
pub fn set_debug_register(_tid: u32, _number: usize, _value: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
