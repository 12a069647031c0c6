//! Plans against the truth: a program is run instruction by instruction, and what a plan says of a
//! step is compared with what the steps around it really touched.

#![cfg(target_arch = "x86_64")]

mod program;
mod stepping;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hitm::access::{Bases, Certainty, Direction, Place, Plan, PlannedAccess, RegisterValues, Wait};
use iced_x86::InstructionInfoFactory;
use program::{Kind, Program, Touched};
use stepping::Execution;

/// A plan speaks of at most this many instructions in each direction, a loop's turns included.
const REACH: usize = 45;

#[derive(Default, Debug, Clone, Copy)]
struct Count {
    right: u64,
    wrong: u64,
}

impl Count {
    fn add(&mut self, is_right: bool) {
        *if is_right { &mut self.right } else { &mut self.wrong } += 1;
    }

    fn share(self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }
}

#[derive(Default, Debug)]
struct Counts {
    /// Certain accesses by instructions that really ran there: only the address can be wrong.
    address: Count,
    /// All certain accesses: wrong as well in a loop's first turn and behind its last one, which a
    /// plan takes for one of the many.
    certain: Count,
    /// Those at or after the sample: a way on that may not be taken is never certain.
    ahead: Count,
    possible: Count,
    wait: Count,
    drain: Count,
    resolved: Count,
    /// Wrong certain accesses by function, sampled instruction and accessing instruction.
    offenders: BTreeMap<(String, u64, u64, bool), u64>,
}

/// The 24 numbers of `PERF_REG_X86_*`.
fn sampled(registers: &libc::user_regs_struct) -> RegisterValues {
    let r = registers;
    let mask = 0xff_03ff;
    RegisterValues::new(
        mask,
        [
            r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.rip, r.eflags, r.r8, r.r9,
            r.r10, r.r11, r.r12, r.r13, r.r14, r.r15,
        ],
    )
}

fn is_the_access(access: &PlannedAccess, address: u64, touched: &[Touched]) -> bool {
    let wanted = Touched {
        address,
        size: access.size,
        reads: access.direction.reads(),
        writes: access.direction.writes(),
    };
    touched.contains(&wanted)
}

/// The registers before an instruction, and what it touched.
type Step<'a> = (&'a libc::user_regs_struct, Vec<Touched>);

