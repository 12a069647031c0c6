//! All processes of a recording, and what each had mapped when.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::address_space::{AddressSpace, Budget, Parent};
use super::ids::{Pid, Tid, Time};
use super::mapping::Mapping;
use crate::perf_data::{
    Comm, CpuMode, Damage, MISC_EXEC, Mmap, RawRecord, RecordType, Recording, Task,
};

/// The longest chain of forks that is followed to find an inherited mapping. Chains in recordings
/// are a few processes long; only a file made to waste time has a longer one.
const MAX_FORK_DEPTH: usize = 64;

/// Entries that the histories of mappings may have for each mapping, and at least.
const HISTORY_PER_MAPPING: usize = 64;
const HISTORY_AT_LEAST: usize = 1 << 20;

/// An address space: one process running one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceId(pub u32);

/// All processes of a recording.
#[derive(Debug, Default)]
pub struct Processes {
    mappings: Vec<Mapping>,
    spaces: Vec<AddressSpace>,
    /// From when on a process id belongs to which space.
    by_pid: FxHashMap<u32, Vec<(u64, usize)>>,
    kernel: AddressSpace,
    names: FxHashMap<u32, Vec<(u64, Arc<str>)>>,
    /// What histories of mappings may still grow by, entries.
    budget: Budget,
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
        let entries = HISTORY_AT_LEAST.max(events.len() * HISTORY_PER_MAPPING);
        let budget = Budget { histories: entries, overlays: entries };
        let mut processes = Self { budget, ..Self::default() };
        let mut interned = FxHashMap::default();
        for (time, record) in &events {
            if processes.take(*time, record, &mut interned).is_none() {
                Damage::add_malformed(&mut processes.damage, record.kind, record.offset);
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

    /// All processes, ascending.
    pub fn pids(&self) -> impl Iterator<Item = Pid> {
        let mut pids: Vec<Pid> = self.by_pid.keys().map(|pid| Pid(*pid)).collect();
        pids.sort_unstable();
        pids.into_iter()
    }

    /// The number of the mapping that covered an address of a process.
    pub fn find_user(&self, pid: Pid, address: u64, time: Time) -> Option<u32> {
        self.find_inherited(pid, address, time, |parent| parent.is_fork)
    }

    /// As [`find_user`](Self::find_user), but like perf, which keeps a process's mappings when it
    /// runs another program until new ones take their place.
    pub fn find_user_as_perf(&self, pid: Pid, address: u64, time: Time) -> Option<u32> {
        self.find_inherited(pid, address, time, |_| true)
    }

    fn find_inherited(
        &self,
        pid: Pid,
        address: u64,
        time: Time,
        inherits: impl Fn(&Parent) -> bool,
    ) -> Option<u32> {
        let mut space = self.space_at(pid, time)?;
        let mut time = time.0;
        for _ in 0..MAX_FORK_DEPTH {
            let current = self.spaces.get(space)?;
            if let Some(mapping) = current.find(address, time) {
                return Some(mapping);
            }
            let parent = current.parent.filter(&inherits)?;
            (space, time) = (parent.space, time.min(parent.time));
        }
        None
    }

    /// The number of the mapping of code that ran in this mode; `None` for modes of guests.
    pub fn find_code(&self, mode: CpuMode, pid: Pid, address: u64, time: Time) -> Option<u32> {
        match mode {
            CpuMode::Kernel => self.find_kernel(address, time),
            CpuMode::User => self.find_user(pid, address, time),
            _ => None,
        }
    }

    /// The number of the kernel mapping that covered an address.
    pub fn find_kernel(&self, address: u64, time: Time) -> Option<u32> {
        self.kernel.find(address, time.0)
    }

    /// Which address space a process had.
    pub fn space(&self, pid: Pid, time: Time) -> Option<SpaceId> {
        Some(SpaceId(self.space_at(pid, time)? as u32))
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
                let name = intern(interned, comm.name);
                self.names.entry(comm.tid).or_default().push((time, name));
                if record.misc & MISC_EXEC != 0 {
                    let space = self.current_space(comm.pid);
                    self.start_space(comm.pid, time, Some(Parent { space, time, is_fork: false }));
                }
            }
            RecordType::FORK => {
                let task = Task::decode(&mut cursor).ok()?;
                if let Some(name) = self.last_name(Tid(task.ptid)).cloned() {
                    self.names.entry(task.tid).or_default().push((time, name));
                }
                if task.pid != task.ppid {
                    // A synthesised fork describes a process whose own mappings follow.
                    let inherits = record.misc & MISC_EXEC == 0;
                    let parent = inherits.then(|| Parent {
                        space: self.current_space(task.ppid),
                        time,
                        is_fork: true,
                    });
                    self.start_space(task.pid, time, parent);
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
        let budget = &mut self.budget;
        if space.insert(mapping.start, mapping.end, time, number, budget) {
            self.mappings.push(mapping);
        } else {
            let offset = record.offset;
            match self.damage.iter_mut().find(|it| matches!(it, Damage::Mappings { .. })) {
                Some(Damage::Mappings { count, .. }) => *count += 1,
                _ => self.damage.push(Damage::Mappings { offset, count: 1 }),
            }
        }
    }

    fn start_space(&mut self, pid: u32, time: u64, parent: Option<Parent>) {
        let space = self.spaces.len();
        self.spaces.push(AddressSpace::from_parent(parent));
        self.by_pid.entry(pid).or_default().push((time, space));
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
}

fn intern(names: &mut FxHashMap<Vec<u8>, Arc<str>>, name: &[u8]) -> Arc<str> {
    if let Some(known) = names.get(name) {
        return known.clone();
    }
    let text: Arc<str> = String::from_utf8_lossy(name).into();
    names.insert(name.to_vec(), text.clone());
    text
}
