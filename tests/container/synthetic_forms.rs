//! One synthetic recording in every form holds the same, and perf reads it as we do.

use hitm::perf_data::{ByteOrder, Features, Input, Recording, SampleType};

use crate::support::perf_oracle::{self, Dumped};
use crate::support::synthetic::Synthetic;

/// What a sample says, whatever form it was written in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Content {
    time: Option<u64>,
    event: usize,
    misc: u16,
    fields: [Option<u64>; 7],
    thread: Option<(u32, u32)>,
    cpu: Option<u32>,
    chain: Option<Vec<u64>>,
}

fn contents(input: &Input) -> (Features, Vec<Content>) {
    let recording = Recording::open(input).expect("a synthetic recording");
    assert_eq!(recording.damage(), []);
    let mut contents = Vec::new();
    for batch in recording.batches() {
        for (_, record) in recording.samples(batch) {
            let (event, sample) = recording.decode(&record).expect("a sample of a known event");
            contents.push(Content {
                time: sample.time,
                event,
                misc: record.misc,
                fields: [
                    sample.ip,
                    sample.addr,
                    sample.id,
                    sample.period,
                    sample.weight,
                    sample.data_src,
                    sample.phys_addr,
                ],
                thread: sample.thread,
                cpu: sample.cpu,
                chain: sample.callchain.map(|chain| chain.iter().collect()),
            });
        }
    }
    let mut features = recording.features().clone();
    // The one section that is there exactly when the recording is compressed.
    features.compression = None;
    (features, contents)
}

#[test]
fn every_form_holds_the_same() {
    let little = Synthetic { samples: 4000, callchains: true, ..Synthetic::default() };
    let (features, samples) = contents(&Input::from_bytes(little.file().unwrap()));
    assert_eq!(samples.len(), 4000);
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for compression_level in [None, Some(1), Some(9)] {
            let synthetic = Synthetic { order, compression_level, ..little.clone() };
            for bytes in [synthetic.file().unwrap(), synthetic.pipe().unwrap()] {
                let (these_features, these_samples) = contents(&Input::from_bytes(bytes));
                assert_eq!(these_features, features, "{synthetic:?}");
                assert!(these_samples == samples, "{synthetic:?}");
            }
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("recording");
            synthetic.directory(&path).unwrap();
            let (_, mut these_samples) = contents(&Input::open(&path).unwrap());
            // The files of a directory come one after the other, not by round.
            these_samples.sort();
            let mut sorted = contents(&Input::from_bytes(little.file().unwrap())).1;
            sorted.sort();
            assert!(these_samples == sorted, "{synthetic:?} as a directory");
        }
    }
}

/// The generator keeps what it promises: rounds, times, and the hard cases.
#[test]
fn synthetic_recordings_are_as_hard_as_they_say() {
    let input = Input::from_bytes(Synthetic::default().file().unwrap());
    let (_, samples) = contents(&input);
    let count = |is_so: &dyn Fn(&Content) -> bool| samples.iter().filter(|one| is_so(one)).count();
    assert!(count(&|one| one.fields[1] == Some(0)) > 20, "samples without an address");
    assert!(count(&|one| one.fields[6] == Some(0)) > 100, "samples without a physical address");
    assert!(count(&|one| one.misc & 7 == 1) > 100, "samples in the kernel");
    assert!(count(&|one| one.event == 1) > 1000, "stores");
    for cpu in 0..16 {
        let times: Vec<_> = samples.iter().filter(|one| one.cpu == Some(cpu)).collect();
        assert!(times.windows(2).all(|pair| pair[0].time < pair[1].time), "cpu {cpu}");
    }
    let descents = samples.windows(2).filter(|pair| pair[0].time > pair[1].time).count();
    assert!(descents > 100, "the order of the file is not that of time");
}

#[test]
fn perf_reads_every_form_as_we_do() {
    let Some(perf) = perf_oracle::perf() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for weight in [SampleType::WEIGHT, SampleType::WEIGHT_STRUCT] {
            for compression_level in [None, Some(3)] {
                let callchains = weight == SampleType::WEIGHT;
                let synthetic = Synthetic {
                    samples: 2000,
                    order,
                    weight,
                    compression_level,
                    callchains,
                    ..Synthetic::default()
                };
                let path = folder.path().join("file");
                let mut forms = vec![synthetic.file().unwrap()];
                // perf 6.1 forgets to swap the number of a feature in a pipe and gives up.
                if order == ByteOrder::Little {
                    forms.push(synthetic.pipe().unwrap());
                }
                for bytes in forms {
                    std::fs::write(&path, bytes).unwrap();
                    assert_eq!(perf.dump(&path).len(), 2000);
                    perf_oracle::assert_agrees(&perf, &path);
                }
                let path = folder.path().join("directory");
                synthetic.directory(&path).unwrap();
                let mut dumped: Vec<Dumped> = perf.dump(&path);
                assert_eq!(dumped.len(), 2000);
                dumped.retain(|sample| sample.cpu.is_none_or(|cpu| cpu >= 16));
                assert!(dumped.is_empty(), "CPUs that the machine has not: {dumped:?}");
                perf_oracle::assert_agrees(&perf, &path);
                std::fs::remove_dir_all(&path).unwrap();
            }
        }
    }
}
