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
    let is_virtual = cpu.is_virtual() || kind.is_some() || named;
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
