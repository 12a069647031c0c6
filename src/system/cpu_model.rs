//! Which CPU this is, from `/proc/cpuinfo` and, on Arm, the identification register in sysfs.

use std::path::Path;

use super::tree;

/// Who made the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// `GenuineIntel`.
    Intel,
    /// `AuthenticAMD`, and Hygon's descendants of it.
    Amd,
    /// An Arm architecture, whoever made it.
    Arm,
    /// Anyone else, or unknown.
    Other,
}

/// The CPU as far as the machine says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuModel {
    /// x86: `GenuineIntel` and the like.
    pub vendor_id: Option<String>,
    /// x86: family.
    pub family: Option<u32>,
    /// x86: model.
    pub model: Option<u32>,
    /// x86: stepping.
    pub stepping: Option<u32>,
    /// x86: version of the microcode, in hexadecimal.
    pub microcode: Option<String>,
    /// Name for people, runs of blanks made one.
    pub name: Option<String>,
    /// x86: `flags`; Arm: `Features`.
    pub flags: Vec<String>,
    /// Arm: implementer (0x41: Arm itself).
    pub implementer: Option<u32>,
    /// Arm: part number (0xd0c: Neoverse N1).
    pub part: Option<u32>,
    /// Arm: the main identification register of the first CPU that has it in sysfs.
    pub midr: Option<u64>,
}

impl CpuModel {
    /// Reads it. CPUs of several kinds in one machine: the first one.
    pub fn read(root: &Path) -> Self {
        let text = tree::text(root, "proc/cpuinfo").unwrap_or_default();
        let mut model = Self::parse(&text);
        let cpus = tree::numbered(&root.join("sys/devices/system/cpu"), "cpu");
        model.midr = cpus.iter().find_map(|(_, folder)| {
            let text = tree::text(folder, "regs/identification/midr_el1")?;
            u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
        });
        model
    }

    /// From the text of `/proc/cpuinfo`.
    pub fn parse(text: &str) -> Self {
        let field = |wanted: &str| {
            text.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key.trim() == wanted).then(|| value.trim().to_owned())
            })
        };
        let decimal = |wanted: &str| field(wanted)?.parse().ok();
        let hexadecimal = |wanted: &str| {
            let text = field(wanted)?;
            u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
        };
        let flags = field("flags").or_else(|| field("Features")).unwrap_or_default();
        Self {
            vendor_id: field("vendor_id"),
            family: decimal("cpu family"),
            model: decimal("model"),
            stepping: decimal("stepping"),
            microcode: field("microcode"),
            name: field("model name")
                .map(|name| name.split_whitespace().collect::<Vec<_>>().join(" ")),
            flags: flags.split_whitespace().map(str::to_owned).collect(),
            implementer: hexadecimal("CPU implementer"),
            part: hexadecimal("CPU part"),
            midr: None,
        }
    }

    /// Who made it.
    pub fn vendor(&self) -> Vendor {
        match self.vendor_id.as_deref() {
            Some("GenuineIntel") => Vendor::Intel,
            Some("AuthenticAMD" | "HygonGenuine") => Vendor::Amd,
            Some(_) => Vendor::Other,
            None if self.implementer.is_some() => Vendor::Arm,
            None => Vendor::Other,
        }
    }

    /// Whether the CPU says that it runs under a hypervisor (x86 only).
    pub fn is_virtual(&self) -> bool {
        self.flags.iter().any(|flag| flag == "hypervisor")
    }

    /// The identification as perf stores it: `GenuineIntel,6,85,4`, or the Arm register as 16
    /// hexadecimal digits.
    pub fn cpuid(&self) -> Option<String> {
        if let Some(midr) = self.midr {
            return Some(format!("{midr:#018x}"));
        }
        let vendor = self.vendor_id.as_deref()?;
        Some(format!("{vendor},{},{},{}", self.family?, self.model?, self.stepping?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_architectures() {
        let intel = CpuModel::parse(
            "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n\
             model name\t: Intel(R)  Xeon(R) @ 2.00GHz\nstepping\t: 4\nmicrocode\t: 0x2007006\nflags\t\t: fpu hypervisor\n",
        );
        assert_eq!(intel.vendor(), Vendor::Intel);
        assert_eq!(intel.cpuid().as_deref(), Some("GenuineIntel,6,85,4"));
        assert_eq!(intel.name.as_deref(), Some("Intel(R) Xeon(R) @ 2.00GHz"));
        assert!(intel.is_virtual());
        assert_eq!(intel.microcode.as_deref(), Some("0x2007006"));
        let arm = CpuModel::parse(
            "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n",
        );
        assert_eq!(
            (arm.vendor(), arm.implementer, arm.part),
            (Vendor::Arm, Some(0x41), Some(0xd0c))
        );
        assert_eq!(arm.cpuid(), None);
        let arm = CpuModel { midr: Some(0x410f_d0c1), ..arm };
        assert_eq!(arm.cpuid().as_deref(), Some("0x00000000410fd0c1"));
    }
}
