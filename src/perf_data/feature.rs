//! Feature sections: facts about the machine and the recording, behind the data (file) or in
//! HEADER_FEATURE records (pipe).
//!
//! Layouts: `tools/perf/Documentation/perf.data-file-format.txt`.

use std::fmt;

use super::attr::EventAttr;
use super::cursor::{ByteOrder, Cursor, ShortRead, until_nul};
use super::encoder::Encoder;
use super::record::{RECORD_HEADER_SIZE, RecordType, frame};
use super::user_records::BuildIdRecord;

/// A feature's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureId(pub u32);

macro_rules! feature_ids {
    ($($name:ident = $value:expr;)*) => {
        #[allow(missing_docs)]
        impl FeatureId {
            $(pub const $name: Self = Self($value);)*

            /// Its name, if it is a known one.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

feature_ids! {
    TRACING_DATA = 1;
    BUILD_ID = 2;
    HOSTNAME = 3;
    OSRELEASE = 4;
    VERSION = 5;
    ARCH = 6;
    NRCPUS = 7;
    CPUDESC = 8;
    CPUID = 9;
    TOTAL_MEM = 10;
    CMDLINE = 11;
    EVENT_DESC = 12;
    CPU_TOPOLOGY = 13;
    NUMA_TOPOLOGY = 14;
    BRANCH_STACK = 15;
    PMU_MAPPINGS = 16;
    GROUP_DESC = 17;
    AUXTRACE = 18;
    STAT = 19;
    CACHE = 20;
    SAMPLE_TIME = 21;
    MEM_TOPOLOGY = 22;
    CLOCKID = 23;
    DIR_FORMAT = 24;
    BPF_PROG_INFO = 25;
    BPF_BTF = 26;
    COMPRESSED = 27;
    CPU_PMU_CAPS = 28;
    CLOCK_DATA = 29;
    HYBRID_TOPOLOGY = 30;
    PMU_CAPS = 31;
    CPU_DOMAIN_INFO = 32;
    E_MACHINE = 33;
    CLN_SIZE = 34;
}

impl fmt::Display for FeatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// An event's name and ids, from EVENT_DESC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventDescription {
    /// Its attribute, as that section has it.
    pub attr: EventAttr,
    /// Its name.
    pub name: String,
    /// Its ids.
    pub ids: Vec<u64>,
}

/// A NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NumaNode {
    /// Number.
    pub id: u32,
    /// Memory, KiB.
    pub total_kib: u64,
    /// Free memory, KiB.
    pub free_kib: u64,
    /// Its CPUs.
    pub cpus: Vec<u32>,
}

/// Which physical memory blocks belong to which node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryTopology {
    /// Bytes of a block.
    pub block_size: u64,
    /// Node number and the indices of its blocks, as ranges of consecutive ones (first, last).
    pub nodes: Vec<(u64, Vec<(u64, u64)>)>,
}

impl MemoryTopology {
    /// The node of a physical address.
    pub fn node_of(&self, physical_address: u64) -> Option<u64> {
        let block = physical_address.checked_div(self.block_size)?;
        let holds = |ranges: &[(u64, u64)]| ranges.iter().any(|(a, b)| (*a..=*b).contains(&block));
        self.nodes.iter().find(|(_, ranges)| holds(ranges)).map(|(node, _)| *node)
    }
}

/// One kind of cache.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cache {
    /// Level, from 1.
    pub level: u32,
    /// Bytes of a line.
    pub line_size: u32,
    /// Sets.
    pub sets: u32,
    /// Ways.
    pub ways: u32,
    /// `Data`, `Instruction` or `Unified`.
    pub kind: String,
    /// `32K` and the like.
    pub size: String,
    /// The CPUs that share it, as a list.
    pub cpus: String,
}

/// Which CPUs share a package, core and die.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuTopology {
    /// CPU lists of packages.
    pub packages: Vec<String>,
    /// CPU lists of cores.
    pub cores: Vec<String>,
    /// Core and package number of each CPU.
    pub cpus: Vec<(u32, u32)>,
    /// CPU lists of dies.
    pub dies: Vec<String>,
    /// Die number of each CPU.
    pub cpu_dies: Vec<u32>,
}

