//! `hitm doctor`: its sentences on machines that are not here, and its answers on this one.

mod support;

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use std::process::{Command, Stdio};

use hitm::perf_data::{AttrFlags, EventAttr, ReadFormat, SampleType};
use hitm::sampling::{
    Diagnosis, OpenEvent, SamplerChoice, SamplerKind, SamplerOptions, SamplerTrial, Unopened,
    Verdict, choose, diagnose, first_that_opens, plan, probe, settle,
};
use hitm::system::{Lockdown, Machine, SeccompMode};
use serde_json::Value;
use support::fixture_machine;
use support::skipped::skipped;

/// A stand-in for a kernel: what is asked for, with whether there is a group, and its error number.
struct Kernel<F>(F);

impl<F: Fn(&EventAttr, bool) -> Result<(), i32>> OpenEvent for Kernel<F> {
    fn open(
        &self,
        attr: &EventAttr,
        _pid: i32,
        _cpu: i32,
        group: Option<BorrowedFd<'_>>,
    ) -> io::Result<OwnedFd> {
        (self.0)(attr, group.is_some_and(|leader| leader.as_raw_fd() >= 0))
            .map_err(io::Error::from_raw_os_error)?;
        Ok(File::open("/dev/null")?.into())
    }

    /// As a kernel without it.
    fn may_trace(&self) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}

fn examine(name: &str, change: impl Fn(&mut Machine), kernel: &dyn OpenEvent) -> Diagnosis {
    let root = fixture_machine::unpack(name);
    let mut machine = Machine::read(root.path());
    change(&mut machine);
    let trials = probe(root.path(), &machine, kernel);
    diagnose(&machine, &trials)
}

fn named<'a>(verdicts: &'a [Verdict], name: &str) -> &'a Verdict {
    let found = verdicts.iter().find(|verdict| verdict.name == name);
    found.unwrap_or_else(|| panic!("{name} in {verdicts:?}"))
}

fn sentence(verdict: &Verdict) -> String {
    assert!(!verdict.works, "{verdict:?}");
    format!("{}; {}", verdict.why, verdict.remedy.as_deref().expect("a remedy"))
}

/// The samplers of a machine whose kernel answers every open with this error.
fn refused(name: &str, errno: i32, change: impl Fn(&mut Machine)) -> String {
    let diagnosis = examine(name, change, &Kernel(|_: &EventAttr, _| Err(errno)));
    assert_eq!(diagnosis.best, None);
    sentence(named(&diagnosis.samplers, "clock"))
}

#[test]
fn every_machine_with_its_pmu_samples_with_its_hardware() {
    for name in fixture_machine::names() {
        let diagnosis = examine(&name, |_| {}, &Kernel(|_: &EventAttr, _| Ok(())));
        let expected = match name.as_str() {
            name if name.starts_with("zen") => SamplerKind::Ibs,
            name if name.starts_with("neoverse") => SamplerKind::Spe,
            name if name.starts_with("virtual-machine") => SamplerKind::Clock,
            _ => SamplerKind::Pebs,
        };
        assert_eq!(diagnosis.best, Some(expected), "{name}");
        for verdict in diagnosis.samplers.iter().chain(&diagnosis.checks) {
            assert_eq!(verdict.works, verdict.remedy.is_none(), "{name}: {verdict:?}");
        }
    }
}

#[test]
fn a_virtual_machine_without_a_pmu() {
    let clock_only =
        Kernel(|attr: &EventAttr, _| if attr.kind == 1 { Ok(()) } else { Err(libc::ENOENT) });
    let diagnosis = examine("virtual-machine", |_| {}, &clock_only);
    assert_eq!(diagnosis.best, Some(SamplerKind::Clock));
    assert_eq!(
        sentence(named(&diagnosis.samplers, "pebs")),
        "this is a virtual machine (QEMU Standard PC (Q35 + ICH9, 2009)) without the CPU's PMU: sysfs \
         has no memory events (cpu/mem-loads); use --sampler clock, or a machine without a hypervisor \
         (cloud providers call it bare metal)"
    );
    assert_eq!(
        sentence(named(&diagnosis.checks, "breakpoints")),
        "this machine has no debug registers for breakpoints (ENOENT); use a machine without a \
         hypervisor"
    );
    assert_eq!(
        sentence(named(&diagnosis.checks, "tracepoints")),
        "tracefs is not mounted; mount -t tracefs tracefs /sys/kernel/tracing"
    );
}

