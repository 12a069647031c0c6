//! The ring in which the kernel leaves an event's records.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use perf_event_open_sys::bindings::perf_event_mmap_page;

use super::perf_event::PerfEvent;
use super::system::page_size;

// Offsets that are part of the kernel's interface (`include/uapi/linux/perf_event.h`).
const _: () = assert!(std::mem::offset_of!(perf_event_mmap_page, data_head) == 1024);
const _: () = assert!(std::mem::offset_of!(perf_event_mmap_page, data_tail) == 1032);
const _: () = assert!(std::mem::offset_of!(perf_event_mmap_page, aux_head) == 1056);

/// A mapped ring buffer: one page of control words, and a power of two of pages with records.
#[derive(Debug)]
pub struct RingBuffer {
    base: NonNull<u8>,
    /// Bytes of the control page.
    page: usize,
    /// Bytes of the ring, a power of two.
    size: usize,
}

// SAFETY: the mapping belongs to this value alone and is valid in every thread of the process.
unsafe impl Send for RingBuffer {}

impl RingBuffer {
    /// Maps the ring of an event, of `pages` pages for records.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] unless `pages` is a power of two; what the kernel answers:
    /// `EPERM` when it is more memory than the user may lock.
    pub fn map(event: &PerfEvent, pages: usize) -> io::Result<Self> {
        let page = page_size();
        let size = pages.checked_mul(page).filter(|_| pages.is_power_of_two());
        let length = size.and_then(|size| size.checked_add(page));
        let (Some(size), Some(length)) = (size, length) else {
            let what = format!("{pages} pages are no power of two, or too many");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours. The
        // permission to write is what lets the kernel see how far the records were read.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                event.as_fd().as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { base, page, size })
    }

    /// Hands out the records that are new, in one piece or, where they wrap around the end, in two;
    /// a record may lie across both. Afterwards their room is the kernel's again. Returns how many
    /// bytes there were.
    ///
    /// # Errors
    ///
    /// What `take` answers; then the records stay.
    pub fn read<E>(
        &mut self,
        take: impl FnOnce(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        // The kernel writes records before it moves the head: reading the head first, with acquire
        // ordering, makes them visible here (`kernel/events/ring_buffer.c`, "A" and "B").
        let head = self.word(HEAD).load(Ordering::Acquire);
        let tail = self.word(TAIL).load(Ordering::Relaxed);
        // The kernel never lets the head run further ahead than the ring is long.
        let length = (head.wrapping_sub(tail) as usize).min(self.size);
        if length == 0 {
            return Ok(0);
        }
        let start = tail as usize & (self.size - 1);
        let first = length.min(self.size - start);
        // SAFETY: both ranges lie in the mapped ring, and the kernel does not write to what lies
        // between tail and head.
        let (one, two) = unsafe {
            let ring = self.base.as_ptr().add(self.page);
            (
                std::slice::from_raw_parts(ring.add(start), first),
                std::slice::from_raw_parts(ring, length - first),
            )
        };
        take(one, two)?;
        // What was read must be read before the kernel may write there: release ordering.
        self.word(TAIL).store(head, Ordering::Release);
        Ok(length)
    }

    /// Bytes for records.
    pub fn size(&self) -> usize {
        self.size
    }

    /// A control word, by its offset.
    pub(super) fn word(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset.is_multiple_of(8) && offset < self.page);
        // SAFETY: the word lies in the control page, is aligned, and both sides use it as one word.
        unsafe { &*self.base.as_ptr().add(offset).cast::<AtomicU64>() }
    }
}

const HEAD: usize = std::mem::offset_of!(perf_event_mmap_page, data_head);
const TAIL: usize = std::mem::offset_of!(perf_event_mmap_page, data_tail);

impl Drop for RingBuffer {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, of exactly this length, and nothing borrows from it
        // any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.page + self.size) };
    }
}
