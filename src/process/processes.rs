//! All processes of a recording, and what each had mapped when.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::address_space::AddressSpace;
use super::ids::{Pid, Tid, Time};
use super::mapping::Mapping;
use crate::perf_data::{
    Comm, CpuMode, Damage, MISC_EXEC, Mmap, RawRecord, RecordType, Recording, Task,
};

/// The longest chain of forks that is followed to find an inherited mapping. Chains in recordings
/// are a few processes long; only a file made to waste time has a longer one.
const MAX_FORK_DEPTH: usize = 1 << 10;

/// Which process lived in an address space, and which program it ran there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceId {
    space: u32,
    epoch: u32,
}

impl SpaceId {
    /// The id as one number.
    pub fn as_u64(self) -> u64 {
        u64::from(self.epoch) << 32 | u64::from(self.space)
    }
}

/// All processes of a recording.
#[derive(Debug, Default)]
pub struct Processes {
    mappings: Vec<Mapping>,
    spaces: Vec<AddressSpace>,
    /// From when on a process id belongs to which space.
    by_pid: FxHashMap<u32, Vec<(u64, usize)>>,
    kernel: AddressSpace,
    names: FxHashMap<u32, Vec<(u64, Arc<str>)>>,
    process_of: FxHashMap<u32, u32>,
    damage: Vec<Damage>,
}

