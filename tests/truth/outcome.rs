//! What a report says, held against what the program says.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::said::Said;

const LINE: u64 = 64;

/// A program's run and the report on it.
pub struct Outcome {
    /// Program and mode.
    pub name: String,
    pub said: Said,
    pub report: Value,
}

/// What must be said of the contended lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Time was seen to be lost there.
    Claimed,
    /// That, or at least that they are suspects: what waits is an instruction elsewhere.
    Suspected,
    /// Whatever can be said of threads that live for a few samples each.
    Threads,
}

/// Reads and writes by thread, offset and size.
type Uses = BTreeMap<(u64, u64, u64), (bool, bool)>;

impl Outcome {
    /// Every contended line is found, with its threads, offsets, sizes and directions, and no other.
    pub fn assert_found(&self, standing: Standing) {
        let mut wrong = Vec::new();
        let mut lines = self.lines().to_vec();
        assert!(!self.said.contended.is_empty(), "{}: what is to be found?", self.name);
        for truth in &self.said.contended {
            let is_it = |line: &Value| truth.addresses.contains(&address(&line["address"]));
            let Some(at) = lines.iter().position(is_it) else {
                wrong.push(format!("{} at {:#x?} is not found", truth.label, truth.addresses));
                continue;
            };
            let line = lines.remove(at);
            let context = format!("{} at {}", truth.label, line["address"]);
            if line["grade"] != "timed" {
                wrong.push(format!("{context}: the grade is {}", line["grade"]));
            }
            if standing == Standing::Claimed && line["verdict"] == "possible" {
                wrong.push(format!("{context}: only possible"));
            }
            let share = share(&line, "share_high");
            if share.is_nan() || share <= 0.0 {
                wrong.push(format!("{context}: costs nothing"));
            }
            self.compare_uses(&context, truth.addresses.as_slice(), &line, standing, &mut wrong);
        }
        wrong.extend(lines.iter().map(|line| format!("nobody fights over {}", brief(line))));
        self.end(wrong);
    }

    /// Nothing is reported.
    pub fn assert_nothing(&self) {
        assert!(self.said.contended.is_empty(), "{}: something is contended", self.name);
        self.end(
            self.lines().iter().map(|line| format!("nobody fights over {}", brief(line))).collect(),
        );
    }

    /// The lines of the report.
    pub fn lines(&self) -> &[Value] {
        self.report["lines"].as_array().expect("lines")
    }

    /// A count of the summary.
    pub fn summary(&self, name: &str) -> u64 {
        self.report["summary"][name].as_u64().unwrap_or_else(|| panic!("summary.{name} is a count"))
    }

    /// All samples of the recording.
    pub fn samples(&self) -> u64 {
        self.report["recording"]["samples"].as_u64().expect("recording.samples is a count")
    }

    /// The samples with an operand in reach whose address is not determined, for any reason.
    pub fn lost_samples(&self) -> u64 {
        let reasons = self.report["unresolved"].as_object().expect("counts by reason");
        reasons.values().map(|count| count.as_u64().expect("a count")).sum()
    }

    /// The samples that are lost for this reason.
    pub fn unresolved(&self, reason: &str) -> u64 {
        self.report["unresolved"][reason].as_u64().unwrap_or_else(|| panic!("unresolved.{reason}"))
    }

    /// What was wrong, and what holds for every run: enough samples, and of those with an operand
    /// in reach and not overwritten at least 98 % resolved.
    fn end(&self, mut wrong: Vec<String>) {
        let samples = self.samples();
        if samples < 100 {
            wrong.push(format!("{samples} samples are too few to tell anything"));
        }
        let resolved = self.summary("resolved");
        let in_reach = resolved + self.lost_samples() - self.unresolved("overwritten");
        if resolved * 100 < in_reach * 98 {
            wrong.push(format!(
                "{resolved} of {in_reach} samples are resolved: {}",
                self.report["unresolved"]
            ));
        }
        assert!(
            wrong.is_empty(),
            "{}:\n  {}\n  summary {}\n  unresolved {}\n  warnings {}",
            self.name,
            wrong.join("\n  "),
            self.report["summary"],
            self.report["unresolved"],
            self.report["warnings"],
        );
    }