#[test]
fn one_error_number_has_several_causes() {
    let filtered = |machine: &mut Machine| {
        machine.surroundings.container = Some("docker".to_owned());
        machine.permissions.seccomp = SeccompMode::Filter;
    };
    for (errno, name) in [(libc::EPERM, "EPERM"), (libc::ENOSYS, "ENOSYS")] {
        assert_eq!(
            refused("virtual-machine", errno, filtered),
            format!(
                "cpu-clock:u does not open: the system call filter (seccomp) of this container \
                 refuses perf_event_open with {name}; start the container with --cap-add PERFMON, or \
                 with --security-opt seccomp=FILE where the profile in FILE allows perf_event_open"
            )
        );
    }
    let plain = |machine: &mut Machine| machine.permissions.seccomp = SeccompMode::None;
    assert_eq!(
        refused("virtual-machine", libc::ENOSYS, plain),
        "cpu-clock:u does not open: this kernel has no performance events (ENOSYS); boot a kernel \
         with CONFIG_PERF_EVENTS"
    );
    let debian = |machine: &mut Machine| machine.permissions.paranoid = Some(3);
    assert_eq!(
        refused("virtual-machine", libc::EACCES, debian),
        "cpu-clock:u does not open: kernel.perf_event_paranoid is 3, with which this kernel keeps \
         performance events from everyone without privileges (EACCES); run as root, with CAP_PERFMON, \
         or after: sysctl kernel.perf_event_paranoid=2"
    );
    let locked = |machine: &mut Machine| {
        plain(machine);
        machine.permissions.lockdown = Lockdown::Confidentiality;
    };
    assert_eq!(
        refused("virtual-machine", libc::EPERM, locked),
        "cpu-clock:u does not open: the kernel is locked down (confidentiality), which keeps what it \
         would show (EPERM); boot without lockdown=confidentiality"
    );
    assert_eq!(
        refused("virtual-machine", libc::EMFILE, plain),
        "cpu-clock:u does not open: this process has no file descriptor left (EMFILE; limit 1024); \
         raise the limit: ulimit -n 65536"
    );
    let text = refused("skylake", libc::EACCES, |_| {});
    assert!(text.contains("a security module does"), "{text}");
    assert!(refused("skylake", libc::ENOMEM, |_| {}).contains("ENOMEM"));
    assert!(refused("skylake", 133, |_| {}).contains("the kernel answers: "));
}

#[test]
fn what_is_asked_decides_what_an_answer_means() {
    let user = |machine: &mut Machine| {
        machine.permissions.capabilities = 0;
        machine.permissions.paranoid = Some(2);
    };
    // As Linux answers at level 2: the kernel and whole CPUs are kept from this user.
    let level_2 = Kernel(|attr: &EventAttr, _| {
        let kernel = !attr.flags.contains(AttrFlags::EXCLUDE_KERNEL);
        if attr.kind == 5 {
            Err(libc::ENOSPC)
        } else if kernel {
            Err(libc::EACCES)
        } else {
            Ok(())
        }
    });
    let diagnosis = examine("skylake", user, &level_2);
    assert_eq!(diagnosis.best, Some(SamplerKind::Pebs));
    assert_eq!(
        sentence(named(&diagnosis.checks, "kernel samples")),
        "kernel.perf_event_paranoid is 2, which keeps samples in the kernel from this user (EACCES); \
         run as root, with CAP_PERFMON, or after: sysctl kernel.perf_event_paranoid=1"
    );
    assert_eq!(
        sentence(named(&diagnosis.checks, "breakpoints")),
        "all debug registers are in use (ENOSPC); end the debuggers and other users of hardware \
         breakpoints"
    );
    let full = Kernel(|attr: &EventAttr, _| if attr.kind == 4 { Err(libc::EBUSY) } else { Ok(()) });
    let diagnosis = examine("skylake", user, &full);
    assert_eq!(
        sentence(named(&diagnosis.samplers, "pebs")),
        "cpu/mem-loads,ldlat=30/Pu does not open: another program has the PMU for itself (EBUSY); end \
         other profilers, and switch the watchdog off: sysctl kernel.nmi_watchdog=0"
    );
    assert_eq!(diagnosis.best, Some(SamplerKind::Clock));
}

