//! The debug information of one image, in whichever files it is, and references between its entries.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gimli::{EndianSlice, RunTimeEndian, SectionId, UnitOffset, UnitType};
use object::Object;

use super::language::Language;
use super::scopes::Scopes;
use super::split::Split;
use crate::symbols::image::Image;
use crate::symbols::text::text_of;
use crate::symbols::vetting::{Refusal, Section};

/// The most units that are looked at, in all files together.
const MAX_UNITS: usize = 1 << 22;

/// How often one entry may refer to another that says more about the same thing.
const MAX_HOPS: usize = 8;

/// One entry of the debug information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::symbols) struct EntryId {
    /// Which of the files.
    pub(super) file: u32,
    /// Which unit of the file.
    pub(super) unit: u32,
    /// Where in the unit.
    pub(super) offset: usize,
}

pub(super) type Entry = gimli::DebuggingInformationEntry<Section>;
pub(super) type Value = gimli::AttributeValue<Section>;

/// A unit, parsed when it is first asked for.
pub(super) struct UnitSlot {
    pub(super) header: gimli::UnitHeader<Section>,
    parsed: OnceLock<Option<ParsedUnit>>,
}

/// A parsed unit and what is remembered of it.
pub(super) struct ParsedUnit {
    pub(super) unit: gimli::Unit<Section>,
    pub(super) language: Option<Language>,
    scopes: OnceLock<Scopes>,
    /// Where its own entries are, if this one only stands for them.
    split: OnceLock<Option<u32>>,
}

/// One set of DWARF sections: those of the image, of its supplementary file, of a `.dwo` file, or of
/// one unit of a `.dwp` file.
pub(super) struct DebugFile {
    pub(super) dwarf: Arc<gimli::Dwarf<Section>>,
    pub(super) units: Vec<UnitSlot>,
    /// The unit of the image that stands for this file: entry of the first file.
    skeleton: Option<u32>,
    signatures: OnceLock<HashMap<u64, (u32, usize)>>,
}

/// The debug information of one image.
pub(in crate::symbols) struct DebugData {
    files: Mutex<Vec<Arc<DebugFile>>>,
    supplementary: Option<u32>,
    split: Split,
    /// Files of units of a package, by type signature.
    packaged_types: Mutex<HashMap<u64, Option<u32>>>,
    default_language: OnceLock<Language>,
}

/// What holds a name or a place: an entry with its unit and its file.
pub(super) struct Place {
    pub(super) file: Arc<DebugFile>,
    pub(super) id: EntryId,
}

impl DebugData {
    /// Lists the units of `image`, which may refer to those of `supplementary`.
    pub(in crate::symbols) fn new(
        image: &Image,
        supplementary: Option<&Image>,
        beside: Vec<PathBuf>,
    ) -> Result<Self, Refusal> {
        let mut dwarf = gimli::Dwarf::load(|id| load(image, id.name()))?;
        if let Some(supplementary) = supplementary {
            dwarf.load_sup(|id| load(supplementary, id.name()))?;
        }
        dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
        let shared = dwarf.sup.clone();
        let mut files = vec![Arc::new(DebugFile::new(Arc::new(dwarf), None))];
        let supplementary = shared.map(|shared| {
            files.push(Arc::new(DebugFile::new(shared, None)));
            1
        });
        Ok(Self {
            files: Mutex::new(files),
            supplementary,
            split: Split::new(beside),
            packaged_types: Mutex::default(),
            default_language: OnceLock::new(),
        })
    }

