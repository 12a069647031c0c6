//! How control flows between the instructions of a function, and which of them form loops.

use iced_x86::{FlowControl, Instruction, Mnemonic};

use super::code::{branch_target, falls_through};

/// Edges between instructions, by their numbers, and loops.
#[derive(Debug, Default)]
pub(super) struct Flow {
    predecessors: Vec<Vec<u32>>,
    successors: Vec<Vec<u32>>,
    /// The innermost loop of each instruction.
    innermost: Vec<Option<u32>>,
    loops: Vec<Loop>,
}

#[derive(Debug)]
struct Loop {
    /// Instructions in it.
    size: u32,
    members: Vec<u32>,
}

impl Flow {
    /// The flow of instructions, sorted by address, that are entered at one of them.
    pub(super) fn of(instructions: &[Instruction], entry: u64) -> Self {
        let count = instructions.len();
        let mut flow = Self {
            predecessors: vec![Vec::new(); count],
            successors: vec![Vec::new(); count],
            innermost: vec![None; count],
            loops: Vec::new(),
        };
        for (number, instruction) in instructions.iter().enumerate() {
            let next = instructions.get(number + 1);
            let is_next = next.is_some_and(|next| next.ip() == instruction.next_ip());
            if falls_through(instruction) && is_next {
                flow.connect(number, number + 1);
            }
            let target = branch_target(instruction)
                .and_then(|to| instructions.binary_search_by_key(&to, Instruction::ip).ok());
            if let Some(target) = target {
                flow.connect(number, target);
            }
        }
        let entry = instructions.binary_search_by_key(&entry, Instruction::ip).unwrap_or(0);
        flow.cut_off_unreachable(instructions, entry);
        flow.find_loops(entry as u32);
        flow
    }

    /// Takes away what leads here from where control never is: padding between blocks. Where a jump
    /// goes is not known of indirect ones, such as those of a switch: with one of them, what nothing
    /// else leads to is taken for its target.
    fn cut_off_unreachable(&mut self, instructions: &[Instruction], entry: usize) {
        let is_indirect = |it: &Instruction| it.flow_control() == FlowControl::IndirectBranch;
        let mut todo = vec![entry];
        if instructions.iter().any(is_indirect) {
            let is_padding =
                |it: &Instruction| matches!(it.mnemonic(), Mnemonic::Nop | Mnemonic::Int3);
            let targets = (0..instructions.len()).filter(|&number| {
                self.predecessors[number].is_empty() && !is_padding(&instructions[number])
            });
            todo.extend(targets);
        }
        let mut is_reached = vec![false; instructions.len()];
        while let Some(number) = todo.pop() {
            if let Some(reached) = is_reached.get_mut(number)
                && !std::mem::replace(reached, true)
            {
                todo.extend(self.successors[number].iter().map(|to| *to as usize));
            }
        }
        for predecessors in &mut self.predecessors {
            predecessors.retain(|from| is_reached[*from as usize]);
        }
        for (number, successors) in self.successors.iter_mut().enumerate() {
            if !is_reached[number] {
                successors.clear();
            }
        }
    }

    fn connect(&mut self, from: usize, to: usize) {
        if !self.successors[from].contains(&(to as u32)) {
            self.successors[from].push(to as u32);
            self.predecessors[to].push(from as u32);
        }
    }

    /// The instructions from which control came here. In a loop only those within it: in a loop that
    /// is sampled, the iteration before is what ran.
    pub(super) fn before(&self, number: usize) -> Vec<usize> {
        self.within_loop(number, &self.predecessors[number])
    }

    /// The instructions to which control goes from here, within the loop if one goes round.
    pub(super) fn after(&self, number: usize) -> Vec<usize> {
        self.within_loop(number, &self.successors[number])
    }

    fn within_loop(&self, number: usize, neighbours: &[u32]) -> Vec<usize> {
        let of_loop = |neighbour: &u32| {
            let inner = self.innermost[number].and_then(|index| self.loops.get(index as usize));
            inner.is_some_and(|inner| inner.members.binary_search(neighbour).is_ok())
        };
        let inside: Vec<usize> =
            neighbours.iter().filter(|it| of_loop(it)).map(|it| *it as usize).collect();
        if inside.is_empty() { neighbours.iter().map(|it| *it as usize).collect() } else { inside }
    }

    /// Natural loops: an edge to an instruction that dominates its source closes one (Aho, Lam, Sethi,
    /// Ullman, 9.6).
    fn find_loops(&mut self, entry: u32) {
        let blocks = Blocks::of(self, entry);
        let dominators = blocks.immediate_dominators();
        for (tail, successors) in blocks.successors.iter().enumerate() {
            for &head in successors {
                if dominates(&dominators, head, tail) {
                    let body = blocks.natural_loop(head, tail);
                    let mut members: Vec<u32> = body
                        .iter()
                        .flat_map(|&block| blocks.first[block]..blocks.first[block + 1])
                        .collect();
                    members.sort_unstable();
                    self.loops.push(Loop { size: members.len() as u32, members });
                }
            }
        }
        // Large ones first, so that the smallest stays.
        let mut order: Vec<usize> = (0..self.loops.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(self.loops[index].size));
        for index in order {
            for &member in &self.loops[index].members {
                self.innermost[member as usize] = Some(index as u32);
            }
        }
    }
}

