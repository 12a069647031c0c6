//! What a program says of itself; `programs/truth.h` has the grammar.

use std::collections::{BTreeMap, BTreeSet};

/// Bytes that a thread touches all the time.
#[derive(Debug, Clone)]
pub struct Touch {
    pub address: u64,
    /// Zero: some bytes of the line.
    pub size: u64,
    pub tid: u64,
    pub is_read: bool,
    pub is_written: bool,
    /// What they belong to; in `tests/verdicts` the field.
    #[allow(dead_code, reason = "not every suite compares names")]
    pub label: String,
}

/// A line that CPUs fight over.
#[derive(Debug, Clone)]
pub struct ContendedLine {
    /// One for each address space.
    pub addresses: Vec<u64>,
    pub label: String,
}

/// Everything that a program said.
#[derive(Debug, Default)]
pub struct Said {
    pub contended: Vec<ContendedLine>,
    pub touches: Vec<Touch>,
    /// Iterations of each thread.
    pub work: BTreeMap<String, u64>,
    /// Nanoseconds of each phase, in their order.
    pub phases: Vec<(String, u64)>,
    /// What is no statement of the grammar.
    pub remarks: Vec<String>,
}

impl Said {
    pub fn parse(text: &str) -> Self {
        let mut said = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["contended", addresses, label] => {
                    let addresses = addresses.split(',').map(address).collect();
                    said.contended.push(ContendedLine { addresses, label: label.to_owned() });
                }
                ["touches", at, size, tid, how, label] => said.touches.push(Touch {
                    address: address(at),
                    size: number(size),
                    tid: number(tid),
                    is_read: ["read", "both"].contains(&how),
                    is_written: ["write", "both"].contains(&how),
                    label: label.to_owned(),
                }),
                ["work", name, iterations] => {
                    said.work.insert(name.to_owned(), number(iterations));
                }
                ["phase", label, time] => said.phases.push((label.to_owned(), number(time))),
                _ => said.remarks.push(line.to_owned()),
            }
        }
        said
    }

    /// The threads that touch anything.
    pub fn threads(&self) -> BTreeSet<u64> {
        self.touches.iter().map(|touch| touch.tid).collect()
    }
}

fn address(text: &str) -> u64 {
    let digits = text.strip_prefix("0x").expect("addresses begin with 0x");
    u64::from_str_radix(digits, 16).expect("a hexadecimal number")
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}
