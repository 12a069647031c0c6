//! What differs between two reports, by what it would mean to a reader.

use std::collections::BTreeMap;
use std::fmt;

use super::report_text::{Line, Pareto, Report, Row};

/// Differences are cut off here: the first ones tell what is wrong.
const SHOWN: usize = 12;

/// All differences.
#[derive(Debug, Default)]
pub struct Differences {
    /// Figures, headers, rows: a number is wrong, missing or too much.
    pub figures: Vec<String>,
    /// The same rows in another order.
    pub order: Vec<String>,
    /// Symbols, shared objects, source lines.
    pub names: Vec<String>,
    /// Call chains.
    pub chains: Vec<String>,
}

impl Differences {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        let kinds = [&self.figures, &self.order, &self.names, &self.chains];
        kinds.iter().all(|kind| kind.is_empty())
    }

    /// Compares `ours` with `theirs`.
    pub fn between(theirs: &Report, ours: &Report) -> Self {
        let mut differences = Self::default();
        differences.compare_figures(theirs, ours);
        differences.compare_table(theirs, ours);
        differences.compare_pareto(&theirs.pareto, &ours.pareto);
        differences
    }

    fn compare_figures(&mut self, theirs: &Report, ours: &Report) {
        let titles = |report: &Report| -> Vec<String> {
            report.figures.iter().map(|(title, _)| title.clone()).collect()
        };
        self.must_be_equal("sections", &titles(theirs), &titles(ours));
        for ((title, theirs), (_, ours)) in theirs.figures.iter().zip(&ours.figures) {
            self.must_have_the_same(title, lines_of(theirs), lines_of(ours));
            if theirs != ours && lines_of(theirs).len() == lines_of(ours).len() {
                self.order.push(format!("{title}: lines in another order"));
            }
        }
    }

    fn compare_table(&mut self, theirs: &Report, ours: &Report) {
        let (theirs, ours) = (&theirs.table, &ours.table);
        self.must_be_equal("header of the table", &theirs.header, &ours.header);
        // Rows of equal rank may change places and with them their numbers.
        let rows = |rows: &[Vec<String>]| -> Vec<String> {
            rows.iter().map(|row| row[1..].join(" ")).collect()
        };
        let (their_rows, our_rows) = (rows(&theirs.rows), rows(&ours.rows));
        if self.must_have_the_same("row of the table", their_rows.clone(), our_rows.clone()) {
            self.must_be_in_order("row of the table", &their_rows, &our_rows);
        }
    }

    fn compare_pareto(&mut self, theirs: &Pareto, ours: &Pareto) {
        self.must_be_equal("header of the pareto", &theirs.header, &ours.header);
        let blocks = |pareto: &Pareto| -> Vec<String> { pareto.lines.iter().map(block).collect() };
        let (their_blocks, our_blocks) = (blocks(theirs), blocks(ours));
        if !self.must_have_the_same("line of the pareto", their_blocks.clone(), our_blocks.clone())
        {
            return;
        }
        self.must_be_in_order("line of the pareto", &their_blocks, &our_blocks);
        let mut by_block: BTreeMap<&String, Vec<&Line>> = BTreeMap::new();
        for (block, line) in our_blocks.iter().zip(&ours.lines) {
            by_block.entry(block).or_default().push(line);
        }
        // Taken from the end, so the first goes last.
        by_block.values_mut().for_each(|lines| lines.reverse());
        for (block, theirs) in their_blocks.iter().zip(&theirs.lines) {
            let ours = by_block.get_mut(block).and_then(Vec::pop).expect("there are as many");
            self.compare_rows(theirs, ours);
        }
    }

    fn compare_rows(&mut self, theirs: &Line, ours: &Line) {
        let address = theirs.head.last().expect("a head ends with the address");
        let cells = |line: &Line| -> Vec<String> { line.rows.iter().map(cells_of).collect() };
        self.must_be_in_order(&format!("row of {address}"), &cells(theirs), &cells(ours));
        let sorted = |line: &Line| {
            let mut rows: Vec<Row> = line.rows.clone();
            rows.sort();
            rows
        };
        for (theirs, ours) in sorted(theirs).iter().zip(&sorted(ours)) {
            if theirs.names != ours.names {
                let (a, b) = (&theirs.names, &ours.names);
                self.names.push(format!("{address} {}: {a:?} is {b:?}", cells_of(theirs)));
            }
            if theirs.chain != ours.chain {
                let (a, b) = (theirs.chain.join("\n"), ours.chain.join("\n"));
                self.chains.push(format!("{address} {}:\n{a}\nis\n{b}", cells_of(theirs)));
            }
        }
    }

    fn must_be_equal<T: PartialEq + fmt::Debug>(&mut self, what: &str, theirs: &T, ours: &T) {
        if theirs != ours {
            self.figures.push(format!("{what}: {theirs:?} is {ours:?}"));
        }
    }

    fn must_have_the_same(&mut self, what: &str, theirs: Vec<String>, ours: Vec<String>) -> bool {
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        theirs.into_iter().for_each(|text| *counts.entry(text).or_default() += 1);
        ours.into_iter().for_each(|text| *counts.entry(text).or_default() -= 1);
        let before = self.figures.len();
        for (text, count) in counts {
            match count {
                0 => {}
                1.. => self.figures.push(format!("{what}: only in perf's: {text}")),
                _ => self.figures.push(format!("{what}: only in ours:   {text}")),
            }
        }
        self.figures.len() == before
    }

    fn must_be_in_order(&mut self, what: &str, theirs: &[String], ours: &[String]) {
        let first = theirs.iter().zip(ours).position(|(theirs, ours)| theirs != ours);
        if let Some(at) = first {
            self.order.push(format!("{what} {at}: {} is {}", theirs[at], ours[at]));
        }
    }
}