#[test]
fn limits_of_a_large_server() {
    let small = |machine: &mut Machine| {
        machine.permissions.capabilities = 0;
        machine.permissions.paranoid = Some(0);
        machine.permissions.open_files_hard_limit = Some(1024);
        machine.permissions.mlock_kib = Some(516);
        machine.permissions.max_sample_rate = Some(250);
    };
    let diagnosis = examine("eight-sockets", small, &Kernel(|_: &EventAttr, _| Ok(())));
    assert_eq!(
        sentence(named(&diagnosis.checks, "file descriptors")),
        "3 events on 448 CPUs need 1376 file descriptors and this process may have \
         1024; record fewer CPUs with -C, or raise the limit: prlimit --nofile=1376 --pid $$ as root"
    );
    assert!(named(&diagnosis.checks, "ring buffer memory").works);
    assert_eq!(named(&diagnosis.checks, "NUMA topology").why, "8 nodes");
    assert_eq!(
        sentence(named(&diagnosis.checks, "sampling rate")),
        "the kernel throttles events above 250 Hz; sysctl kernel.perf_event_max_sample_rate=100000"
    );
}

#[test]
fn a_plan_settles_on_what_the_kernel_takes() {
    let plan_of = |name: &str| {
        let machine = fixture_machine::machine(name);
        let kind = hitm::sampling::hardware_sampler(&machine).expect("hardware");
        let plan = plan(kind, &machine, &SamplerOptions::default()).expect("a plan");
        (machine, plan)
    };
    // A PMU whose precise level ends at 2.
    let (machine, sandy) = plan_of("sandy-bridge");
    let at_most_2 = Kernel(|attr: &EventAttr, _| match attr.flags.precise_ip() {
        3 => Err(libc::EOPNOTSUPP),
        _ => Ok(()),
    });
    let settled = settle(&sandy, &machine, &at_most_2).expect("it opens");
    let levels: Vec<u8> =
        settled.events.iter().map(|event| event.attr.flags.precise_ip()).collect();
    assert_eq!(levels, [2, 2, 0]);
    assert_eq!(settled.events[0].precise_fallback, [1]);

    // A kernel from before 5.12: neither three latencies nor counts of lost samples.
    let old = Kernel(|attr: &EventAttr, _| {
        let unknown = attr.sample_type.contains(SampleType::WEIGHT_STRUCT)
            || attr.read_format.contains(ReadFormat::LOST);
        if unknown { Err(libc::EINVAL) } else { Ok(()) }
    });
    let settled = settle(&sandy, &machine, &old).expect("it opens");
    assert!(settled.events.iter().all(|event| event.attr.sample_type.contains(SampleType::WEIGHT)));
    assert_eq!(settled.events[0].attr.flags.precise_ip(), 3);
    // One from before 6.0 knows the latencies, and keeps them.
    let younger = Kernel(|attr: &EventAttr, _| {
        if attr.read_format.contains(ReadFormat::LOST) { Err(libc::EINVAL) } else { Ok(()) }
    });
    let settled = settle(&sandy, &machine, &younger).expect("it opens");
    assert!(settled.events[0].attr.sample_type.contains(SampleType::WEIGHT_STRUCT));

    // Sapphire Rapids refuses loads with a data source unless the auxiliary event leads them.
    let (machine, sapphire) = plan_of("sapphire-rapids");
    let strict =
        Kernel(
            |attr: &EventAttr, in_group: bool| {
                if attr.config == 0x1cd && !in_group { Err(libc::ENODATA) } else { Ok(()) }
            },
        );
    assert!(settle(&sapphire, &machine, &strict).is_ok());
    let mut without = sapphire.clone();
    without.events.remove(0);
    assert_eq!(
        settle(&without, &machine, &strict),
        Err(Unopened { event: "cpu/mem-loads,ldlat=30/P".to_owned(), errno: libc::ENODATA })
    );

    // Old kernels refuse IBS with any bit that leaves a side out.
    let (machine, zen) = plan_of("zen2");
    let sides = AttrFlags::EXCLUDE_KERNEL.0
        | AttrFlags::EXCLUDE_USER.0
        | AttrFlags::EXCLUDE_HV.0
        | AttrFlags::EXCLUDE_IDLE.0
        | AttrFlags::EXCLUDE_HOST.0
        | AttrFlags::EXCLUDE_GUEST.0;
    let ibs = Kernel(|attr: &EventAttr, _| {
        if attr.kind == 10 && attr.flags.0 & sides != 0 { Err(libc::EINVAL) } else { Ok(()) }
    });
    assert_eq!(settle(&zen, &machine, &ibs), Ok(zen));
}