/// For each step the one that ran before it in the same call of the same function: behind a call that
/// is the call.
fn predecessors(steps: &[Step<'_>], kinds: &[Kind]) -> Vec<Option<usize>> {
    (0..steps.len())
        .map(|step| {
            let last = step.checked_sub(1)?;
            let stack = steps[step].0.rsp;
            match kinds[last] {
                Kind::Call => None,
                Kind::Return => (0..last).rev().find(|then| steps[*then].0.rsp >= stack),
                Kind::Repeated | Kind::Other => Some(last),
            }
        })
        .collect()
}

fn check(program: &mut Program, execution: &Execution) -> Counts {
    let mut factory = InstructionInfoFactory::new();
    // A repeated string instruction is one step for each turn; here one is enough.
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut kinds: Vec<Kind> = Vec::new();
    for registers in &execution.steps {
        let code = registers.rip.wrapping_sub(execution.bias);
        let Some(bytes) = program.code(code) else {
            steps.push((registers, Vec::new()));
            kinds.push(Kind::Other);
            continue;
        };
        let (touched, kind) = program::touched(bytes, registers, &mut factory);
        let is_repeated = kind == Kind::Repeated;
        let is_same =
            is_repeated && steps.last().is_some_and(|(last, _)| last.rip == registers.rip);
        if !is_same {
            steps.push((registers, touched));
            kinds.push(kind);
        }
    }
    let before = predecessors(&steps, &kinds);
    let mut plans: HashMap<u64, Arc<Plan>> = HashMap::new();
    let mut counts = Counts::default();
    for (now, (registers, _)) in steps.iter().enumerate() {
        let code = registers.rip.wrapping_sub(execution.bias);
        let Some((start, name)) = program.function(code) else { continue };
        let name = name.to_owned();
        let plan = plans
            .entry(code)
            .or_insert_with(|| Arc::new(program.decoded(start).plan(code)))
            .clone();
        counts.resolved.add(plan.loss.is_none());
        let values = sampled(registers);
        let bases = Bases { load_bias: execution.bias, thread: Some(registers.fs_base) };
        let past: Vec<usize> =
            std::iter::successors(before[now], |then| before[*then]).take(REACH).collect();
        let after = (now + 1).min(steps.len())..(now + 1 + REACH).min(steps.len());
        for access in &plan.accesses {
            let address = access.address.evaluate(&values, &bases).expect("all registers are here");
            let place = match access.place {
                Place::Before => past.clone(),
                Place::At => vec![now],
                Place::After => after.clone().collect(),
            };
            let ran: Vec<&[Touched]> = place
                .iter()
                .map(|then| &steps[*then])
                .filter(|(then, _)| then.rip.wrapping_sub(execution.bias) == access.code)
                .map(|(_, touched)| touched.as_slice())
                .collect();
            let is_right = ran.iter().any(|touched| is_the_access(access, address, touched));
            match access.certainty {
                Certainty::Certain => {
                    counts.certain.add(is_right);
                    if access.place != Place::Before {
                        counts.ahead.add(is_right);
                    }
                    if !ran.is_empty() {
                        counts.address.add(is_right);
                    }
                    if !is_right && !ran.is_empty() {
                        let is_before = access.place == Place::Before;
                        let key = (name.clone(), code, access.code, is_before);
                        *counts.offenders.entry(key).or_default() += 1;
                    }
                }
                Certainty::Possible => counts.possible.add(is_right),
            }
        }
        let (index, reach) = match plan.wait {
            Wait::Access(index) => (index, 5),
            Wait::Drain(Some(index)) => (index, 1),
            Wait::Unknown | Wait::Drain(None) => continue,
        };
        let access = &plan.accesses[usize::from(index)];
        let address = access.address.evaluate(&values, &bases);
        let is_right = steps[now.saturating_sub(reach)..=now].iter().any(|(then, touched)| {
            then.rip.wrapping_sub(execution.bias) == access.code
                && is_the_access(access, address.unwrap_or(0), touched)
        });
        match plan.wait {
            Wait::Access(_) => {
                // A string instruction that repeats is under way itself.
                let may_wait = access.direction != Direction::Store || access.place == Place::At;
                assert!(may_wait, "nothing waits for a store: {access:?}");
                counts.wait.add(is_right);
            }
            _ => counts.drain.add(is_right),
        }
    }
    counts
}

fn truth(optimisation: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("kernels");
    let mut program = program::compile(&path, optimisation);
    let execution = stepping::run(&path, 400_000);
    let counts = check(&mut program, &execution);
    let mut offenders: Vec<_> = counts.offenders.iter().collect();
    offenders.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let report = format!(
        "{optimisation}: {} steps, certain {:?} {:.4}, address {:?} {:.5}, ahead {:?}, possible {:.4}, wait {:?} {:.4}, drain {:?}, resolved {:.4}\n{}",
        execution.steps.len(),
        counts.certain,
        counts.certain.share(),
        counts.address,
        counts.address.share(),
        counts.ahead,
        counts.possible.share(),
        counts.wait,
        counts.wait.share(),
        counts.drain,
        counts.resolved.share(),
        offenders
            .iter()
            .take(25)
            .map(|((name, at, code, is_before), count)| format!(
                "{count:6} {name} at {at:x}, {} {code:x}\n",
                if *is_before { "before" } else { "after" }
            ))
            .collect::<String>(),
    );
    println!("{report}");
    if let Some(keep) = std::env::var_os("HITM_KEEP_PROGRAM") {
        let _ = std::fs::copy(&path, keep);
    }
    assert!(counts.certain.right > 400_000, "{report}");
    assert!(counts.address.share() >= 0.9999, "{report}");
    assert!(counts.ahead.share() >= 0.9999, "{report}");
    assert!(counts.certain.share() >= 0.99, "{report}");
    assert!(counts.wait.share() >= 0.99, "{report}");
    assert!(counts.drain.right > 0 && counts.drain.share() >= 0.98, "{report}");
    assert!(counts.resolved.share() >= 0.99, "{report}");
}

#[test]
fn optimised() {
    truth("-O2");
}

#[test]
fn vectorised() {
    truth("-O3");
}

#[test]
fn not_optimised() {
    truth("-O0");
}
