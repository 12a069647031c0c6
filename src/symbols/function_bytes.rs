//! The bytes of the function around an address, from a place where an instruction surely begins.

use object::{Architecture, Object, ObjectSegment, SegmentFlags, elf};

use super::ImageAddress;
use super::image::Image;

/// Code of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionBytes {
    /// Address of the first byte in the image.
    pub address: ImageAddress,
    /// The bytes, as the file has them. They live as long as the image: to the end of the process.
    pub bytes: &'static [u8],
    /// Whether a symbol or an unwind entry says that an instruction begins at the first byte. If not,
    /// an instruction is only known to begin where one was sampled.
    pub starts_at_boundary: bool,
    /// Whose instructions they are.
    pub architecture: Architecture,
}

/// So many bytes are given around an address of which nothing is known.
const UNKNOWN_REACH: u64 = 1 << 10;

impl FunctionBytes {
    /// The code around an address, whose function has this range as far as anything tells.
    pub(super) fn of(
        image: &Image,
        address: ImageAddress,
        function: Option<(u64, u64)>,
    ) -> Option<Self> {
        let function = function.filter(|(start, end)| (*start..*end).contains(&address.0));
        let unknown =
            (address.0.saturating_sub(UNKNOWN_REACH), address.0.saturating_add(UNKNOWN_REACH));
        let (start, bytes) = executable_bytes(image, address.0, function.unwrap_or(unknown))?;
        Some(Self {
            address: ImageAddress(start),
            bytes,
            starts_at_boundary: function.is_some(),
            architecture: image.object().architecture(),
        })
    }
}

/// The bytes of a range around an address, as far as the segment in the file has them, and the
/// address of the first.
fn executable_bytes(
    image: &Image,
    address: u64,
    (start, end): (u64, u64),
) -> Option<(u64, &'static [u8])> {
    image.object().segments().find_map(|segment| {
        let SegmentFlags::Elf { p_flags, .. } = segment.flags() else {
            return None;
        };
        let (offset, size) = segment.file_range();
        let first = segment.address();
        let after = first.checked_add(size)?;
        if !p_flags.contains(elf::PF_X) || !(first..after).contains(&address) {
            return None;
        }
        let (start, end) = (start.max(first), end.min(after));
        let from = usize::try_from(offset.checked_add(start - first)?).ok()?;
        let to = from.checked_add(usize::try_from(end.checked_sub(start)?).ok()?)?;
        Some((start, image.data().get(from..to)?))
    })
}
