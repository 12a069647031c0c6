//! Data source words and what becomes of them, against the reference's vectors.

mod support;

use std::path::Path;

use hitm::access::{C2cStats, DataSource, PerfVersion, Source};
use support::skipped::skipped;

/// A file of the reference, or `None`, said aloud, where the reference is not there.
fn reference(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference").join(name);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        skipped(&format!("there is no {}", path.display()));
    }
    text
}

fn hexadecimal(text: &str) -> u64 {
    let digits = text.strip_prefix("0x").expect("a hexadecimal number");
    u64::from_str_radix(digits, 16).expect("a hexadecimal number")
}

#[test]
fn counters_of_every_vector_are_perfs() {
    let Some(text) = reference("c2c-vectors.tsv") else { return };
    let old = PerfVersion { major: 6, minor: 15 };
    let mut checked = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, rule, word, address, data_map, code_map, expected] = fields[..] else {
            panic!("a vector has seven fields: {line}");
        };
        let version = if rule == "<=6.15" { old } else { PerfVersion::NEWEST };
        let is_mapped = data_map == "1" && code_map == "1";
        let word = DataSource(hexadecimal(word));
        let stats = C2cStats::of_sample(word, hexadecimal(address), || is_mapped, version);
        let mut found: Vec<String> = C2cStats::NAMES
            .iter()
            .zip(stats.values())
            .filter(|(name, value)| **name != "nr_entries" && *value != 0)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut expected: Vec<String> = expected.split_whitespace().map(str::to_owned).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{name} {rule} {word:?} at {address}");
        assert_eq!(stats.nr_entries, 1);
        checked += 1;
    }
    assert!(checked >= 6000, "only {checked} vectors were there");
}

#[test]
fn words_seen_on_hardware_read_as_perf_prints_them() {
    let Some(text) = reference("data-source-values.tsv") else { return };
    let mut checked = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let (word, expected) = (fields[0], fields[1]);
        // The descriptions come from several versions of perf: levels named twice, hits left out,
        // parts elided. What they agree on is compared part by part.
        if expected == "PERF_MEM_NA of older kernels" {
            continue;
        }
        let text = DataSource(hexadecimal(word)).to_string();
        for part in expected.split('(').next().unwrap_or_default().trim().split('|') {
            let (key, value) = part.split_once(' ').unwrap_or((part, ""));
            let found = text.split('|').find_map(|part| part.strip_prefix(key)).unwrap_or("");
            let first = value.rsplit(" or ").next().unwrap_or_default().trim();
            match (key, value) {
                // "..." stands for what a manual left out; AFF and SIMD are bits no kernel header
                // in our reach names.
                ("...", _) | ("AFF", _) => {}
                ("OP", "STORE SIMD") => assert_eq!(found.trim(), "STORE"),
                // An older encoding that the bits say more precisely.
                ("LVL", "L3 or Remote Cache (1 hop) hit") => {
                    assert_eq!(found.trim(), "L3 or Remote Cache (1 hop) hit", "{word}");
                }
                ("LVL", _) => {
                    assert!(found.contains(first.trim_end_matches(" hit")), "{word}: {text}")
                }
                _ => assert_eq!(found.trim(), value.trim(), "{word}: {text}"),
            }
        }
        checked += 1;
    }
    assert!(checked >= 20, "only {checked} words were there");
}

/// Where the tables of the vendors' hardware say a load came from, in our own accounting.
#[test]
fn every_load_has_the_one_source_that_hardware_means() {
    let Some(text) = reference("c2c-vectors.tsv") else { return };
    let expected = [
        ("base 0", Source::Miss),
        ("base 1", Source::L1),
        ("base 2", Source::FillBuffer),
        ("base 3", Source::L2),
        ("base 4", Source::LastLevel),
        ("base 6", Source::LastLevel),
        ("base 7", Source::LocalHitm),
        ("base 8", Source::RemoteCache),
        // perf counts these two twice, as remote DRAM as well.
        ("base 9", Source::RemoteHitm),
        ("skl d", Source::RemoteHitm),
        ("base a", Source::LocalMemory),
        ("base b", Source::RemoteMemory),
        ("base c", Source::LocalMemory),
        ("base d", Source::RemoteMemory),
        ("base e", Source::Uncached),
        ("base f", Source::Uncached),
        ("skl b", Source::RemoteMemory),
        ("skl c", Source::RemoteCache),
    ];
    for (name, source) in expected {
        let word = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('\t')?.split('\t').nth(1))
            .unwrap_or_else(|| panic!("no vector is named {name}"));
        assert_eq!(Source::of(DataSource(hexadecimal(word))), source, "{name} {word}");
    }
}
