//! What may not be traced: one sentence, with its cause and what helps.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::programs::{locked_out, program, said};
use crate::record::hitm;

/// Refused with our own exit code and one line, which is given.
fn refusal(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(125), "{}", said(&output));
    assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
    said(&output)
}

#[test]
fn another_tracer_has_it() {
    let Some(traces) = program("traces") else { return };
    let mut sleeper = Command::new("sleep").arg("300").spawn().expect("it starts");
    let pid = sleeper.id().to_string();
    let mut tracer =
        Command::new(&traces).arg(&pid).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let mut lines = BufReader::new(tracer.stdout.take().expect("a pipe"));
    lines.read_line(&mut line).expect("its line");
    assert_eq!(line, "traced\n");
    let mut record = hitm();
    record.args(["record", "--sampler", "ptrace", "-o", "/dev/null", "-p"]);
    let (text, of_tracer) = {
        let of_sleeper = refusal(record.arg(&pid));
        let mut record = hitm();
        record.args(["record", "--sampler", "ptrace", "-o", "/dev/null", "-p"]);
        (of_sleeper, refusal(record.arg(tracer.id().to_string())))
    };
    for child in [&mut tracer, &mut sleeper] {
        child.kill().expect("it runs");
        child.wait().expect("it has ended");
    }
    let expected = format!(
        "hitm: process {pid} cannot be sampled with ptrace: process {} traces it already, and a process \
         has one tracer; end that one, or record with --sampler clock\n",
        tracer.id()
    );
    assert_eq!(text, expected);
    assert!(of_tracer.contains("it uses ptrace itself"), "{of_tracer}");
}

#[test]
fn it_belongs_to_another_user() {
    let Some(mut record) = locked_out() else { return };
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !is_root {
        crate::support::skipped::skipped("only root has a process that nobody may not trace");
        return;
    }
    let own = std::process::id().to_string();
    let text = refusal(record.args(["record", "-o", "/dev/null", "-p", &own]));
    let begin = format!("hitm: process {own} cannot be sampled with ptrace: ");
    assert!(text.starts_with(&begin) && text.contains("CAP_SYS_PTRACE"), "{text}");
}

#[test]
fn targets_that_are_no_processes_are_not_followed() {
    for target in [&["-a"][..], &["-C", "0"], &["-t", "1"]] {
        let mut record = hitm();
        record.args(["record", "--sampler", "ptrace", "-o", "/dev/null"]).args(target);
        let text = refusal(&mut record);
        let option = target[0];
        assert_eq!(
            text,
            format!(
                "hitm: {option} does not go with the sampler ptrace: it follows a command, or processes \
                 (-p); leave it out\n"
            )
        );
    }
}

#[test]
fn options_that_it_does_not_have_are_refused() {
    for option in [&["-g"][..], &["--ldlat", "30"], &["-k"]] {
        let mut record = hitm();
        record.args(["record", "--sampler", "ptrace", "-o", "/dev/null"]).args(option);
        let text = refusal(record.args(["--", "true"]));
        assert!(text.contains("does not go with the sampler ptrace"), "{text}");
    }
}
