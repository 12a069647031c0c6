//! What makes two addresses of code the same instruction.

use super::line::Identity;
use crate::access::CodeAddress;
use crate::process::Pid;

/// The place of an instruction, the same in every process that maps its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CodeKey {
    /// In an image, by the object's number and the offset in its file.
    Image(u64, u64),
    /// Elsewhere, in one process.
    Process(Pid, CodeAddress),
}

impl CodeKey {
    /// The place of an address that lies in a mapping.
    #[inline]
    pub fn of(identity: &Identity<'_>, mapping: Option<u32>, pid: Pid, code: CodeAddress) -> Self {
        mapping
            .and_then(|number| identity.code_place(number, code))
            .map_or(Self::Process(pid, code), |(object, offset)| Self::Image(object, offset))
    }
}
