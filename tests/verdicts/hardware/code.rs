//! Where an executable's variables and memory accesses are.

use std::path::{Path, PathBuf};

use iced_x86::{Decoder, DecoderOptions, InstructionInfoFactory, OpAccess, Register};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

/// Where it is loaded.
pub const BASE: u64 = 0x5555_5555_4000;

/// A program for 64-bit x86.
pub struct Executable {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

impl Executable {
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("the compiler wrote it");
        Self { path: path.to_owned(), bytes }
    }

    /// What it is made of.
    pub fn file(&self) -> object::File<'_> {
        object::File::parse(&*self.bytes).expect("the compiler wrote an ELF file")
    }

    /// The address of a variable.
    pub fn variable(&self, name: &str) -> u64 {
        self.symbol(name, SymbolKind::Data).0
    }

    /// The instructions of a function that load from an address, and those that store there: by name, or with
    /// this displacement from a register that points into it.
    pub fn accesses(
        &self,
        function: &str,
        displacement: i64,
        (address, size): (u64, u64),
    ) -> (Vec<u64>, Vec<u64>) {
        let (start, length) = self.symbol(function, SymbolKind::Text);
        let file = self.file();
        let section = file
            .sections()
            .find(|section| {
                (section.address()..section.address() + section.size()).contains(&(start - BASE))
            })
            .expect("functions are in sections");
        let data = section.data().expect("sections have bytes");
        let offset = (start - BASE - section.address()) as usize;
        let code = &data[offset..offset + length as usize];
        let (mut loads, mut stores) = (Vec::new(), Vec::new());
        let mut factory = InstructionInfoFactory::new();
        for instruction in Decoder::with_ip(64, code, start, DecoderOptions::NONE).iter() {
            for memory in factory.info(&instruction).used_memory() {
                let is_it = match memory.base() {
                    Register::RIP | Register::None => memory.displacement() == address,
                    Register::RSP => false,
                    _ => memory.displacement() as i64 == displacement,
                };
                let is_it = is_it && memory.memory_size().size() as u64 == size;
                let access = memory.access();
                if is_it && [OpAccess::Read, OpAccess::ReadWrite].contains(&access) {
                    loads.push(instruction.ip());
                }
                if is_it && [OpAccess::Write, OpAccess::ReadWrite].contains(&access) {
                    stores.push(instruction.ip());
                }
            }
        }
        (loads, stores)
    }

    /// Address and size of the symbol with the shortest name that has this in it.
    fn symbol(&self, name: &str, kind: SymbolKind) -> (u64, u64) {
        let file = self.file();
        let symbol = file
            .symbols()
            .filter(|symbol| symbol.kind() == kind && symbol.size() > 0)
            .filter(|symbol| symbol.name().is_ok_and(|own| own.contains(name)))
            .min_by_key(|symbol| symbol.name().map_or(usize::MAX, str::len))
            .unwrap_or_else(|| panic!("there is no {name}"));
        (BASE + symbol.address(), symbol.size())
    }
}
