//! The ways that lead to an instruction, and those that lead away from it.

use super::code::Code;

/// So many instructions are followed in each direction.
pub(super) const REACH: usize = 40;
/// So many ways are told apart; where there would be more, they end.
const MAX_PATHS: usize = 8;

/// A way through a function: numbers of instructions, the nearest to the sample first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) steps: Vec<usize>,
    /// Whether it comes round to the sampled instruction again.
    pub(super) is_cycle: bool,
}

/// The ways that end just before the instruction.
pub(super) fn backward(code: &Code, number: usize) -> Vec<Path> {
    walk(number, |number| code.flow.before(number))
}

/// The ways that begin just after the instruction.
pub(super) fn forward(code: &Code, number: usize) -> Vec<Path> {
    walk(number, |number| code.flow.after(number))
}

/// Follows each way until it comes to an instruction a second time: one iteration of a loop says all
/// that there is to say.
fn walk(from: usize, next: impl Fn(usize) -> Vec<usize>) -> Vec<Path> {
    let mut open = vec![Path { steps: Vec::new(), is_cycle: false }];
    let mut done: Vec<Path> = Vec::new();
    for _ in 0..REACH {
        for mut path in std::mem::take(&mut open) {
            let last = path.steps.last().copied().unwrap_or(from);
            let ways = next(last);
            if ways.is_empty() || done.len() + open.len() + ways.len() > MAX_PATHS {
                done.push(path);
                continue;
            }
            for way in &ways {
                if *way == from {
                    let is_cycle = true;
                    let mut steps = path.steps.clone();
                    steps.push(from);
                    done.push(Path { steps, is_cycle });
                } else if path.steps.contains(way) {
                    done.push(path.clone());
                } else if ways.len() == 1 {
                    path.steps.push(*way);
                    open.push(std::mem::replace(
                        &mut path,
                        Path { steps: Vec::new(), is_cycle: false },
                    ));
                } else {
                    let mut steps = path.steps.clone();
                    steps.push(*way);
                    open.push(Path { steps, is_cycle: false });
                }
            }
        }
        if open.is_empty() {
            break;
        }
    }
    done.append(&mut open);
    done
}