/// How records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CompressionInfo {
    /// Version of this section.
    pub version: u32,
    /// 1 for zstd.
    pub kind: u32,
    /// Level.
    pub level: u32,
    /// Achieved ratio.
    pub ratio: u32,
    /// Bytes that one record decompresses to at most.
    pub mmap_length: u32,
}

/// A build id of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageBuildId {
    /// Where the image is mapped: a cpumode of a record's `misc`.
    pub misc: u16,
    /// Process of the guest, -1 for the host.
    pub pid: i32,
    /// The build id.
    pub build_id: Vec<u8>,
    /// Name of the image, as in its mappings.
    pub name: String,
}

/// All features of a recording. What it does not have is `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features {
    /// Host name.
    pub hostname: Option<String>,
    /// Kernel release.
    pub os_release: Option<String>,
    /// Version of the recorder.
    pub version: Option<String>,
    /// Machine, as `uname -m` says it.
    pub arch: Option<String>,
    /// CPUs available and online.
    pub cpus: Option<(u32, u32)>,
    /// CPU model.
    pub cpu_description: Option<String>,
    /// CPU identification, `GenuineIntel,6,85,4` or a MIDR.
    pub cpuid: Option<String>,
    /// Memory, KiB.
    pub total_memory_kib: Option<u64>,
    /// The recorder's command line.
    pub command_line: Vec<String>,
    /// Events.
    pub events: Vec<EventDescription>,
    /// CPU topology.
    pub cpu_topology: Option<CpuTopology>,
    /// NUMA nodes; `None` when the recording has no such section.
    pub numa_nodes: Option<Vec<NumaNode>>,
    /// PMU numbers and names.
    pub pmu_mappings: Vec<(u32, String)>,
    /// Event groups: name, index of the leader, members.
    pub groups: Vec<(String, u32, u32)>,
    /// Caches.
    pub caches: Vec<Cache>,
    /// First and last sample time, ns.
    pub sample_time: Option<(u64, u64)>,
    /// Physical memory by node.
    pub memory_topology: Option<MemoryTopology>,
    /// Resolution of the clock, ns.
    pub clock_resolution: Option<u64>,
    /// Clock number, wall clock ns and that clock's ns at one instant.
    pub clock_data: Option<(u32, u64, u64)>,
    /// Version of the directory's layout, where the recording is a directory; perf reads the other
    /// files of a directory only when it is told that there are some.
    pub directory_format: Option<u64>,
    /// Compression.
    pub compression: Option<CompressionInfo>,
    /// Capabilities of the PMU `cpu`: name and value.
    pub cpu_pmu_caps: Vec<(String, String)>,
    /// Kinds of CPUs in a hybrid machine: PMU and CPU list.
    pub hybrid_topology: Vec<(String, String)>,
    /// PMUs and their capabilities.
    pub pmu_caps: Vec<(String, Vec<(String, String)>)>,
    /// Build ids.
    pub build_ids: Vec<ImageBuildId>,
    /// ELF machine and flags.
    pub elf_machine: Option<(u32, u32)>,
    /// Cache line size, bytes.
    pub cache_line_size: Option<u32>,
    /// Whether branch stacks were recorded.
    pub has_branch_stack: bool,
    /// Sections that are not read, with their sizes.
    pub others: Vec<(FeatureId, u64)>,
}

