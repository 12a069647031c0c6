//! Cache lines: size, address, offset, and which accesses meet on one.

use std::collections::BTreeSet;
use std::str::FromStr;

use rustc_hash::FxHashMap;

use crate::access::{C2cStats, CodeAddress, MemoryAccess, PerfVersion};
use crate::perf_data::{CpuMode, Features};
use crate::process::{Mapping, MemoryKind, Pid, Processes, Time};

/// Bytes of a cache line: a power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LineSize(u64);

impl LineSize {
    /// What nearly every machine has.
    pub const DEFAULT: Self = Self(64);

    /// A line of `bytes`, which must be a power of two from 16 to 4096.
    pub fn new(bytes: u64) -> Option<Self> {
        (bytes.is_power_of_two() && (16..=4096).contains(&bytes)).then_some(Self(bytes))
    }

    /// The line size that a recording tells: by its own feature, by the description of its
    /// first-level data cache, or by an architecture all of whose CPUs have the same (Power from
    /// POWER5 on 128 bytes, z/Architecture 256).
    pub fn of_recording(features: &Features) -> Option<Self> {
        let from_cache = features
            .caches
            .iter()
            .filter(|cache| cache.kind != "Instruction")
            .min_by_key(|cache| cache.level)
            .map(|cache| cache.line_size);
        let from_arch = match features.arch.as_deref() {
            Some("ppc64" | "ppc64le") => Some(128),
            Some("s390x") => Some(256),
            _ => None,
        };
        let told = [features.cache_line_size, from_cache, from_arch];
        told.into_iter().flatten().find_map(|bytes| Self::new(u64::from(bytes)))
    }

    /// Bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// Twice as large, for CPUs that fetch lines in pairs.
    #[must_use]
    pub fn doubled(self) -> Self {
        Self(self.0 * 2)
    }

    /// The first address of the line that holds `address`.
    #[inline]
    pub fn line_of(self, address: u64) -> LineAddress {
        LineAddress(address & !(self.0 - 1))
    }

    /// Where in its line `address` is.
    #[inline]
    pub fn offset_of(self, address: u64) -> LineOffset {
        LineOffset((address & (self.0 - 1)) as u16)
    }
}

impl FromStr for LineSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size =
            text.parse().ok().filter(|bytes| [64, 128, 256].contains(bytes)).and_then(Self::new);
        size.ok_or_else(|| format!("\"{text}\" is not a line size: give 64, 128 or 256"))
    }
}

/// The first address of a cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LineAddress(pub u64);

/// A place in a cache line, bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LineOffset(pub u16);

/// What makes two accesses meet on one line: whose memory it is, and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineKey {
    space: u64,
    address: u64,
}

const KIND: u32 = 56;
const MODE: u32 = 60;
const UNMAPPED: u64 = 0;
const PROCESS: u64 = 1 << KIND;
const OBJECT: u64 = 2 << KIND;
const KERNEL: u64 = 3 << KIND;

/// Finds mappings and line keys of accesses.
#[derive(Debug)]
pub struct Identity<'p> {
    processes: &'p Processes,
    line_size: LineSize,
    /// A number for the mapped object of each mapping.
    objects: Vec<u32>,
    /// A number for the name and object of each mapping.
    names: Vec<u32>,
    /// The rank of the short name of each mapping.
    short_names: Vec<u32>,
}

impl<'p> Identity<'p> {
    /// For one recording and line size.
    pub fn new(processes: &'p Processes, line_size: LineSize) -> Self {
        let objects = numbered(processes.mappings().iter().map(|mapping| mapping.object));
        let names = processes.mappings().iter().map(|mapping| (&mapping.name, mapping.object));
        let names = numbered(names);
        let short_names = ranked(processes.mappings().iter().map(|mapping| &*mapping.short_name));
        Self { processes, line_size, objects, names, short_names }
    }

    /// The line size.
    pub fn line_size(&self) -> LineSize {
        self.line_size
    }

