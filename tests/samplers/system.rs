//! What the readers of `/proc` and `/sys` say of this machine and of others.

use std::path::Path;
use std::process::{Command, Stdio};

use hitm::perf_data::{Features, Input, Recording};
use hitm::sampling::describe_machine;
use hitm::system::{Machine, Vendor};

use crate::support::fixture_machine::{machine, names, unpack};
use crate::support::skipped::skipped;

#[test]
fn every_fixture_is_read() {
    for name in names() {
        let machine = machine(&name);
        let expected = match name.as_str() {
            name if name.starts_with("zen") => (Vendor::Amd, "x86_64"),
            name if name.starts_with("neoverse") => (Vendor::Arm, "aarch64"),
            _ => (Vendor::Intel, "x86_64"),
        };
        assert_eq!((machine.cpu.vendor(), machine.arch.as_str()), expected, "{name}");
        assert!(machine.online_cpus.len() >= 2, "{name}");
        assert!(machine.cpu.cpuid().is_some(), "{name}");
        let virtual_machine = name.starts_with("virtual-machine");
        assert_eq!(machine.surroundings.virtualisation.is_virtual, virtual_machine, "{name}");
        assert_eq!(machine.permissions.max_sample_rate, Some(100_000), "{name}");
        // Whatever sysfs describes is understood, or it would be lost silently.
        for pmu in &machine.pmus {
            for (event, text) in &pmu.events {
                assert!(pmu.event_words(event).is_ok(), "{name}: {event} {text}");
            }
        }
    }
}

#[test]
fn features_of_a_server_and_a_hybrid() {
    let describe = |name: &str| {
        let root = unpack(name);
        let mut features = Features::default();
        describe_machine(root.path(), &Machine::read(root.path()), &mut features);
        features
    };
    let server = describe("eight-sockets");
    assert_eq!(server.cpus, Some((448, 448)));
    assert_eq!(server.cpuid.as_deref(), Some("GenuineIntel,6,85,11"));
    assert_eq!(server.numa_nodes.as_ref().map(Vec::len), Some(8));
    assert_eq!(server.total_memory_kib, Some(8 * 512 * 1024 * 1024));
    assert_eq!(server.cpu_pmu_caps.len(), 3);
    let hybrid = describe("alder-lake");
    let pair = |name: &str, cpus: &str| (name.to_owned(), cpus.to_owned());
    assert_eq!(hybrid.hybrid_topology, [pair("cpu_core", "0-3"), pair("cpu_atom", "4-7")]);
    assert_eq!(hybrid.pmu_caps.len(), 2);
    assert_eq!(hybrid.cpu_pmu_caps, []);
    assert!(hybrid.pmu_mappings.contains(&(10, "cpu_atom".to_owned())));
    let arm = describe("neoverse-n1");
    assert_eq!(arm.cpuid.as_deref(), Some("0x00000000413fd0c1"));
    assert_eq!(arm.elf_machine, Some((183, 0)));
}

/// The oracle: what perf itself stores about this machine.
#[test]
fn this_machine_as_perf_describes_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("perf.data");
    let recorded = Command::new("perf")
        .args(["record", "-q", "-d", "--phys-data", "-e", "cpu-clock", "-o"])
        .arg(&path)
        .args(["--", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !recorded.is_ok_and(|status| status.success()) {
        skipped("perf record -d --phys-data does not work here");
        return;
    }
    let input = Input::open(&path).expect("opened");
    let recording = Recording::open(&input).expect("read");
    let theirs = recording.features();
    let root = Path::new("/");
    let mut ours = Features::default();
    describe_machine(root, &Machine::read(root), &mut ours);

    assert_eq!(ours.hostname, theirs.hostname);
    assert_eq!(ours.os_release, theirs.os_release);
    assert_eq!(ours.arch, theirs.arch);
    assert_eq!(ours.cpus, theirs.cpus);
    assert_eq!(ours.cpu_description, theirs.cpu_description);
    assert_eq!(ours.cpuid, theirs.cpuid);
    assert_eq!(ours.total_memory_kib, theirs.total_memory_kib);
    assert_eq!(ours.cpu_topology, theirs.cpu_topology);
    assert_eq!(ours.caches, theirs.caches);
    assert_eq!(ours.memory_topology, theirs.memory_topology);
    assert_eq!(ours.cpu_pmu_caps, theirs.cpu_pmu_caps);
    assert_eq!(ours.hybrid_topology, theirs.hybrid_topology);
    // Free memory changes from one look to the next.
    let lasting = |features: &Features| {
        let nodes = features.numa_nodes.clone().unwrap_or_default().into_iter();
        nodes.map(|node| (node.id, node.total_kib, node.cpus)).collect::<Vec<_>>()
    };
    assert_eq!(lasting(&ours), lasting(theirs));
    let sorted = |features: &Features| {
        let mut mappings = features.pmu_mappings.clone();
        mappings.sort();
        mappings
    };
    assert_eq!(sorted(&ours), sorted(theirs));
}
