//! The attributes of every machine against a table written from what perf opens there.
//!
//! Deliberate differences from perf, throughout: the identifier (bit 16) leads every record in place
//! of the id (bit 6); mappings, names and tasks come with a dummy of their own and not with the first
//! event; the fields of the target (`disabled`, `inherit`, `enable_on_exec`) are the recorder's.

use hitm::perf_data::{AttrFlags, EventAttr, ReadFormat, SampleType};
use hitm::sampling::{
    PlannedEvent, Role, SamplerChoice, SamplerKind, SamplerOptions, SamplerPlan, choose,
};

use crate::support::fixture_machine;

/// IP 0, TID 1, TIME 2, ADDR 3, CPU 7, PERIOD 8, DATA_SRC 15, IDENTIFIER 16, PHYS_ADDR 19,
/// WEIGHT_STRUCT 24.
const X86_FIELDS: u64 = 0x109_818f;
/// The same with WEIGHT 14 in place of WEIGHT_STRUCT, and without PERIOD: SPE has no frequency.
const SPE_FIELDS: u64 = 0x9_c08f;
/// IP, TID, TIME, CPU, PERIOD, REGS_USER 12, IDENTIFIER.
const CLOCK_FIELDS: u64 = 0x1_1187;
/// FREQ 10, precise level 3 (15 and 16), SAMPLE_ID_ALL 18.
const PEBS_FLAGS: u64 = 0x5_8400;
/// FREQ, SAMPLE_ID_ALL; no side is left out, since old kernels refuse every such bit.
const IBS_FLAGS: u64 = 0x4_0400;
/// SAMPLE_ID_ALL, EXCLUDE_GUEST 20.
const SPE_FLAGS: u64 = 0x14_0000;
/// EXCLUDE_KERNEL 5, EXCLUDE_HV 6, MMAP 8, COMM 9, TASK 13, MMAP_DATA 17, SAMPLE_ID_ALL 18, MMAP2 23,
/// COMM_EXEC 24.
const TRACKING_FLAGS: u64 = 0x186_2360;
/// ID 2, LOST 4.
const READ_FORMAT: u64 = 0x14;

/// One expected event.
struct Row {
    name: &'static str,
    role: Role,
    kind: u32,
    config: u64,
    config1: u64,
    config2: u64,
    period: u64,
    fields: u64,
    flags: u64,
    cpus: Option<Vec<u32>>,
    fallback: &'static [u8],
    aux: Option<u64>,
}

fn pebs(name: &'static str, kind: u32, config: u64, ldlat: u64) -> Row {
    Row {
        name,
        role: Role::Samples,
        kind,
        config,
        config1: ldlat,
        config2: 0,
        period: 4000,
        fields: X86_FIELDS,
        flags: PEBS_FLAGS,
        cpus: None,
        fallback: &[2, 1],
        aux: None,
    }
}

