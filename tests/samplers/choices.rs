//! What permissions and options change, and the sentences of what cannot be had.

use hitm::perf_data::{AttrFlags, ReadFormat, SampleType};
use hitm::sampling::{
    Concession, Privilege, Rate, SamplerChoice, SamplerKind, SamplerOptions, SamplerPlan, choose,
    plan,
};
use hitm::system::Machine;

use crate::support::fixture_machine::{machine, unprivileged};

fn sentence(kind: SamplerKind, machine: &Machine, options: &SamplerOptions) -> String {
    let error = choose(machine, SamplerChoice::Only(kind), options).expect_err("it is refused");
    error.to_string()
}

fn planned(kind: SamplerKind, machine: &Machine, options: &SamplerOptions) -> SamplerPlan {
    plan(kind, machine, options).unwrap_or_else(|error| panic!("{error}"))
}

const DEFAULT: SamplerOptions = SamplerOptions {
    ldlat: None,
    rate: Rate::Default,
    privilege: Privilege::Any,
    call_graph: false,
    no_physical_addresses: false,
    ibs_count_operations: false,
    ibs_l3_miss_only: false,
};

#[test]
fn without_rights_pebs_leaves_out_the_kernel_and_physical_addresses() {
    let plan = planned(SamplerKind::Pebs, &unprivileged("sapphire-rapids", 2), &DEFAULT);
    for event in &plan.events {
        assert!(event.attr.flags.contains(AttrFlags::EXCLUDE_KERNEL), "{}", event.name);
        assert!(!event.attr.sample_type.contains(SampleType::PHYS_ADDR), "{}", event.name);
    }
    let names: Vec<&str> = plan.events.iter().map(|event| event.name.as_str()).collect();
    let expected =
        ["cpu/mem-loads-aux/Pu", "cpu/mem-loads,ldlat=30/Pu", "cpu/mem-stores/Pu", "dummy:u"];
    assert_eq!(names, expected);
    assert_eq!(
        plan.notes,
        [
            "time spent in the kernel is not seen: kernel.perf_event_paranoid is 2; run as root, with \
             CAP_PERFMON, or after: sysctl kernel.perf_event_paranoid=1",
            "there are no physical addresses: kernel.perf_event_paranoid is 2; run as root, with \
             CAP_PERFMON, or after: sysctl kernel.perf_event_paranoid=1",
        ]
    );
    // Level 1 gives both back.
    let plan = planned(SamplerKind::Pebs, &unprivileged("sapphire-rapids", 1), &DEFAULT);
    assert!(!plan.events[0].attr.flags.contains(AttrFlags::EXCLUDE_KERNEL));
    assert!(plan.events[0].attr.sample_type.contains(SampleType::PHYS_ADDR));
    assert_eq!(plan.notes, [""; 0]);
}

#[test]
fn ibs_needs_a_recent_kernel_to_leave_out_a_side() {
    for name in ["zen2", "zen3", "zen4"] {
        let machine = unprivileged(name, 2);
        assert_eq!(
            sentence(SamplerKind::Ibs, &machine, &DEFAULT),
            "the sampler ibs may not be used: this kernel's IBS samples user space and kernel \
             together, and kernel.perf_event_paranoid 2 keeps the kernel from this user; run as root, \
             with CAP_PERFMON, or after: sysctl kernel.perf_event_paranoid=1"
        );
        // By itself the choice then is the clock, and says why.
        let plans = choose(&machine, SamplerChoice::Auto, &DEFAULT).expect("plans");
        let kinds: Vec<SamplerKind> = plans.iter().map(|plan| plan.kind).collect();
        assert_eq!(kinds, [SamplerKind::Clock, SamplerKind::Ptrace]);
        assert!(plans[0].reason.contains("ibs may not be used"), "{}", plans[0].reason);
    }
    let plan = planned(SamplerKind::Ibs, &unprivileged("zen5", 2), &DEFAULT);
    let attr = &plan.events[0].attr;
    assert_eq!((attr.config, attr.config1, attr.config2), (0, 0, 1));
    assert_eq!(attr.flags.0, 0x4_0420);
    assert_eq!(plan.events[0].name, "ibs_op/swfilt=1/u");
    let user = SamplerOptions { privilege: Privilege::User, ..DEFAULT };
    assert_eq!(
        sentence(SamplerKind::Ibs, &machine("zen4"), &user),
        "--all-user does not go with the sampler ibs: this kernel's IBS samples user space and kernel \
         together; leave it out"
    );
}

