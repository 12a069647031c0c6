//! A structure whose members are apart where different threads use them.

/// A member of a structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedMember {
    /// Its name.
    pub name: String,
    /// Its type, as the source writes it.
    pub type_name: String,
    /// Bytes from the start of the structure.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// What its offset must be a multiple of.
    pub alignment: u64,
    /// Which of the parts that different threads use it belongs to; `None` where nobody was seen.
    pub part: Option<usize>,
    /// Whether it has to start on a line of its own.
    pub starts_line: bool,
}

/// A structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrangement {
    /// Its members, in order.
    pub members: Vec<PlacedMember>,
    /// Bytes.
    pub size: u64,
    /// What its address must be a multiple of.
    pub alignment: u64,
}

impl Arrangement {
    /// Whether the members stand in another order than in `other`.
    pub fn is_reordered(&self, other: &Self) -> bool {
        let names = |of: &Self| -> Vec<(String, u64)> {
            of.members.iter().map(|member| (member.name.clone(), member.size)).collect()
        };
        names(self) != names(other)
    }
}

/// The structure with each part on lines of its own, `line` bytes each; `is_written` says which parts
/// anybody writes. What nobody writes disturbs nobody, and stays together with what nobody was seen to
/// use, in front. Within each part the order stays, so that nothing moves without need.
pub fn apart(of: &Arrangement, is_written: &[bool], line: u64) -> Arrangement {
    let disturbs = |member: &PlacedMember| {
        member.part.filter(|part| is_written.get(*part).copied().unwrap_or(true))
    };
    let mut order: Vec<Option<usize>> = vec![None];
    for part in of.members.iter().filter_map(disturbs) {
        if !order.contains(&Some(part)) {
            order.push(Some(part));
        }
    }
    let (mut members, mut end) = (Vec::with_capacity(of.members.len()), 0u64);
    for part in order {
        let mut is_first = true;
        for member in of.members.iter().filter(|member| disturbs(member) == part) {
            let starts_line = is_first && part.is_some();
            let alignment = if starts_line { line.max(member.alignment) } else { member.alignment };
            let offset = end.next_multiple_of(alignment.max(1));
            end = offset.saturating_add(member.size);
            members.push(PlacedMember { offset, starts_line, ..member.clone() });
            is_first = false;
        }
    }
    let has_parts = members.iter().any(|member| member.starts_line);
    let alignment = if has_parts { line.max(of.alignment) } else { of.alignment };
    Arrangement { members, size: end.next_multiple_of(alignment.max(1)), alignment }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, offset: u64, size: u64, part: Option<usize>) -> PlacedMember {
        PlacedMember {
            name: name.to_owned(),
            type_name: "long".to_owned(),
            offset,
            size,
            alignment: size.min(8),
            part,
            starts_line: false,
        }
    }

    #[test]
    fn parts_get_lines_of_their_own() {
        let stats = Arrangement {
            members: vec![
                member("name", 0, 8, None),
                member("hits", 8, 8, Some(0)),
                member("limit", 16, 4, Some(2)),
                member("misses", 24, 8, Some(1)),
                member("last_hit", 32, 8, Some(0)),
            ],
            size: 40,
            alignment: 8,
        };
        let found = apart(&stats, &[true, true, false], 64);
        let places: Vec<(&str, u64, bool)> =
            found.members.iter().map(|it| (it.name.as_str(), it.offset, it.starts_line)).collect();
        assert_eq!(
            places,
            [
                ("name", 0, false),
                ("limit", 8, false),
                ("hits", 64, true),
                ("last_hit", 72, false),
                ("misses", 128, true)
            ]
        );
        assert_eq!((found.size, found.alignment), (192, 64));
        assert!(found.is_reordered(&stats));
    }

    #[test]
    fn what_nobody_writes_moves_nothing() {
        let read = Arrangement {
            members: vec![member("a", 0, 8, Some(0)), member("b", 8, 8, Some(1))],
            size: 16,
            alignment: 8,
        };
        let found = apart(&read, &[false, false], 64);
        assert_eq!((found.size, found.alignment), (16, 8));
        assert!(!found.is_reordered(&read));
        let one_written = apart(&read, &[false, true], 128);
        assert_eq!((one_written.size, one_written.members[1].offset), (256, 128));
        assert!(!one_written.is_reordered(&read), "only further apart");
    }
}
