//! Where functions begin and end by the unwind tables, which stripped images have too.

use gimli::{BaseAddresses, EhFrame, EhFrameHdr, NativeEndian, ParsedEhFrameHdr, UnwindSection};
use object::{Object, ObjectSection};

use super::ImageAddress;
use super::image::Image;

pub(super) type Reader = gimli::EndianSlice<'static, NativeEndian>;

/// The unwind entries of an image.
#[derive(Debug, Default)]
pub(super) struct UnwindTable {
    bases: BaseAddresses,
    frames: Option<EhFrame<Reader>>,
    /// A sorted index that linkers make.
    index: Option<ParsedEhFrameHdr<Reader>>,
    /// Ranges of all entries, sorted; only where there is no index.
    ranges: Vec<(u64, u64)>,
}

impl UnwindTable {
    pub(super) fn of(image: &Image) -> Self {
        let object = image.object();
        if object.is_little_endian() != cfg!(target_endian = "little") {
            return Self::default();
        }
        let address = |name| object.section_by_name(name).map(|section| section.address());
        let slice =
            |name| gimli::EndianSlice::new(image.section(name).unwrap_or(&[]), NativeEndian);
        let (Some(frame_address), frames) = (address(".eh_frame"), slice(".eh_frame")) else {
            return Self::default();
        };
        let mut bases = BaseAddresses::default().set_eh_frame(frame_address);
        for (name, set) in [
            (".text", BaseAddresses::set_text as fn(_, _) -> _),
            (".got", BaseAddresses::set_got),
            (".eh_frame_hdr", BaseAddresses::set_eh_frame_hdr),
        ] {
            if let Some(address) = address(name) {
                bases = set(bases, address);
            }
        }
        let address_size = if object.is_64() { 8 } else { 4 };
        let mut frames = EhFrame::from(frames);
        frames.set_address_size(address_size);
        let index = EhFrameHdr::from(slice(".eh_frame_hdr")).parse(&bases, address_size).ok();
        let index = index.filter(|index| index.table().is_some());
        let ranges = if index.is_none() { all_ranges(&frames, &bases) } else { Vec::new() };
        Self { bases, frames: Some(frames), index, ranges }
    }

    /// All entries, and what their addresses are relative to.
    pub(super) fn frames(&self) -> Option<(&EhFrame<Reader>, &BaseAddresses)> {
        Some((self.frames.as_ref()?, &self.bases))
    }

    pub(super) fn index(&self) -> Option<&ParsedEhFrameHdr<Reader>> {
        self.index.as_ref()
    }

    /// The entry that covers an address: its first address, and the first one after it.
    pub(super) fn range(&self, address: ImageAddress) -> Option<(u64, u64)> {
        if let (Some(frames), Some(index)) = (&self.frames, &self.index) {
            let entry = index
                .table()?
                .fde_for_address(frames, &self.bases, address.0, EhFrame::cie_from_offset)
                .ok()?;
            return range_of(&entry).filter(|(start, _)| *start <= address.0);
        }
        let after = self.ranges.partition_point(|(start, _)| *start <= address.0);
        let range = *self.ranges.get(after.checked_sub(1)?)?;
        (address.0 < range.1).then_some(range)
    }
}

/// What the canonical frame address is made of, from the tables of the image.
impl UnwindTable {
    /// The DWARF number of the register, and the bytes to add to it, that make the canonical frame
    /// address at an address of the code.
    pub(super) fn canonical_frame(&self, address: ImageAddress) -> Option<(u16, i64)> {
        let frames = self.frames.as_ref()?;
        let mut context = gimli::UnwindContext::new();
        let get = EhFrame::cie_from_offset;
        let row = match &self.index {
            Some(index) => {
                let table = index.table()?;
                table.unwind_info_for_address(frames, &self.bases, &mut context, address.0, get)
            }
            None => frames.unwind_info_for_address(&self.bases, &mut context, address.0, get),
        };
        match row.ok()?.cfa() {
            gimli::CfaRule::RegisterAndOffset { register, offset } => Some((register.0, *offset)),
            gimli::CfaRule::Expression(_) => None,
        }
    }
}

/// Entries of signal trampolines begin one byte early, so that an unwinder that looks at the byte before a
/// return address finds them (glibc's `__restore_rt`).
fn range_of(entry: &gimli::FrameDescriptionEntry<Reader>) -> Option<(u64, u64)> {
    let start = entry.initial_address();
    let end = start.checked_add(entry.len())?;
    Some((start + u64::from(entry.is_signal_trampoline() && start < end), end))
}

fn all_ranges(frames: &EhFrame<Reader>, bases: &BaseAddresses) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let mut entries = frames.entries(bases);
    // A damaged entry ends the walk: what follows cannot be told from its remains.
    while let Ok(Some(entry)) = entries.next() {
        if let gimli::CieOrFde::Fde(partial) = entry
            && let Ok(entry) = partial.parse(EhFrame::cie_from_offset)
        {
            ranges.extend(range_of(&entry));
        }
    }
    ranges.sort_unstable();
    ranges
}