#[test]
fn ibs_filters_only_where_they_exist() {
    let options = SamplerOptions {
        ibs_count_operations: true,
        ibs_l3_miss_only: true,
        ldlat: Some(128),
        rate: Rate::Period(100_007),
        ..DEFAULT
    };
    let plan = planned(SamplerKind::Ibs, &machine("zen5"), &options);
    let attr = &plan.events[0].attr;
    // cnt_ctl 19, l3missonly 16; 100 007 without its low four bits.
    assert_eq!((attr.config, attr.config1, attr.config2), (0x9_0000, 128, 0));
    assert_eq!((attr.sample_period, attr.flags.0), (100_000, 0x4_0000));
    assert!(!attr.sample_type.contains(SampleType::PERIOD));
    assert_eq!(plan.events[0].name, "ibs_op/cnt_ctl=1,l3missonly=1,ldlat=128/");
    assert_eq!(plan.notes, ["the period is 100000 in place of 100007: IBS counts in steps of 16"]);

    let latency = SamplerOptions { ldlat: Some(128), ..DEFAULT };
    assert_eq!(
        sentence(SamplerKind::Ibs, &machine("zen4"), &latency),
        "--ldlat 128 does not go with the sampler ibs: this CPU's IBS has no latency filter (Zen 5 \
         with a recent kernel has it); leave it out"
    );
    for ldlat in [127, 2049] {
        let options = SamplerOptions { ldlat: Some(ldlat), ..DEFAULT };
        let text = sentence(SamplerKind::Ibs, &machine("zen5"), &options);
        assert!(
            text.ends_with("its latency filter takes 128 to 2048 cycles; leave it out"),
            "{text}"
        );
    }
    let misses = SamplerOptions { ibs_l3_miss_only: true, ..DEFAULT };
    let text = sentence(SamplerKind::Ibs, &machine("zen3"), &misses);
    assert!(
        text.ends_with("this CPU's IBS has no such filter (Zen 4 and later have it); leave it out"),
        "{text}"
    );
    assert_eq!(
        planned(SamplerKind::Ibs, &machine("zen4"), &misses).events[0].attr.config,
        0x1_0000
    );
    let short = SamplerOptions { rate: Rate::Period(0x8f), ..DEFAULT };
    let text = sentence(SamplerKind::Ibs, &machine("zen2"), &short);
    assert!(text.ends_with("the shortest period of IBS is 144; leave it out"), "{text}");
}

#[test]
fn spe_without_rights_has_no_physical_addresses_and_small_buffers() {
    let plan = planned(SamplerKind::Spe, &unprivileged("neoverse-v1", 2), &DEFAULT);
    let event = &plan.events[0];
    assert_eq!(event.attr.config, 0x6_0000_0001);
    assert_eq!(event.attr.sample_type.0, 0x1_c08f);
    assert_eq!(event.attr.flags.0, 0x14_0020);
    assert_eq!(event.aux_bytes, Some(128 << 10));
    // No limits at all are as good as being privileged.
    let plan = planned(SamplerKind::Spe, &unprivileged("neoverse-v1", -1), &DEFAULT);
    assert_eq!(plan.events[0].attr.config, 0x6_0000_0003);
    assert_eq!(plan.events[0].aux_bytes, Some(4 << 20));
}

