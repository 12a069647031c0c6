//! The only module with `unsafe`: what the kernel hands out by address.
//!
//! For now that is one thing, a file mapped into memory.

mod mapped_file;

pub use mapped_file::MappedFile;