    fn compare_uses(
        &self,
        context: &str,
        addresses: &[u64],
        line: &Value,
        standing: Standing,
        wrong: &mut Vec<String>,
    ) {
        let mut truth = Uses::new();
        for touch in &self.said.touches {
            if !addresses.contains(&(touch.address & !(LINE - 1))) {
                continue;
            }
            let offset = if touch.size == 0 { 0 } else { touch.address % LINE };
            let uses = truth.entry((touch.tid, offset, touch.size)).or_default();
            *uses = (uses.0 | touch.is_read, uses.1 | touch.is_written);
        }
        let is_anywhere = truth.keys().any(|(_, _, size)| *size == 0);
        let busy = self.said.threads();
        let mut found = Uses::new();
        for access in line["accesses"].as_array().expect("accesses") {
            let kind = access["kind"].as_str().expect("kind");
            for thread in access["threads"].as_array().expect("threads") {
                let tid = thread["tid"].as_u64().expect("tid");
                // The main thread may have been seen while it set things up.
                if !busy.contains(&tid) {
                    continue;
                }
                let of = |name: &str| if is_anywhere { 0 } else { access[name].as_u64().unwrap() };
                let uses = found.entry((tid, of("offset"), of("size"))).or_default();
                *uses = (uses.0 | (kind != "store"), uses.1 | (kind != "load"));
            }
        }
        if standing == Standing::Threads {
            let is_true =
                |use_: &(&(u64, u64, u64), &(bool, bool))| truth.get(use_.0) == Some(use_.1);
            if let Some(extra) = found.iter().find(|use_| !is_true(use_)) {
                wrong.push(format!("{context}: not so: {}", written(extra)));
            }
            if found.len() * 10 < truth.len() * 8 {
                wrong.push(format!(
                    "{context}: {} of {} threads are seen",
                    found.len(),
                    truth.len()
                ));
            }
        } else if found != truth {
            let list = |uses: &Uses| uses.iter().map(written).collect::<Vec<_>>().join("; ");
            wrong.push(format!(
                "{context}: found {}\n    instead of {}",
                list(&found),
                list(&truth)
            ));
        }
    }
}

fn written(
    ((tid, offset, size), (is_read, is_written)): (&(u64, u64, u64), &(bool, bool)),
) -> String {
    let how = match (is_read, is_written) {
        (true, true) => "both",
        (true, false) => "read",
        _ => "write",
    };
    format!("{tid} {how} {offset}+{size}")
}

fn brief(line: &Value) -> String {
    let uses = line["accesses"].as_array().into_iter().flatten().map(|access| {
        let threads = access["threads"].as_array().into_iter().flatten();
        let threads: Vec<String> =
            threads.map(|thread| format!("{} ×{}", thread["tid"], thread["samples"])).collect();
        let place = (&access["symbol"], &access["source"]["line"]);
        format!(
            "{} {}+{} by {} in {} line {}",
            access["kind"],
            access["offset"],
            access["size"],
            threads.join(" "),
            place.0,
            place.1
        )
    });
    let uses: Vec<String> = uses.collect();
    format!(
        "{} ({}, up to {:.3}): {}",
        line["address"],
        line["verdict"],
        share(line, "share_high"),
        uses.join("; ")
    )
}

/// An address as the report writes it.
pub fn address(value: &Value) -> u64 {
    let text = value.as_str().and_then(|text| text.strip_prefix("0x")).expect("an address");
    u64::from_str_radix(text, 16).expect("a hexadecimal number")
}

/// A share of the cost.
pub fn share(line: &Value, name: &str) -> f64 {
    line["cost"][name].as_f64().unwrap_or(f64::NAN)
}