    /// The processes.
    pub fn processes(&self) -> &'p Processes {
        self.processes
    }

    /// The mapping of an access's instruction, in the mode that the sample states.
    #[inline]
    pub fn code_mapping(&self, access: &MemoryAccess) -> Option<u32> {
        self.processes.find_code(access.mode, access.pid, access.code.0, access.time)
    }

    /// As [`code_mapping`](Self::code_mapping), with the mappings as perf keeps them.
    #[inline]
    pub fn perf_code_mapping(&self, access: &MemoryAccess) -> Option<u32> {
        match access.mode {
            CpuMode::User => {
                self.processes.find_user_as_perf(access.pid, access.code.0, access.time)
            }
            mode => self.processes.find_code(mode, access.pid, access.code.0, access.time),
        }
    }

    /// Whether perf finds the instruction in any mode, which is what its "No Page Map Rejects" ask.
    #[inline]
    fn is_code_known_to_perf(&self, access: &MemoryAccess) -> bool {
        let address = access.code.0;
        self.processes.find_kernel(address, access.time).is_some()
            || self.processes.find_user_as_perf(access.pid, address, access.time).is_some()
    }

    /// The mapping of an access's data as perf looks it up: where the *instruction* ran decides, so
    /// a kernel access to user memory has none.
    #[inline]
    pub fn perf_data_mapping(&self, access: &MemoryAccess) -> Option<u32> {
        match access.mode {
            CpuMode::Kernel => self.processes.find_kernel(access.data.0, access.time),
            CpuMode::User => {
                self.processes.find_user_as_perf(access.pid, access.data.0, access.time)
            }
            _ => None,
        }
    }

    /// Which line perf puts an access on.
    pub fn perf_key(&self, access: &MemoryAccess, mapping: Option<u32>) -> LineKey {
        let mode = (access.mode as u64) << MODE;
        let found = mapping.and_then(|number| Some((number, self.processes.mapping(number)?)));
        let (space, address) = match found {
            None => (UNMAPPED, access.data.0),
            Some((_, mapping))
                if access.mode != CpuMode::Kernel && mapping.is_private_anonymous() =>
            {
                (PROCESS | u64::from(access.pid.0), mapping.perf_address(access.data.0))
            }
            Some((number, mapping)) => {
                let object = self.objects.get(number as usize).copied().unwrap_or(0);
                (OBJECT | u64::from(object), mapping.perf_address(access.data.0))
            }
        };
        LineKey { space: mode | space, address: self.line_size.line_of(address).0 }
    }

    /// Where perf puts a line among lines of equal weight: by mode (kernel before user), what has a
    /// mapping before what has none, then by object, process and address.
    pub fn perf_order(&self, access: &MemoryAccess, mapping: Option<u32>) -> impl Ord + use<> {
        let found = mapping.and_then(|number| self.processes.mapping(number));
        let object = found.map(|mapping| mapping.object).unwrap_or_default();
        let is_kernel = access.mode == CpuMode::Kernel;
        let is_own = !is_kernel && found.is_some_and(Mapping::is_private_anonymous);
        let address = found.map_or(access.data.0, |mapping| mapping.perf_address(access.data.0));
        let pid = if is_own { access.pid.0 } else { 0 };
        (access.mode, found.is_none(), object, pid, self.line_size.line_of(address))
    }

    /// The mapping of an access's data by the address itself.
    #[inline]
    pub fn data_mapping(&self, access: &MemoryAccess) -> Option<u32> {
        match is_kernel_address(access.data.0) {
            true => self.processes.find_kernel(access.data.0, access.time),
            false => self.processes.find_user(access.pid, access.data.0, access.time),
        }
    }

    /// Which line an access is on, and whether another process may know the same line by another
    /// key, which the physical address then tells.
    ///
    /// Private memory belongs to its process, shared memory to what is mapped, so that two processes
    /// meet on a shared segment wherever each has mapped it. A kernel access to a user address joins
    /// the user's line.
    pub fn key(&self, access: &MemoryAccess, mapping: Option<u32>) -> (LineKey, bool) {
        let address = access.data.0;
        let line = |address| self.line_size.line_of(address).0;
        if matches!(access.mode, CpuMode::GuestKernel | CpuMode::GuestUser) {
            let space = (access.mode as u64) << MODE | u64::from(access.pid.0);
            return (LineKey { space, address: line(address) }, false);
        }
        if is_kernel_address(address) {
            return (LineKey { space: KERNEL, address: line(address) }, false);
        }
        let found = self.mapping(mapping);
        let is_doubtful =
            found.is_none_or(|mapping| mapping.kind == MemoryKind::File || mapping.is_shared);
        let is_known = found.is_some_and(|mapping| mapping.is_shared && !mapping.object.is_zero());
        (self.user_key(access.pid, access.time, address, mapping), is_doubtful && !is_known)
    }

    /// Which line an address of a process is on, as [`key`](Self::key) tells it.
    pub fn user_key(&self, pid: Pid, time: Time, address: u64, mapping: Option<u32>) -> LineKey {
        let line = |address| self.line_size.line_of(address).0;
        let found = mapping.and_then(|number| Some((number, self.processes.mapping(number)?)));
        if let Some((number, mapping)) = found
            && mapping.is_shared
            && !mapping.object.is_zero()
        {
            let object = self.objects.get(number as usize).copied().unwrap_or(0);
            let space = OBJECT | u64::from(object);
            return LineKey { space, address: line(mapping.file_offset(address)) };
        }
        let space = self.processes.space(pid, time);
        // A process of which the recording knows nothing is told apart by its id.
        let space = space.map_or(1 << 55 | u64::from(pid.0), |space| u64::from(space.0));
        LineKey { space: PROCESS | space & ((1 << KIND) - 1), address: line(address) }
    }

    /// A number for what perf calls an image, in the order of those names: it does not tell apart
    /// files of one name in different folders. What is in no image comes last.
    pub fn short_name_rank(&self, mapping: Option<u32>) -> u64 {
        let rank = mapping.and_then(|number| self.short_names.get(number as usize));
        rank.map_or(u64::MAX, |rank| u64::from(*rank))
    }

    /// Where code lies in its image: the same in every process that maps it. `None` for code that
    /// is in no file.
    pub fn code_place(&self, mapping: u32, code: CodeAddress) -> Option<(u64, u64)> {
        let found = self.processes.mapping(mapping)?;
        let is_named = matches!(found.kind, MemoryKind::File | MemoryKind::Kernel);
        let number = self.names.get(mapping as usize)?;
        is_named.then(|| (u64::from(*number), found.file_offset(code.0)))
    }

    /// perf's counters of one sample, whose data has this mapping by perf's look-up.
    #[inline]
    pub fn perf_stats(
        &self,
        access: &MemoryAccess,
        perf_mapping: Option<u32>,
        version: PerfVersion,
    ) -> C2cStats {
        let is_mapped = || perf_mapping.is_some() && self.is_code_known_to_perf(access);
        C2cStats::of_sample(access.source, access.data.0, is_mapped, version)
    }

    /// The mapping with this number.
    pub fn mapping(&self, number: Option<u32>) -> Option<&'p Mapping> {
        self.processes.mapping(number?)
    }
}

