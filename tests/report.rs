//! The report of synthetic recordings: the JSON contract, sums that re-add, and the same answers from
//! every form of a recording.

mod support;

use hitm::lines::{Filter, LineSize, SortKey};
use hitm::perf_data::{ByteOrder, Input, Recording};
use hitm::process::{Cpu, Pid, Time};
use hitm::report::{Report, ReportError, ReportOptions, report, sum_of_parts};
use serde_json::Value;
use support::synthetic::Synthetic;

fn report_of(bytes: Vec<u8>, options: &ReportOptions) -> Result<Report, ReportError> {
    let input = Input::from_bytes(bytes);
    let recording = Recording::open(&input).expect("a readable recording");
    report(&recording, options, SortKey::Cost, None, &|_| {})
}

fn synthetic() -> Synthetic {
    Synthetic { samples: 20_000, ..Synthetic::default() }
}

fn options() -> ReportOptions {
    ReportOptions { line_size: LineSize::new(64), ..ReportOptions::default() }
}

/// Asserts that an object has exactly the keys of the contract, or more.
fn has_keys(value: &Value, place: &str, keys: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("{place} is no object: {value}"));
    for key in keys {
        assert!(object.contains_key(*key), "{place} has no {key}");
    }
}

const COUNTERS: [&str; 32] = [
    "nr_entries",
    "locks",
    "store",
    "st_uncache",
    "st_noadrs",
    "st_l1hit",
    "st_l1miss",
    "st_na",
    "load",
    "ld_excl",
    "ld_shared",
    "ld_uncache",
    "ld_io",
    "ld_miss",
    "ld_noadrs",
    "ld_fbhit",
    "ld_l1hit",
    "ld_l2hit",
    "ld_llchit",
    "lcl_hitm",
    "rmt_hitm",
    "tot_hitm",
    "lcl_peer",
    "rmt_peer",
    "tot_peer",
    "rmt_hit",
    "lcl_dram",
    "rmt_dram",
    "blk_data",
    "blk_addr",
    "nomap",
    "noparse",
];

#[test]
fn json_keeps_the_contract() {
    let made = report_of(synthetic().file().expect("written"), &options()).expect("a report");
    let json = serde_json::to_value(&made).expect("JSON");
    has_keys(
        &json,
        "the report",
        &[
            "schema",
            "version",
            "recording",
            "c2c",
            "shared",
            "lines",
            "other_lines",
            "groups",
            "summary",
            "unresolved",
            "warnings",
        ],
    );
    assert_eq!(json["schema"], "hitm-report");
    assert_eq!(json["version"], 1);
    has_keys(
        &json["recording"],
        "recording",
        &[
            "arch",
            "cpu",
            "kernel",
            "hostname",
            "cpus",
            "nodes",
            "samplers",
            "events",
            "samples",
            "lost",
            "duration_ns",
        ],
    );
    has_keys(&json["c2c"], "c2c", &COUNTERS);
    has_keys(&json["shared"], "shared", &COUNTERS);
    has_keys(&json["shared"], "shared", &["shared_lines"]);
    has_keys(&json["other_lines"], "other_lines", &["lines", "samples", "c2c"]);
    has_keys(
        &json["summary"],
        "summary",
        &[
            "contention_low",
            "contention_high",
            "detection_floor",
            "resolved",
            "no_operand",
            "lost",
            "in_kernel",
        ],
    );
    let lines = json["lines"].as_array().expect("lines");
    assert!(lines.len() > 30, "{} lines", lines.len());
    for (index, line) in lines.iter().enumerate() {
        has_keys(
            line,
            "a line",
            &[
                "rank",
                "address",
                "line_size",
                "pid",
                "grade",
                "verdict",
                "reason",
                "confidence",
                "samples",
                "cost",
                "c2c",
                "objects",
                "fields",
                "accesses",
                "pairs",
                "advice",
                "gain",
            ],
        );
        has_keys(
            &line["cost"],
            "cost",
            &["share_low", "share_high", "cpu_ns_low", "cpu_ns_high", "lost_cycles"],
        );
        assert_eq!(line["rank"], index + 1);
        assert_eq!(line["grade"], "measured");
        // What hardware samples alone do not tell is not invented.
        assert_eq!(line["gain"], Value::Null);
        let verdict = line["verdict"].as_str();
        let is_word = |word| ["false", "true", "mixed", "migrating"].contains(&word);
        assert!(verdict.is_none_or(is_word), "{verdict:?}");
        assert_eq!(verdict.is_some(), line["reason"].is_string());
        let is_contended = line["contended_loads"].as_u64() > Some(0);
        let confidence = line["confidence"].as_f64();
        assert_eq!(is_contended, confidence.is_some_and(|sure| sure > 0.6 && sure <= 1.0));
        for object in line["objects"].as_array().expect("objects") {
            has_keys(
                object,
                "an object",
                &["kind", "name", "type", "base", "size", "allocated_at"],
            );
        }
        let mut samples = 0;
        for access in line["accesses"].as_array().expect("accesses") {
            has_keys(
                access,
                "an access",
                &[
                    "offset",
                    "size",
                    "kind",
                    "code_address",
                    "symbol",
                    "object",
                    "source",
                    "inlines",
                    "field",
                    "threads",
                    "cpus",
                    "nodes",
                    "callers",
                    "samples",
                    "c2c",
                    "mean_cycles",
                ],
            );
            let address = access["code_address"].as_str().expect("a string");
            assert!(address.starts_with("0x"), "{address}");
            assert!(access["offset"].as_u64().expect("a number") < 64);
            let threads = access["threads"].as_array().expect("threads");
            let of_threads: u64 = threads.iter().filter_map(|it| it["samples"].as_u64()).sum();
            assert_eq!(access["samples"], of_threads);
            samples += of_threads;
        }
        assert_eq!(line["samples"], samples);
    }
}

