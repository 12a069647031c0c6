//! Who made the CPU, and which one it is.

use std::path::Path;

/// A CPU as `/proc/cpuinfo` describes the first one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuModel {
    /// `GenuineIntel`, `AuthenticAMD` and the like; empty where the architecture has none.
    pub vendor: String,
    /// Name for people.
    pub name: String,
    /// Family, model and stepping (x86).
    pub family: u32,
    /// Model.
    pub model: u32,
    /// Stepping.
    pub stepping: u32,
    /// Whether the CPU says that it is a virtual one (x86).
    pub is_virtual: bool,
    /// Implementer, part, variant and revision (Arm).
    pub arm: Option<(u32, u32, u32, u32)>,
}

impl CpuModel {
    /// Reads `/proc/cpuinfo` below `root`.
    pub fn read(root: &Path) -> Self {
        Self::parse(&std::fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default())
    }

    /// Reads the first CPU of a text of the form of `/proc/cpuinfo`.
    pub fn parse(text: &str) -> Self {
        let first = text.split("\n\n").find(|block| block.contains(':')).unwrap_or_default();
        let field = |name: &str| {
            first.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key.trim() == name).then(|| value.trim())
            })
        };
        let number = |name: &str| {
            let value = field(name)?;
            match value.strip_prefix("0x") {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None => value.parse().ok(),
            }
        };
        let arm = || {
            let (implementer, part) = (number("CPU implementer")?, number("CPU part")?);
            Some((implementer, part, number("CPU variant")?, number("CPU revision")?))
        };
        Self {
            vendor: field("vendor_id").unwrap_or_default().to_owned(),
            name: field("model name").unwrap_or_default().to_owned(),
            family: number("cpu family").unwrap_or_default(),
            model: number("model").unwrap_or_default(),
            stepping: number("stepping").unwrap_or_default(),
            is_virtual: field("flags")
                .is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor")),
            arm: arm(),
        }
    }

    /// Identification as perf writes it: `GenuineIntel-6-55-4`-like with commas on x86, the MIDR on
    /// Arm.
    pub fn cpuid(&self) -> Option<String> {
        if let Some((implementer, part, variant, revision)) = self.arm {
            // MIDR_EL1: implementer 31:24, variant 23:20, architecture 19:16 (15), part 15:4,
            // revision 3:0.
            let midr = implementer << 24 | variant << 20 | 0xf << 16 | part << 4 | revision;
            return Some(format!("{midr:#018x}"));
        }
        let Self { vendor, family, model, stepping, .. } = self;
        (!vendor.is_empty()).then(|| format!("{vendor},{family},{model},{stepping}"))
    }
}