#[test]
fn spe_counts_operations() {
    let mut machine = machine("neoverse-n1");
    let frequency = SamplerOptions { rate: Rate::Frequency(500), ldlat: Some(100), ..DEFAULT };
    let plan = planned(SamplerKind::Spe, &machine, &frequency);
    let attr = &plan.events[0].attr;
    assert_eq!((attr.sample_period, attr.config2), (1024, 100));
    assert!(!attr.flags.contains(AttrFlags::FREQ));
    assert!(plan.notes[0].starts_with("500 Hz are not kept"), "{:?}", plan.notes);
    let period = SamplerOptions { rate: Rate::Period(5000), ..DEFAULT };
    assert_eq!(planned(SamplerKind::Spe, &machine, &period).events[0].attr.sample_period, 5000);
    for pmu in &mut machine.pmus {
        pmu.caps.clear();
    }
    assert_eq!(planned(SamplerKind::Spe, &machine, &DEFAULT).events[0].attr.sample_period, 4096);
    // min_latency has 12 bits.
    let far = SamplerOptions { ldlat: Some(4096), ..DEFAULT };
    assert_eq!(
        sentence(SamplerKind::Spe, &machine, &far),
        "4096 is too large for min_latency: the largest value is 4095"
    );
}

#[test]
fn nehalem_says_that_it_samples_no_stores() {
    let plan = planned(SamplerKind::Pebs, &machine("nehalem"), &DEFAULT);
    assert_eq!(
        plan.notes,
        [
            "the PMU cpu samples loads only: this CPU has no precise event for stores, so writers show \
          where they also read"
        ]
    );
}

#[test]
fn a_missing_sampler_is_one_sentence_with_its_cause_and_remedy() {
    let refused = |kind, name| sentence(kind, &machine(name), &DEFAULT);
    assert_eq!(
        refused(SamplerKind::Pebs, "virtual-machine"),
        "the sampler pebs does not work on this machine: this is a virtual machine (QEMU Standard PC \
         (Q35 + ICH9, 2009)) without the CPU's PMU: sysfs has no memory events (cpu/mem-loads); use \
         --sampler clock, or a machine without a hypervisor (cloud providers call it bare metal)"
    );
    assert_eq!(
        refused(SamplerKind::Pebs, "virtual-machine-with-counters"),
        "the sampler pebs does not work on this machine: its PMU has no memory events \
         (events/mem-loads is missing in sysfs); use --sampler clock, or a machine without a \
         hypervisor (cloud providers call it bare metal)"
    );
    assert_eq!(
        refused(SamplerKind::Pebs, "zen4"),
        "the sampler pebs does not work on this machine: PEBS is Intel's and this CPU is AMD's; use \
         --sampler auto"
    );
    assert_eq!(
        refused(SamplerKind::Spe, "skylake"),
        "the sampler spe does not work on this machine: SPE is Arm's and this CPU is Intel's; use \
         --sampler auto"
    );
    assert_eq!(
        refused(SamplerKind::Ibs, "neoverse-n1"),
        "the sampler ibs does not work on this machine: IBS is AMD's and this CPU is Arm's; use \
         --sampler auto"
    );
    let mut without = machine("neoverse-n1");
    without.pmus.retain(|pmu| !pmu.name.starts_with("arm_spe_"));
    let text = sentence(SamplerKind::Spe, &without, &DEFAULT);
    assert!(text.contains("there is no arm_spe_0 in sysfs") && text.contains("modprobe"), "{text}");
    without.surroundings.virtualisation.is_virtual = true;
    let text = sentence(SamplerKind::Spe, &without, &DEFAULT);
    assert!(text.contains("a virtual machine without the CPU's PMU: sysfs has no PMU arm_spe_0"));
}

