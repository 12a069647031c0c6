//! How a recording ends: in time, on a signal, killed, on a full disk.

use std::process::{Command, Stdio};

use tempfile::tempdir;

use crate::program::{alone, busy, held, hitm, output, said, signal, wait_for_samples};

#[test]
fn the_time_is_over_and_the_target_runs_on() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let mut target = Command::new(busy).arg("300").spawn().expect("it starts");
    let recorded = output(
        hitm()
            .args(["record", "--duration", "0.5", "-o"])
            .arg(&path)
            .args(["-p", &target.id().to_string()]),
    );
    assert!(target.try_wait().expect("a child").is_none(), "the target was ended");
    target.kill().expect("it runs");
    target.wait().expect("it has ended");
    assert!(recorded.status.success(), "{}", said(&recorded));
    assert!(said(&recorded).contains("the time is over"), "{}", said(&recorded));
    let held = held(&path);
    assert!(held.samples.len() >= 100 && held.damage.is_empty(), "{:?}", held.damage);
}

#[test]
fn a_size_is_kept() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let recorded = output(
        hitm().args(["record", "--max-size", "200K", "-o"]).arg(&path).arg("--").arg(busy).arg("2"),
    );
    assert!(recorded.status.success(), "{}", said(&recorded));
    assert!(said(&recorded).contains("the size is reached"), "{}", said(&recorded));
    let size = std::fs::metadata(&path).expect("a file").len();
    assert!((200 << 10..1 << 20).contains(&size), "{size} bytes");
    assert!(held(&path).damage.is_empty());
}

#[test]
fn an_interrupt_leaves_a_whole_file() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    for name in ["INT", "TERM"] {
        let folder = tempdir().expect("a folder");
        let path = folder.path().join("it.data");
        let mut target = Command::new(busy).arg("300").spawn().expect("it starts");
        let mut recorder = hitm();
        let recorder = recorder
            .args(["record", "-o"])
            .arg(&path)
            .args(["-p", &target.id().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        wait_for_samples(&path);
        signal(&recorder, name);
        let recorded = recorder.wait_with_output().expect("it ends");
        target.kill().expect("it runs");
        target.wait().expect("it has ended");
        assert!(recorded.status.success(), "{name}: {}", said(&recorded));
        let held = held(&path);
        assert!(held.samples.len() >= 100, "{name}: {} samples", held.samples.len());
        assert!(held.damage.is_empty(), "{name}: {:?}", held.damage);
    }
}

#[test]
fn a_request_to_end_reaches_the_command() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let recorder = hitm()
        .args(["record", "-q", "-o"])
        .arg(&path)
        .arg("--")
        .arg(busy)
        .arg("300")
        .spawn()
        .expect("it starts");
    wait_for_samples(&path);
    signal(&recorder, "TERM");
    let recorded = recorder.wait_with_output().expect("it ends");
    assert_eq!(recorded.status.code(), Some(128 + 15), "the command's own end");
    assert!(held(&path).damage.is_empty());
}

#[test]
fn a_killed_recorder_leaves_what_it_had_written() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let mut target = Command::new(busy).arg("300").spawn().expect("it starts");
    let mut recorder = hitm()
        .args(["record", "-q", "-o"])
        .arg(&path)
        .args(["-p", &target.id().to_string()])
        .spawn()
        .expect("it starts");
    wait_for_samples(&path);
    recorder.kill().expect("it runs");
    recorder.wait().expect("it has ended");
    let reported = output(hitm().args(["report", "--no-source", "-i"]).arg(&path));
    target.kill().expect("it runs");
    target.wait().expect("it has ended");
    let held = held(&path);
    assert!(held.samples.len() >= 100, "{} samples", held.samples.len());
    assert!(!held.damage.is_empty(), "that it was not finished must be said");
    assert!(reported.status.success(), "{}", said(&reported));
    let text = String::from_utf8_lossy(&reported.stdout).into_owned();
    assert!(text.starts_with("Contention on 1 cache line"), "{text}");
    assert!(text.contains("warning:"), "{text}");
}

#[test]
fn a_full_disk_keeps_what_was_written_and_lets_the_command_finish() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let done = folder.path().join("done");
    // The limit is in blocks of 512 bytes in some shells and 1024 in others: 64 or 128 KiB.
    let script = format!(
        "ulimit -f 128; trap '' XFSZ; exec {} record -o {} -- sh -c '{} 1; : > {}'",
        env!("CARGO_BIN_EXE_hitm"),
        path.display(),
        busy.display(),
        done.display()
    );
    let recorded = output(Command::new("sh").args(["-c", &script]));
    assert_eq!(recorded.status.code(), Some(125), "{}", said(&recorded));
    assert!(said(&recorded).contains("cannot be written"), "{}", said(&recorded));
    assert!(done.exists(), "the command was not at fault and must finish");
    let held = held(&path);
    assert!(held.samples.len() >= 50, "{} samples", held.samples.len());
    let reported = output(hitm().args(["report", "--no-source", "-i"]).arg(&path));
    assert!(reported.status.success(), "{}", said(&reported));
}
