//! Attributes of real machines, from the headers of their recordings, against what is planned for the
//! same CPU.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hitm::perf_data::{AttrFlags, EventAttr, Input, Recording, SampleType};
use hitm::sampling::{Privilege, Rate, SamplerKind, SamplerOptions, plan};

use crate::support::fixture_machine::machine;
use crate::support::skipped::skipped;

fn recording(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings").join(name);
    if !path.is_file() {
        skipped(&format!("there is no {}", path.display()));
        return None;
    }
    Some(path)
}

/// The named events of a recording and the CPU that it says it comes from.
fn events(path: &Path, names: &[&str]) -> (String, Vec<EventAttr>) {
    let input = Input::open(path).expect("opened");
    let recording = Recording::open(&input).expect("read");
    let attrs = names.iter().map(|name| {
        let event = recording.events().iter().find(|event| event.name == *name);
        event.unwrap_or_else(|| panic!("{name} in {path:?}")).attr
    });
    let attrs = attrs.collect();
    (recording.features().cpuid.clone().unwrap_or_default(), attrs)
}

/// Fields of the target and of the recorder's way to keep track, which a plan leaves to others.
const NOT_PLANNED: AttrFlags = AttrFlags(
    AttrFlags::DISABLED.0
        | AttrFlags::INHERIT.0
        | AttrFlags::ENABLE_ON_EXEC.0
        | AttrFlags::PINNED.0
        | AttrFlags::MMAP.0
        | AttrFlags::MMAP2.0
        | AttrFlags::MMAP_DATA.0
        | AttrFlags::COMM.0
        | AttrFlags::COMM_EXEC.0
        | AttrFlags::TASK.0
        | AttrFlags::KSYMBOL.0
        | AttrFlags::BPF_EVENT.0,
);

fn own_flags(attr: &EventAttr) -> u64 {
    attr.flags.0 & !NOT_PLANNED.0
}

/// `perf c2c record -F 40000 -u` of perf 5.4 on a Core i7-10700.
#[test]
fn comet_lake_by_perf_c2c_record() {
    let Some(path) = recording("memory/c2c-i7-10700-stores.data") else {
        return;
    };
    let (cpuid, recorded) = events(&path, &["cpu/mem-loads,ldlat=30/P", "cpu/mem-stores/P"]);
    let machine = machine("comet-lake");
    assert_eq!(machine.cpu.cpuid(), Some(cpuid));
    let options = SamplerOptions {
        rate: Rate::Frequency(40_000),
        privilege: Privilege::User,
        ..SamplerOptions::default()
    };
    let plan = plan(SamplerKind::Pebs, &machine, &options).expect("a plan");
    for (event, theirs) in plan.events.iter().zip(&recorded) {
        let ours = &event.attr;
        assert_eq!(
            (ours.kind, ours.config, ours.config2),
            (theirs.kind, theirs.config, theirs.config2)
        );
        assert_eq!(ours.sample_period, theirs.sample_period);
        assert_eq!(own_flags(ours), own_flags(theirs), "{:?} {:?}", ours.flags, theirs.flags);
        assert_eq!(ours.flags.precise_ip(), 3);
        // Deliberate: identifier in place of id, and three latencies where perf 5.4 knew one.
        let mut expected = theirs.sample_type;
        expected.0 &= !(SampleType::ID.0 | SampleType::WEIGHT.0);
        expected |= SampleType::IDENTIFIER | SampleType::WEIGHT_STRUCT;
        assert_eq!(ours.sample_type, expected);
        // Deliberate: samples that were lost are counted, which perf 5.4 could not.
        assert!(ours.read_format.contains(theirs.read_format));
    }
    // Deliberate: asked for 30 cycles, perf merges its bits with those of the 3 in the event's text
    // in sysfs and opens 31; here 30 is 30.
    assert_eq!((plan.events[0].attr.config1, recorded[0].config1), (30, 30 | 3));
    assert_eq!((plan.events[1].attr.config1, recorded[1].config1), (0, 0));
}

