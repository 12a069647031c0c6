//! `hitm demo`, whose truth is in `src/demo.rs`: fields of eight bytes, one thread each, in one line.

use crate::record::{Turn, hitm};

#[test]
fn shows_one_line_and_what_padding_gains() {
    Turn::take(|| {
        let output = hitm().args(["demo", "--seconds", "1"]).output().expect("hitm runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(text.contains("Contention on 1 cache line costs"), "{text}");
        // The first two fields have threads on every machine.
        for thread in ["requests", "bytes"] {
            assert!(text.contains(thread), "no thread {thread}: {text}");
        }
        for place in ["      0x0  ", "      0x8  ", "rmw", "demo::STATISTICS", "false sharing: "] {
            assert!(text.contains(place), "no {place:?}: {text}");
        }
        let gain = text
            .rsplit_once("count ")
            .and_then(|(_, gain)| gain.split_once(" times as ")?.0.parse::<f64>().ok());
        assert!(gain.is_some_and(|gain| gain > 0.0), "the end says no speed-up: {text}");
    });
}

#[test]
fn impossible_durations_are_refused() {
    for seconds in ["0", "-1", "nan", "soon", "1e9"] {
        let seconds = format!("--seconds={seconds}");
        let output = hitm().args(["demo", &seconds]).output().expect("hitm runs");
        assert_eq!(output.status.code(), Some(2), "{seconds}");
        assert!(output.stdout.is_empty(), "{seconds}");
    }
}
