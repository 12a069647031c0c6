//! What this system runs in: a virtual machine, a container.

use std::path::Path;

use super::cpu_model::CpuModel;
use super::tree;

/// Signs of a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Virtualisation {
    /// The CPU, the kernel or the firmware says so.
    pub is_virtual: bool,
    /// Whose, as far as it is told: `/sys/hypervisor/type` or the firmware's vendor and product.
    pub by: Option<String>,
}

/// What is around the processes of this system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// Virtual machine.
    pub virtualisation: Virtualisation,
    /// What points to a container: `docker`, `podman`, `kubernetes`, `lxc` and the like.
    pub container: Option<String>,
}

impl Surroundings {
    /// Reads them. `cpu`'s own word counts first; firmware names decide where it has none.
    pub fn read(root: &Path, cpu: &CpuModel) -> Self {
        Self { virtualisation: virtualisation(root, cpu), container: container(root) }
    }
}

fn virtualisation(root: &Path, cpu: &CpuModel) -> Virtualisation {
    let kind = tree::text(root, "sys/hypervisor/type").filter(|kind| !kind.is_empty());
    let firmware = |name: &str| {
        tree::text(root, &format!("sys/class/dmi/id/{name}")).filter(|text| !text.is_empty())
    };
    let (vendor, product) = (firmware("sys_vendor"), firmware("product_name"));
    // Names that only virtual machines carry. "Amazon EC2" and "Google" are on bare metal too.
    const VIRTUAL: [&str; 8] =
        ["QEMU", "KVM", "VMware", "VirtualBox", "Xen", "Bochs", "Virtual Machine", "Parallels"];
    let words = [vendor.as_deref(), product.as_deref()].into_iter().flatten();
    let named = words.clone().any(|text| VIRTUAL.iter().any(|name| text.contains(name)));
    // Arm CPUs do not say it themselves. Amazon names whole machines so that they can be told.
    let rented = cpu.implementer.is_some()
        && vendor.as_deref() == Some("Amazon EC2")
        && !product.as_deref().is_some_and(|product| product.contains(".metal"));
    let is_virtual = cpu.is_virtual() || kind.is_some() || named || rented;
    let text = words.collect::<Vec<_>>().join(" ");
    let by = kind.or_else(|| (!text.is_empty()).then_some(text)).filter(|_| is_virtual);
    Virtualisation { is_virtual, by }
}

fn container(root: &Path) -> Option<String> {
    if root.join(".dockerenv").exists() {
        return Some("docker".to_owned());
    }
    if root.join("run/.containerenv").exists() {
        return Some("podman".to_owned());
    }
    let groups = tree::text(root, "proc/1/cgroup").unwrap_or_default();
    ["kubepods", "docker", "containerd", "libpod", "lxc"]
        .into_iter()
        .find(|name| groups.contains(name))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rented_arm_machines_are_told_from_whole_ones() {
        let root = tempfile::tempdir().expect("a directory");
        let folder = root.path().join("sys/class/dmi/id");
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join("sys_vendor"), "Amazon EC2\n").expect("written");
        let arm = CpuModel { implementer: Some(0x41), ..CpuModel::default() };
        let of = |product: &str, cpu: &CpuModel| {
            std::fs::write(folder.join("product_name"), product).expect("written");
            Surroundings::read(root.path(), cpu).virtualisation
        };
        let by = Some("Amazon EC2 m6g.large".to_owned());
        assert_eq!(of("m6g.large\n", &arm), Virtualisation { is_virtual: true, by });
        assert_eq!(of("m6g.metal\n", &arm), Virtualisation::default());
        // An x86 CPU says it itself.
        let intel = CpuModel { vendor_id: Some("GenuineIntel".into()), ..CpuModel::default() };
        assert_eq!(of("m5.large\n", &intel), Virtualisation::default());
    }
}
