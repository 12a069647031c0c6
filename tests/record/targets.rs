//! What is sampled: processes with all their threads, single threads, CPUs, cgroups.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::tempdir;

use crate::program::{alone, busy, held, hitm, output, said, wait_until};
use crate::support::skipped::skipped;

#[test]
fn a_process_is_followed_to_all_threads_that_it_starts() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let mut target = Command::new(busy);
    let mut target =
        target.args(["1.5", "starting"]).stdout(Stdio::piped()).spawn().expect("it starts");
    std::thread::sleep(std::time::Duration::from_millis(200));
    // It ends by itself when the target does.
    let recorded = output(
        hitm().args(["record", "-q", "-o"]).arg(&path).args(["-p", &target.id().to_string()]),
    );
    assert!(recorded.status.success(), "{}", said(&recorded));
    let mut printed = String::new();
    target.stdout.take().expect("a pipe").read_to_string(&mut printed).expect("ids");
    target.wait().expect("it has ended");
    let started: Vec<u32> = printed.lines().map(|line| line.parse().expect("an id")).collect();
    let samples = held(&path).samples;
    let seen: BTreeSet<u32> = samples.iter().map(|sample| sample.1).collect();
    assert!(samples.iter().all(|sample| sample.0 == target.id()), "other processes were sampled");
    // Those of the first fifth of a second were gone; each of the others was busy for 30 ms.
    let later = &started[started.len() / 2..];
    let missed = later.iter().filter(|tid| !seen.contains(tid)).count();
    assert!(later.len() >= 10 && missed * 10 <= later.len(), "{missed} of {} missed", later.len());
}

#[test]
fn children_are_followed_too() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let script = format!("{0} 0.4; {0} 0.4 & wait", busy.display());
    let recorded =
        output(hitm().args(["record", "-q", "-o"]).arg(&path).args(["--", "sh", "-c", &script]));
    assert!(recorded.status.success(), "{}", said(&recorded));
    let mut of_process = std::collections::BTreeMap::new();
    for (pid, ..) in held(&path).samples {
        *of_process.entry(pid).or_insert(0) += 1;
    }
    let busy_ones = of_process.values().filter(|samples| **samples >= 100).count();
    assert_eq!(busy_ones, 2, "{of_process:?}");
}

#[test]
fn one_thread_is_sampled_alone() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let mut target = Command::new(busy).arg("1.2").spawn().expect("it starts");
    let threads = || -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", target.id())).expect("a process");
        tasks.flatten().map(|task| task.file_name().to_string_lossy().into_owned()).collect()
    };
    wait_until("both threads run", || threads().len() == 3);
    let tid = threads().into_iter().find(|tid| *tid != target.id().to_string()).expect("a thread");
    let recorded = output(hitm().args(["record", "-q", "-o"]).arg(&path).args(["-t", &tid]));
    assert!(recorded.status.success(), "{}", said(&recorded));
    target.wait().expect("it has ended");
    let samples = held(&path).samples;
    assert!(samples.len() >= 100, "{} samples", samples.len());
    assert!(samples.iter().all(|sample| sample.1.to_string() == tid));
}

#[test]
fn one_cpu_is_sampled_alone() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let mut target = Command::new(busy).arg("1.5").spawn().expect("it starts");
    let recorded =
        output(hitm().args(["record", "-q", "-C", "0", "--duration", "0.7", "-o"]).arg(&path));
    target.wait().expect("it has ended");
    if !recorded.status.success() && said(&recorded).contains("perf_event_paranoid") {
        skipped(&format!("whole CPUs may not be sampled here: {}", said(&recorded)));
        return;
    }
    assert!(recorded.status.success(), "{}", said(&recorded));
    let samples = held(&path).samples;
    assert!(samples.len() >= 100, "{} samples", samples.len());
    assert!(samples.iter().all(|sample| sample.2 == 0));
    assert!(samples.iter().any(|sample| sample.0 == target.id()));
}

#[test]
fn a_cgroup_is_sampled_alone() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let Some(group) = Cgroup::make() else { return };
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let outside = Command::new(busy).arg("300").spawn();
    let script =
        format!("echo $$ > {}/cgroup.procs; exec {} 300", group.0.display(), busy.display());
    let inside = Command::new("sh").args(["-c", &script]).spawn();
    let (mut outside, mut inside) = (outside.expect("it starts"), inside.expect("it starts"));
    wait_until("the group has its process", || {
        let procs = std::fs::read_to_string(group.0.join("cgroup.procs")).unwrap_or_default();
        procs.lines().any(|pid| pid == inside.id().to_string())
    });
    let recorded = output(
        hitm().args(["record", "-q", "--duration", "1", "-o"]).arg(&path).arg("-G").arg(&group.0),
    );
    for target in [&mut outside, &mut inside] {
        target.kill().expect("it runs");
        target.wait().expect("it has ended");
    }
    assert!(recorded.status.success(), "{}", said(&recorded));
    let samples = held(&path).samples;
    let of = |pid: u32| samples.iter().filter(|sample| sample.0 == pid).count();
    assert!(of(inside.id()) >= 100, "{} of {} samples", of(inside.id()), samples.len());
    assert_eq!(of(outside.id()), 0, "from outside of the group");
}

/// A cgroup in the hierarchy that events follow.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make() -> Option<Self> {
        let mounts = hitm::system::mounts(std::path::Path::new("/"));
        let Some(mount) = hitm::system::cgroup_for_perf(&mounts) else {
            skipped("no cgroups are mounted");
            return None;
        };
        let path = mount.point.join(format!("hitm-test-{}", std::process::id()));
        match std::fs::create_dir(&path) {
            Ok(()) => Some(Self(path)),
            Err(error) => {
                skipped(&format!("no cgroup can be made: {error}"));
                None
            }
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // What was in it has ended and was waited for.
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn samples_of_other_programs_can_be_left_out() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let copy = folder.path().join("other");
    std::fs::copy(busy, &copy).expect("a copy");
    let script = format!("{} 0.4; {} 0.4; exit 0", busy.display(), copy.display());
    let samples_with = |options: &[&str]| {
        let mut command = hitm();
        command.args(["record", "-o"]).arg(&path).args(options);
        let recorded = output(command.args(["--", "sh", "-c", &script]));
        assert!(recorded.status.success(), "{}", said(&recorded));
        let held = held(&path);
        assert!(held.damage.is_empty(), "{:?}", held.damage);
        let pids: BTreeSet<u32> = held.samples.iter().map(|sample| sample.0).collect();
        (pids.len(), said(&recorded))
    };
    assert!(samples_with(&[]).0 >= 2);
    let (programs, said) = samples_with(&["--only-exe", "*/other"]);
    assert_eq!(programs, 1);
    assert!(said.contains("of other programs") && said.contains("dropped"), "{said}");
    assert_eq!(samples_with(&["--comm", "bus?"]).0, 1);
}
