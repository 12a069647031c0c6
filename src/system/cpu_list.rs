//! The kernel's lists of CPUs and nodes: `0-3,8`.

/// CPU numbers beyond this are taken for damage; Linux knows at most 8192.
const MAX_CPU: u32 = 1 << 16;

/// A list that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a list of CPUs such as 0-3,8")]
pub struct CpuListError {
    /// What was found.
    pub text: String,
}

/// Reads a list such as `0-3,8`; the result is in ascending order without repetitions. An empty text
/// is an empty list.
///
/// # Errors
///
/// Anything else, and numbers that no Linux has.
pub fn parse_cpu_list(text: &str) -> Result<Vec<u32>, CpuListError> {
    let wrong = || CpuListError { text: text.trim().to_owned() };
    let mut cpus = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse().ok().filter(|&number: &u32| number < MAX_CPU);
        let first = number(first).ok_or_else(wrong)?;
        let last = number(last).filter(|&last| last >= first).ok_or_else(wrong)?;
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_and_refuses_the_rest() {
        assert_eq!(parse_cpu_list("0-2,8\n"), Ok(vec![0, 1, 2, 8]));
        assert_eq!(parse_cpu_list("4,1-2,2"), Ok(vec![1, 2, 4]));
        assert_eq!(parse_cpu_list("\n"), Ok(vec![]));
        for wrong in ["3-1", "x", "0-", "-1", "0-4294967295", "70000"] {
            assert_eq!(parse_cpu_list(wrong), Err(CpuListError { text: wrong.to_owned() }));
        }
    }
}