impl Processes {
    /// Reads all records about processes.
    pub fn of(recording: &Recording<'_>) -> Self {
        let has_times = recording.has_times();
        let mut events: Vec<(u64, RawRecord<'_>)> = recording
            .other_records()
            .filter(|(_, record)| {
                matches!(
                    record.kind,
                    RecordType::MMAP | RecordType::MMAP2 | RecordType::COMM | RecordType::FORK
                )
            })
            .map(|(samples_before, record)| match has_times {
                true => (recording.sample_id(&record).time.unwrap_or(0), record),
                false => (samples_before, record),
            })
            .collect();
        // Stable, so that what has no time stays in file order before everything that has one.
        events.sort_by_key(|(time, _)| *time);
        let mut processes = Self::default();
        let mut interned = FxHashMap::default();
        for (time, record) in &events {
            if processes.take(*time, record, &mut interned).is_none() {
                processes.note_malformed(record);
            }
        }
        processes
    }

    /// Records that could not be read.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The mapping with this number.
    pub fn mapping(&self, number: u32) -> Option<&Mapping> {
        self.mappings.get(number as usize)
    }

    /// All mappings.
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The number of the mapping that covered an address of a process.
    pub fn find_user(&self, pid: Pid, address: u64, time: Time) -> Option<u32> {
        let mut space = self.space_at(pid, time)?;
        let mut time = time.0;
        for _ in 0..MAX_FORK_DEPTH {
            let current = self.spaces.get(space)?;
            if let Some(mapping) = current.find(address, time) {
                return Some(mapping);
            }
            let (parent, forked) = current.parent?;
            (space, time) = (parent, time.min(forked));
        }
        None
    }

    /// The number of the kernel mapping that covered an address.
    pub fn find_kernel(&self, address: u64, time: Time) -> Option<u32> {
        self.kernel.find(address, time.0)
    }

    /// Which address space a process had.
    pub fn space(&self, pid: Pid, time: Time) -> Option<SpaceId> {
        let index = self.space_at(pid, time)?;
        let epoch = self.spaces.get(index)?.epoch(time.0);
        Some(SpaceId { space: index as u32, epoch: epoch as u32 })
    }

    /// A thread's name at a time.
    pub fn name(&self, tid: Tid, time: Time) -> Option<&Arc<str>> {
        let names = self.names.get(&tid.0)?;
        let since = names.partition_point(|(from, _)| *from <= time.0);
        names.get(since.saturating_sub(1)).map(|(_, name)| name)
    }

    /// A thread's last name, which is the one that perf shows.
    pub fn last_name(&self, tid: Tid) -> Option<&Arc<str>> {
        self.names.get(&tid.0)?.last().map(|(_, name)| name)
    }

    /// The process of a thread, as last seen.
    pub fn process_of(&self, tid: Tid) -> Option<Pid> {
        self.process_of.get(&tid.0).copied().map(Pid)
    }

    fn space_at(&self, pid: Pid, time: Time) -> Option<usize> {
        let spaces = self.by_pid.get(&pid.0)?;
        let since = spaces.partition_point(|(from, _)| *from <= time.0);
        spaces.get(since.saturating_sub(1)).map(|(_, space)| *space)
    }

    /// `None` when the record is malformed.
    fn take(
        &mut self,
        time: u64,
        record: &RawRecord<'_>,
        interned: &mut FxHashMap<Vec<u8>, Arc<str>>,
    ) -> Option<()> {
        let mut cursor = record.cursor();
        match record.kind {
            RecordType::COMM => {
                let comm = Comm::decode(&mut cursor).ok()?;
                self.process_of.insert(comm.tid, comm.pid);
                let name = intern(interned, comm.name);
                self.names.entry(comm.tid).or_default().push((time, name));
                if record.misc & MISC_EXEC != 0 {
                    let space = self.current_space(comm.pid);
                    self.spaces[space].execs.push(time);
                }
            }
            RecordType::FORK => {
                let task = Task::decode(&mut cursor).ok()?;
                self.process_of.insert(task.tid, task.pid);
                if let Some(name) = self.last_name(Tid(task.ptid)).cloned() {
                    self.names.entry(task.tid).or_default().push((time, name));
                }
                if task.pid != task.ppid {
                    // A synthesised fork describes a process whose own mappings follow.
                    let inherits = record.misc & MISC_EXEC == 0;
                    let parent = inherits.then(|| (self.current_space(task.ppid), time));
                    let space = self.spaces.len();
                    self.spaces.push(AddressSpace::forked(parent));
                    self.by_pid.entry(task.pid).or_default().push((time, space));
                }
            }
            _ => {
                let mmap = match record.kind {
                    RecordType::MMAP => Mmap::decode(&mut cursor),
                    _ => Mmap::decode2(&mut cursor, record.misc),
                }
                .ok()?;
                self.map(time, record, &mmap, intern(interned, mmap.name));
            }
        }
        Some(())
    }

    fn map(&mut self, time: u64, record: &RawRecord<'_>, mmap: &Mmap<'_>, name: Arc<str>) {
        let is_kernel = matches!(record.cpu_mode(), CpuMode::Kernel);
        if matches!(
            record.cpu_mode(),
            CpuMode::GuestKernel | CpuMode::GuestUser | CpuMode::Hypervisor
        ) {
            return;
        }
        let mut mapping = Mapping::new(mmap, record.misc, is_kernel, name);
        if is_kernel && mapping.start == 0 && mapping.end == 0 {
            // kptr_restrict hid the addresses: perf lets the kernel cover everything then.
            mapping.end = u64::MAX;
        }
        let number = self.mappings.len() as u32;
        let space = match is_kernel {
            true => &mut self.kernel,
            false => {
                let index = self.current_space(mmap.pid);
                &mut self.spaces[index]
            }
        };
        space.insert(mapping.start, mapping.end, time, number);
        self.mappings.push(mapping);
    }

    /// The newest space of a process, made when there is none.
    fn current_space(&mut self, pid: u32) -> usize {
        let spaces = self.by_pid.entry(pid).or_default();
        if let Some((_, space)) = spaces.last() {
            return *space;
        }
        let space = self.spaces.len();
        self.spaces.push(AddressSpace::default());
        spaces.push((0, space));
        space
    }

    fn note_malformed(&mut self, record: &RawRecord<'_>) {
        let of_kind = |damage: &&mut Damage| matches!(damage, Damage::Malformed { kind, .. } if *kind == record.kind);
        match self.damage.iter_mut().find(of_kind) {
            Some(Damage::Malformed { count, .. }) => *count += 1,
            _ => self.damage.push(Damage::Malformed {
                kind: record.kind,
                offset: record.offset,
                count: 1,
            }),
        }
    }
}

fn intern(names: &mut FxHashMap<Vec<u8>, Arc<str>>, name: &[u8]) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return known.clone();
    }
    let text: Arc<str> = String::from_utf8_lossy(name).into();
    names.insert(name.to_vec(), text.clone());
    text
}
