//! Which compilation units are safe to hand to the DWARF resolver.
//!
//! The resolver recurses once for each level of inlining and renders every file name of a unit that
//! it looks at. Compilers nest a few dozen levels and share directories; a damaged or hostile file
//! can nest a million, which would overflow the stack, or combine long names into more text than
//! there is memory. So each unit is walked here first, without recursion and without keeping
//! anything, the first time that an address falls into it.

use std::cell::OnceCell;

use gimli::{EndianSlice, RunTimeEndian};

/// The bytes of a debug section, which live as long as the image.
pub(super) type Section = EndianSlice<'static, RunTimeEndian>;

/// The deepest inlining that is resolved.
const MAX_INLINE_DEPTH: usize = 256;

/// The most address ranges that the functions of one unit may list, and all units together.
const MAX_RANGES: usize = 1 << 24;

/// The most bytes that the file names of one unit may take when they are written out.
const MAX_FILE_NAMES: usize = 256 << 20;

/// A reason to leave the debug information, or a unit of it, alone.
pub(super) type Refusal = String;

/// The units of one image, by address, each with its verdict once it was asked for.
pub(super) struct Vetting {
    units: Vec<VettedUnit>,
    /// Sorted by start; each with the greatest end so far, and the unit's index.
    ranges: Vec<UnitRange>,
    /// Units that state no range: the resolver may look into them for any address.
    unranged: Vec<usize>,
}

struct VettedUnit {
    header: gimli::UnitHeader<Section>,
    verdict: OnceCell<Result<(), Refusal>>,
}

struct UnitRange {
    begin: u64,
    end: u64,
    reach: u64,
    unit: usize,
}

impl Vetting {
    /// Indexes the units by the addresses they state.
    pub(super) fn new(dwarf: &gimli::Dwarf<Section>) -> Result<Self, Refusal> {
        let mut vetting = Self { units: Vec::new(), ranges: Vec::new(), unranged: Vec::new() };
        vetting.index_units(dwarf).map_err(describe)?;
        vetting.index_aranges(dwarf).map_err(describe)?;
        if vetting.ranges.len() >= MAX_RANGES {
            return Err(format!("its units list more than {MAX_RANGES} ranges"));
        }
        vetting.ranges.sort_unstable_by_key(|r| (r.begin, r.end, r.unit));
        let mut reach = 0;
        for range in &mut vetting.ranges {
            reach = range.end.max(reach);
            range.reach = reach;
        }
        // The resolver reads the lines of these while it builds its own index.
        for &index in &vetting.unranged {
            if let Some(unit) = vetting.units.get(index) {
                unit.vet(dwarf)?;
            }
        }
        Ok(vetting)
    }

    /// Says whether every unit that the resolver would open for the address is fit for it.
    pub(super) fn vet(&self, dwarf: &gimli::Dwarf<Section>, address: u64) -> Result<(), Refusal> {
        let after = self.ranges.partition_point(|r| r.begin <= address);
        self.ranges
            .iter()
            .take(after)
            .rev()
            .take_while(|range| range.reach > address)
            .filter(|range| range.end > address)
            .filter_map(|range| self.units.get(range.unit))
            .try_for_each(|unit| unit.vet(dwarf))
    }

    fn index_units(&mut self, dwarf: &gimli::Dwarf<Section>) -> gimli::Result<()> {
        let mut headers = dwarf.units();
        while let Some(header) = headers.next()? {
            let index = self.units.len();
            self.units.push(VettedUnit { header, verdict: OnceCell::new() });
            // Units whose root cannot be read are skipped by the resolver too.
            let Ok(unit) = dwarf.unit(header) else {
                continue;
            };
            let before = self.ranges.len();
            let mut ranges = dwarf.unit_ranges(&unit)?;
            while let Some(range) = ranges.next()? {
                self.push(range, index);
            }
            if self.ranges.len() == before {
                self.unranged.push(index);
            }
        }
        Ok(())
    }

