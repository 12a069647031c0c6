//! A program that runs while it is watched.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::record::{Program, hitm};
use crate::said::Said;

/// A truth program, started.
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts it, and waits until its two workers run.
    pub fn start(program: &Program, seconds: &str, mode: &str) -> Self {
        let child = Command::new(&program.path)
            .args([seconds, mode])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let running = Self { child };
        let threads = format!("/proc/{}/task", running.pid());
        while std::fs::read_dir(&threads).map_or(0, Iterator::count) < 3 {
            std::thread::sleep(Duration::from_millis(5));
        }
        // The workers are at their work when they have been moved to their CPUs.
        std::thread::sleep(Duration::from_millis(50));
        running
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it says when it has ended.
    pub fn said(mut self) -> Said {
        let mut text = String::new();
        self.child.stdout.take().expect("a pipe").read_to_string(&mut text).expect("text");
        assert!(self.child.wait().expect("it ends").success());
        Said::parse(&text)
    }
}

/// `hitm watch` on a process.
pub fn watch(pid: u32, place: &str, options: &[&str]) -> Output {
    let mut command = hitm();
    command.args(["watch", "-p", &pid.to_string(), place]).args(options);
    command.output().expect("hitm runs")
}

/// What `hitm watch` has seen, and the recording of it.
pub fn watched(pid: u32, place: &str, options: &[&str], recording: &Path) -> Value {
    let mut all = vec!["--format", "json", "-o", recording.to_str().expect("a path in UTF-8")];
    all.extend(options);
    let output = watch(pid, place, &all);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "hitm watch {place}: {error}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}
