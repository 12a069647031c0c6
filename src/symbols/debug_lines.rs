//! Source lines and inlined functions of one image, out of its DWARF.

use std::fmt;
use std::sync::Arc;

use gimli::{EndianSlice, RunTimeEndian, SectionId};
use object::Object;

use super::ImageAddress;
use super::image::Image;
use super::text::text_of;
use super::vetting::{Refusal, Section, Vetting};

/// The most frames that one address is resolved into.
const MAX_FRAMES: usize = 1024;

/// One function at an address, as the DWARF states it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DebugFrame {
    /// Its linkage name where there is one, else its plain name.
    pub(super) function: Option<String>,
    pub(super) file: Option<String>,
    pub(super) line: Option<u32>,
}

/// The debug information of one image, indexed for lookups.
///
/// Built on the first lookup: that reads the header of every unit, and then each unit once an
/// address falls into it. The sections are borrowed from the mapping unless they are compressed.
pub(super) struct DebugLines {
    dwarf: Arc<gimli::Dwarf<Section>>,
    context: addr2line::Context<Section>,
    vetting: Vetting,
}

impl DebugLines {
    /// Indexes the debug information of `image`, which may refer to that of `supplementary`.
    pub(super) fn new(image: &Image, supplementary: Option<&Image>) -> Result<Self, Refusal> {
        let mut dwarf = gimli::Dwarf::load(|id| load(image, id))?;
        if let Some(supplementary) = supplementary {
            dwarf.load_sup(|id| load(supplementary, id))?;
        }
        // Units are read twice, once to vet and once to index; they share what this holds.
        dwarf.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::All);
        let dwarf = Arc::new(dwarf);
        let vetting = Vetting::new(&dwarf)?;
        let context = addr2line::Context::from_arc_dwarf(Arc::clone(&dwarf))
            .map_err(|error| format!("its DWARF is damaged: {error}"))?;
        Ok(Self { dwarf, context, vetting })
    }

    /// The functions at the address, innermost first; the last one is not inlined.
    ///
    /// Empty when the debug information says nothing about the address.
    pub(super) fn frames(&self, address: ImageAddress) -> Result<Vec<DebugFrame>, Refusal> {
        // Ranges end before their end: the last address of all is in none.
        if address.0 == u64::MAX {
            return Ok(Vec::new());
        }
        self.vetting.vet(&self.dwarf, address.0)?;
        let damaged = |error: gimli::Error| format!("its DWARF is damaged: {error}");
        let mut found = self
            .context
            .find_frames(address.0)
            // Units that were split off into other files are left out; their names then come from
            // the symbol table.
            .skip_all_loads()
            .map_err(damaged)?;
        let mut frames = Vec::new();
        while let Some(frame) = found.next().map_err(damaged)? {
            let location = frame.location;
            frames.push(DebugFrame {
                function: frame.function.map(|function| text_of(function.name.slice())),
                file: location
                    .as_ref()
                    .and_then(|location| location.file)
                    .map(|file| text_of(file.as_bytes())),
                // Line zero stands for code that no source line made.
                line: location.and_then(|l| l.line).filter(|&line| line != 0),
            });
            if frames.len() == MAX_FRAMES {
                break;
            }
        }
        Ok(frames)
    }
}

/// The contents of a debug section; empty for those that no lookup reads.
fn load(image: &Image, id: SectionId) -> Result<Section, Refusal> {
    let endian =
        if image.object().is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let bytes = match id {
        SectionId::DebugAbbrev
        | SectionId::DebugAddr
        | SectionId::DebugAranges
        | SectionId::DebugInfo
        | SectionId::DebugLine
        | SectionId::DebugLineStr
        | SectionId::DebugRanges
        | SectionId::DebugRngLists
        | SectionId::DebugStr
        | SectionId::DebugStrOffsets => image.section(id.name())?,
        _ => &[],
    };
    Ok(EndianSlice::new(bytes, endian))
}

impl fmt::Debug for DebugLines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DebugLines").finish_non_exhaustive()
    }
}