impl Features {
    /// Reads one feature's payload into its field.
    ///
    /// # Errors
    ///
    /// [`ShortRead`] when it is shorter than it should be; the field then stays as it was.
    pub fn decode(
        &mut self,
        id: FeatureId,
        payload: &[u8],
        order: ByteOrder,
    ) -> Result<(), ShortRead> {
        let cursor = &mut Cursor::new(payload, order);
        match id {
            FeatureId::HOSTNAME => self.hostname = Some(string(cursor)?),
            FeatureId::OSRELEASE => self.os_release = Some(string(cursor)?),
            FeatureId::VERSION => self.version = Some(string(cursor)?),
            FeatureId::ARCH => self.arch = Some(string(cursor)?),
            FeatureId::NRCPUS => self.cpus = Some((cursor.u32()?, cursor.u32()?)),
            FeatureId::CPUDESC => self.cpu_description = Some(string(cursor)?),
            FeatureId::CPUID => self.cpuid = Some(string(cursor)?),
            FeatureId::TOTAL_MEM => self.total_memory_kib = Some(cursor.u64()?),
            FeatureId::CMDLINE => self.command_line = list(cursor, string)?,
            FeatureId::EVENT_DESC => self.events = event_descriptions(cursor)?,
            FeatureId::CPU_TOPOLOGY => {
                let available = self.cpus.map_or(0, |(available, _)| available);
                self.cpu_topology = Some(cpu_topology(cursor, available)?);
            }
            FeatureId::NUMA_TOPOLOGY => {
                let mut room = MAX_CPUS;
                self.numa_nodes = Some(list(cursor, |cursor| numa_node(cursor, &mut room))?);
            }
            FeatureId::BRANCH_STACK => self.has_branch_stack = true,
            FeatureId::PMU_MAPPINGS => {
                self.pmu_mappings = list(cursor, |cursor| Ok((cursor.u32()?, string(cursor)?)))?;
            }
            FeatureId::GROUP_DESC => {
                self.groups =
                    list(cursor, |cursor| Ok((string(cursor)?, cursor.u32()?, cursor.u32()?)))?;
            }
            FeatureId::CACHE => {
                cursor.u32()?;
                self.caches = list(cursor, cache)?;
            }
            FeatureId::SAMPLE_TIME => self.sample_time = Some((cursor.u64()?, cursor.u64()?)),
            FeatureId::MEM_TOPOLOGY => self.memory_topology = Some(memory_topology(cursor)?),
            FeatureId::CLOCKID => self.clock_resolution = Some(cursor.u64()?),
            FeatureId::DIR_FORMAT => self.directory_format = Some(cursor.u64()?),
            FeatureId::CLOCK_DATA => {
                cursor.u32()?;
                self.clock_data = Some((cursor.u32()?, cursor.u64()?, cursor.u64()?));
            }
            FeatureId::COMPRESSED => {
                self.compression = Some(CompressionInfo {
                    version: cursor.u32()?,
                    kind: cursor.u32()?,
                    level: cursor.u32()?,
                    ratio: cursor.u32()?,
                    mmap_length: cursor.u32()?,
                });
            }
            FeatureId::CPU_PMU_CAPS => self.cpu_pmu_caps = list(cursor, pair)?,
            FeatureId::HYBRID_TOPOLOGY => self.hybrid_topology = list(cursor, pair)?,
            FeatureId::PMU_CAPS => {
                self.pmu_caps = list(cursor, |cursor| {
                    let caps = list(cursor, pair)?;
                    Ok((string(cursor)?, caps))
                })?;
            }
            FeatureId::BUILD_ID => self.build_ids = build_ids(payload, order)?,
            FeatureId::E_MACHINE => self.elf_machine = Some((cursor.u32()?, cursor.u32()?)),
            FeatureId::CLN_SIZE => self.cache_line_size = Some(cursor.u32()?),
            other => self.others.push((other, payload.len() as u64)),
        }
        Ok(())
    }