fn lines_of(figures: &[(String, String)]) -> Vec<String> {
    figures.iter().map(|(label, value)| format!("{label}: {value}")).collect()
}

/// All of a row but its names and chain.
fn cells_of(row: &Row) -> String {
    format!("{} | {}", row.cells.join(" "), row.nodes)
}

/// All of a line but its number, names and chains, with its rows in a fixed order.
fn block(line: &Line) -> String {
    let mut rows: Vec<String> = line.rows.iter().map(cells_of).collect();
    rows.sort();
    format!("{}\n    {}", line.head[1..].join(" "), rows.join("\n    "))
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("figures", &self.figures),
            ("order", &self.order),
            ("names", &self.names),
            ("chains", &self.chains),
        ];
        for (kind, differences) in kinds {
            if !differences.is_empty() {
                writeln!(f, "{} differences of {kind}", differences.len())?;
                differences.iter().take(SHOWN).try_for_each(|text| writeln!(f, "  {text}"))?;
            }
        }
        Ok(())
    }
}

/// The comparison must be able to fail, at every place.
#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
=================================================
            Trace Event Information              
=================================================
  Total records                     :       3000
  LLC Misses to Local DRAM          :       11.8%

=================================================
           Shared Data Cache Line Table          
=================================================
#
#        ----------- Cacheline ----------      Tot
# Index             Address  Node  PA cnt     Hitm
# .....  ..................  ....  ......  .......
#
      0      0x55555580a080     0      69   18.30%
      1      0x555556000000   N/A     113    9.60%

=================================================
      Shared Cache Line Distribution Pareto      
=================================================
#
#        ----- HITM -----  ------- Store Refs ------                                              cpu                            Shared
#   Num  RmtHitm  LclHitm   L1 Hit  L1 Miss      N/A              Offset             Tid          cnt                  Symbol    Object   Source:Line  Node
# .....  .......  .......  .......  .......  .......  ..................  ..............  ...........  ......................  ........  ............  ....
#
  ----------------------------------------------------------------------
      0       82        0        0        0        0      0x55555580a080
  ----------------------------------------------------------------------
          19.51%    0.00%    0.00%    0.00%    0.00%                 0x8  2001:a worker           26  [.] operator delete(x)  server    program.c:46   0  1
            |
            ---main

          21.95%    0.00%    0.00%    0.00%    0.00%                0x10  2001:a worker           27  [.] 0x0000000000001cdc  server    server[1cdc]   1

";

    fn differences(from: &str, to: &str) -> Differences {
        assert!(TEXT.contains(from), "nothing to change");
        Differences::between(&Report::parse(TEXT), &Report::parse(&TEXT.replace(from, to)))
    }

    #[test]
    fn a_report_is_read_into_its_parts() {
        let report = Report::parse(TEXT);
        assert_eq!(report.figures[0].1[1], ("LLC Misses to Local DRAM".into(), "11.8%".into()));
        assert_eq!(report.table.rows[1], ["1", "0x555556000000", "N/A", "113", "9.60%"]);
        let line = &report.pareto.lines[0];
        assert_eq!(line.head.last().map(String::as_str), Some("0x55555580a080"));
        assert_eq!(line.rows.len(), 2);
        assert_eq!(line.rows[0].cells[5..], ["0x8", "2001:a worker", "26"]);
        assert_eq!(line.rows[0].names, ["[.] operator delete(x)", "server", "program.c:46"]);
        assert_eq!(line.rows[0].nodes, "0  1");
        assert_eq!(line.rows[0].chain.len(), 2);
    }

    #[test]
    fn a_report_does_not_differ_from_itself() {
        let differences = differences("3000", "3000");
        assert!(differences.is_empty(), "{differences}");
    }

    #[test]
    fn every_change_is_seen_as_what_it_is() {
        for (from, to) in [
            ("  3000\n", "  3001\n"),
            ("11.8%", "11.9%"),
            ("Total records ", "Total"),
            ("  9.60%", "  9.61%"),
            ("PA cnt", "PA"),
            (" N/A     113", "   0     113"),
            ("      0       82", "      0       83"),
            ("21.95%", "21.96%"),
            ("2001:a worker           26", "2002:a worker           26"),
            ("server[1cdc]   1", "server[1cdc]   0"),
            ("Source:Line", "Source"),
        ] {
            let differences = differences(from, to);
            assert!(!differences.figures.is_empty(), "{from} to {to}: {differences}");
            assert!(differences.names.is_empty(), "{from} to {to}: {differences}");
        }
        for (from, to) in [("delete(x)", "delete(y)"), ("46", "47"), ("server ", "client ")] {
            let differences = differences(from, to);
            assert!(!differences.names.is_empty(), "{from} to {to}: {differences}");
            assert!(differences.figures.is_empty(), "{from} to {to}: {differences}");
        }
        assert_eq!(differences("---main", "---walk").chains.len(), 1);
    }

    #[test]
    fn another_order_is_told_from_other_rows() {
        let rows = "      0      0x55555580a080     0      69   18.30%
      1      0x555556000000   N/A     113    9.60%
";
        let swapped = "      0      0x555556000000   N/A     113    9.60%
      1      0x55555580a080     0      69   18.30%
";
        let differences = differences(rows, swapped);
        assert_eq!(differences.order.len(), 1, "{differences}");
        assert!(differences.figures.is_empty(), "{differences}");
    }
}
