//! Programs that see other files than we do, as in a container.

use std::process::Command;

use tempfile::tempdir;

use crate::program::{alone, busy, hitm, output, said, wait_until};
use crate::support::skipped::skipped;

#[test]
fn names_are_found_while_the_container_runs() {
    let Some(busy) = busy() else { return };
    let _alone = alone();
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("it.data");
    let (inside, ready) = (folder.path().join("inside"), folder.path().join("ready"));
    std::fs::create_dir(&inside).expect("a folder");
    // A file system of its own, which only this process and its children see.
    let script = format!(
        "mount -t tmpfs none {0} && cp {1} {0}/hidden && : > {2} && exec {0}/hidden 300",
        inside.display(),
        busy.display(),
        ready.display()
    );
    let mut target = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .spawn()
        .expect("unshare is there");
    let mut is_refused = false;
    wait_until("the program is in its place", || {
        is_refused = target.try_wait().expect("a child").is_some();
        is_refused || ready.exists()
    });
    if is_refused {
        skipped("no mount namespace can be made");
        return;
    }
    let pid = target.id().to_string();
    let recorded = output(
        hitm().args(["record", "-q", "--duration", "1", "-o"]).arg(&path).args(["-p", &pid]),
    );
    let reported =
        output(hitm().args(["report", "--format", "json", "--no-source", "-i"]).arg(&path));
    target.kill().expect("it runs");
    target.wait().expect("it has ended");
    assert!(recorded.status.success(), "{}", said(&recorded));
    assert!(!inside.join("hidden").exists(), "the file must not be seen from here");
    let report: serde_json::Value = serde_json::from_slice(&reported.stdout).expect("JSON");
    let accesses = report["lines"][0]["accesses"].as_array().expect("a contended line");
    assert!(accesses.iter().all(|access| access["symbol"] == "count"), "{accesses:?}");
}