/// The rank of each among the different ones.
fn ranked<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Vec<u32> {
    let different: BTreeSet<&str> = texts.clone().collect();
    let ranks: FxHashMap<&str, u32> = different.into_iter().zip(0..).collect();
    texts.map(|text| ranks.get(text).copied().unwrap_or_default()).collect()
}

/// The same number for equal items, counted from 0.
fn numbered<T: std::hash::Hash + Eq>(items: impl Iterator<Item = T>) -> Vec<u32> {
    let mut numbers = FxHashMap::default();
    items
        .map(|item| {
            let next = numbers.len() as u32;
            *numbers.entry(item).or_insert(next)
        })
        .collect()
}

/// On all 64-bit machines with a recorder the kernel has the upper half.
#[inline]
fn is_kernel_address(address: u64) -> bool {
    address >> 63 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perf_data::Cache;

    #[test]
    fn the_line_size_is_the_recordings() {
        let cache = |level, kind: &str, line_size| Cache {
            level,
            kind: kind.to_owned(),
            line_size,
            ..Cache::default()
        };
        let mut features = Features { arch: Some("x86_64".to_owned()), ..Features::default() };
        assert_eq!(LineSize::of_recording(&features), None);
        features.arch = Some("s390x".to_owned());
        assert_eq!(LineSize::of_recording(&features), LineSize::new(256));
        features.caches =
            vec![cache(2, "Unified", 256), cache(1, "Data", 64), cache(1, "Instruction", 32)];
        assert_eq!(LineSize::of_recording(&features), LineSize::new(64));
        features.cache_line_size = Some(128);
        assert_eq!(LineSize::of_recording(&features), LineSize::new(128));
        features.cache_line_size = Some(0);
        assert_eq!(LineSize::of_recording(&features), LineSize::new(64), "a size of 0 is none");
    }

    #[test]
    fn users_choose_among_real_line_sizes() {
        assert_eq!("128".parse(), Ok(LineSize(128)));
        assert!("48".parse::<LineSize>().is_err() && "32".parse::<LineSize>().is_err());
        assert_eq!(LineSize::DEFAULT.offset_of(0x7f), LineOffset(0x3f));
        assert_eq!(LineSize::DEFAULT.doubled().line_of(0xff), LineAddress(0x80));
    }
}
