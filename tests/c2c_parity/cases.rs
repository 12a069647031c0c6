//! The recordings and options on which both programs must agree.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use hitm::perf_data::{ByteOrder, SampleType};
use tempfile::TempDir;

use super::compare::Differences;
use super::report_text::Report;
use super::{halves, modules, programs};
use crate::support::compiled;
use crate::support::skipped::skipped;
use crate::support::synthetic::Synthetic;

/// Synthetic recordings, made once for all tests of this binary.
struct Recordings {
    folder: TempDir,
}

impl Recordings {
    fn get() -> &'static Self {
        static MADE: OnceLock<Recordings> = OnceLock::new();
        MADE.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder for recordings");
            let image = compiled::compile(folder.path());
            if image.is_none() {
                skipped("there is no C compiler: names are compared on missing images only");
            }
            let base = Synthetic { samples: 100_000, image, ..Synthetic::default() };
            let (order, compression_level) = (ByteOrder::Big, Some(1));
            let recordings = [
                ("loads-and-stores", base.clone()),
                ("other-seed", Synthetic { seed: 2, image: None, ..base.clone() }),
                ("few-samples", Synthetic { samples: 3000, seed: 3, ..base.clone() }),
                ("weight", Synthetic { weight: SampleType::WEIGHT, seed: 4, ..base.clone() }),
                ("one-sample", Synthetic { samples: 1, seed: 8, ..base.clone() }),
                (
                    "big-endian",
                    Synthetic { samples: 3000, seed: 6, order, compression_level, ..base.clone() },
                ),
                (
                    "odd",
                    Synthetic {
                        samples: 5000,
                        seed: 7,
                        cycles: true,
                        odd_modes: true,
                        ..base.clone()
                    },
                ),
                ("chains", Synthetic { samples: 20_000, callchains: true, seed: 5, ..base }),
            ];
            for (name, synthetic) in recordings {
                let bytes = synthetic.file().expect("in memory");
                std::fs::write(folder.path().join(name), bytes).expect("room for recordings");
            }
            Self { folder }
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Differences of one recording and set of options.
fn differences(recording: &Path, options: &[&str]) -> Option<Differences> {
    let version = programs::perf_version()?;
    let theirs = Report::parse(&programs::perf(recording, options));
    let ours = Report::parse(&programs::hitm(recording, options, &version));
    // A comparison of nothing with nothing would always succeed.
    assert!(!theirs.figures.is_empty(), "perf printed nothing");
    Some(Differences::between(&theirs, &ours))
}

fn assert_parity(recording: &Path, options: &[&str]) {
    if let Some(differences) = differences(recording, options) {
        let name = recording.file_name().unwrap_or_default().display();
        assert!(differences.is_empty(), "{name} with {options:?}\n{differences}");
    }
}

/// One test for each set of options, on the recordings that are named.
macro_rules! cases {
    ($($test:ident: [$($recording:literal),*] $options:expr;)*) => {
        $(
            #[test]
            fn $test() {
                $(assert_parity(&Recordings::get().path($recording), &$options);)*
            }
        )*
    };
}

cases! {
    default_options: ["loads-and-stores", "other-seed", "few-samples"] [];
    nothing_to_show: ["one-sample"] ["-d", "lcl"];
    other_byte_order: ["big-endian"] [];
    an_event_without_addresses_and_odd_modes: ["odd"] [];
    odd_rows_by_object: ["odd"] ["-c", "dso,pid", "--show-all"];
    by_local_hitm: ["loads-and-stores", "few-samples"] ["-d", "lcl"];
    by_remote_hitm: ["loads-and-stores", "few-samples"] ["-d", "rmt"];
    by_peer_snoop: ["loads-and-stores", "few-samples"] ["-d", "peer"];
    rows_by_pid_and_address: ["loads-and-stores", "few-samples"] ["-c", "pid,iaddr"];
    rows_by_tid_and_address: ["loads-and-stores", "few-samples"] ["-c", "tid,iaddr"];
    rows_by_pid_and_tid: ["loads-and-stores", "few-samples"] ["-c", "pid,tid"];
    rows_by_pid: ["loads-and-stores"] ["-c", "pid"];
    rows_by_object: ["loads-and-stores", "few-samples"] ["-c", "dso"];
    rows_by_object_and_tid: ["few-samples"] ["-c", "dso,tid"];
    rows_by_everything: ["few-samples"] ["-c", "iaddr,dso,pid,tid"];
    nodes_with_shares: ["loads-and-stores", "few-samples"] ["-N"];
    nodes_with_shares_of_peers: ["few-samples"] ["-N", "-d", "peer"];
    nodes_with_shares_of_local_hitm: ["few-samples"] ["-N", "-d", "lcl"];
    nodes_with_cpus: ["loads-and-stores", "few-samples"] ["-N", "-N"];
    all_lines: ["few-samples"] ["--show-all"];
    all_lines_and_everything: ["few-samples"]
        ["--show-all", "-N", "-N", "-c", "pid,tid,iaddr", "-d", "peer"];
    totals_only: ["loads-and-stores", "weight"] ["--stats"];
    full_symbols: ["loads-and-stores", "few-samples"] ["--full-symbols"];
    without_source: ["loads-and-stores", "few-samples"] ["--no-source"];
    plain_weights: ["weight"] [];
    plain_weights_by_peer: ["weight"] ["-d", "peer"];
}

#[test]
fn shares_between_two_printed_numbers() {
    let folder = tempfile::tempdir().expect("a folder for recordings");
    let path = folder.path().join("halves");
    for bytes in halves::recordings() {
        std::fs::write(&path, bytes).expect("room for recordings");
        assert_parity(&path, &["-N", "--no-source"]);
    }
}

/// Rows of a recording with call chains; the chains themselves are the next test's.
#[test]
fn rows_with_chains() {
    for options in [&[][..], &["-g"]] {
        if let Some(mut differences) = differences(&Recordings::get().path("chains"), options) {
            differences.chains.clear();
            assert!(differences.is_empty(), "{options:?}\n{differences}");
        }
    }
}

#[test]
fn modules_of_the_kernel() {
    let folder = tempfile::tempdir().expect("a folder for a recording");
    let path = folder.path().join("modules");
    std::fs::write(&path, modules::recording()).expect("written");
    for options in [&[][..], &["-c", "dso"], &["--show-all", "--full-symbols"]] {
        assert_parity(&path, options);
    }
}

/// Recordings of real machines, beside the project; without them this says so and passes.
#[test]
fn real_recordings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/recordings/memory");
    if !folder.is_dir() {
        skipped(&format!("there is no {}", folder.display()));
        return;
    }
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        for options in [&[][..], &["--show-all"], &["--show-all", "-N", "-c", "pid,tid,iaddr"]] {
            assert_parity(&path, options);
        }
    }
}

/// Many small recordings, each with options of its own; `SEEDS=1000` makes more of them.
#[test]
fn many_recordings() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(36);
    let folder = tempfile::tempdir().expect("a folder for recordings");
    let options: [&[&str]; 6] = [
        &[],
        &["-d", "lcl", "-c", "pid,iaddr"],
        &["-d", "rmt", "-c", "tid"],
        &["-d", "peer", "-N"],
        &["--show-all", "-c", "dso"],
        &["-N", "-N", "-c", "pid,tid,iaddr", "--full-symbols"],
    ];
    for seed in 100..100 + seeds {
        let synthetic = Synthetic {
            samples: 50 << (seed % 9),
            seed,
            cycles: seed % 3 == 0,
            odd_modes: seed % 4 == 0,
            weight: if seed % 5 == 0 { SampleType::WEIGHT } else { SampleType::WEIGHT_STRUCT },
            contended_lines: 1 + (seed % 60) as usize,
            ..Synthetic::default()
        };
        let path = folder.path().join(format!("seed-{seed}"));
        std::fs::write(&path, synthetic.file().expect("in memory")).expect("written");
        assert_parity(&path, options[(seed % 6) as usize]);
    }
}
