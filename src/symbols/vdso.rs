//! The kernel's page of user code, which is in no file.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// The largest that is read, bytes; real ones have a few pages.
const MAX_SIZE: u64 = 1 << 20;

/// The bytes of the vdso that the running kernel maps into this process, the same for all processes
/// of one kernel and one mode. `None` where there is none, or where `/proc` is not readable.
#[must_use]
pub fn running_vdso() -> Option<Vec<u8>> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let size = u64::from_str_radix(end, 16).ok()?.checked_sub(start)?;
    let mut bytes = vec![0; usize::try_from(size.min(MAX_SIZE)).ok()?];
    File::open("/proc/self/mem").ok()?.read_exact_at(&mut bytes, start).ok()?;
    Some(bytes)
}
