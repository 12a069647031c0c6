//! The paths to and from an instruction, within bounds.

use super::decode::Listing;
use super::graph::{Edge, Graph};
use super::instruction::Flow;

/// Instructions of one path.
const MAX_STEPS: usize = 40;

/// Paths of one direction.
const MAX_PATHS: usize = 8;

/// One path, the instruction nearest to the sample first.
#[derive(Debug, Clone, Default)]
pub(super) struct Path {
    /// The instructions.
    pub(super) steps: Vec<u32>,
    /// How many of them are nearer than the first place where other paths may join that are not
    /// known.
    pub(super) sure: usize,
    /// The first instructions of loops whose way back was taken. One full turn of a loop is enough:
    /// the turns before it touched what this one touches, or what nothing tells.
    turned: Vec<u32>,
    is_ended: bool,
}

/// The paths that lead to an instruction. Where a way back into a loop exists, the way that entered
/// the loop is left out: what runs hot came around.
pub(super) fn backward(graph: &Graph, from: u32) -> Vec<Path> {
    grow(from, false, |tail, path, edges| {
        let all = graph.before(tail);
        let is_header = all.iter().any(|edge| edge.is_back);
        if graph.has_unknown_jumps() && !is_header && path.sure == usize::MAX {
            let is_label = all.len() > 1 || graph.is_unknown_entry(tail);
            if is_label {
                path.sure = path.steps.len();
            }
        }
        if graph.is_unknown_entry(tail) && !is_header {
            path.is_ended = true;
            return;
        }
        if is_header {
            if path.turned.contains(&tail) {
                path.is_ended = true;
                return;
            }
            path.turned.push(tail);
        }
        edges.extend(all.iter().filter(|edge| edge.is_back == is_header));
    })
}

/// The paths that lead on from an instruction.
pub(super) fn forward(graph: &Graph, listing: &Listing, from: u32) -> Vec<Path> {
    grow(from, true, |tail, path, edges| {
        let turned = &path.turned;
        let after = graph.after(tail);
        edges.extend(after.iter().filter(|edge| !(edge.is_back && turned.contains(&edge.other))));
        // A way that is not followed, be it out of the function, is a way all the same.
        let ways = match listing.instructions[tail as usize].flow {
            Flow::Branch(_) => 2,
            Flow::Next | Flow::Call | Flow::Jump(_) => 1,
            Flow::Indirect | Flow::End => 0,
        };
        if edges.len() < ways {
            path.sure = path.sure.min(path.steps.len());
        }
    })
}

/// Grows all paths by one step at a time, so that what is near is known of every path.
fn grow(
    from: u32,
    is_forward: bool,
    mut edges_of: impl FnMut(u32, &mut Path, &mut Vec<Edge>),
) -> Vec<Path> {
    let mut paths = vec![Path { sure: usize::MAX, ..Path::default() }];
    let mut edges: Vec<Edge> = Vec::new();
    for _ in 0..MAX_STEPS {
        for index in 0..paths.len() {
            let path = &mut paths[index];
            if path.is_ended {
                continue;
            }
            let tail = path.steps.last().copied().unwrap_or(from);
            edges.clear();
            edges_of(tail, path, &mut edges);
            let Some((first, others)) = edges.split_first() else {
                path.is_ended = true;
                continue;
            };
            // Too many: this one ends where they part, so that nothing beyond seems to be on all.
            if paths.len() + others.len() > MAX_PATHS {
                paths[index].is_ended = true;
                continue;
            }
            for edge in others {
                let mut other = paths[index].clone();
                other.take(edge, is_forward);
                paths.push(other);
            }
            paths[index].take(first, is_forward);
        }
    }
    paths
}

impl Path {
    fn take(&mut self, edge: &Edge, is_forward: bool) {
        self.steps.push(edge.other);
        // Backwards a loop is noted where its first instruction is left.
        if is_forward && edge.is_back {
            self.turned.push(edge.other);
        }
    }
}
