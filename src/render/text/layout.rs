//! Paragraphs and tables within 100 columns.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::TextStyle;

/// The widest line.
pub(super) const WIDTH: usize = 100;

/// Text in a colour, where colours are wanted.
pub(super) fn painted(style: &TextStyle, code: &str, text: &str) -> String {
    if style.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// A table without lines.
pub(super) fn new_table() -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH as u16 - 2)
        .force_no_tty();
    table
}

pub(super) fn align_right(table: &mut Table, index: usize) {
    if let Some(column) = table.column_mut(index) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

pub(super) fn write_table(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    table.lines().try_for_each(|line| writeln!(out, "  {}", line.trim_end()))
}

/// Words over lines of at most `width` characters; a longer word keeps a line of its own.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped() {
        assert_eq!(wrapped("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrapped("aaaaaaa b", 5), ["aaaaaaa", "b"]);
    }
}