/// Runs of instructions that control enters at the first and leaves at the last.
struct Blocks {
    /// First instruction of each, and the number of instructions at the end.
    first: Vec<u32>,
    successors: Vec<Vec<usize>>,
    predecessors: Vec<Vec<usize>>,
    entry: usize,
}

impl Blocks {
    fn of(flow: &Flow, entry: u32) -> Self {
        let count = flow.successors.len();
        let starts = |number: usize| {
            number == 0
                || number == entry as usize
                || flow.predecessors[number] != [number as u32 - 1]
                || flow.successors[number - 1] != [number as u32]
        };
        let mut first: Vec<u32> =
            (0..count).filter(|&number| starts(number)).map(|number| number as u32).collect();
        first.push(count as u32);
        let blocks = first.len() - 1;
        let mut successors = vec![Vec::new(); blocks];
        let mut predecessors = vec![Vec::new(); blocks];
        for block in 0..blocks {
            let last = first[block + 1] as usize - 1;
            for to in &flow.successors[last] {
                // An edge always leads to the first instruction of a block.
                if let Ok(to) = first.binary_search(to) {
                    successors[block].push(to);
                    predecessors[to].push(block);
                }
            }
        }
        let entry = first.binary_search(&entry).unwrap_or(0);
        Self { first, successors, predecessors, entry }
    }

    /// The immediate dominator of each block; blocks that nothing leads to hang below a root that is
    /// none (Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm).
    fn immediate_dominators(&self) -> Vec<Option<usize>> {
        let count = self.successors.len();
        let root = count;
        let order = self.post_order();
        let mut rank = vec![usize::MAX; count + 1];
        for (position, &block) in order.iter().enumerate() {
            rank[block] = position;
        }
        rank[root] = order.len();
        let mut dominators: Vec<Option<usize>> = vec![None; count + 1];
        dominators[root] = Some(root);
        let mut has_changed = true;
        while has_changed {
            has_changed = false;
            for &block in order.iter().rev() {
                let from_root = self.is_entry(block).then_some(root);
                let mut new: Option<usize> = None;
                for from in self.predecessors[block].iter().copied().chain(from_root) {
                    if dominators[from].is_some() {
                        new = Some(new.map_or(from, |to| meet(&dominators, &rank, to, from)));
                    }
                }
                if new != dominators[block] {
                    dominators[block] = new;
                    has_changed = true;
                }
            }
        }
        dominators
    }

    fn is_entry(&self, block: usize) -> bool {
        block == self.entry || self.predecessors[block].is_empty()
    }

    fn post_order(&self) -> Vec<usize> {
        let count = self.successors.len();
        let mut seen = vec![false; count];
        let mut order = Vec::with_capacity(count);
        let mut roots: Vec<usize> = (0..count).filter(|&block| self.is_entry(block)).collect();
        // What only a loop without entry leads to is walked last.
        roots.extend(0..count);
        for root in roots {
            if std::mem::replace(&mut seen[root], true) {
                continue;
            }
            let mut stack = vec![(root, 0)];
            while let Some((block, next)) = stack.pop() {
                match self.successors[block].get(next) {
                    Some(&to) => {
                        stack.push((block, next + 1));
                        if !std::mem::replace(&mut seen[to], true) {
                            stack.push((to, 0));
                        }
                    }
                    None => order.push(block),
                }
            }
        }
        order
    }

    fn natural_loop(&self, head: usize, tail: usize) -> Vec<usize> {
        let mut body = vec![head];
        let mut todo = vec![tail];
        let mut inside = vec![false; self.successors.len()];
        inside[head] = true;
        while let Some(block) = todo.pop() {
            if !std::mem::replace(&mut inside[block], true) {
                body.push(block);
                todo.extend(&self.predecessors[block]);
            }
        }
        body
    }
}

fn meet(dominators: &[Option<usize>], rank: &[usize], mut a: usize, mut b: usize) -> usize {
    while a != b {
        while rank[a] < rank[b] {
            a = dominators[a].unwrap_or(b);
        }
        while rank[b] < rank[a] {
            b = dominators[b].unwrap_or(a);
        }
    }
    a
}

fn dominates(dominators: &[Option<usize>], above: usize, mut block: usize) -> bool {
    loop {
        if block == above {
            return true;
        }
        match dominators.get(block).copied().flatten() {
            Some(next) if next != block => block = next,
            _ => return false,
        }
    }
}
