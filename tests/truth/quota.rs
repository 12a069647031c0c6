//! A container's quota stops all threads for a while, again and again: that is named, and is neither
//! contention nor hides it.

use std::path::PathBuf;
use std::process::Command;

use crate::compile::Build;
use crate::outcome::{Outcome, Standing};
use crate::record::{Program, Turn};
use crate::support::skipped::skipped;

/// A group whose processes have one CPU's time between them.
struct Quota(PathBuf);

impl Quota {
    fn of_one_cpu() -> Option<Self> {
        let mounts = hitm::system::mounts(std::path::Path::new("/"));
        let first = mounts.iter().find(|mount| {
            mount.file_system == "cgroup" && mount.options.iter().any(|option| option == "cpu")
        });
        let unified = mounts.iter().find(|mount| mount.file_system == "cgroup2");
        let Some(mount) = first.or(unified) else {
            skipped("no cgroups are mounted");
            return None;
        };
        let group = Self(mount.point.join(format!("hitm-quota-{}", std::process::id())));
        let limits = match first {
            Some(_) => vec![("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "100000")],
            None => vec![("cpu.max", "100000 100000")],
        };
        let made = std::fs::create_dir(&group.0).and_then(|()| {
            limits.iter().try_for_each(|(file, limit)| std::fs::write(group.0.join(file), limit))
        });
        match made {
            Ok(()) => Some(group),
            Err(error) => {
                skipped(&format!("no cgroup with a quota can be made: {error}"));
                None
            }
        }
    }

    fn outcome(&self, program: &Program, mode: &str) -> Outcome {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
            .arg(self.0.join("cgroup.procs"))
            .arg(env!("CARGO_BIN_EXE_hitm"))
            .args(["record", "--quiet", "-o"])
            .arg(program.recording())
            .arg("--");
        let said = program.said(&mut command, &program.command("2", mode));
        program.reported(mode, said)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // What was in it has ended and was waited for.
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn is_named(outcome: &Outcome) -> bool {
    let warnings = outcome.report["warnings"].as_array().expect("warnings");
    warnings.iter().any(|warning| warning["code"] == "quota")
}

#[test]
fn stops_by_a_quota_are_named() {
    Turn::take(|| {
        let Some(program) = Program::build("plain_stores", Build::C) else { return };
        let Some(quota) = Quota::of_one_cpu() else { return };
        let padded = quota.outcome(&program, "padded");
        padded.assert_nothing();
        assert!(is_named(&padded), "{}", padded.report["warnings"]);
        let contended = quota.outcome(&program, "contended");
        contended.assert_found(Standing::Claimed);
        assert!(is_named(&contended), "{}", contended.report["warnings"]);
        let free = program.outcome("1", "padded");
        assert!(!is_named(&free), "{}", free.report["warnings"]);
    });
}
