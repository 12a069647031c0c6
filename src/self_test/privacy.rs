//! What is sent to us says nothing about whose machine it is.

/// The text without paths; those below `/proc` and `/sys` are alike on all machines, and stay.
pub fn without_paths(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = next_path(rest) {
        let (before, path) = rest.split_at(start);
        out.push_str(before);
        let end = path.find(is_end).unwrap_or(path.len());
        let (path, behind) = path.split_at(end);
        let is_everywhere = path == "/"
            || ["/proc/", "/sys/"].iter().any(|known| path.starts_with(known))
                && !path.split('/').any(|part| part == "..");
        out.push_str(if is_everywhere { path } else { "(a path)" });
        rest = behind;
    }
    out + rest
}

/// Where a path begins: a slash at the start of a word.
fn next_path(text: &str) -> Option<usize> {
    text.match_indices('/').map(|(at, _)| at).find(|&at| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|before| is_end(before) || "([{<=\"'`:".contains(before))
    })
}

fn is_end(c: char) -> bool {
    c.is_whitespace() || ",;)]}>\"'`:".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_and_words_stay() {
        for (text, expected) in [
            ("", ""),
            ("events/s and 3 / 4", "events/s and 3 / 4"),
            ("/tmp/x cannot be written: full", "(a path) cannot be written: full"),
            ("it (/home/jane/bin/hitm) ended", "it ((a path)) ended"),
            ("see /proc/kallsyms, /sys/bus", "see /proc/kallsyms, /sys/bus"),
            ("see /proc/../home/jane", "see (a path)"),
            ("read=/etc/passwd;/opt", "read=(a path);(a path)"),
        ] {
            assert_eq!(without_paths(text), expected);
        }
    }
}