    /// The payload of one feature, or `None` when the recording has it not or it is not written.
    pub fn encode(&self, id: FeatureId, order: ByteOrder) -> Option<Vec<u8>> {
        let mut encoder = Encoder::new(order);
        let e = &mut encoder;
        match id {
            FeatureId::HOSTNAME => put_string(e, self.hostname.as_deref()?),
            FeatureId::OSRELEASE => put_string(e, self.os_release.as_deref()?),
            FeatureId::VERSION => put_string(e, self.version.as_deref()?),
            FeatureId::ARCH => put_string(e, self.arch.as_deref()?),
            FeatureId::NRCPUS => {
                let (available, online) = self.cpus?;
                e.u32(available);
                e.u32(online);
            }
            FeatureId::CPUDESC => put_string(e, self.cpu_description.as_deref()?),
            FeatureId::CPUID => put_string(e, self.cpuid.as_deref()?),
            FeatureId::TOTAL_MEM => e.u64(self.total_memory_kib?),
            FeatureId::CMDLINE => put_list(e, &self.command_line, |e, text| put_string(e, text))?,
            FeatureId::EVENT_DESC => put_event_descriptions(e, &self.events)?,
            FeatureId::CPU_TOPOLOGY => put_cpu_topology(e, self.cpu_topology.as_ref()?),
            FeatureId::NUMA_TOPOLOGY => {
                put_list(e, self.numa_nodes.as_ref()?, |e, node| {
                    e.u32(node.id);
                    e.u64(node.total_kib);
                    e.u64(node.free_kib);
                    put_string(e, &format_cpu_list(&node.cpus));
                })?;
            }
            FeatureId::BRANCH_STACK => return self.has_branch_stack.then(Vec::new),
            FeatureId::PMU_MAPPINGS => put_list(e, &self.pmu_mappings, |e, (kind, name)| {
                e.u32(*kind);
                put_string(e, name);
            })?,
            FeatureId::GROUP_DESC => put_list(e, &self.groups, |e, (name, leader, members)| {
                put_string(e, name);
                e.u32(*leader);
                e.u32(*members);
            })?,
            FeatureId::CACHE => {
                e.u32(1);
                put_list(e, &self.caches, |e, cache| {
                    for value in [cache.level, cache.line_size, cache.sets, cache.ways] {
                        e.u32(value);
                    }
                    for text in [&cache.kind, &cache.size, &cache.cpus] {
                        put_string(e, text);
                    }
                })?;
            }
            FeatureId::SAMPLE_TIME => {
                let (first, last) = self.sample_time?;
                e.u64(first);
                e.u64(last);
            }
            FeatureId::MEM_TOPOLOGY => put_memory_topology(e, self.memory_topology.as_ref()?),
            FeatureId::CLOCKID => e.u64(self.clock_resolution?),
            FeatureId::DIR_FORMAT => e.u64(self.directory_format?),
            FeatureId::CLOCK_DATA => {
                let (clock, wall, time) = self.clock_data?;
                e.u32(1);
                e.u32(clock);
                e.u64(wall);
                e.u64(time);
            }
            FeatureId::COMPRESSED => {
                let info = self.compression?;
                for value in [info.version, info.kind, info.level, info.ratio, info.mmap_length] {
                    e.u32(value);
                }
            }
            FeatureId::CPU_PMU_CAPS => put_list(e, &self.cpu_pmu_caps, put_pair)?,
            FeatureId::HYBRID_TOPOLOGY => put_list(e, &self.hybrid_topology, put_pair)?,
            FeatureId::PMU_CAPS => put_list(e, &self.pmu_caps, |e, (name, caps)| {
                e.u32(caps.len() as u32);
                caps.iter().for_each(|cap| put_pair(e, cap));
                put_string(e, name);
            })?,
            FeatureId::BUILD_ID => put_build_ids(e, &self.build_ids)?,
            FeatureId::E_MACHINE => {
                let (machine, flags) = self.elf_machine?;
                e.u32(machine);
                e.u32(flags);
            }
            FeatureId::CLN_SIZE => e.u32(self.cache_line_size?),
            _ => return None,
        }
        Some(encoder.into_bytes())
    }
}

/// `u32` length (padding counted) and that many bytes.
fn string(cursor: &mut Cursor<'_>) -> Result<String, ShortRead> {
    let length = cursor.u32()? as usize;
    Ok(String::from_utf8_lossy(until_nul(cursor.bytes(length)?)).into_owned())
}

fn pair(cursor: &mut Cursor<'_>) -> Result<(String, String), ShortRead> {
    Ok((string(cursor)?, string(cursor)?))
}

/// `u32` count and that many items; memory grows with what is really there, not with the count.
fn list<'a, T>(
    cursor: &mut Cursor<'a>,
    mut item: impl FnMut(&mut Cursor<'a>) -> Result<T, ShortRead>,
) -> Result<Vec<T>, ShortRead> {
    let count = cursor.u32()?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(item(cursor)?);
    }
    Ok(items)
}

