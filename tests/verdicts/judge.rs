//! What a report says of a case, held against the table and against what the program says.

use serde_json::Value;

use crate::cases::Case;
use crate::outcome::{Outcome, address, share};
use crate::said::Touch;

const LINE: u64 = 64;

/// How one case came out.
#[derive(Debug, Default, Clone)]
pub struct Judgement {
    /// Lines that are contended, and what was said of each; `missing` where nothing was.
    pub expected: Vec<String>,
    /// Lines that are claimed and not contended: what was said.
    pub made_up: Vec<String>,
    /// Suspects that are not contended.
    pub suspects: usize,
    /// Lines whose object is right, of those that are contended and claimed.
    pub objects: Tally,
    /// Bytes that threads use, by the field that was named for them.
    pub fields: Tally,
    /// Lines with right advice.
    pub advice: Tally,
    /// Everything that is not as it should be, in words.
    pub wrong: Vec<String>,
}

/// Right, not said, wrong.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub right: usize,
    pub unknown: usize,
    pub wrong: usize,
}

impl Tally {
    fn add(&mut self, answer: Option<bool>) {
        match answer {
            Some(true) => self.right += 1,
            None => self.unknown += 1,
            Some(false) => self.wrong += 1,
        }
    }

    pub fn sum(self, other: Self) -> Self {
        Self {
            right: self.right + other.right,
            unknown: self.unknown + other.unknown,
            wrong: self.wrong + other.wrong,
        }
    }

    pub fn total(self) -> usize {
        self.right + self.unknown + self.wrong
    }
}

impl Judgement {
    /// Whether the right lines have the right verdict, and no other has one.
    pub fn is_verdict_right(&self, case: &Case) -> bool {
        self.made_up.is_empty() && self.expected.iter().all(|said| said == case.verdict)
    }

    /// What is wrong, and what is not said though it can be known: of variables with names, everything; of
    /// other memory the fields may be unknown, and the advice where the object is.
    pub fn failures(&self, case: &Case) -> Vec<String> {
        let mut failures = self.wrong.clone();
        let is_global = case.kind == "global";
        for (what, tally, is_expected) in [
            ("objects", self.objects, is_global),
            ("fields", self.fields, is_global),
            ("pieces of advice", self.advice, is_global),
        ] {
            if is_expected && tally.unknown > 0 {
                failures.push(format!("{} {what} are missing", tally.unknown));
            }
        }
        failures
    }

    /// Everything about a case.
    pub fn of(case: &Case, outcome: &Outcome) -> Self {
        let mut judgement = Self::default();
        let is_none = case.verdict == "none";
        assert_eq!(
            is_none,
            outcome.said.contended.is_empty(),
            "{}: table and program differ",
            case.name
        );
        let mut others: Vec<&Value> = outcome.lines().iter().collect();
        for truth in &outcome.said.contended {
            let is_it = |line: &&Value| truth.addresses.contains(&address(&line["address"]));
            let Some(at) = others.iter().position(is_it) else {
                judgement.expected.push("missing".to_owned());
                judgement.wrong.push(format!("{:#x?} is not reported", truth.addresses));
                continue;
            };
            let line = others.remove(at);
            let verdict = line["verdict"].as_str().unwrap_or("undecided").to_owned();
            if verdict != case.verdict {
                judgement.wrong.push(format!("the verdict is {verdict}: {}", brief(line)));
            }
            judgement.expected.push(verdict);
            judgement.judge_line(case, outcome, &truth.addresses, line);
        }
        for line in others {
            let verdict = line["verdict"].as_str().unwrap_or("undecided");
            match verdict {
                "possible" => judgement.suspects += 1,
                "migrating" | "none" => {}
                _ => {
                    judgement.made_up.push(verdict.to_owned());
                    judgement.wrong.push(format!("nobody fights over {}", brief(line)));
                }
            }
        }
        judgement
    }

