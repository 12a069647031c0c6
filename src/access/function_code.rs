//! The seam between architectures: a function's code in, a plan for each of its addresses out.

use super::plan::{Loss, Plan};
use super::x86;

/// Which instructions the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Instructions {
    /// x86 in 64-bit mode.
    X86_64,
    /// x86 in 32-bit mode.
    X86_32,
    /// Not decoded here.
    Other,
}

/// The bytes of one function.
#[derive(Debug, Clone, Copy)]
pub struct FunctionCode<'a> {
    /// What they are.
    pub instructions: Instructions,
    /// Address of the first byte: an image's own address, or one of the process where there is no
    /// image.
    pub address: u64,
    /// The bytes.
    pub bytes: &'a [u8],
    /// Whether the first byte begins an instruction (a symbol or an unwind entry says so). If not,
    /// only what control reaches from the sampled instruction can be decoded.
    pub starts_at_boundary: bool,
}

/// A decoded function.
#[derive(Debug)]
pub struct DecodedFunction {
    form: Form,
}

#[derive(Debug)]
enum Form {
    X86(x86::Code),
    /// Bytes whose instruction boundaries are not known before an address is sampled.
    X86WithoutStart {
        address: u64,
        bytes: Vec<u8>,
    },
    NotDecoded,
}

impl DecodedFunction {
    /// Decodes it.
    pub fn decode(code: &FunctionCode<'_>) -> Self {
        let form = match (code.instructions, code.starts_at_boundary) {
            (Instructions::X86_64, true) => {
                Form::X86(x86::Code::decode(code.address, code.bytes, code.address))
            }
            (Instructions::X86_64, false) => {
                Form::X86WithoutStart { address: code.address, bytes: code.bytes.to_vec() }
            }
            _ => Form::NotDecoded,
        };
        Self { form }
    }

    /// What a sample at `code` (in the address space of [`FunctionCode::address`]) determines.
    pub fn plan(&self, code: u64) -> Plan {
        match &self.form {
            Form::X86(function) => x86::plan(function, code),
            Form::X86WithoutStart { address, bytes } => {
                x86::plan(&x86::Code::decode(*address, bytes, code), code)
            }
            Form::NotDecoded => Plan::lost(Loss::Architecture),
        }
    }
}