/// Loads behind the auxiliary event that models from Sapphire Rapids to Raptor Lake need.
fn with_leader(names: [&'static str; 2], cpus: Option<Vec<u32>>) -> [Row; 2] {
    let leader = pebs(names[0], 4, 0x8203, 0);
    let member = pebs(names[1], 4, 0x1cd, 30);
    [
        Row { role: Role::GroupLeader, fallback: &[2, 1, 0], cpus: cpus.clone(), ..leader },
        Row { role: Role::GroupMember, cpus, ..member },
    ]
}

fn ibs(kind: u32) -> Row {
    Row { name: "ibs_op//", flags: IBS_FLAGS, fallback: &[], ..pebs("", kind, 0, 0) }
}

fn spe(name: &'static str, kind: u32, period: u64) -> Row {
    Row {
        // ts_enable 0, pa_enable 1, load_filter 33, store_filter 34.
        config: 0x6_0000_0003,
        config2: 30,
        period,
        fields: SPE_FIELDS,
        flags: SPE_FLAGS,
        fallback: &[],
        aux: Some(4 << 20),
        ..pebs(name, kind, 0, 0)
    }
}

fn clock() -> Row {
    Row {
        period: 999_983,
        fields: CLOCK_FIELDS,
        flags: SPE_FLAGS,
        fallback: &[],
        ..pebs("cpu-clock", 1, 0, 0)
    }
}

fn tracking(fields: u64, flags: u64) -> Row {
    Row {
        role: Role::Tracking,
        period: 1,
        fields,
        flags,
        fallback: &[],
        ..pebs("dummy:u", 1, 9, 0)
    }
}

const LOADS: &str = "cpu/mem-loads,ldlat=30/P";
const STORES: &str = "cpu/mem-stores/P";

/// What each machine samples with, and its events.
fn table() -> Vec<(&'static str, SamplerKind, Vec<Row>)> {
    let dummy = || tracking(X86_FIELDS, TRACKING_FLAGS);
    let plain = |stores| vec![pebs(LOADS, 4, 0x1cd, 30), pebs(STORES, 4, stores, 0), dummy()];
    let aux = || {
        let [leader, loads] = with_leader(["cpu/mem-loads-aux/P", LOADS], None);
        vec![leader, loads, pebs(STORES, 4, 0x2cd, 0), dummy()]
    };
    let hybrid = |has_aux, atom| {
        let fast = || Some(vec![0, 1, 2, 3]);
        let slow = || Some(vec![4, 5, 6, 7]);
        let names = ["cpu_core/mem-loads-aux/P", "cpu_core/mem-loads,ldlat=30/P"];
        let mut rows = Vec::new();
        if has_aux {
            rows.extend(with_leader(names, fast()));
        } else {
            rows.push(Row { cpus: fast(), ..pebs(names[1], 4, 0x1cd, 30) });
        }
        rows.push(Row { cpus: fast(), ..pebs("cpu_core/mem-stores/P", 4, 0x2cd, 0) });
        let loads = "cpu_atom/mem-loads,ldlat=30/P";
        rows.push(Row { cpus: slow(), ..pebs(loads, atom, 0x5d0, 30) });
        rows.push(Row { cpus: slow(), ..pebs("cpu_atom/mem-stores/P", atom, 0x6d0, 0) });
        rows.push(dummy());
        rows
    };
    let operations = |kind| vec![ibs(kind), dummy()];
    // CONTEXT_SWITCH 26 besides.
    let arm = |row| vec![row, tracking(SPE_FIELDS, TRACKING_FLAGS | 0x400_0000)];
    const ARM: &str =
        "arm_spe_0/ts_enable=1,pa_enable=1,load_filter=1,store_filter=1,min_latency=30/";
    let only_clock = || vec![clock(), tracking(CLOCK_FIELDS, TRACKING_FLAGS)];
    use SamplerKind::{Clock, Ibs, Pebs, Spe};
    vec![
        ("alder-lake", Pebs, hybrid(true, 10)),
        ("broadwell", Pebs, plain(0x82d0)),
        ("cascade-lake", Pebs, plain(0x82d0)),
        ("comet-lake", Pebs, plain(0x82d0)),
        ("eight-sockets", Pebs, plain(0x82d0)),
        ("emerald-rapids", Pebs, aux()),
        ("granite-rapids", Pebs, plain(0x2cd)),
        ("haswell", Pebs, plain(0x82d0)),
        ("ice-lake-server", Pebs, plain(0x82d0)),
        ("ivy-bridge", Pebs, plain(0x2cd)),
        ("meteor-lake", Pebs, hybrid(false, 8)),
        ("nehalem", Pebs, vec![pebs(LOADS, 4, 0x100b, 30), dummy()]),
        ("neoverse-n1", Spe, arm(spe(ARM, 9, 1024))),
        ("neoverse-v1", Spe, arm(spe(ARM, 10, 1024))),
        ("neoverse-v2", Spe, arm(spe(ARM, 12, 256))),
        ("raptor-lake", Pebs, hybrid(true, 10)),
        ("sandy-bridge", Pebs, plain(0x2cd)),
        ("sapphire-rapids", Pebs, aux()),
        ("skylake", Pebs, plain(0x82d0)),
        ("skylake-x", Pebs, plain(0x82d0)),
        ("virtual-machine", Clock, only_clock()),
        ("virtual-machine-with-counters", Clock, only_clock()),
        ("zen2", Ibs, operations(10)),
        ("zen3", Ibs, operations(11)),
        ("zen4", Ibs, operations(12)),
        ("zen5", Ibs, operations(13)),
    ]
}

/// The planned event that a row stands for, every field of its attribute written down.
fn planned(row: &Row, registers: u64) -> PlannedEvent {
    PlannedEvent {
        name: row.name.to_owned(),
        attr: EventAttr {
            kind: row.kind,
            size: 128,
            config: row.config,
            sample_period: row.period,
            sample_type: SampleType(row.fields),
            read_format: ReadFormat(READ_FORMAT),
            flags: AttrFlags(row.flags),
            wakeup: 0,
            bp_type: 0,
            config1: row.config1,
            config2: row.config2,
            branch_sample_type: 0,
            sample_regs_user: registers,
            sample_stack_user: 0,
            clockid: 0,
            sample_regs_intr: 0,
            aux_watermark: 0,
            sample_max_stack: 0,
            aux_sample_size: 0,
            aux_action: 0,
            sig_data: 0,
            config3: 0,
            config4: 0,
        },
        role: row.role,
        cpus: row.cpus.clone(),
        aux_bytes: row.aux,
        precise_fallback: row.fallback.to_vec(),
    }
}

fn check(plan: &SamplerPlan, rows: &[Row], registers: u64, machine: &str) {
    assert_eq!(plan.events.len(), rows.len(), "{machine}: {:#?}", plan.events);
    for (event, row) in plan.events.iter().zip(rows) {
        assert_eq!(*event, planned(row, registers), "{machine}");
    }
}

/// `ax` to `flags` and `r8` to `r15`.
const X86_64_REGISTERS: u64 = 0xff_03ff;

#[test]
fn every_machine_opens_what_the_table_says() {
    let table = table();
    let names: Vec<&str> = table.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, fixture_machine::names(), "a machine without a row, or a row without one");
    for (name, kind, rows) in &table {
        // As root: capabilities stand in the way of nothing.
        let mut machine = fixture_machine::machine(name);
        machine.permissions.capabilities = u64::MAX;
        let plans = choose(&machine, SamplerChoice::Auto, &SamplerOptions::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(plans[0].kind, *kind, "{name}");
        let registers = if *kind == SamplerKind::Clock { X86_64_REGISTERS } else { 0 };
        check(&plans[0], rows, registers, name);
        // The clock comes behind it everywhere, and ptrace behind the clock where registers are known.
        let is_x86 = *kind != SamplerKind::Spe && machine.arch == "x86_64";
        let (last, others) = match plans.split_last().expect("a plan") {
            (last, others) if is_x86 => {
                assert_eq!(last.kind, SamplerKind::Ptrace, "{name}");
                others.split_last().expect("two plans")
            }
            all => all,
        };
        assert_eq!(last.kind, SamplerKind::Clock, "{name}");
        let is_arm = *kind == SamplerKind::Spe;
        let registers = if is_arm { 0x1_ffff_ffff } else { X86_64_REGISTERS };
        let rows = [clock(), tracking(CLOCK_FIELDS, TRACKING_FLAGS)];
        check(last, &rows, registers, name);
        assert_eq!(others.len(), usize::from(*kind != SamplerKind::Clock), "{name}");
    }
}

#[test]
fn all_events_of_a_plan_have_the_same_fields() {
    for name in fixture_machine::names() {
        let machine = fixture_machine::machine(&name);
        for call_graph in [false, true] {
            let options = SamplerOptions { call_graph, ..SamplerOptions::default() };
            for plan in choose(&machine, SamplerChoice::Auto, &options).expect("plans") {
                let fields = plan.events[0].attr.sample_type;
                assert!(fields.contains(SampleType::IDENTIFIER));
                assert_eq!(fields.contains(SampleType::CALLCHAIN), call_graph);
                assert!(plan.events.iter().all(|event| event.attr.sample_type == fields));
                let tracking = plan.events.iter().filter(|event| event.role == Role::Tracking);
                // What the tracer tells of threads and mappings comes with its one event.
                assert_eq!(tracking.count(), usize::from(plan.kind != SamplerKind::Ptrace));
            }
        }
    }
}