    /// A file that is known by its number.
    pub(super) fn file(&self, file: u32) -> Option<Arc<DebugFile>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(file as usize).cloned()
    }

    fn add_file(&self, file: DebugFile) -> Option<u32> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let number = u32::try_from(files.len()).ok().filter(|_| files.len() < MAX_UNITS)?;
        files.push(Arc::new(file));
        Some(number)
    }

    /// The files and unit numbers that hold entries: each unit of the image, or the one elsewhere that
    /// it stands for.
    pub(super) fn all_units(&self) -> Vec<(u32, u32)> {
        let Some(main) = self.file(0) else { return Vec::new() };
        let mut units = Vec::new();
        for number in 0..main.units.len() as u32 {
            match self.split_of(&main, number) {
                Some(file) => {
                    let count = self.file(file).map_or(0, |file| file.units.len());
                    units.extend((0..count as u32).map(|unit| (file, unit)));
                }
                None => units.push((0, number)),
            }
            if units.len() >= MAX_UNITS {
                break;
            }
        }
        units
    }

    /// The units of the supplementary file.
    pub(super) fn shared_units(&self) -> Vec<(u32, u32)> {
        let number = self.supplementary.unwrap_or(u32::MAX);
        let count = self.file(number).map_or(0, |file| file.units.len());
        (0..count as u32).map(|unit| (number, unit)).collect()
    }

    /// The type units of a package.
    pub(super) fn packaged_units(&self) -> Vec<(u32, u32)> {
        let Some(main) = self.file(0) else { return Vec::new() };
        let mut units = Vec::new();
        for dwarf in self.split.packaged_types(&main.dwarf) {
            let file = DebugFile::new(Arc::new(dwarf), None);
            let Some(&signature) = file.signatures().keys().next() else { continue };
            let lock = || self.packaged_types.lock().unwrap_or_else(PoisonError::into_inner);
            let known = lock().get(&signature).copied().flatten();
            let number = known.or_else(|| self.add_file(file));
            lock().insert(signature, number);
            units.extend(number.map(|number| (number, 0)));
        }
        units
    }

    /// The file with the entries of a unit that only stands for them.
    pub(super) fn split_of(&self, main: &DebugFile, number: u32) -> Option<u32> {
        let parsed = main.unit(number)?;
        *parsed.split.get_or_init(|| {
            parsed.unit.dwo_id?;
            let dwarf = self.split.find(&main.dwarf, &parsed.unit)?;
            self.add_file(DebugFile::new(Arc::new(dwarf), Some((main, number))))
        })
    }

    /// How many split files were not found so far, and the name of one.
    pub(in crate::symbols) fn missing_files(&self) -> Option<(usize, String)> {
        self.split.missing()
    }

    /// The place of an entry.
    pub(super) fn place(&self, id: EntryId) -> Option<Place> {
        Some(Place { file: self.file(id.file)?, id })
    }

    /// The entry that an attribute of an entry of `from` refers to.
    pub(super) fn refers_to(&self, from: &Place, value: Value) -> Option<EntryId> {
        match value {
            Value::UnitRef(offset) => Some(EntryId { offset: offset.0, ..from.id }),
            Value::DebugInfoRef(offset) => from.file.at_offset(from.id.file, offset.0),
            Value::DebugInfoRefSup(offset) => {
                let number = self.supplementary?;
                self.file(number)?.at_offset(number, offset.0)
            }
            Value::DebugTypesRef(signature) => self.by_signature(from, signature),
            _ => None,
        }
    }

    fn by_signature(&self, from: &Place, wanted: gimli::DebugTypeSignature) -> Option<EntryId> {
        let within = |number: u32, file: &DebugFile| {
            let &(unit, offset) = file.signatures().get(&wanted.0)?;
            Some(EntryId { file: number, unit, offset })
        };
        if let Some(found) = within(from.id.file, &from.file) {
            return Some(found);
        }
        let main = self.file(0)?;
        if let Some(found) = within(0, &main) {
            return Some(found);
        }
        let known = self
            .packaged_types
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&wanted.0)
            .copied();
        let number = match known {
            Some(number) => number?,
            None => {
                let skeleton = from.file.skeleton.map(|number| (&*main, number));
                let found = self.split.find_type(&main.dwarf, wanted);
                let number = found
                    .and_then(|dwarf| self.add_file(DebugFile::new(Arc::new(dwarf), skeleton)));
                self.packaged_types
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(wanted.0, number);
                number?
            }
        };
        within(number, &*self.file(number)?)
    }

    /// The language of the unit of an entry.
    pub(super) fn language(&self, place: &Place) -> Language {
        let stated = place.file.unit(place.id.unit).and_then(|parsed| parsed.language);
        // Units that several others import state none.
        stated.unwrap_or_else(|| {
            *self.default_language.get_or_init(|| {
                let Some(main) = self.file(0) else { return Language::Other };
                let languages = (0..main.units.len() as u32).filter_map(|n| main.unit(n)?.language);
                languages.take(1).next().unwrap_or_default()
            })
        })
    }

    /// Follows `attribute` of an entry from one entry to the next that says more about the same thing.
    pub(super) fn chain(&self, start: EntryId, attributes: &[gimli::DwAt]) -> Vec<(Place, Entry)> {
        let mut chain = Vec::new();
        let mut next = Some(start);
        while let Some(id) = next.take() {
            let Some(place) = self.place(id) else { break };
            let Some(entry) = place.entry() else { break };
            next = attributes
                .iter()
                .find_map(|&attribute| self.refers_to(&place, entry.attr_value(attribute)?));
            chain.push((place, entry));
            if chain.len() == MAX_HOPS {
                break;
            }
        }
        chain
    }

    /// The source file of a number in an entry's unit, with its directory.
    pub(super) fn source_file(&self, place: &Place, number: u64) -> Option<String> {
        let file = &place.file;
        let own = file.unit(place.id.unit)?;
        match &own.unit.line_program {
            Some(program) => render_file(&file.dwarf, &own.unit, program.header(), number),
            // Units that were split off share the files of the unit that stands for them.
            None => {
                let main = self.file(0)?;
                let skeleton = &main.unit(file.skeleton?)?.unit;
                let program = skeleton.line_program.as_ref()?;
                render_file(&main.dwarf, skeleton, program.header(), number)
            }
        }
    }
}

