//! Which instructions every path to another one passes.
//!
//! The iterative algorithm of Cooper, Harvey and Kennedy ("A Simple, Fast Dominance Algorithm",
//! 2001), over instructions: chains without branches cost one step each.

/// The tree of immediate dominators, as intervals of its pre-order.
#[derive(Debug)]
pub(super) struct Dominators {
    enter: Vec<u32>,
    leave: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Dominators {
    /// Finds them. Node 0 is the function's start. `indirect` are jumps that may go to any of the
    /// nodes of which `is_unknown_entry` holds; without such a jump those are starts of their own.
    pub(super) fn of(
        nodes: usize,
        pairs: &[(u32, u32)],
        indirect: &[u32],
        is_unknown_entry: &[bool],
    ) -> Self {
        // Two nodes more: the root of all starts, and one that all indirect jumps go through.
        let (root, table) = (nodes as u32, nodes as u32 + 1);
        let mut after: Vec<Vec<u32>> = vec![Vec::new(); nodes + 2];
        for &(from, to) in pairs {
            after[from as usize].push(to);
        }
        if nodes > 0 {
            after[root as usize].push(0);
        }
        for from in indirect {
            after[*from as usize].push(table);
        }
        let hub = if indirect.is_empty() { root } else { table };
        let entries = (0..nodes as u32).filter(|node| is_unknown_entry[*node as usize]);
        after[hub as usize].extend(entries);

        let order = reverse_post_order(&after, root);
        let mut rank = vec![NONE; nodes + 2];
        for (position, node) in (0u32..).zip(&order) {
            rank[*node as usize] = position;
        }
        // Everything below is in ranks.
        let mut before: Vec<Vec<u32>> = vec![Vec::new(); order.len()];
        for (position, node) in (0u32..).zip(&order) {
            for to in &after[*node as usize] {
                before[rank[*to as usize] as usize].push(position);
            }
        }
        let parents = immediate(&before);
        let (enter_by_rank, leave_by_rank) = intervals(&parents);
        let by_node = |intervals: &[u32]| {
            let of = |position: u32| intervals.get(position as usize).copied().unwrap_or(NONE);
            rank.iter().map(|position| of(*position)).collect()
        };
        Self { enter: by_node(&enter_by_rank), leave: by_node(&leave_by_rank) }
    }

    /// Whether every path to `node` passes `above`; so does every node itself.
    pub(super) fn dominates(&self, above: u32, node: u32) -> bool {
        let enter = self.enter[node as usize];
        let above = above as usize;
        enter != NONE && self.enter[above] <= enter && enter < self.leave[above]
    }
}

fn reverse_post_order(after: &[Vec<u32>], root: u32) -> Vec<u32> {
    let mut order = Vec::with_capacity(after.len());
    let mut was_seen = vec![false; after.len()];
    was_seen[root as usize] = true;
    let mut stack = vec![(root, 0usize)];
    while let Some((node, position)) = stack.last_mut() {
        match after[*node as usize].get(*position) {
            Some(&next) => {
                *position += 1;
                if !was_seen[next as usize] {
                    was_seen[next as usize] = true;
                    stack.push((next, 0));
                }
            }
            None => {
                order.push(*node);
                stack.pop();
            }
        }
    }
    order.reverse();
    order
}

fn immediate(before: &[Vec<u32>]) -> Vec<u32> {
    let mut parents = vec![NONE; before.len()];
    parents[0] = 0;
    let mut has_changed = true;
    while has_changed {
        has_changed = false;
        for node in 1..before.len() {
            let mut parent = NONE;
            for &other in &before[node] {
                if parents[other as usize] == NONE {
                    continue;
                }
                parent = if parent == NONE { other } else { common(&parents, parent, other) };
            }
            if parents[node] != parent {
                parents[node] = parent;
                has_changed = true;
            }
        }
    }
    parents
}

fn common(parents: &[u32], mut one: u32, mut other: u32) -> u32 {
    while one != other {
        while one > other {
            one = parents[one as usize];
        }
        while other > one {
            other = parents[other as usize];
        }
    }
    one
}

/// Pre-order numbers and the ends of the subtrees. A parent's rank is below its children's.
fn intervals(parents: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut sizes = vec![1u32; parents.len()];
    for node in (1..parents.len()).rev() {
        sizes[parents[node] as usize] += sizes[node];
    }
    let mut enter = vec![0u32; parents.len()];
    let mut free: Vec<u32> = vec![1; parents.len()];
    for node in 1..parents.len() {
        let parent = parents[node] as usize;
        enter[node] = free[parent];
        free[parent] += sizes[node];
        free[node] = enter[node] + 1;
    }
    let leave = enter.iter().zip(&sizes).map(|(enter, size)| enter + size).collect();
    (enter, leave)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_with_a_branch_inside() {
        // 0 → 1 → {2, 3} → 4 → 1, 4 → 5; 6 is reached from nowhere.
        let pairs = [(0, 1), (1, 2), (1, 3), (2, 4), (3, 4), (4, 1), (4, 5)];
        let dominators = Dominators::of(7, &pairs, &[], &[false; 7]);
        let all = |node: u32| -> Vec<u32> {
            (0..7).filter(|above| dominators.dominates(*above, node)).collect()
        };
        assert_eq!(all(4), [0, 1, 4]);
        assert_eq!(all(5), [0, 1, 4, 5]);
        assert_eq!(all(3), [0, 1, 3]);
        assert!(all(6).is_empty(), "no path leads there");
    }

    #[test]
    fn jump_tables_belong_to_their_loop() {
        // 0 → 1 (jumps through a table to 2 or 3), both back to 1.
        let pairs = [(0, 1), (2, 1), (3, 1)];
        let entries = [false, false, true, true];
        let dominators = Dominators::of(4, &pairs, &[1], &entries);
        assert!(dominators.dominates(1, 3));
        let dominators = Dominators::of(4, &pairs, &[], &entries);
        assert!(!dominators.dominates(1, 3));
    }
}