#[test]
fn auto_takes_the_first_that_opens_and_says_what_it_passed_over() {
    let machine = fixture_machine::machine("skylake");
    let candidates = choose(&machine, SamplerChoice::Auto, &SamplerOptions::default());
    let candidates = candidates.expect("candidates");
    let all = Kernel(|_: &EventAttr, _| Ok(()));
    assert_eq!(first_that_opens(&candidates, &machine, &all), Ok(candidates[0].clone()));
    let busy = Kernel(|attr: &EventAttr, _| if attr.kind == 4 { Err(libc::EBUSY) } else { Ok(()) });
    let plan = first_that_opens(&candidates, &machine, &busy).expect("the clock opens");
    assert_eq!(plan.kind, SamplerKind::Clock);
    assert_eq!(plan.reason, "the clock, because pebs does not open");
    assert_eq!(
        plan.notes,
        ["pebs: cpu/mem-loads,ldlat=30/P does not open: another program has the PMU for itself \
          (EBUSY); end other profilers, and switch the watchdog off: sysctl kernel.nmi_watchdog=0"]
    );
    let none = Kernel(|_: &EventAttr, _| Err(libc::ENOSYS));
    let error = first_that_opens(&candidates, &machine, &none).expect_err("nothing opens");
    let kinds: Vec<SamplerKind> = error.0.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [SamplerKind::Pebs, SamplerKind::Clock, SamplerKind::Ptrace]);
    assert!(error.0[1].1.ends_with("boot a kernel with CONFIG_PERF_EVENTS"), "{error}");
    assert_eq!(
        error.0[2].1,
        "ptrace: the kernel or a system call filter refuses ptrace (Function not implemented (os error \
         38)); start the container with --cap-add SYS_PTRACE, or with a seccomp profile that allows \
         ptrace"
    );
}

#[test]
fn a_sampler_that_cannot_be_planned_says_why() {
    let root = fixture_machine::unpack("zen3");
    let mut machine = Machine::read(root.path());
    machine.permissions.capabilities = 0;
    let trials = probe(root.path(), &machine, &Kernel(|_: &EventAttr, _| Ok(())));
    assert!(matches!(trials.samplers[0], (SamplerKind::Ibs, SamplerTrial::Unplanned(_))));
    let diagnosis = diagnose(&machine, &trials);
    let text = sentence(named(&diagnosis.samplers, "ibs"));
    assert!(text.starts_with("this kernel's IBS samples user space and kernel together"), "{text}");
    assert_eq!(diagnosis.best, Some(SamplerKind::Clock));
}

/// Runs the doctor here, behind a prefix such as `setpriv …`.
fn doctor(prefix: &[&str], options: &[&str]) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_hitm");
    let words: Vec<&str> =
        prefix.iter().copied().chain([program, "doctor"]).chain(options.iter().copied()).collect();
    let output = Command::new(words[0]).args(&words[1..]).output().expect("it runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

fn in_json(prefix: &[&str]) -> Value {
    let (code, out) = doctor(prefix, &["--json"]);
    assert_eq!(code, Some(0), "{out}");
    serde_json::from_str(&out).expect("JSON")
}

fn entry<'a>(diagnosis: &'a Value, list: &str, name: &str) -> &'a Value {
    let entries = diagnosis[list].as_array().expect("a list");
    entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("{diagnosis}"))
}

/// The oracle: whether perf gets the same event open.
fn perf_opens(prefix: &[&str], options: &[&str]) -> Option<bool> {
    let perf = ["perf", "stat", "-x,", "-o", "/dev/null"];
    let words: Vec<&str> =
        prefix.iter().chain(&perf).chain(options).chain(&["--", "true"]).copied().collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.code() != Some(127) => Some(status.success()),
        _ => {
            skipped(&format!("{} does not run here", words.join(" ")));
            None
        }
    }
}

fn agrees_with_perf(prefix: &[&str]) {
    let diagnosis = in_json(prefix);
    let clock = perf_opens(prefix, &["-e", "cpu-clock:u"]);
    if let Some(expected) = clock {
        assert_eq!(entry(&diagnosis, "samplers", "clock")["works"], expected, "{diagnosis}");
    }
    if let Some(expected) = perf_opens(prefix, &["-a", "-e", "cpu-clock:u"]) {
        assert_eq!(entry(&diagnosis, "checks", "whole system")["works"], expected, "{diagnosis}");
    }
    for entry in ["samplers", "checks"].iter().flat_map(|list| diagnosis[list].as_array().unwrap())
    {
        assert_eq!(
            entry["works"].as_bool().expect("a verdict"),
            entry["remedy"].is_null(),
            "{entry}"
        );
        assert!(!entry["why"].as_str().expect("a reason").is_empty());
    }
}

