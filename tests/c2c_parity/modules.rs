//! Code and data of kernel modules, which perf addresses by their place in the module's file, so that
//! it takes equal places of two modules for one line.

use std::io::Cursor;

use hitm::perf_data::{
    Features, ImageBuildId, MappedObject, Mmap, Sample, SampleId, SampleType, Writer, WriterOptions,
};

use crate::support::machine;

const KERNEL: u16 = 1;
const CORE: u64 = 0xffff_ffff_8100_0000;
const LOCAL_HITM: u64 = 0x6_0080_0842;

/// Start and name of what the kernel has mapped.
const MODULES: [(u64, &[u8]); 4] = [
    (0xffff_ffff_c010_0000, b"[alpha]"),
    (0xffff_ffff_c020_0000, b"/lib/modules/6.1.0/kernel/drivers/beta.ko"),
    (0xffff_ffff_c030_0000, b"/lib/modules/6.1.0/kernel/drivers/gamma-two.ko"),
    (0xffff_ffff_c040_0000, b"/lib/modules/6.1.0/extra/delta.ko.gz"),
];

/// The core kernel and its modules touch their own data, and some of it at equal places.
pub fn recording() -> Vec<u8> {
    let events = machine::events(SampleType::WEIGHT, false, false);
    let file = Cursor::new(Vec::new());
    let mut writer = Writer::file(file, events, WriterOptions::default()).expect("in memory");
    let mut map = |start, length, page_offset, name| {
        let object = MappedObject::Unknown;
        let (pid, tid, protection, flags) = (u32::MAX, 0, 0, 0);
        let mmap = Mmap { pid, tid, start, length, page_offset, object, protection, flags, name };
        writer.mmap(KERNEL, &mmap, &SampleId::default()).expect("in memory");
    };
    map(CORE, 0x100_0000, CORE, b"[kernel.kallsyms]_text");
    MODULES.iter().for_each(|(start, name)| map(*start, 0x1_0000, 0, name));
    let starts = MODULES.iter().map(|(start, _)| *start).chain([CORE]);
    let mut time = 1000;
    for (count, start) in starts.enumerate() {
        for place in [0x1040, 0x1048, 0x2000 + count as u64 * 0x40] {
            for _ in 0..=count {
                time += 1;
                let sample = Sample {
                    ip: Some(start + 0x100),
                    thread: Some((7, 7)),
                    time: Some(time),
                    addr: Some(start + place),
                    cpu: Some(0),
                    period: Some(1),
                    weight: Some(50),
                    data_src: Some(LOCAL_HITM),
                    ..Sample::default()
                };
                writer.sample(0, KERNEL, &sample).expect("in memory");
            }
        }
    }
    // A kernel that runs nowhere: perf would otherwise name its code by the kernel that runs here.
    let kernel = ImageBuildId {
        misc: KERNEL,
        pid: -1,
        build_id: vec![7; 20],
        name: "[kernel.kallsyms]".to_owned(),
    };
    let features = Features { build_ids: vec![kernel], ..machine::features() };
    writer.finish(&features).expect("in memory").into_inner()
}
