//! The same finding in many lines: summed over all instances of a type, a variable, a pair of fields or
//! a place in the code.

use rustc_hash::FxHashMap;

use super::model::{Group, Line};

/// So many lines are looked at, the most expensive ones.
pub(super) const MOST_GROUPED: usize = 20_000;

/// What lines have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupBy {
    /// Nothing: each line stands for itself.
    Line,
    /// The type of what lies there; without one the variable, the allocation, else the code.
    #[default]
    Type,
    /// The fields that are used.
    Field,
    /// The instructions that fight.
    Site,
    /// The variable.
    Symbol,
}

impl std::str::FromStr for GroupBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "line" => Ok(Self::Line),
            "type" => Ok(Self::Type),
            "field" => Ok(Self::Field),
            "site" => Ok(Self::Site),
            "symbol" => Ok(Self::Symbol),
            other => Err(format!("\"{other}\" is not one of line, type, field, site, symbol")),
        }
    }
}

/// Sums lines that have it in common, the most expensive first; each line is in one group, and is named by
/// its rank. Lines of different verdicts are not one finding.
pub(super) fn groups(lines: &[Line], by: GroupBy) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut known: FxHashMap<(&'static str, String, Option<&'static str>), usize> =
        FxHashMap::default();
    for line in lines {
        let (kind, name) = common(line, by);
        let at = *known.entry((kind, name.clone(), line.verdict)).or_insert_with(|| {
            groups.push(Group {
                kind,
                name,
                verdict: line.verdict,
                lines: Vec::new(),
                samples: 0,
                contended_loads: 0,
                waited: None,
                cost: Default::default(),
                gain: None,
            });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(at) {
            add(group, line);
        }
    }
    groups.sort_by(|a, b| {
        let cost = |group: &Group| {
            let share = group.cost.share_waited.unwrap_or_default();
            (share, group.contended_loads, group.samples)
        };
        let (a_cost, b_cost) = (cost(a), cost(b));
        b_cost
            .0
            .total_cmp(&a_cost.0)
            .then((b_cost.1, b_cost.2).cmp(&(a_cost.1, a_cost.2)))
            .then(a.lines.cmp(&b.lines))
    });
    groups
}

fn add(group: &mut Group, line: &Line) {
    let sum = |one: &mut Option<f64>, other: Option<f64>| {
        if let Some(other) = other {
            *one = Some(one.unwrap_or_default() + other);
        }
    };
    let sum_ns = |one: &mut Option<u64>, other: Option<u64>| {
        if let Some(other) = other {
            *one = Some(one.unwrap_or_default().saturating_add(other));
        }
    };
    group.lines.push(line.rank);
    group.samples = group.samples.saturating_add(line.samples);
    group.contended_loads = group.contended_loads.saturating_add(line.contended_loads);
    sum(&mut group.waited, line.waited);
    sum(&mut group.cost.share_low, line.cost.share_low);
    sum(&mut group.cost.share_waited, line.cost.share_waited);
    sum(&mut group.cost.share_high, line.cost.share_high);
    group.cost.share_high = group.cost.share_high.map(|share| share.min(1.0));
    sum_ns(&mut group.cost.cpu_ns_low, line.cost.cpu_ns_low);
    sum_ns(&mut group.cost.cpu_ns_high, line.cost.cpu_ns_high);
    sum_ns(&mut group.cost.lost_cycles, line.cost.lost_cycles);
}

/// What a line has in common with others, and its name.
fn common(line: &Line, by: GroupBy) -> (&'static str, String) {
    let found = match by {
        GroupBy::Line => None,
        GroupBy::Type => of_type(line).or_else(|| symbol(line)).or_else(|| site(line)),
        GroupBy::Field => fields(line).or_else(|| site(line)),
        GroupBy::Site => site(line),
        GroupBy::Symbol => symbol(line),
    };
    found.unwrap_or_else(|| ("line", line.address.to_string()))
}

/// The type of the object that is touched; of an array, that of its elements.
fn of_type(line: &Line) -> Option<(&'static str, String)> {
    let name = line.objects.first()?.type_name.as_deref()?;
    let element = name.split(" [").next().unwrap_or(name);
    let element = element.strip_prefix('[').and_then(|it| it.split(';').next()).unwrap_or(element);
    // A number has nothing in common with another number.
    let is_own = line.objects.first()?.kind != "heap" && !element.contains(['{', ':', ' ']);
    (!is_own && !element.contains("{...}")).then(|| ("type", element.to_owned()))
}

fn symbol(line: &Line) -> Option<(&'static str, String)> {
    let object = line.objects.first()?;
    match (&object.name, object.allocated_at.first()) {
        (Some(name), _) if object.base.is_some() => Some(("symbol", name.clone())),
        (_, Some(site)) => Some(("allocation", site.clone())),
        _ => None,
    }
}

/// Names of fields with any index.
fn fields(line: &Line) -> Option<(&'static str, String)> {
    let mut names: Vec<String> = line
        .parts
        .iter()
        .flat_map(|part| &part.fields)
        .map(|field| with_any_index(field))
        .collect();
    names.sort();
    names.dedup();
    (!names.is_empty()).then(|| ("field", names.join(" × ")))
}

fn with_any_index(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut is_index = false;
    for letter in field.chars() {
        match letter {
            '[' => {
                is_index = true;
                text.push_str("[*]");
            }
            ']' => is_index = false,
            _ if is_index => {}
            other => text.push(other),
        }
    }
    text
}

/// The instructions that fight most.
fn site(line: &Line) -> Option<(&'static str, String)> {
    let pair = line.pairs.first()?;
    let place = |index: usize| -> Option<String> {
        let access = line.accesses.get(index)?;
        let source = access.source.as_ref().map(|it| {
            let file = it.file.rsplit('/').next().unwrap_or(&it.file);
            format!(" at {file}:{}", it.line)
        });
        Some(format!("{}{}", access.label, source.unwrap_or_default()))
    };
    let (writer, other) = (place(pair.writer)?, place(pair.other)?);
    Some(("site", if writer == other { writer } else { format!("{writer} × {other}") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_do_not_tell_fields_apart() {
        assert_eq!(with_any_index("slots[3].hits"), "slots[*].hits");
        assert_eq!(with_any_index("a[1][22].b"), "a[*][*].b");
        assert_eq!(with_any_index("plain"), "plain");
    }

    #[test]
    fn keys_are_words() {
        assert_eq!("type".parse(), Ok(GroupBy::Type));
        assert!("cpu".parse::<GroupBy>().is_err_and(|error| error.contains("\"cpu\"")));
    }
}