fn event_descriptions(cursor: &mut Cursor<'_>) -> Result<Vec<EventDescription>, ShortRead> {
    let (count, attr_size) = (cursor.u32()?, cursor.u32()? as usize);
    let mut events = Vec::new();
    for _ in 0..count {
        let attr = EventAttr::decode(cursor.bytes(attr_size)?, cursor.order())?;
        let id_count = cursor.u32()?;
        let name = string(cursor)?;
        let ids = cursor.words(u64::from(id_count))?.iter().collect();
        events.push(EventDescription { attr, name, ids });
    }
    Ok(events)
}

fn cpu_topology(cursor: &mut Cursor<'_>, available: u32) -> Result<CpuTopology, ShortRead> {
    let mut topology = CpuTopology {
        packages: list(cursor, string)?,
        cores: list(cursor, string)?,
        ..CpuTopology::default()
    };
    // Old recordings end here, or after the numbers of each CPU.
    for _ in 0..available {
        if cursor.rest().is_empty() {
            return Ok(topology);
        }
        topology.cpus.push((cursor.u32()?, cursor.u32()?));
    }
    if !cursor.rest().is_empty() {
        topology.dies = list(cursor, string)?;
        for _ in 0..available {
            topology.cpu_dies.push(cursor.u32()?);
        }
    }
    Ok(topology)
}

/// A node takes its CPUs from the `room` that all nodes have together: a CPU is in one node only.
fn numa_node(cursor: &mut Cursor<'_>, room: &mut usize) -> Result<NumaNode, ShortRead> {
    let (id, total_kib, free_kib) = (cursor.u32()?, cursor.u64()?, cursor.u64()?);
    let cpus = parse_cpus(&string(cursor)?, *room);
    *room -= cpus.len();
    Ok(NumaNode { id, total_kib, free_kib, cpus })
}

fn cache(cursor: &mut Cursor<'_>) -> Result<Cache, ShortRead> {
    Ok(Cache {
        level: cursor.u32()?,
        line_size: cursor.u32()?,
        sets: cursor.u32()?,
        ways: cursor.u32()?,
        kind: string(cursor)?,
        size: string(cursor)?,
        cpus: string(cursor)?,
    })
}

fn memory_topology(cursor: &mut Cursor<'_>) -> Result<MemoryTopology, ShortRead> {
    cursor.u64()?;
    let block_size = cursor.u64()?;
    let count = cursor.u64()?;
    let mut nodes = Vec::new();
    for _ in 0..count {
        let (node, bits) = (cursor.u64()?, cursor.u64()?);
        cursor.u64()?;
        let words = cursor.words(bits.div_ceil(64))?;
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (index, word) in words.iter().enumerate() {
            for bit in (0..64).filter(|bit| word >> bit & 1 == 1) {
                let block = index as u64 * 64 + bit;
                match ranges.last_mut() {
                    Some((_, last)) if *last + 1 == block => *last = block,
                    _ => ranges.push((block, block)),
                }
            }
        }
        nodes.push((node, ranges));
    }
    Ok(MemoryTopology { block_size, nodes })
}

fn build_ids(payload: &[u8], order: ByteOrder) -> Result<Vec<ImageBuildId>, ShortRead> {
    let mut ids = Vec::new();
    let mut position = 0;
    while position < payload.len() {
        let (record, next) = frame(payload, position, order, 0).map_err(|_| ShortRead)?;
        let entry = BuildIdRecord::decode(&mut record.cursor(), record.misc)?;
        ids.push(ImageBuildId {
            misc: record.misc & 7,
            pid: entry.pid,
            build_id: entry.build_id.to_vec(),
            name: String::from_utf8_lossy(entry.name).into_owned(),
        });
        position = next;
    }
    Ok(ids)
}

/// Strings are padded to 64 bytes, as perf does.
fn put_string(encoder: &mut Encoder, text: &str) {
    let padded = (text.len() + 1).next_multiple_of(64);
    encoder.u32(padded as u32);
    encoder.bytes(text.as_bytes());
    for _ in text.len()..padded {
        encoder.u8(0);
    }
}

