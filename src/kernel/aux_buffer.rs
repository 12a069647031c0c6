//! The memory of an event that brings its own data, such as Arm's SPE.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use perf_event_open_sys::bindings::perf_event_mmap_page;

use super::perf_event::PerfEvent;
use super::ring_buffer::RingBuffer;
use super::system::page_size;

const AUX_HEAD: usize = std::mem::offset_of!(perf_event_mmap_page, aux_head);
const AUX_TAIL: usize = std::mem::offset_of!(perf_event_mmap_page, aux_tail);
const AUX_OFFSET: usize = std::mem::offset_of!(perf_event_mmap_page, aux_offset);
const AUX_SIZE: usize = std::mem::offset_of!(perf_event_mmap_page, aux_size);

/// A mapped AUX area. Its control words are in the ring buffer of the same event.
#[derive(Debug)]
pub struct AuxBuffer {
    base: NonNull<u8>,
    /// Bytes, a power of two.
    size: usize,
}

// SAFETY: the mapping belongs to this value alone and is valid in every thread of the process.
unsafe impl Send for AuxBuffer {}

impl AuxBuffer {
    /// Maps an AUX area of `size` bytes for an event whose ring buffer is mapped.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] unless `size` is a power of two of at least a page; what the
    /// kernel answers: `EOPNOTSUPP` when the event has no such data, `EPERM` when it is more memory
    /// than the user may lock.
    pub fn map(event: &PerfEvent, ring: &RingBuffer, size: usize) -> io::Result<Self> {
        let page = page_size();
        if !size.is_power_of_two() || size < page {
            let what = format!("{size} bytes are no power of two of at least a page");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let offset = page + ring.size();
        ring.word(AUX_OFFSET).store(offset as u64, Ordering::Relaxed);
        ring.word(AUX_SIZE).store(size as u64, Ordering::Release);
        let in_file = libc::off_t::try_from(offset)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a ring that is too long"))?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                event.as_fd().as_raw_fd(),
                in_file,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { base, size })
    }

    /// Hands out the data that is new, in one piece or two, with its offset in the stream of all data
    /// of this buffer. Afterwards its room is the hardware's again.
    ///
    /// # Errors
    ///
    /// What `take` answers; then the data stays.
    pub fn read<E>(
        &mut self,
        ring: &RingBuffer,
        take: impl FnOnce(u64, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let head = ring.word(AUX_HEAD).load(Ordering::Acquire);
        let tail = ring.word(AUX_TAIL).load(Ordering::Relaxed);
        let length = (head.wrapping_sub(tail) as usize).min(self.size);
        if length == 0 {
            return Ok(0);
        }
        let start = tail as usize & (self.size - 1);
        let first = length.min(self.size - start);
        // SAFETY: both ranges lie in the mapped area, and the hardware does not write to what lies
        // between tail and head.
        let (one, two) = unsafe {
            let area = self.base.as_ptr();
            (
                std::slice::from_raw_parts(area.add(start), first),
                std::slice::from_raw_parts(area, length - first),
            )
        };
        take(tail, one, two)?;
        ring.word(AUX_TAIL).store(head, Ordering::Release);
        Ok(length)
    }
}

impl Drop for AuxBuffer {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, of exactly this length, and nothing borrows from it
        // any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.size) };
    }
}