#[test]
fn this_machine_as_perf_finds_it() {
    agrees_with_perf(&[]);
}

/// Without any right, and as root of a user namespace, which looks like root and is none.
#[test]
fn this_machine_without_rights() {
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
    let namespace = [&nobody[..], &["unshare", "-Ur"]].concat();
    for prefix in [&nobody[..], &namespace] {
        let program = env!("CARGO_BIN_EXE_hitm");
        let can = Command::new(prefix[0]).args(&prefix[1..]).args([program, "--version"]).output();
        if !can.is_ok_and(|output| output.status.success()) {
            skipped(&format!("{} does not run the program here", prefix.join(" ")));
            continue;
        }
        agrees_with_perf(prefix);
        let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
        if paranoid.ok().and_then(|level| level.trim().parse::<i32>().ok()) != Some(2) {
            skipped("kernel.perf_event_paranoid is not 2");
            continue;
        }
        let diagnosis = in_json(prefix);
        let kernel = entry(&diagnosis, "checks", "kernel samples");
        assert_eq!(kernel["works"], false);
        let why = kernel["why"].as_str().expect("a reason");
        let number = match prefix.len() == nobody.len() {
            true => "EACCES",
            false => "EACCES; root of a user namespace is nobody outside it",
        };
        let expected = format!(
            "kernel.perf_event_paranoid is 2, which keeps samples in the kernel from this user ({number})"
        );
        assert_eq!(why, expected);
    }
}

/// A program that answers `perf_event_open` with an error number, as the filters of container engines
/// do, and then becomes another program.
const FILTER: &str = r#"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **words) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_perf_event_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | atoi(words[1])),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return 99;
    execv(words[2], words + 2);
    return 98;
}
"#;

#[test]
fn a_real_system_call_filter_is_told_from_missing_rights() {
    let folder = tempfile::tempdir().expect("a directory");
    let (source, filter) = (folder.path().join("filter.c"), folder.path().join("filter"));
    std::fs::write(&source, FILTER).expect("written");
    match Command::new("cc").arg("-o").arg(&filter).arg(&source).status() {
        Ok(status) => assert!(status.success(), "cc does not compile the filter"),
        Err(_) => return skipped("there is no C compiler"),
    }
    let filter = filter.to_str().expect("UTF-8");
    for (errno, name) in [(libc::EPERM, "EPERM"), (libc::ENOSYS, "ENOSYS")] {
        let diagnosis = in_json(&[filter, &errno.to_string()]);
        assert_eq!(diagnosis["best"], "ptrace", "{diagnosis}");
        let clock = entry(&diagnosis, "samplers", "clock");
        assert_eq!(clock["works"], false);
        let why = clock["why"].as_str().expect("a reason");
        assert!(why.contains("the system call filter (seccomp) of this"), "{why}");
        assert!(why.ends_with(&format!("refuses perf_event_open with {name}")), "{why}");
    }
}

#[test]
fn tracepoints_work_where_tracefs_is_mounted() {
    let mount = "mount -t tracefs tracefs /sys/kernel/tracing && exec \"$0\" \"$@\"";
    let prefix = ["unshare", "-m", "sh", "-c", mount];
    let can = Command::new(prefix[0]).args(&prefix[1..]).arg("true").output();
    if !can.is_ok_and(|output| output.status.success()) {
        return skipped("tracefs cannot be mounted here");
    }
    let diagnosis = in_json(&prefix);
    let tracepoints = entry(&diagnosis, "checks", "tracepoints");
    assert_eq!(tracepoints["works"], true, "{tracepoints}");
}

#[test]
fn the_table_has_every_verdict_within_100_columns() {
    let (code, out) = doctor(&[], &[]);
    assert_eq!(code, Some(0));
    let diagnosis = in_json(&[]);
    for list in ["samplers", "checks"] {
        for entry in diagnosis[list].as_array().expect("a list") {
            let name = entry["name"].as_str().expect("a name");
            assert!(out.contains(name), "{name} is not in\n{out}");
        }
    }
    assert!(out.lines().skip(2).all(|line| line.chars().count() <= 100), "{out}");
    let wrong = Command::new(env!("CARGO_BIN_EXE_hitm")).args(["doctor", "--wrong"]).output();
    assert_eq!(wrong.expect("it runs").status.code(), Some(2));
}