impl Place {
    pub(super) fn unit(&self) -> Option<&gimli::Unit<Section>> {
        Some(&self.file.unit(self.id.unit)?.unit)
    }

    pub(super) fn entry(&self) -> Option<Entry> {
        self.unit()?.entry(UnitOffset(self.id.offset)).ok()
    }

    /// The text of an attribute.
    pub(super) fn text(&self, value: Value) -> Option<String> {
        let text = self.file.dwarf.attr_string(self.unit()?, value).ok()?;
        Some(text_of(text.slice()))
    }

    /// The text of an attribute of an entry, if it has it.
    pub(super) fn text_at(&self, entry: &Entry, attribute: gimli::DwAt) -> Option<String> {
        self.text(entry.attr_value(attribute)?)
    }

    /// Another entry of the same unit.
    pub(super) fn sibling(&self, offset: UnitOffset) -> EntryId {
        EntryId { offset: offset.0, ..self.id }
    }

    pub(super) fn scopes(&self) -> Option<&Scopes> {
        let parsed = self.file.unit(self.id.unit)?;
        Some(parsed.scopes.get_or_init(|| Scopes::of(&parsed.unit)))
    }
}

impl DebugFile {
    fn new(dwarf: Arc<gimli::Dwarf<Section>>, skeleton: Option<(&Self, u32)>) -> Self {
        let slot = |header| UnitSlot { header, parsed: OnceLock::new() };
        let mut units = Vec::new();
        let mut headers = dwarf.units();
        // Behind a damaged header nothing can be found: the units before it stay.
        while let Ok(Some(header)) = headers.next() {
            units.push(slot(header));
            if units.len() >= MAX_UNITS {
                break;
            }
        }
        let mut headers = dwarf.type_units();
        while let Ok(Some(header)) = headers.next() {
            units.push(slot(header));
            if units.len() >= MAX_UNITS {
                break;
            }
        }
        // What the skeleton knows about addresses has to be known before a unit is used.
        if let Some((main, number)) = skeleton
            && let Some(stands_for) = main.unit(number)
        {
            for slot in &units {
                let Ok(mut unit) = dwarf.unit(slot.header) else { continue };
                unit.copy_relocated_attributes(&stands_for.unit);
                let language = language_of(&unit).or(stands_for.language);
                let _ = slot.parsed.set(Some(ParsedUnit::new(unit, language)));
            }
        }
        let skeleton = skeleton.map(|(_, number)| number);
        Self { dwarf, units, skeleton, signatures: OnceLock::new() }
    }