    /// Adds what `.debug_aranges` states, which the resolver prefers for some units.
    fn index_aranges(&mut self, dwarf: &gimli::Dwarf<Section>) -> gimli::Result<()> {
        let mut headers = dwarf.debug_aranges.headers();
        while let Some(header) = headers.next()? {
            let offset = header.debug_info_offset();
            let found =
                self.units.binary_search_by_key(&Some(offset), |u| u.header.debug_info_offset());
            let Ok(unit) = found else { continue };
            let mut entries = header.entries();
            while let Some(entry) = entries.next().transpose() {
                // One range that overflows says nothing about the others.
                if let Ok(entry) = entry {
                    self.push(entry.range(), unit);
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, range: gimli::Range, unit: usize) {
        if range.begin < range.end && self.ranges.len() < MAX_RANGES {
            self.ranges.push(UnitRange { begin: range.begin, end: range.end, reach: 0, unit });
        }
    }
}

impl VettedUnit {
    fn vet(&self, dwarf: &gimli::Dwarf<Section>) -> Result<(), Refusal> {
        let verdict = self.verdict.get_or_init(|| {
            // What cannot be read here cannot be read by the resolver, which then says so itself.
            let Ok(unit) = dwarf.unit(self.header) else {
                return Ok(());
            };
            let unit = unit.unit_ref(dwarf);
            vet_file_names(unit).and_then(|()| vet_functions(unit))
        });
        verdict.clone()
    }
}

fn describe(error: gimli::Error) -> Refusal {
    format!("its DWARF is damaged: {error}")
}

/// Bounds the text that all file names of the unit, each with its directory, would take.
fn vet_file_names(unit: gimli::UnitRef<'_, Section>) -> Result<(), Refusal> {
    let Some(program) = &unit.line_program else {
        return Ok(());
    };
    let length = |name| unit.attr_string(name).map_or(0, |text| text.len());
    let header = program.header();
    let directories = header.include_directories();
    let longest_directory = directories.iter().map(|&name| length(name)).max();
    let working_directory = unit.comp_dir.map_or(0, |name| name.len());
    let prefix = working_directory + longest_directory.unwrap_or(0) + 2;
    let mut total = 0_usize;
    for file in header.file_names() {
        total = total.saturating_add(prefix + length(file.path_name()));
        if total > MAX_FILE_NAMES {
            return Err(format!(
                "the file names of one unit take more than {MAX_FILE_NAMES} bytes"
            ));
        }
    }
    Ok(())
}

/// Bounds how deep inlined functions nest and how many ranges the functions list.
fn vet_functions(unit: gimli::UnitRef<'_, Section>) -> Result<(), Refusal> {
    // The depths of the inlined functions around the current entry, outermost first.
    let mut open: Vec<isize> = Vec::new();
    let mut ranges = 0_usize;
    let Ok(mut entries) = unit.entries_raw(None) else {
        return Ok(());
    };
    while !entries.is_empty() {
        let depth = entries.next_depth();
        let abbreviation = match entries.read_abbreviation() {
            Ok(Some(abbreviation)) => abbreviation,
            Ok(None) => continue,
            // The resolver stops here as well.
            Err(_) => return Ok(()),
        };
        while open.pop_if(|outer| *outer >= depth).is_some() {}
        let tag = abbreviation.tag();
        let inlined = tag == gimli::DW_TAG_inlined_subroutine;
        if inlined {
            open.push(depth);
            if open.len() > MAX_INLINE_DEPTH {
                return Err(format!(
                    "functions are inlined into each other more than {MAX_INLINE_DEPTH} deep"
                ));
            }
        }
        let attributes = abbreviation.attributes();
        let lists_ranges = (inlined || tag == gimli::DW_TAG_subprogram)
            && attributes.iter().any(|a| a.name() == gimli::DW_AT_ranges);
        if !lists_ranges {
            if entries.skip_attributes(attributes).is_err() {
                return Ok(());
            }
            continue;
        }
        for &attribute in attributes {
            let Ok(attribute) = entries.read_attribute(attribute) else {
                return Ok(());
            };
            if attribute.name() != gimli::DW_AT_ranges {
                continue;
            }
            let Ok(Some(mut list)) = unit.attr_ranges(attribute.value()) else {
                continue;
            };
            while let Ok(Some(_)) = list.next() {
                ranges += 1;
                if ranges > MAX_RANGES {
                    return Err(format!(
                        "the functions of one unit list more than {MAX_RANGES} ranges"
                    ));
                }
            }
        }
    }
    Ok(())
}