/// The load latency event by its number, `-c 10009`, 64 cycles, precise level 2, on a Xeon Platinum
/// 8173M.
#[test]
fn skylake_x_by_number() {
    let Some(path) = recording("memory/loads-weight-struct-xeon-8173m.data") else {
        return;
    };
    let name = "MEM_TRANS_RETIRED.LOAD_LATENCY:ldlat=64:precise=2:mh:mg:pinned";
    let (cpuid, recorded) = events(&path, &[name, "dummy:HG"]);
    let machine = machine("skylake-x");
    assert_eq!(machine.cpu.cpuid(), Some(cpuid));
    let options = SamplerOptions {
        rate: Rate::Period(10_009),
        ldlat: Some(64),
        no_physical_addresses: true,
        ..SamplerOptions::default()
    };
    let plan = plan(SamplerKind::Pebs, &machine, &options).expect("a plan");
    let (ours, theirs) = (&plan.events[0].attr, &recorded[0]);
    assert_eq!(
        (ours.kind, ours.config, ours.config1),
        (theirs.kind, theirs.config, theirs.config1)
    );
    assert_eq!((theirs.config, theirs.config1), (0x1cd, 64));
    assert_eq!(ours.sample_period, theirs.sample_period);
    // Deliberate: the highest precise level first; theirs is the first one that we fall back to.
    assert_eq!((ours.flags.precise_ip(), theirs.flags.precise_ip()), (3, 2));
    assert_eq!(plan.events[0].precise_fallback[0], 2);
    assert_eq!(own_flags(ours) & !(3 << 15), own_flags(theirs) & !(3 << 15));
    let mut expected = theirs.sample_type;
    expected.0 &= !SampleType::ID.0;
    expected |= SampleType::IDENTIFIER;
    assert_eq!(ours.sample_type, expected);
    // The dummy: theirs counts at the period of the rest and sees the kernel; ours needs no right.
    let (ours, theirs) = (&plan.events.last().expect("a dummy").attr, &recorded[1]);
    assert_eq!((ours.kind, ours.config), (theirs.kind, theirs.config));
    assert_eq!(ours.sample_type, expected);
    let sides = AttrFlags::EXCLUDE_KERNEL | AttrFlags::EXCLUDE_HV;
    assert_eq!(ours.flags, theirs.flags | sides);
}

/// `perf record -e r01cd` on a Xeon Gold 6230: the same encoding, with everything forgotten that makes
/// it a memory event.
#[test]
fn cascade_lake_by_raw_number() {
    let Some(path) = recording("without-data-source/MemPerf-Pro--perf.data") else {
        return;
    };
    let (cpuid, recorded) = events(&path, &["r01cd"]);
    let machine = machine("cascade-lake");
    assert_eq!(machine.cpu.cpuid(), Some(cpuid));
    let plan = plan(SamplerKind::Pebs, &machine, &SamplerOptions::default()).expect("a plan");
    let (ours, theirs) = (&plan.events[0].attr, &recorded[0]);
    assert_eq!((ours.kind, ours.config), (theirs.kind, theirs.config));
    let fields = SampleType::ADDR | SampleType::DATA_SRC;
    assert!(ours.sample_type.contains(fields) && theirs.sample_type.0 & fields.0 == 0);
    assert_eq!((ours.config1, theirs.config1), (30, 0));
    assert_eq!((ours.flags.precise_ip(), theirs.flags.precise_ip()), (3, 0));
}

/// Clocks that perf opened, with and without registers.
#[test]
fn clocks() {
    let plan = plan(SamplerKind::Clock, &machine("virtual-machine"), &SamplerOptions::default())
        .expect("a plan");
    let ours = &plan.events[0].attr;
    for name in [
        "containers/perf_data_converter--perf.data.hw_and_sw-3.4",
        "containers/perf_data_converter--single-event-multi-process.perf.data",
        "na-data-source/hotspot--perf.data.true.v2",
    ] {
        let Some(path) = recording(name) else {
            continue;
        };
        let (_, recorded) = events(&path, &["cpu-clock"]);
        let theirs = &recorded[0];
        assert_eq!((ours.kind, ours.config), (theirs.kind, theirs.config), "{name}");
        // A guest has a clock of its own.
        assert!(ours.flags.contains(AttrFlags::EXCLUDE_GUEST));
        if theirs.sample_type.contains(SampleType::REGS_USER) {
            // All of theirs but the segments: cs 10, ss 11.
            assert_eq!(ours.sample_regs_user, theirs.sample_regs_user & !(3 << 10), "{name}");
        }
    }
}

/// The clock as perf opens it here when asked for what we ask.
#[test]
fn the_clock_by_perf_record_here() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("perf.data");
    let registers = "AX,BX,CX,DX,SI,DI,BP,SP,IP,FLAGS,R8,R9,R10,R11,R12,R13,R14,R15";
    let status = Command::new("perf")
        .args(["record", "-q", "-e", "cpu-clock", "-c", "999983", "-T", "-P", "--sample-cpu"])
        .args(["--sample-identifier", &format!("--user-regs={registers}"), "-o"])
        .arg(&path)
        .args(["--", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !status.is_ok_and(|status| status.success()) {
        return skipped("perf record of cpu-clock with registers does not work here");
    }
    let (_, recorded) = events(&path, &["cpu-clock"]);
    let theirs = &recorded[0];
    let machine = hitm::system::Machine::read(Path::new("/"));
    let plan = plan(SamplerKind::Clock, &machine, &SamplerOptions::default()).expect("a plan");
    let ours = &plan.events[0].attr;
    assert_eq!((ours.kind, ours.config, ours.size), (theirs.kind, theirs.config, theirs.size));
    assert_eq!(ours.sample_period, theirs.sample_period);
    assert_eq!(ours.sample_type, theirs.sample_type);
    assert_eq!(ours.read_format, theirs.read_format);
    assert_eq!(ours.sample_regs_user, theirs.sample_regs_user);
    assert_eq!(own_flags(ours), own_flags(theirs), "{:?} {:?}", ours.flags, theirs.flags);
}