    pub(super) fn unit(&self, number: u32) -> Option<&ParsedUnit> {
        let slot = self.units.get(number as usize)?;
        slot.parsed
            .get_or_init(|| {
                let unit = self.dwarf.unit(slot.header).ok()?;
                let language = language_of(&unit);
                Some(ParsedUnit::new(unit, language))
            })
            .as_ref()
    }

    /// The entry at an offset of the section `.debug_info`.
    fn at_offset(&self, file: u32, offset: usize) -> Option<EntryId> {
        let start = |slot: &UnitSlot| slot.header.debug_info_offset().map(|at| at.0);
        // Units of `.debug_types` come last.
        let after = self.units.partition_point(|slot| start(slot).is_some_and(|at| at <= offset));
        let number = after.checked_sub(1)?;
        let header = &self.units.get(number)?.header;
        let within = gimli::DebugInfoOffset(offset).to_unit_offset(header)?;
        Some(EntryId { file, unit: u32::try_from(number).ok()?, offset: within.0 })
    }

    fn signatures(&self) -> &HashMap<u64, (u32, usize)> {
        self.signatures.get_or_init(|| {
            let of = |(number, slot): (usize, &UnitSlot)| match slot.header.type_() {
                UnitType::Type { type_signature, type_offset }
                | UnitType::SplitType { type_signature, type_offset } => {
                    Some((type_signature.0, (u32::try_from(number).ok()?, type_offset.0)))
                }
                _ => None,
            };
            self.units.iter().enumerate().filter_map(of).collect()
        })
    }
}

impl ParsedUnit {
    fn new(unit: gimli::Unit<Section>, language: Option<Language>) -> Self {
        Self { unit, language, scopes: OnceLock::new(), split: OnceLock::new() }
    }
}

fn language_of(unit: &gimli::Unit<Section>) -> Option<Language> {
    let root = unit.entry(unit.header.root_offset()).ok()?;
    match root.attr_value(gimli::DW_AT_language)? {
        Value::Language(language) => Some(Language::of(language)),
        _ => None,
    }
}

/// A file of a unit's line table, as its directory and name state it.
fn render_file(
    dwarf: &gimli::Dwarf<Section>,
    unit: &gimli::Unit<Section>,
    header: &gimli::LineProgramHeader<Section>,
    number: u64,
) -> Option<String> {
    let file = header.file(number)?;
    let text = |value| dwarf.attr_string(unit, value).ok().map(|text| text_of(text.slice()));
    let name = text(file.path_name())?;
    let mut path = PathBuf::new();
    if let Some(working) = &unit.comp_dir {
        path.push(text_of(working.slice()));
    }
    if let Some(directory) = file.directory(header).and_then(text) {
        path.push(directory);
    }
    path.push(name);
    Some(path.to_string_lossy().into_owned())
}

/// The contents of a debug section.
pub(super) fn load(image: &Image, name: &str) -> Result<Section, Refusal> {
    Ok(EndianSlice::new(image.section(name)?, endian_of(image)))
}

fn endian_of(image: &Image) -> RunTimeEndian {
    if image.object().is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big }
}

/// The contents of a debug section of a split file.
pub(super) fn load_split(image: &Image, id: SectionId) -> Result<Section, Refusal> {
    match id.dwo_name() {
        Some(name) => Ok(EndianSlice::new(image.sections(name)?, endian_of(image))),
        None => Ok(EndianSlice::new(&[], RunTimeEndian::Little)),
    }
}

impl fmt::Debug for DebugData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DebugData").finish_non_exhaustive()
    }
}