fn put_pair(encoder: &mut Encoder, (first, second): &(String, String)) {
    put_string(encoder, first);
    put_string(encoder, second);
}

/// `None` for an empty list: such a section is not written.
fn put_list<T>(
    encoder: &mut Encoder,
    items: &[T],
    mut put: impl FnMut(&mut Encoder, &T),
) -> Option<()> {
    if items.is_empty() {
        return None;
    }
    encoder.u32(items.len() as u32);
    items.iter().for_each(|item| put(encoder, item));
    Some(())
}

fn put_event_descriptions(encoder: &mut Encoder, events: &[EventDescription]) -> Option<()> {
    let size = events.first()?.attr.size;
    encoder.u32(events.len() as u32);
    encoder.u32(size);
    for event in events {
        EventAttr { size, ..event.attr }.encode(encoder);
        encoder.u32(event.ids.len() as u32);
        put_string(encoder, &event.name);
        event.ids.iter().for_each(|id| encoder.u64(*id));
    }
    Some(())
}

fn put_cpu_topology(encoder: &mut Encoder, topology: &CpuTopology) {
    for lists in [&topology.packages, &topology.cores] {
        encoder.u32(lists.len() as u32);
        lists.iter().for_each(|text| put_string(encoder, text));
    }
    for (core, package) in &topology.cpus {
        encoder.u32(*core);
        encoder.u32(*package);
    }
    if !topology.dies.is_empty() {
        encoder.u32(topology.dies.len() as u32);
        topology.dies.iter().for_each(|text| put_string(encoder, text));
        topology.cpu_dies.iter().for_each(|die| encoder.u32(*die));
    }
}

fn put_memory_topology(encoder: &mut Encoder, topology: &MemoryTopology) {
    encoder.u64(1);
    encoder.u64(topology.block_size);
    encoder.u64(topology.nodes.len() as u64);
    for (node, ranges) in &topology.nodes {
        let bits = ranges.iter().map(|(_, last)| last + 1).max().unwrap_or(0);
        encoder.u64(*node);
        encoder.u64(bits);
        encoder.u64(bits);
        for word in 0..bits.div_ceil(64) {
            let set =
                |bit: &u64| ranges.iter().any(|(a, b)| (*a..=*b).contains(&(word * 64 + bit)));
            encoder.u64((0..64).filter(set).fold(0, |word, bit| word | 1 << bit));
        }
    }
}

fn put_build_ids(encoder: &mut Encoder, ids: &[ImageBuildId]) -> Option<()> {
    if ids.is_empty() {
        return None;
    }
    for id in ids {
        let mut body = Encoder::new(encoder.order());
        let name = id.name.as_bytes();
        BuildIdRecord { pid: id.pid, build_id: &id.build_id, name }.encode(&mut body);
        encoder.u32(RecordType::HEADER_BUILD_ID.0);
        encoder.u16(id.misc & 7 | super::record::MISC_BUILD_ID_SIZE);
        encoder.u16((RECORD_HEADER_SIZE + body.len()) as u16);
        encoder.bytes(body.as_slice());
    }
    Some(())
}

/// How many CPUs are believed: lists in a file could otherwise be endless.
const MAX_CPUS: usize = 1 << 16;

/// The CPUs of a list such as `0-3,8`; what cannot be read is left out.
pub fn parse_cpu_list(text: &str) -> Vec<u32> {
    parse_cpus(text, MAX_CPUS)
}

/// As [`parse_cpu_list`], and at most `room` of them.
fn parse_cpus(text: &str, room: usize) -> Vec<u32> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>())
            && (last as usize) < MAX_CPUS
        {
            cpus.extend((first..=last).take(room - cpus.len()));
        }
    }
    cpus
}

/// A list such as `0-3,8` of CPUs in ascending order.
pub fn format_cpu_list(cpus: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &cpu in cpus {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(cpu) => *last = cpu,
            _ => ranges.push((cpu, cpu)),
        }
    }
    let text = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    text.collect::<Vec<_>>().join(",")
}
