//! Split DWARF: the files that hold what was left out of the image.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use gimli::{EndianSlice, RunTimeEndian};

use super::debug_data::load_split;
use crate::symbols::image::Image;
use crate::symbols::text::text_of;
use crate::symbols::vetting::Section;

/// How many type units of a package are looked at.
const MAX_PACKAGED_TYPES: u32 = 1 << 18;

/// How many missing files are counted.
const MAX_MISSING: usize = 1 << 16;

/// Where the split files of one image are looked for.
pub(super) struct Split {
    /// Paths of the image and of its debug file: a package stands beside them with `.dwp` at the end.
    beside: Vec<PathBuf>,
    package: OnceLock<Option<gimli::DwarfPackage<Section>>>,
    /// The names of files that were not found.
    missing: Mutex<Vec<String>>,
    /// The files that several units name, opened once.
    files: Mutex<HashMap<PathBuf, Option<&'static Image>>>,
}

impl Split {
    pub(super) fn new(beside: Vec<PathBuf>) -> Self {
        Self {
            beside,
            package: OnceLock::new(),
            missing: Mutex::default(),
            files: Mutex::default(),
        }
    }

    /// The sections with the entries of `skeleton`.
    pub(super) fn find(
        &self,
        main: &gimli::Dwarf<Section>,
        skeleton: &gimli::Unit<Section>,
    ) -> Option<gimli::Dwarf<Section>> {
        let id = skeleton.dwo_id?;
        if let Some(package) = self.package()
            && let Ok(Some(dwarf)) = package.find_cu(id, main)
        {
            return Some(dwarf);
        }
        let name = main.attr_string(skeleton, skeleton.dwo_name().ok()??).ok()?;
        let name = Path::new(OsStr::from_bytes(name.slice()));
        let directory = skeleton
            .comp_dir
            .map_or_else(PathBuf::new, |directory| OsStr::from_bytes(directory.slice()).into());
        let file_name = name.file_name()?;
        // Where the compiler put it, or where it was moved together with the image.
        let beside = self.beside.iter().filter_map(|path| path.parent());
        let moved = beside.flat_map(|parent| [parent.join(name), parent.join(file_name)]);
        let found = std::iter::once(directory.join(name)).chain(moved).find_map(|path| {
            let image = self.open(&path)?;
            let mut dwarf = gimli::Dwarf::load(|section| load_split(image, section)).ok()?;
            dwarf.make_dwo(main);
            dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
            // A file of that name may be of another build.
            holds(&dwarf, id).then_some(dwarf)
        });
        if found.is_none() {
            let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
            if missing.len() < MAX_MISSING {
                missing.push(text_of(name.as_os_str().as_bytes()));
            }
        }
        found
    }

    /// How many files were not found so far, and the name of one.
    pub(super) fn missing(&self) -> Option<(usize, String)> {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        Some((missing.len(), missing.iter().min()?.clone()))
    }

    /// The sections with a type unit that a package holds.
    pub(super) fn find_type(
        &self,
        main: &gimli::Dwarf<Section>,
        signature: gimli::DebugTypeSignature,
    ) -> Option<gimli::Dwarf<Section>> {
        self.package()?.find_tu(signature, main).ok()?
    }

    /// The sections of all type units that a package holds, one set for each.
    pub(super) fn packaged_types(
        &self,
        main: &gimli::Dwarf<Section>,
    ) -> impl Iterator<Item = gimli::Dwarf<Section>> {
        let package = self.package();
        let rows = package.map_or(0, |package| package.tu_index.unit_count());
        (1..=rows.min(MAX_PACKAGED_TYPES))
            .filter_map(move |row| package?.tu_sections(row, main).ok())
    }

    fn package(&self) -> Option<&gimli::DwarfPackage<Section>> {
        let open = |path: &PathBuf| {
            let mut name = path.clone().into_os_string();
            name.push(".dwp");
            let image: &'static Image = Box::leak(Box::new(Image::open(Path::new(&name)).ok()?));
            let load = |id: gimli::SectionId| {
                load_split(image, id)
                    .map_err(|_| gimli::Error::UnexpectedEof(gimli::ReaderOffsetId(0)))
            };
            gimli::DwarfPackage::load(load, EndianSlice::new(&[], RunTimeEndian::Little)).ok()
        };
        self.package.get_or_init(|| self.beside.iter().find_map(open)).as_ref()
    }

    fn open(&self, path: &Path) -> Option<&'static Image> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // As long-lived as the image itself.
        let open = || Some(&*Box::leak(Box::new(Image::open(path).ok()?)));
        *files.entry(path.to_owned()).or_insert_with(open)
    }
}

/// Whether one of the units is the one that was split off.
fn holds(dwarf: &gimli::Dwarf<Section>, id: gimli::DwoId) -> bool {
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        if dwarf.unit(header).is_ok_and(|unit| unit.dwo_id == Some(id)) {
            return true;
        }
    }
    false
}
