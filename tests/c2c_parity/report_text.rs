//! Reading the text of a c2c report back into its sections, rows and cells.
//!
//! Cells are words: most columns have one word a row. Where the columns of names begin is told by
//! the header, whose third line has dots under each column.

use std::ops::Range;

/// A report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Sections of `label : value` lines: title and lines.
    pub figures: Vec<(String, Vec<(String, String)>)>,
    /// The cache line table.
    pub table: Table,
    /// The pareto of each line.
    pub pareto: Pareto,
}

/// The cache line table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Words of the header's lines.
    pub header: Vec<Vec<String>>,
    /// Words of each row.
    pub rows: Vec<Vec<String>>,
}

/// The pareto.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pareto {
    /// Words of the header's lines; empty when no line is listed.
    pub header: Vec<Vec<String>>,
    /// The lines.
    pub lines: Vec<Line>,
}

/// One line of the pareto.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// Number, counts and address.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// One row of the pareto.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The columns up to the names, one word each.
    pub cells: Vec<String>,
    /// Symbol, shared object and source line, as far as they are columns.
    pub names: Vec<String>,
    /// The last column.
    pub nodes: String,
    /// The call chain below the row.
    pub chain: Vec<String>,
}

impl Report {
    /// Reads a report.
    pub fn parse(text: &str) -> Self {
        let mut report = Self::default();
        let lines: Vec<&str> = text.lines().collect();
        let is_banner = |line: &&str| line.len() > 40 && line.bytes().all(|byte| byte == b'=');
        let mut at = 0;
        while at < lines.len() {
            if !is_banner(&lines[at]) {
                assert!(lines[at].trim().is_empty(), "outside of all sections: {:?}", lines[at]);
                at += 1;
                continue;
            }
            let title = lines[at + 1].trim();
            assert!(is_banner(&lines[at + 2]), "a title without its second line: {title:?}");
            let body = &lines[at + 3..];
            let length = body.iter().position(is_banner).unwrap_or(body.len());
            report.add_section(title, &body[..length]);
            at += 3 + length;
        }
        report
    }

    fn add_section(&mut self, title: &str, lines: &[&str]) {
        match title {
            "Shared Data Cache Line Table" => self.table = Table::parse(lines),
            "Shared Cache Line Distribution Pareto" => self.pareto = Pareto::parse(lines),
            _ => {
                let figures = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| {
                    let (label, value) = line.split_once(": ").expect("a label and a value");
                    (label.trim().to_owned(), value.trim().to_owned())
                });
                self.figures.push((title.to_owned(), figures.collect()));
            }
        }
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn header(lines: &[&str]) -> Vec<Vec<String>> {
    // The dots have the width of what is in the columns; of them only the number counts.
    let is_dots = |line: &str| line.starts_with("# ..");
    let header = lines.iter().take_while(|line| line.starts_with('#'));
    header
        .filter(|line| line.len() > 1)
        .map(|line| match is_dots(line) {
            true => vec![columns(line).len().to_string()],
            false => words(line),
        })
        .collect()
}

impl Table {
    fn parse(lines: &[&str]) -> Self {
        let is_row = |line: &&&str| !line.starts_with('#') && !line.trim().is_empty();
        let rows = lines.iter().filter(is_row).map(|line| words(line)).collect();
        Self { header: header(lines), rows }
    }
}

/// Where the dots of each column are.
fn columns(dots: &str) -> Vec<Range<usize>> {
    let mut columns = Vec::new();
    let mut start = None;
    for (at, byte) in dots.bytes().chain([b' ']).enumerate() {
        match (byte, start) {
            (b'.', None) => start = Some(at),
            (b'.', Some(_)) | (_, None) => {}
            (_, Some(first)) => {
                columns.push(first..at);
                start = None;
            }
        }
    }
    columns
}

/// Which columns a pareto has.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Columns of one word, without the blank one for the number.
    cells: usize,
    /// Columns of names.
    names: usize,
    /// Which of the cells is the thread, whose name may have blanks.
    thread: Option<usize>,
}

impl Shape {
    fn of(header: &[&str]) -> Self {
        let dots = header.iter().find(|line| line.starts_with("# ..")).expect("dots");
        let columns = columns(dots);
        let labels = header.iter().rev().find(|line| line.contains("Num")).expect("labels");
        let label = |range: &Range<usize>| {
            labels.get(range.start..range.end.min(labels.len())).unwrap_or_default().trim()
        };
        let position = |text: &str| columns.iter().position(|range| label(range) == text);
        let first_name = position("Symbol").or(position("Object")).unwrap_or(columns.len() - 1);
        Self {
            cells: first_name - 1,
            names: columns.len() - 1 - first_name,
            thread: position("Tid").map(|at| at - 1),
        }
    }

    fn row(self, line: &str) -> Row {
        let mut rest = line;
        let mut cells = Vec::new();
        while cells.len() < self.cells {
            let trimmed = rest.trim_start();
            let end = trimmed.find(' ').unwrap_or(trimmed.len());
            let (mut word, mut after) = trimmed.split_at(end);
            if self.thread == Some(cells.len()) {
                // The next column is a number or an address, right of two blanks or more.
                let end = trimmed.find("  ").unwrap_or(trimmed.len());
                (word, after) = trimmed.split_at(end);
            }
            assert!(!word.is_empty(), "fewer columns than the header has: {line:?}");
            cells.push(word.to_owned());
            rest = after;
        }
        let mut names = Vec::new();
        for _ in 0..self.names {
            let trimmed = rest.trim_start();
            let end = trimmed.find("  ").unwrap_or(trimmed.len());
            let (name, after) = trimmed.split_at(end);
            names.push(name.to_owned());
            rest = after;
        }
        Row { cells, names, nodes: rest.trim().to_owned(), chain: Vec::new() }
    }
}

impl Pareto {
    fn parse(lines: &[&str]) -> Self {
        let header_lines: Vec<&str> =
            lines.iter().copied().take_while(|line| line.starts_with('#')).collect();
        let mut pareto = Self { header: header(lines), lines: Vec::new() };
        if pareto.header.is_empty() {
            return pareto;
        }
        let shape = Shape::of(&header_lines);
        let is_rule =
            |line: &str| line.trim().len() == 70 && line.trim().bytes().all(|b| b == b'-');
        let mut after_rule = false;
        for line in &lines[header_lines.len()..] {
            if is_rule(line) {
                after_rule = !after_rule;
            } else if after_rule {
                pareto.lines.push(Line { head: words(line), rows: Vec::new() });
            } else if !line.trim().is_empty() {
                let current = pareto.lines.last_mut().expect("a line before its rows");
                match is_row(line) {
                    true => current.rows.push(shape.row(line)),
                    false => {
                        let row = current.rows.last_mut().expect("a row before its chain");
                        row.chain.push(line.trim_end().to_owned());
                    }
                }
            }
        }
        pareto
    }
}

/// Rows begin with five percentages.
fn is_row(line: &str) -> bool {
    let mut words = line.split_whitespace();
    (0..5).all(|_| words.next().is_some_and(|word| word.ends_with('%')))
}
