//! The program that is stepped through, and what its instructions really touch.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use hitm::access::{DecodedFunction, FunctionCode, Instructions};
use iced_x86::{
    Decoder, DecoderOptions, InstructionInfoFactory, Mnemonic, OpAccess, Register, UsedMemory,
};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

/// A compiled program.
pub struct Program {
    text: Vec<u8>,
    text_address: u64,
    /// Functions: address, size, name.
    functions: Vec<(u64, u64, String)>,
    decoded: HashMap<u64, DecodedFunction>,
}

/// Compiles the kernels into a static, position-independent program.
pub fn compile(output: &Path, optimisation: &str) -> Program {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans_against_execution/kernels.c");
    let status = Command::new("cc")
        .args(["-g", optimisation, "-static-pie", "-o"])
        .arg(output)
        .arg(&source)
        .status()
        .expect("a C compiler");
    assert!(status.success());
    let bytes = std::fs::read(output).expect("the compiler wrote the program");
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let text = file.section_by_name(".text").expect("a program has code");
    let range = text.address()..text.address() + text.size();
    let mut functions: Vec<(u64, u64, String)> = file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
        .filter(|symbol| range.contains(&symbol.address()))
        .map(|symbol| {
            (symbol.address(), symbol.size(), symbol.name().unwrap_or_default().to_owned())
        })
        .collect();
    functions.sort();
    functions.dedup_by_key(|function| function.0);
    Program {
        text: text.data().expect("uncompressed").to_vec(),
        text_address: text.address(),
        functions,
        decoded: HashMap::new(),
    }
}

/// An operand as executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    pub address: u64,
    pub size: u32,
    pub reads: bool,
    pub writes: bool,
}

impl Program {
    /// The function at an address of the image.
    pub fn function(&self, code: u64) -> Option<(u64, &str)> {
        let after = self.functions.partition_point(|function| function.0 <= code);
        let (address, size, name) = self.functions.get(after.checked_sub(1)?)?;
        (code - address < *size).then_some((*address, name.as_str()))
    }

    /// The same, decoded.
    pub fn decoded(&mut self, address: u64) -> &DecodedFunction {
        let Self { text, text_address, functions, decoded } = self;
        decoded.entry(address).or_insert_with(|| {
            let at = functions.partition_point(|function| function.0 < address);
            let start = (address - *text_address) as usize;
            let end = (start + functions[at].1 as usize).min(text.len());
            DecodedFunction::decode(&FunctionCode {
                instructions: Instructions::X86_64,
                address,
                bytes: &text[start..end],
                starts_at_boundary: true,
            })
        })
    }

    /// The bytes from an address of the image on.
    pub fn code(&self, address: u64) -> Option<&[u8]> {
        let offset = usize::try_from(address.checked_sub(self.text_address)?).ok()?;
        self.text.get(offset..).filter(|rest| !rest.is_empty())
    }
}

/// What an instruction does to the order of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes into a function.
    Call,
    /// Comes back.
    Return,
    /// A string instruction, one step for each element.
    Repeated,
    /// Anything else.
    Other,
}

/// What the instruction at `registers.rip` is about to touch, and its kind.
pub fn touched(
    code: &[u8],
    registers: &libc::user_regs_struct,
    factory: &mut InstructionInfoFactory,
) -> (Vec<Touched>, Kind) {
    let decoded = Decoder::with_ip(64, code, registers.rip, DecoderOptions::NONE).decode();
    let repeats =
        decoded.is_string_instruction() && (decoded.has_rep_prefix() || decoded.has_repne_prefix());
    let kind = match decoded.mnemonic() {
        Mnemonic::Call => Kind::Call,
        Mnemonic::Ret => Kind::Return,
        _ if repeats => Kind::Repeated,
        _ => Kind::Other,
    };
    if matches!(decoded.mnemonic(), Mnemonic::Nop | Mnemonic::Lea) {
        return (Vec::new(), Kind::Other);
    }
    let info = factory.info(&decoded);
    let operands = info.used_memory().iter().filter_map(|memory| {
        let (reads, writes) = match memory.access() {
            OpAccess::Read | OpAccess::CondRead => (true, false),
            OpAccess::Write | OpAccess::CondWrite => (false, true),
            OpAccess::ReadWrite | OpAccess::ReadCondWrite => (true, true),
            _ => return None,
        };
        let size = match memory.memory_size().size() {
            0 => decoded.memory_size().size(),
            size => size,
        };
        let address = address(memory, registers)?;
        Some(Touched { address, size: size as u32, reads, writes })
    });
    (operands.collect(), kind)
}

fn address(memory: &UsedMemory, registers: &libc::user_regs_struct) -> Option<u64> {
    memory.virtual_address(0, |register, _, _| {
        Some(match register {
            Register::FS => registers.fs_base,
            Register::GS => registers.gs_base,
            Register::ES | Register::CS | Register::SS | Register::DS => 0,
            other => {
                let full = match other.full_register() {
                    Register::RAX => registers.rax,
                    Register::RBX => registers.rbx,
                    Register::RCX => registers.rcx,
                    Register::RDX => registers.rdx,
                    Register::RSI => registers.rsi,
                    Register::RDI => registers.rdi,
                    Register::RBP => registers.rbp,
                    Register::RSP => registers.rsp,
                    Register::R8 => registers.r8,
                    Register::R9 => registers.r9,
                    Register::R10 => registers.r10,
                    Register::R11 => registers.r11,
                    Register::R12 => registers.r12,
                    Register::R13 => registers.r13,
                    Register::R14 => registers.r14,
                    Register::R15 => registers.r15,
                    _ => return None,
                };
                match other.size() {
                    8 => full,
                    4 => full & 0xffff_ffff,
                    1 => full & 0xff,
                    _ => return None,
                }
            }
        })
    })
}
