//! A recording of the clock in which debug registers watched some lines.

use std::io::{self, Cursor};

use hitm::perf_data::{
    ArmedRegister, AttrFlags, Comm, Encoder, EventAttr, EventChange, EventSpec, EventUpdate,
    Features, RecordType, Registers, Sample, SampleId, SampleType, WatchTurn, Words, Writer,
    WriterOptions,
};

const PID: u32 = 77;
const LINE: u64 = 0x7000_0000_1000;
const USER: u16 = 2;

/// Twelve turns, each of two threads with four registers on one of three lines; all lines are hit by
/// both threads in turn.
pub fn recording() -> io::Result<Vec<u8>> {
    let common = EventAttr {
        sample_period: 1,
        sample_type: SampleType::IP
            | SampleType::TID
            | SampleType::TIME
            | SampleType::ADDR
            | SampleType::IDENTIFIER
            | SampleType::CPU
            | SampleType::PERIOD
            | SampleType::REGS_USER,
        sample_regs_user: 1,
        flags: AttrFlags::SAMPLE_ID_ALL | AttrFlags::COMM | AttrFlags::TASK,
        ..EventAttr::default()
    };
    let clock = EventAttr { kind: 1, config: 0, sample_period: 1_000_000, ..common };
    let mut events = vec![EventSpec { attr: clock, name: "cpu-clock".to_owned(), ids: vec![1] }];
    // Register: line, word and thread; the same event watches in four turns.
    let registers = || (0..24_u64).map(|n| (n / 8, n / 2 % 4, n % 2));
    for (number, (line, word, _)) in registers().enumerate() {
        let (kind, address) = (2 + u32::from(word % 2 == 0), LINE + line * 64 + word * 8);
        let attr = EventAttr { kind: 5, bp_type: kind, config1: address, config2: 8, ..common };
        let name = format!("mem:{address:#x}/8");
        events.push(EventSpec { attr, name, ids: vec![2 + number as u64] });
    }
    let options = WriterOptions::default();
    let mut writer = Writer::file(Cursor::new(Vec::new()), events, options)?;
    let id = SampleId { thread: Some((PID, PID)), time: Some(1), ..SampleId::default() };
    writer.comm(0, &Comm { pid: PID, tid: PID, name: b"watched" }, &id)?;
    let mut time = 1_000_000;
    let sample = |writer: &mut Writer<Cursor<Vec<u8>>>, event: usize, thread: u32, time| {
        let sample = Sample {
            ip: Some(0x40_1000),
            identifier: Some(event as u64 + 1),
            thread: Some((PID, PID + thread)),
            time: Some(time),
            addr: Some(LINE),
            cpu: Some(thread),
            period: Some(1_000_000),
            regs_user: Some(Registers { abi: 2, values: Words::new(&[0; 8], options.order) }),
            ..Sample::default()
        };
        writer.sample(event, USER, &sample)
    };
    for turn in 0..12_u64 {
        for _ in 0..4 {
            sample(&mut writer, 0, 0, time)?;
            for (number, (_, _, thread)) in registers().enumerate().filter(|it| it.1.0 == turn % 3)
            {
                time += 20_000;
                sample(&mut writer, 1 + number, thread as u32, time)?;
            }
        }
        let armed = registers().enumerate().filter(|it| it.1.0 == turn % 3);
        let registers = armed.map(|(number, (line, word, thread))| ArmedRegister {
            id: 2 + number as u64,
            tid: PID + thread as u32,
            length: 8,
            kind: 2 + u16::from(word % 2 == 0),
            address: LINE + line * 64 + word * 8,
            ran: 20_000_000,
        });
        let turn =
            WatchTurn { pid: PID, time, duration: 20_000_000, registers: registers.collect() };
        let mut body = Encoder::new(options.order);
        EventUpdate { id: 1, change: EventChange::Watched(turn) }.encode(&mut body);
        writer.record(RecordType::EVENT_UPDATE, 0, body.as_slice())?;
    }
    writer.finished_round()?;
    Ok(writer.finish(&Features::default())?.into_inner())
}
