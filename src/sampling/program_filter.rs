//! Samples of some programs only.

use rustc_hash::FxHashMap;
use wildmatch::WildMatch;

use crate::perf_data::Task;

/// Which programs' samples stay: `--only-exe` and `--comm`.
#[derive(Debug, Default)]
pub(super) struct ProgramFilter {
    programs: Vec<WildMatch>,
    names: Vec<WildMatch>,
    /// File of each process's program: the first that is mapped as code.
    program_of: FxHashMap<u32, String>,
    name_of: FxHashMap<u32, String>,
}

impl ProgramFilter {
    pub(super) fn new(programs: &[String], names: &[String]) -> Self {
        let patterns = |texts: &[String]| texts.iter().map(|text| WildMatch::new(text)).collect();
        Self { programs: patterns(programs), names: patterns(names), ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        self.programs.is_empty() && self.names.is_empty()
    }

    /// Whether a thread's samples stay. A program's file is matched as a whole or by its last part.
    pub(super) fn keeps(&self, pid: u32, tid: u32) -> bool {
        if self.is_empty() {
            return true;
        }
        let matches = |patterns: &[WildMatch], text: Option<&String>| {
            patterns.is_empty()
                || text.is_some_and(|text| {
                    let last = text.rsplit('/').next().unwrap_or(text);
                    patterns.iter().any(|it| it.matches(text) || it.matches(last))
                })
        };
        matches(&self.programs, self.program_of.get(&pid))
            && matches(&self.names, self.name_of.get(&tid))
    }

    pub(super) fn add_mapping(&mut self, pid: u32, name: &[u8]) {
        if !self.is_empty() && name.starts_with(b"/") {
            let name = String::from_utf8_lossy(name);
            self.program_of.entry(pid).or_insert_with(|| name.into_owned());
        }
    }

    pub(super) fn forget_program(&mut self, pid: u32) {
        self.program_of.remove(&pid);
    }

    pub(super) fn add_name(&mut self, tid: u32, name: &[u8]) {
        if !self.is_empty() {
            self.name_of.insert(tid, String::from_utf8_lossy(name).into_owned());
        }
    }

    pub(super) fn add_child(&mut self, task: &Task) {
        if let Some(program) = self.program_of.get(&task.ppid).cloned() {
            self.program_of.entry(task.pid).or_insert(program);
        }
        if let Some(name) = self.name_of.get(&task.ptid).cloned() {
            self.name_of.insert(task.tid, name);
        }
    }

    pub(super) fn remove(&mut self, task: &Task) {
        self.name_of.remove(&task.tid);
        if task.pid == task.tid {
            self.program_of.remove(&task.pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_by_file_and_name() {
        let mut filter = ProgramFilter::new(&["*/deps/*".to_owned()], &[]);
        filter.add_mapping(1, b"/usr/bin/rustc");
        filter.add_mapping(2, b"/home/me/target/debug/deps/it-12");
        filter.add_mapping(2, b"/lib/libc.so.6");
        assert!(!filter.keeps(1, 1) && filter.keeps(2, 5) && !filter.keeps(3, 3));
        let child = Task { pid: 7, ppid: 2, tid: 7, ptid: 2, time: 0 };
        filter.add_child(&child);
        assert!(filter.keeps(7, 7));
        filter.forget_program(7);
        filter.add_mapping(7, b"/bin/sh");
        assert!(!filter.keeps(7, 7));

        let mut filter = ProgramFilter::new(&[], &["worker*".to_owned()]);
        filter.add_name(3, b"worker-1");
        assert!(filter.keeps(1, 3) && !filter.keeps(1, 1));
        assert!(ProgramFilter::default().keeps(1, 1));
    }
}
