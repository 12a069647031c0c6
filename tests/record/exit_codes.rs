//! Exit codes and streams: `hitm run --` can stand before any command.

use std::process::Command;

use tempfile::tempdir;

use crate::program::{alone, busy, hitm, output, said};

#[test]
fn the_commands_own_code_is_ours() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let busy = busy.to_string_lossy();
    let cases: [(&[&str], i32); 5] = [
        (&["true"], 0),
        (&[&busy, "0.1", "exit", "3"], 3),
        (&[&busy, "0.1", "die"], 128 + 9),
        (&["/no/such/program"], 127),
        (&["/"], 126),
    ];
    for (command, code) in cases {
        let recorded =
            output(hitm().args(["record", "-q", "-o"]).arg(&path).arg("--").args(command));
        assert_eq!(recorded.status.code(), Some(code), "record {command:?}: {}", said(&recorded));
        let run = output(hitm().args(["run", "--"]).args(command));
        assert_eq!(run.status.code(), Some(code), "run {command:?}: {}", said(&run));
    }
}

/// Shells start what runs in the background with interrupts ignored, and commands inherit that.
#[test]
fn what_is_ignored_stays_ignored() {
    let Some(_) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let ignoring = "trap '' INT TERM; exec \"$@\"";
    let asking = ["grep", "SigIgn", "/proc/self/status"];
    let plain = output(Command::new("sh").args(["-c", ignoring, "sh"]).args(asking));
    let mut recorder = Command::new("sh");
    recorder.args(["-c", ignoring, "sh"]).arg(hitm().get_program()).args(["record", "-o"]);
    let recorded = output(recorder.arg(folder.path().join("it.data")).arg("--").args(asking));
    // The C library keeps signals from 32 on for itself.
    let ignored = |output: &std::process::Output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let set = text.trim().rsplit('\t').next().and_then(|set| u64::from_str_radix(set, 16).ok());
        set.map(|set| set & 0x7fff_ffff)
    };
    assert_eq!(ignored(&recorded), ignored(&plain), "{}", said(&recorded));
    let (interrupt, end) = (1 << 1, 1 << 14);
    assert!(ignored(&plain).is_some_and(|set| set & interrupt != 0 && set & end != 0));
}

#[test]
fn our_own_failures_are_told_apart() {
    let Some(_) = busy() else { return };
    let cases: [(&[&str], &str); 10] = [
        (&["record"], "nothing to sample"),
        (&["record", "--no-such-option"], "unexpected argument"),
        (&["record", "-p", "4194304"], "there is no process 4194304"),
        (&["record", "-t", "4194304"], "there is no thread 4194304"),
        (&["record", "-C", "4095"], "CPU 4095 is not online"),
        (&["record", "-F", "0", "--", "true"], "0 Hz"),
        (&["record", "-F", "99999999", "--", "true"], "kernel.perf_event_max_sample_rate"),
        (&["record", "-G", "no/such/group"], "cannot be opened"),
        (&["record", "-p", "1", "--", "true"], "different targets"),
        (&["record", "-o", "/no/such/folder/it.data", "--", "true"], "cannot be written"),
    ];
    for (arguments, sentence) in cases {
        let refused = output(hitm().args(arguments));
        assert_eq!(refused.status.code(), Some(125), "{arguments:?}: {}", said(&refused));
        assert!(said(&refused).contains(sentence), "{arguments:?}: {}", said(&refused));
        if arguments.len() > 1 && arguments[1] != "--no-such-option" {
            assert_eq!(said(&refused).lines().count(), 1, "{arguments:?}: {}", said(&refused));
        }
    }
}

#[test]
fn the_report_of_a_run_stays_out_of_the_commands_output() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let script = format!("echo its own; {} 0.5", busy.display());
    let run = output(hitm().args(["run", "--", "sh", "-c", &script]));
    assert!(run.status.success(), "{}", said(&run));
    assert_eq!(run.stdout, b"its own\n");
    assert!(said(&run).contains("Contention on 1 cache line"), "{}", said(&run));

    let folder = tempdir().expect("a folder");
    let (report, kept) = (folder.path().join("report.txt"), folder.path().join("kept.data"));
    let run = output(
        hitm()
            .args(["run", "-o"])
            .arg(&report)
            .arg("--keep")
            .arg(&kept)
            .args(["--", "sh", "-c", &script]),
    );
    assert!(run.status.success(), "{}", said(&run));
    assert!(!said(&run).contains("Contention"), "{}", said(&run));
    let text = std::fs::read_to_string(report).expect("a report");
    assert!(text.starts_with("Contention on 1 cache line"), "{text}");
    assert!(kept.exists());
}

#[test]
fn a_user_without_rights_samples_what_is_theirs() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !is_root {
        // The other tests have shown it.
        return;
    }
    let folder = tempdir().expect("a folder");
    let open = |path: &std::path::Path| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(path, permissions).expect("the folder is ours");
    };
    open(folder.path());
    open(busy.parent().expect("a folder"));
    let program = folder.path().join("hitm");
    std::fs::copy(env!("CARGO_BIN_EXE_hitm"), &program).expect("a copy");
    open(&program);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
    command.arg("--bounding-set=-all").arg(&program).args(["run", "--"]).arg(busy).arg("0.5");
    let run = output(command.current_dir(folder.path()));
    let level = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let level: i32 = level.trim().parse().unwrap_or(2);
    if level > 2 {
        assert_eq!(run.status.code(), Some(125), "{}", said(&run));
        assert!(said(&run).contains("perf_event_paranoid"), "{}", said(&run));
        return;
    }
    assert!(run.status.success(), "{}", said(&run));
    assert!(said(&run).contains("Contention on 1 cache line"), "{}", said(&run));
    assert_eq!(level == 2, said(&run).contains("kernel.perf_event_paranoid"), "{}", said(&run));
}
