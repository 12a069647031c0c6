//! What a hypervisor says of itself to the CPU's own question.

/// The name that a hypervisor gives itself, as `KVMKVMKVM` or `Microsoft Hv`; `None` where the CPU
/// knows of none, and on architectures that cannot be asked.
pub fn hypervisor_signature() -> Option<String> {
    signature()
}

/// Bit 31 of `ecx` of leaf 1 is kept for hypervisors; leaf 0x4000_0000 is theirs and has the name in
/// `ebx`, `ecx` and `edx` (AMD manual volume 3, "CPUID Fn4000_00xx"; the same on Intel's CPUs).
#[cfg(target_arch = "x86_64")]
fn signature() -> Option<String> {
    use std::arch::x86_64::__cpuid;
    if __cpuid(1).ecx >> 31 == 0 {
        return None;
    }
    let leaf = __cpuid(0x4000_0000);
    let bytes = [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes).concat();
    let is_printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let name: String = bytes.into_iter().filter(is_printable).map(char::from).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(not(target_arch = "x86_64"))]
fn signature() -> Option<String> {
    None
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    #[test]
    fn a_hypervisor_is_there_where_the_kernel_says_so() {
        let text = std::fs::read_to_string("/proc/cpuinfo").expect("it can be read");
        let is_virtual = text.lines().any(|line| {
            line.starts_with("flags") && line.split_whitespace().any(|flag| flag == "hypervisor")
        });
        let signature = super::hypervisor_signature();
        assert!(is_virtual || signature.is_none(), "{signature:?}");
    }
}