    fn judge_line(&mut self, case: &Case, outcome: &Outcome, addresses: &[u64], line: &Value) {
        let objects = line["objects"].as_array().map(Vec::as_slice).unwrap_or_default();
        let object = is_object(case, objects);
        if object == Some(false) {
            self.wrong.push(format!("objects are {}", line["objects"]));
        }
        self.objects.add(object);
        let mut seen = Vec::new();
        for touch in &outcome.said.touches {
            let offset = touch.address % LINE;
            if !addresses.contains(&(touch.address & !(LINE - 1))) || seen.contains(&offset) {
                continue;
            }
            seen.push(offset);
            let field = is_field(touch, objects, &line["fields"]);
            if field == Some(false) {
                self.wrong
                    .push(format!("{} at {offset} is said to be {}", touch.label, line["fields"]));
            }
            self.fields.add(field);
        }
        let kinds: Vec<&str> =
            list(&line["advice"]).iter().filter_map(|advice| advice["kind"].as_str()).collect();
        // Without knowing the object all that can be said is to part its bytes somehow.
        let is_known = objects.iter().any(|object| !object["base"].is_null());
        let is_of_anything = !is_known && case.kind != "global" && kinds == ["split"];
        let advice = (!kinds.is_empty() && !is_of_anything)
            .then(|| kinds.iter().all(|kind| case.advice.contains(kind)));
        if advice == Some(false) {
            self.wrong.push(format!("the advice is {kinds:?} and not among {:?}", case.advice));
        }
        self.advice.add(advice);
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Whether the object is among them; `None` where nothing is known.
fn is_object(case: &Case, objects: &[Value]) -> Option<bool> {
    let known: Vec<&Value> =
        objects.iter().filter(|object| object["kind"] != "unknown" && !object.is_null()).collect();
    if known.is_empty() {
        return None;
    }
    let is_it = |object: &&Value| {
        let name = object["name"].as_str().unwrap_or_default();
        let is_one = |right: &str| right.is_empty() || is_named(name, right);
        object["kind"] == case.kind && case.object.split('|').any(is_one)
    };
    Some(known.iter().any(is_it))
}

/// Whether a name is the right one, with or without the modules or namespaces around it.
fn is_named(name: &str, right: &str) -> bool {
    name == right
        || name.strip_suffix(right).is_some_and(|before| before.ends_with("::"))
        || right.strip_suffix(name).is_some_and(|before| before.ends_with("::"))
}

/// Whether the field at these bytes is the right one; `None` where none is named.
fn is_field(touch: &Touch, objects: &[Value], fields: &Value) -> Option<bool> {
    let offset = touch.address % LINE;
    let covers = |field: &&Value| {
        let (start, size) = (field["offset"].as_u64()?, field["size"].as_u64()?);
        (start <= offset && offset < start + size.max(1)).then_some(())
    };
    let paths: Vec<String> = list(fields)
        .iter()
        .filter(|field| covers(field).is_some())
        .filter_map(|field| {
            let path = field["path"].as_str()?;
            let at = field["object"].as_u64().and_then(|at| usize::try_from(at).ok());
            let object = at.and_then(|at| objects.get(at)?["name"].as_str()).unwrap_or_default();
            Some(match (object, path) {
                (object, "") => object.to_owned(),
                ("", path) => path.to_owned(),
                (object, path) if path.starts_with(object) => path.to_owned(),
                (object, path) if path.starts_with('[') => format!("{object}{path}"),
                (object, path) => format!("{object}.{path}"),
            })
        })
        .collect();
    if paths.is_empty() {
        return None;
    }
    let is_right =
        |path: &String| touch.label.split('|').any(|label| is_path(path.as_str(), label));
    Some(paths.iter().any(is_right))
}

/// Whether a path leads to the field, with or without what is around the object, and at least so deep.
fn is_path(path: &str, label: &str) -> bool {
    let ends = |end: usize| path[end..].is_empty() || path[end..].starts_with(['.', '[']);
    path.match_indices(label).any(|(start, _)| {
        let before = &path[..start];
        let begins = before.is_empty()
            || before.ends_with("::")
            || before.ends_with('.')
            || label.starts_with('[');
        begins && ends(start + label.len())
    })
}

fn brief(line: &Value) -> String {
    let accesses = list(&line["accesses"]).iter().map(|access| {
        let threads: Vec<String> = list(&access["threads"])
            .iter()
            .map(|thread| format!("{} ×{}", thread["tid"], thread["samples"]))
            .collect();
        format!(
            "{} {}+{} by {} in {}",
            access["kind"].as_str().unwrap_or_default(),
            access["offset"],
            access["size"],
            threads.join(" "),
            access["label"].as_str().unwrap_or_default()
        )
    });
    let accesses: Vec<String> = accesses.collect();
    format!(
        "{} ({}, up to {:.3}): {}\n    reason: {}",
        line["address"].as_str().unwrap_or_default(),
        line["verdict"],
        share(line, "share_high"),
        accesses.join("; "),
        line["reason"].as_str().unwrap_or_default()
    )
}
