//! Names from recordings and binaries, made harmless for a terminal.

use std::borrow::Cow;

/// The text without control characters: an escape sequence in a thread's name or a path must not
/// reach the terminal. Each is shown as `?`.
pub fn clean(text: &str) -> Cow<'_, str> {
    let is_harmful =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(is_harmful) {
        Cow::Owned(text.chars().map(|c| if is_harmful(c) { '?' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The text cut to `width` characters, keeping its end, which tells more in a path.
pub fn keep_end(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let end: String = text.chars().skip(count - width.saturating_sub(1)).collect();
    format!("…{end}")
}

/// The text cut to `width` characters, keeping its start.
pub fn keep_start(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let start: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_do_not_pass() {
        assert_eq!(clean("a\u{1b}[31mb\n"), "a?[31mb?");
        assert_eq!(clean("plain"), "plain");
        assert_eq!(keep_end("/usr/lib/libc.so.6", 10), "…libc.so.6");
        assert_eq!(keep_start("abcdef", 4), "abc…");
    }
}
