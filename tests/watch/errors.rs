//! What stands in the way is said in one sentence, with its remedy.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::compile::Build;
use crate::record::{Program, Turn, hitm};
use crate::running::{Running, watch};
use crate::support::skipped::skipped;

/// The one line of an error.
fn sentence(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(output.stdout.is_empty());
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("hitm: "), "{text}");
    text
}

#[test]
fn a_process_or_bytes_that_are_not_there() {
    Turn::take(|| {
        let Some(program) = Program::build("atomic_counters", Build::C) else { return };
        let running = Running::start(&program, "1.5", "contended");
        let pid = running.pid();
        let of = |place: &str| sentence(&watch(pid, place, &["--duration", "0.2"]));
        assert!(of("0x1000/8").contains("has no memory at 0x1000: give an address"));
        assert!(of("counters/33").contains("watch at most 32"));
        assert!(of("no_such_thing").contains("has a variable no_such_thing"));
        assert!(of("counters+1000").contains("1000 is not an offset"));
        let gone = sentence(&watch(0x3f_ffff, "0x1000", &[]));
        assert!(gone.contains("there is no process 4194303: it may have ended"), "{gone}");
        drop(running.said());
    });
}

#[test]
fn a_process_of_another_user() {
    Turn::take(|| {
        let may_become_others = Command::new("setpriv")
            .args(["--reuid=65534", "true"])
            .output()
            .is_ok_and(|it| it.status.success());
        if !may_become_others {
            skipped("only root may become another user");
            return;
        }
        let Some(program) = Program::build("atomic_counters", Build::C) else { return };
        let running = Running::start(&program, "1.5", "contended");
        let folder = tempfile::tempdir().expect("a directory");
        let copy = folder.path().join("hitm");
        std::fs::copy(env!("CARGO_BIN_EXE_hitm"), &copy).expect("a copy");
        for path in [folder.path(), &copy] {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(path, permissions).expect("it is ours");
        }
        let of = |place: &str| {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
            command.arg("--bounding-set=-all").arg(&copy).args(["watch", "-p"]);
            sentence(&command.arg(running.pid().to_string()).arg(place).output().expect("it runs"))
        };
        let refused = of("0x1000/8");
        assert!(refused.contains("cannot be watched"), "{refused}");
        assert!(refused.contains("root"), "what helps: {refused}");
        assert!(of("counters").contains("run as root or as that user"));
        drop(running.said());
    });
}

#[test]
fn registers_that_another_tool_holds() {
    Turn::take(|| {
        let Some(program) = Program::build("atomic_counters", Build::C) else { return };
        let running = Running::start(&program, "3", "contended");
        let pid = running.pid();
        // Nobody touches these words, so they are held until the program ends.
        let mut other = hitm()
            .args(["watch", "-p", &pid.to_string(), "counters+128/32", "--duration", "60"])
            .stdout(Stdio::null())
            .spawn()
            .expect("hitm runs");
        let refused = (0..40).find_map(|_| {
            std::thread::sleep(Duration::from_millis(25));
            let output = watch(pid, "counters/8", &["--duration", "0.05", "--hits", "4"]);
            (!output.status.success()).then(|| sentence(&output))
        });
        let refused = refused.expect("the registers are taken");
        assert!(refused.contains("too few debug registers left for 1"), "{refused}");
        assert!(refused.contains("end that tool"), "{refused}");
        drop(running.said());
        assert!(other.wait().expect("it ends with the process").success());
    });
}

#[test]
fn usage_is_explained() {
    for place in ["12x", "counters/0", "/8"] {
        let output = watch(1, place, &[]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(place));
    }
}

#[test]
fn a_report_of_what_was_watched_by_hand() {
    Turn::take(|| {
        let Some(program) = Program::build("atomic_counters", Build::C) else { return };
        let running = Running::start(&program, "1.5", "contended");
        let path = program.recording();
        let path = path.to_str().expect("a path in UTF-8");
        let seen = watch(running.pid(), "counters/16", &["--hits", "40", "-o", path]);
        assert!(seen.status.success());
        let report = hitm().args(["report", "-i", path]).output().expect("hitm runs");
        let said = sentence(&report);
        assert!(said.contains("that debug registers watched, as hitm watch keeps them"), "{said}");
        drop(running.said());
    });
}

/// Whoever holds the registers, the recording says in its report that nothing was proven.
#[test]
fn registers_that_another_holds() {
    Turn::take(|| {
        let Some(program) = Program::build("atomic_counters", Build::C) else { return };
        let running = Running::start(&program, "5", "contended");
        let pid = running.pid().to_string();
        let mut holder = hitm()
            .args(["watch", "-p", &pid, "counters/32", "--duration", "20", "--hits", "10000000"])
            .stdout(Stdio::null())
            .spawn()
            .expect("hitm runs");
        std::thread::sleep(Duration::from_millis(300));
        let path = program.recording();
        let recorded = hitm()
            .args(["record", "-p", &pid, "--duration", "2", "-o"])
            .arg(&path)
            .output()
            .expect("hitm runs");
        let _ = holder.kill();
        let _ = holder.wait();
        let said = String::from_utf8_lossy(&recorded.stderr).into_owned();
        assert!(said.contains("there are no debug registers left"), "{said}");
        let report = hitm().args(["report", "-i"]).arg(&path).output().expect("hitm runs");
        let report = String::from_utf8_lossy(&report.stdout).into_owned();
        assert!(report.contains("no debug registers were free"), "{report}");
        drop(running.said());
    });
}
