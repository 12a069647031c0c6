//! Output forms: a report in, bytes out. Nothing here opens files or computes answers.

mod c2c;
mod clean;
mod json;
mod layout;
mod markdown;
mod numbers;
mod text;

pub use c2c::{C2cStyle, c2c};
pub use clean::{clean, keep_end, keep_start};
pub use json::json;
pub use layout::{LayoutMargin, LayoutNote, LayoutStyle, layout};
pub use markdown::markdown;
pub use numbers::{counted, grouped, percent};
pub use text::{TextStyle, text, watch_text};
