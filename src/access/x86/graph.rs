//! Control flow between a function's instructions.

use super::decode::Listing;
use super::dominators::Dominators;
use super::instruction::Flow;

/// An edge to or from an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    /// The instruction at the other end.
    pub(super) other: u32,
    /// Whether it leads back to a loop's first instruction.
    pub(super) is_back: bool,
}

/// The edges of a function.
#[derive(Debug)]
pub(super) struct Graph {
    before: Adjacency,
    after: Adjacency,
    clean: Vec<u16>,
    is_unknown_entry: Vec<bool>,
    has_unknown_jumps: bool,
}

/// Lists of edges, one after the other.
#[derive(Debug)]
struct Adjacency {
    starts: Vec<u32>,
    edges: Vec<Edge>,
}

impl Adjacency {
    fn of(nodes: usize, pairs: impl Iterator<Item = (u32, Edge)> + Clone) -> Self {
        let mut starts = vec![0u32; nodes + 1];
        for (from, _) in pairs.clone() {
            starts[from as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut fill = starts.clone();
        let mut edges = vec![Edge { other: 0, is_back: false }; starts[nodes] as usize];
        for (from, edge) in pairs {
            edges[fill[from as usize] as usize] = edge;
            fill[from as usize] += 1;
        }
        Self { starts, edges }
    }

    fn of_node(&self, node: u32) -> &[Edge] {
        let node = node as usize;
        &self.edges[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}

impl Graph {
    /// Finds the edges.
    pub(super) fn of(listing: &Listing) -> Self {
        let nodes = listing.instructions.len();
        let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(nodes + nodes / 4);
        let mut indirect: Vec<u32> = Vec::new();
        for (index, instruction) in (0u32..).zip(&listing.instructions) {
            let next = instruction.continues().then(|| listing.index_at(instruction.next()));
            let target = match instruction.flow {
                Flow::Branch(target) | Flow::Jump(target) => listing.index_at(target),
                _ => None,
            };
            let next = next.flatten();
            pairs.extend(next.map(|next| (index, next)));
            pairs.extend(target.filter(|_| target != next).map(|target| (index, target)));
            if instruction.flow == Flow::Indirect {
                indirect.push(index);
            }
        }
        let mut is_unknown_entry = vec![false; nodes];
        for entry in &listing.unknown_entries {
            is_unknown_entry[*entry as usize] = true;
        }
        // A block that a known branch reaches too is no longer a riddle, unless jump tables exist.
        if indirect.is_empty() {
            for (_, to) in &pairs {
                is_unknown_entry[*to as usize] = false;
            }
        }
        let dominators = Dominators::of(nodes, &pairs, &indirect, &is_unknown_entry);
        let edges = || pairs.iter().map(|&(from, to)| (from, to, dominators.dominates(to, from)));
        let before = Adjacency::of(
            nodes,
            edges().map(|(from, to, is_back)| (to, Edge { other: from, is_back })),
        );
        let after = Adjacency::of(
            nodes,
            edges().map(|(from, to, is_back)| (from, Edge { other: to, is_back })),
        );
        let mut graph = Self {
            before,
            after,
            clean: Vec::new(),
            is_unknown_entry,
            has_unknown_jumps: !indirect.is_empty(),
        };
        graph.clean = graph.clean_registers(listing);
        graph
    }

    /// What may have run just before an instruction.
    pub(super) fn before(&self, index: u32) -> &[Edge] {
        self.before.of_node(index)
    }

    /// What may run just after it.
    pub(super) fn after(&self, index: u32) -> &[Edge] {
        self.after.of_node(index)
    }

    /// The general registers whose high 32 bits are 0 before an instruction, one bit each.
    pub(super) fn clean_before(&self, index: u32) -> u16 {
        self.clean[index as usize]
    }

    /// Whether control may come from where no edge tells.
    pub(super) fn is_unknown_entry(&self, index: u32) -> bool {
        self.is_unknown_entry[index as usize]
    }

    /// Whether the function jumps through tables whose entries are not known.
    pub(super) fn has_unknown_jumps(&self) -> bool {
        self.has_unknown_jumps
    }

    /// Forward, to a fixed point: clean on all paths.
    fn clean_registers(&self, listing: &Listing) -> Vec<u16> {
        let nodes = listing.instructions.len();
        let mut clean = vec![u16::MAX; nodes];
        let mut waiting: Vec<u32> = Vec::new();
        for index in 0..nodes as u32 {
            let is_start =
                index == 0 || self.is_unknown_entry(index) || self.before(index).is_empty();
            if is_start {
                clean[index as usize] = 0;
                waiting.push(index);
            }
        }
        let mut was_seen = vec![false; nodes];
        while let Some(index) = waiting.pop() {
            was_seen[index as usize] = true;
            let after = listing.instructions[index as usize].clean_after(clean[index as usize]);
            for edge in self.after(index) {
                let to = edge.other as usize;
                let met = clean[to] & after;
                if met != clean[to] || !was_seen[to] {
                    clean[to] = met;
                    waiting.push(edge.other);
                }
            }
        }
        clean
    }
}
