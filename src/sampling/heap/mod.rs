//! Tracing of allocation functions: an event for each entry and each return, with the registers that
//! hold arguments and results.
//!
//! The kernel's PMU `uprobe` cannot be used: an event of it that threads inherit is opened anew in each
//! new thread, with the path of the file read from that thread's memory, so that `clone` fails in the
//! target with `EFAULT`. Probes are defined in tracefs instead, and opened as tracepoints; in the
//! recording they look as those of the PMU do.

mod budget;
mod code;
mod cost;
mod error;
mod functions;
mod images;
mod probes;
mod rings;
mod tracer;

pub use error::HeapError;
pub(super) use images::MappedImage;
pub use probes::{defined_probes, heap_tracing_works};
pub(super) use tracer::HeapTracer;
pub use tracer::{HeapPlan, HeapSummary};
