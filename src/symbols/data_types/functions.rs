//! The functions of an image, by address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::debug_data::{DebugData, EntryId, Place};
use crate::symbols::ImageAddress;

/// The most address ranges that units, or the functions of one unit, list.
const MAX_RANGES: usize = 1 << 22;

/// A range of addresses and what has it.
#[derive(Debug, Clone, Copy)]
struct Range<T> {
    begin: u64,
    end: u64,
    /// The greatest end so far: tells when looking back is in vain.
    reach: u64,
    of: T,
}

/// The units of an image by address, and the functions of those that were asked for.
#[derive(Debug, Default)]
pub(in crate::symbols) struct Functions {
    units: Vec<Range<u32>>,
    functions: Mutex<HashMap<u32, Arc<Vec<Range<EntryId>>>>>,
}

impl Functions {
    /// Reads the ranges of all units.
    pub(in crate::symbols) fn of(data: &DebugData) -> Self {
        let mut units = Vec::new();
        if let Some(main) = data.file(0) {
            for number in 0..main.units.len() as u32 {
                let Some(parsed) = main.unit(number) else { continue };
                let Ok(mut ranges) = main.dwarf.unit_ranges(&parsed.unit) else { continue };
                while let Ok(Some(range)) = ranges.next() {
                    push(&mut units, range, number);
                }
            }
        }
        sort(&mut units);
        Self { units, functions: Mutex::default() }
    }

    /// The entries of the functions that have the address: one as a rule.
    pub(super) fn at(&self, data: &DebugData, address: ImageAddress) -> Vec<EntryId> {
        let mut found = Vec::new();
        for unit in having(&self.units, address.0) {
            let functions = self.of_unit(data, unit);
            found.extend(having(&functions, address.0));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn of_unit(&self, data: &DebugData, unit: u32) -> Arc<Vec<Range<EntryId>>> {
        let lock = || self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&unit) {
            return Arc::clone(known);
        }
        let mut functions = Vec::new();
        let main = data.file(0);
        let split = main.and_then(|main| data.split_of(&main, unit));
        match split {
            Some(file) => {
                let count = data.file(file).map_or(0, |file| file.units.len());
                for unit in 0..count as u32 {
                    let place = data.place(EntryId { file, unit, offset: 0 });
                    place.iter().for_each(|place| list(place, &mut functions));
                }
            }
            None => {
                let place = data.place(EntryId { file: 0, unit, offset: 0 });
                place.iter().for_each(|place| list(place, &mut functions));
            }
        }
        sort(&mut functions);
        let functions = Arc::new(functions);
        lock().insert(unit, Arc::clone(&functions));
        functions
    }
}

/// Lists the functions of a unit that have code; damage ends the list.
fn list(place: &Place, functions: &mut Vec<Range<EntryId>>) {
    let Some(unit) = place.unit() else { return };
    let Ok(mut entries) = unit.entries_raw(None) else { return };
    while !entries.is_empty() && functions.len() < MAX_RANGES {
        let offset = entries.next_offset();
        let abbreviation = match entries.read_abbreviation() {
            Ok(Some(abbreviation)) => abbreviation,
            Ok(None) => continue,
            Err(_) => return,
        };
        if entries.skip_attributes(abbreviation.attributes()).is_err() {
            return;
        }
        if abbreviation.tag() != gimli::DW_TAG_subprogram {
            continue;
        }
        let Ok(entry) = unit.entry(offset) else { continue };
        let Ok(mut ranges) = place.file.dwarf.die_ranges(unit, &entry) else { continue };
        while let Ok(Some(range)) = ranges.next() {
            push(functions, range, place.sibling(offset));
        }
    }
}

fn push<T>(ranges: &mut Vec<Range<T>>, range: gimli::Range, of: T) {
    if range.begin < range.end && ranges.len() < MAX_RANGES {
        ranges.push(Range { begin: range.begin, end: range.end, reach: 0, of });
    }
}

fn sort<T>(ranges: &mut [Range<T>]) {
    ranges.sort_by_key(|range| (range.begin, range.end));
    let mut reach = 0;
    for range in ranges {
        reach = range.end.max(reach);
        range.reach = reach;
    }
}

/// What has an address, the last one to begin first.
fn having<T: Copy>(ranges: &[Range<T>], address: u64) -> impl Iterator<Item = T> {
    let after = ranges.partition_point(|range| range.begin <= address);
    ranges
        .iter()
        .take(after)
        .rev()
        .take_while(move |range| range.reach > address)
        .filter(move |range| range.end > address)
        .map(|range| range.of)
}
