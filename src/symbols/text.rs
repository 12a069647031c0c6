//! Names out of binaries, made fit to be kept and shown.

/// The longest name or path that is kept. Longer ones are cut: a string in a damaged file can run
/// to the end of a section of gigabytes.
const MAX_TEXT: usize = 64 << 10;

/// A name as text: bounded, valid UTF-8, and without control characters, which could otherwise steer
/// the terminal that a hostile binary's names are printed on.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    if text.chars().any(char::is_control) {
        text.replace(char::is_control, "\u{fffd}")
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_and_cleaned() {
        assert_eq!(text_of(b"main"), "main");
        assert_eq!(text_of(b"a\x1b[2Jb\xff"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(text_of(&[b'x'; MAX_TEXT + 1]).len(), MAX_TEXT);
    }
}
