//! What lay on the heap when, from the calls of allocation functions that were traced.

mod calls;
mod function;
mod history;
mod ranges;
#[cfg(test)]
mod tests;

pub use calls::{HeapCall, HeapEvent, Step};
pub use function::{AllocationFunction, EVENT_GROUP, RETURN_SUFFIX, Shape, traces_heap};
pub use history::{Allocation, End, HeapHistory};
pub use ranges::{HeapRanges, MOST_FREED};