#[test]
fn parts_re_add_to_the_totals() {
    for limit in [None, Some(0), Some(3)] {
        let input = Input::from_bytes(synthetic().file().expect("written"));
        let recording = Recording::open(&input).expect("a readable recording");
        let made = report(&recording, &options(), SortKey::Cost, limit, &|_| {}).expect("a report");
        assert_eq!(Some(sum_of_parts(&made)), made.c2c);
        let listed: u64 = made.lines.iter().map(|line| line.samples).sum();
        assert_eq!(
            listed + made.other_lines.samples + made.unparsable.samples,
            recording.sample_count()
        );
    }
}

#[test]
fn all_lines_are_listed_when_asked_for() {
    let show_all = ReportOptions { show_all: true, ..options() };
    let made = report_of(synthetic().file().expect("written"), &show_all).expect("a report");
    assert_eq!(made.other_lines.lines, 0);
    let no_address = made.unresolved.no_address;
    assert_eq!(made.other_lines.samples, no_address);
    let few = report_of(synthetic().file().expect("written"), &options()).expect("a report");
    assert_eq!(few.lines.len() as u64 + few.other_lines.lines, made.lines.len() as u64);
}

/// Everything but what names the recording's form.
fn comparable(report: &Report) -> Value {
    let mut json = serde_json::to_value(report).expect("JSON");
    json.as_object_mut().expect("an object").remove("warnings");
    json
}

#[test]
fn every_form_of_a_recording_gives_the_same_report() {
    let model = synthetic();
    let expected =
        comparable(&report_of(model.file().expect("written"), &options()).expect("a report"));
    let compressed = Synthetic { compression_level: Some(3), ..model.clone() };
    let big_endian = Synthetic { order: ByteOrder::Big, ..model.clone() };
    for (form, bytes) in [
        ("pipe", model.pipe()),
        ("compressed file", compressed.file()),
        ("compressed pipe", compressed.pipe()),
        ("big-endian file", big_endian.file()),
        ("big-endian pipe", big_endian.pipe()),
    ] {
        let found = report_of(bytes.expect("written"), &options()).expect("a report");
        assert_eq!(comparable(&found), expected, "{form}");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("recording");
    model.directory(&path).expect("written");
    let input = Input::open(&path).expect("opened");
    let recording = Recording::open(&input).expect("a readable recording");
    let found = report(&recording, &options(), SortKey::Cost, None, &|_| {}).expect("a report");
    assert_eq!(comparable(&found), expected, "directory");
}

#[test]
fn a_truncated_recording_is_reported_as_far_as_it_goes() {
    let whole = synthetic().file().expect("written");
    let cut = whole[..whole.len() / 2].to_vec();
    let made = report_of(cut, &options()).expect("a report of the first half");
    let samples = made.recording.samples;
    assert!((8_000..12_000).contains(&samples), "{samples} of 20000 samples");
    let text: Vec<String> = made.warnings.iter().map(|warning| warning.text()).collect();
    assert!(text.iter().any(|text| text.contains("cut off")), "{text:?}");
    assert_eq!(Some(sum_of_parts(&made)), made.c2c);
}

#[test]
fn filters_choose_samples() {
    let bytes = synthetic().file().expect("written");
    let all = report_of(bytes.clone(), &options()).expect("a report");
    let with = |filter: Filter| {
        report_of(bytes.clone(), &ReportOptions { filter, ..options() }).expect("a report")
    };
    let count = |report: &Report| report.c2c.map_or(0, |stats| stats.nr_entries);
    let cpus = |range: std::ops::Range<u32>| Filter {
        cpus: range.map(Cpu).collect(),
        ..Filter::default()
    };
    let (low, high) = (with(cpus(0..8)), with(cpus(8..16)));
    assert_eq!(count(&low) + count(&high), count(&all));
    assert!(low.lines.iter().flat_map(|line| &line.accesses).all(|it| it.nodes == [0]));

    let one = with(Filter { pids: vec![Pid(1000)], ..Filter::default() });
    let threads = one.lines.iter().flat_map(|line| &line.accesses).flat_map(|it| &it.threads);
    assert!(threads.clone().count() > 0 && threads.clone().all(|thread| thread.pid == 1000));
    let named = with(Filter { comms: vec!["server".to_owned()], ..Filter::default() });
    assert!(count(&named) > 0 && count(&named) < count(&all));
    let objects = with(Filter { objects: vec!["server".to_owned()], ..Filter::default() });
    let accesses = || objects.lines.iter().flat_map(|line| &line.accesses);
    assert!(accesses().count() > 0);
    let last = |object: &Option<String>| {
        object.as_deref().map(|it| it.rsplit('/').next() == Some("server"))
    };
    assert!(accesses().all(|it| last(&it.object) == Some(true)));

    let nothing = Filter { to: Some(Time(0)), ..Filter::default() };
    let refused = report_of(bytes.clone(), &ReportOptions { filter: nothing, ..options() });
    assert!(matches!(refused, Err(ReportError::AllFiltered { accepted: 0, samples: 20_000 })));
}

#[test]
fn pairs_of_lines_meet_on_double_lines() {
    let bytes = synthetic().file().expect("written");
    let single = report_of(bytes.clone(), &options()).expect("a report");
    let double = ReportOptions { double_lines: true, ..options() };
    let double = report_of(bytes, &double).expect("a report");
    assert_eq!(double.recording.line_size, 128);
    assert!(double.lines.iter().all(|line| line.address.0 % 128 == 0));
    let total = |report: &Report| report.lines.len() as u64 + report.other_lines.lines;
    assert!(total(&double) < total(&single));
    assert_eq!(double.c2c, single.c2c);
}
