//! Safe readers of `/proc` and `/sys`.

mod host;

pub use host::Host;
