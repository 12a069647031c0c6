//! Which CPUs are hardware threads of one core.

use rustc_hash::FxHashMap;

use super::ids::Cpu;

/// The first CPU of each core. Hardware threads of one core share its caches: no line has to pass
/// between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cores {
    first: FxHashMap<Cpu, Cpu>,
}

impl Cores {
    /// From the CPUs of each core. A CPU of none is a core by itself.
    pub fn new(cores: impl IntoIterator<Item = Vec<u32>>) -> Self {
        let mut first = FxHashMap::default();
        for cpus in cores.into_iter().filter(|cpus| cpus.len() > 1) {
            let lowest = cpus.iter().copied().min().unwrap_or(0);
            first.extend(cpus.into_iter().map(|cpu| (Cpu(cpu), Cpu(lowest))));
        }
        Self { first }
    }

    /// The first CPU of the core that a CPU belongs to.
    pub fn first_of(&self, cpu: Cpu) -> Cpu {
        self.first.get(&cpu).copied().unwrap_or(cpu)
    }

    /// Whether any core has several CPUs.
    pub fn have_siblings(&self) -> bool {
        !self.first.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_are_one_core() {
        let cores = Cores::new([vec![1, 5], vec![0, 4], vec![2]]);
        assert!(cores.have_siblings());
        let first = |cpu| cores.first_of(Cpu(cpu)).0;
        assert_eq!([0, 1, 2, 3, 4, 5].map(first), [0, 1, 2, 3, 0, 1]);
        assert!(!Cores::new([vec![0], vec![1]]).have_siblings());
    }
}