#[test]
fn impossible_rates_are_refused_for_every_sampler() {
    let refused = |rate| {
        let options = SamplerOptions { rate, ..DEFAULT };
        choose(&machine("skylake"), SamplerChoice::Auto, &options).expect_err("refused").to_string()
    };
    assert_eq!(
        refused(Rate::Frequency(100_001)),
        "100001 Hz is more than the kernel allows: kernel.perf_event_max_sample_rate is 100000; ask \
         for at most that, or raise it: sysctl kernel.perf_event_max_sample_rate=100001"
    );
    assert!(refused(Rate::Frequency(0)).starts_with("a frequency of 0 Hz samples nothing"));
    assert!(refused(Rate::Period(0)).starts_with("a period of 0 is none"));
    // What is not asked for follows the limit silently.
    let mut slow = machine("skylake");
    slow.permissions.max_sample_rate = Some(1500);
    let plan = planned(SamplerKind::Pebs, &slow, &DEFAULT);
    assert_eq!(plan.events[0].attr.sample_period, 1500);
}

#[test]
fn the_clock_takes_any_rate_but_no_latency() {
    let vm = machine("virtual-machine");
    let period = |rate| {
        let plan = planned(SamplerKind::Clock, &vm, &SamplerOptions { rate, ..DEFAULT });
        plan.events[0].attr.sample_period
    };
    assert_eq!(period(Rate::Frequency(1000)), 999_983);
    assert_eq!(period(Rate::Frequency(4000)), 250_001);
    assert_eq!(period(Rate::Period(2_000_000)), 2_000_000);
    // The kernel's clock keeps no shorter one.
    assert_eq!(period(Rate::Period(1)), 10_000);
    let latency = SamplerOptions { ldlat: Some(30), ..DEFAULT };
    assert_eq!(
        sentence(SamplerKind::Clock, &vm, &latency),
        "--ldlat 30 does not go with the sampler clock: the clock does not know latencies; leave it out"
    );
    assert!(choose(&vm, SamplerChoice::Auto, &latency).is_err());
    // Where the hardware takes the option, the clock is merely not a second choice.
    let plans = choose(&machine("skylake"), SamplerChoice::Auto, &latency).expect("plans");
    assert_eq!(plans.iter().map(|plan| plan.kind).collect::<Vec<_>>(), [SamplerKind::Pebs]);
}

#[test]
fn reasons_are_sentences() {
    let reasons = |name| {
        let plans = choose(&machine(name), SamplerChoice::Auto, &DEFAULT).expect("plans");
        plans.into_iter().map(|plan| plan.reason).collect::<Vec<_>>()
    };
    assert_eq!(
        reasons("alder-lake"),
        [
            "PEBS, because the PMUs cpu_core and cpu_atom have mem-loads and mem-stores: the hardware \
             says where each sampled load was served from",
            "the clock, because pebs does not open",
            "ptrace",
        ]
    );
    assert_eq!(
        reasons("virtual-machine"),
        [
            "the clock, because this is a virtual machine (QEMU Standard PC (Q35 + ICH9, 2009)) without \
          the CPU's PMU: sysfs has no memory events (cpu/mem-loads): accesses are worked out from the \
          registers and instructions of each sample",
            "ptrace",
        ]
    );
}

#[test]
fn concessions_take_one_thing_at_a_time() {
    let plan = planned(SamplerKind::Pebs, &machine("skylake"), &DEFAULT);
    let weaker = plan.conceding(Concession::NoLostCount).expect("it counted losses");
    assert!(weaker.events.iter().all(|event| event.attr.read_format == ReadFormat::ID));
    assert_eq!(weaker.conceding(Concession::NoLostCount), None);
    let weaker = weaker.conceding(Concession::PlainWeight).expect("it had three latencies");
    for event in &weaker.events {
        // As X86_FIELDS with WEIGHT 14 in place of WEIGHT_STRUCT 24.
        assert_eq!(event.attr.sample_type.0, 0x9_c18f);
    }
    assert_eq!(weaker.conceding(Concession::PlainWeight), None);
    assert_eq!(weaker.conceding(Concession::WithGuests), None);
    let spe = planned(SamplerKind::Spe, &machine("neoverse-n1"), &DEFAULT);
    let weaker = spe.conceding(Concession::WithGuests).expect("it left guests out");
    assert_eq!(weaker.events[0].attr.flags.0, 0x4_0000);
}
