//! A plan for each code address that was sampled.

use std::collections::BTreeMap;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::access::{
    Certainty, ClockSample, CodeAddress, DecodedFunction, FunctionCode, Instructions, Loss, Place,
    Plan, PlannedAccess,
};
use crate::lines::{CodeKey, Identity};
use crate::perf_data::{CpuMode, Recording};
use crate::process::{Pid, Time};

/// Where a code address was sampled, for those who look for its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampledCode {
    /// The mapping it lies in.
    pub mapping: Option<u32>,
    /// A process in which it ran.
    pub pid: Pid,
    /// Its address there.
    pub code: CodeAddress,
    /// When it was sampled first.
    pub time: Time,
}

/// The bytes of a function, and where a process has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedFunction {
    /// Which instructions they are.
    pub instructions: Instructions,
    /// The function's first address, in the image or in the process.
    pub address: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether the first byte begins an instruction.
    pub starts_at_boundary: bool,
    /// What to add to an address of the image for one of the process that was asked for.
    pub load_bias: u64,
}

/// Finds the bytes of code.
pub trait CodeSource {
    /// The function that covers a sampled address.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn function(&mut self, code: &SampledCode) -> Result<LoadedFunction, Loss>;
}

/// What is known of one code address.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedCode {
    /// What its samples determine.
    pub plan: Plan,
    /// The address in the space of the function's code.
    pub address: u64,
    /// Which of the plan's accesses count as made here.
    pub counts: Vec<bool>,
}

/// The plans of all sampled code addresses.
#[derive(Debug, Default)]
pub struct Plans {
    index: FxHashMap<CodeKey, u32>,
    planned: Vec<PlannedCode>,
}

struct Function {
    end: u64,
    number: usize,
}

/// Whose code addresses are: an image's, or a process's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Home {
    Image(u64),
    Process(Pid),
}

fn home_of(key: &CodeKey) -> Home {
    match key {
        CodeKey::Image(object, _) => Home::Image(*object),
        CodeKey::Process(pid, _) => Home::Process(*pid),
    }
}

impl Plans {
    /// Makes the plans of a recording's samples of user code.
    pub fn of(
        recording: &Recording<'_>,
        identity: &Identity<'_>,
        source: &mut dyn CodeSource,
    ) -> Self {
        let mut sampled: Vec<(CodeKey, SampledCode)> =
            sampled_code(recording, identity).into_iter().collect();
        sampled.sort_unstable_by_key(|(key, _)| *key);

        // One function serves all its addresses: known ones are found by home and address.
        let mut functions: Vec<LoadedFunction> = Vec::new();
        let mut known: FxHashMap<Home, BTreeMap<u64, Function>> = FxHashMap::default();
        let mut wanted: Vec<Result<(usize, u64), Loss>> = Vec::with_capacity(sampled.len());
        let mut biases: FxHashMap<Option<u32>, u64> = FxHashMap::default();
        for (key, code) in &sampled {
            let by_address = known.entry(home_of(key)).or_default();
            let bias = match key {
                CodeKey::Image(..) => biases.get(&code.mapping).copied(),
                CodeKey::Process(..) => Some(0),
            };
            let found = bias.and_then(|bias| {
                let address = code.code.0.wrapping_sub(bias);
                let (_, function) = by_address.range(..=address).next_back()?;
                (address < function.end).then_some((function.number, address))
            });
            wanted.push(found.map_or_else(
                || {
                    let function = source.function(code)?;
                    let address = code.code.0.wrapping_sub(function.load_bias);
                    biases.insert(code.mapping, function.load_bias);
                    let number = functions.len();
                    if function.starts_at_boundary {
                        let end = function.address.saturating_add(function.bytes.len() as u64);
                        by_address.insert(function.address, Function { end, number });
                    }
                    functions.push(function);
                    Ok((number, address))
                },
                Ok,
            ));
        }
        let decoded: Vec<DecodedFunction> = functions
            .par_iter()
            .map(|function| {
                DecodedFunction::decode(&FunctionCode {
                    instructions: function.instructions,
                    address: function.address,
                    bytes: &function.bytes,
                    starts_at_boundary: function.starts_at_boundary,
                })
            })
            .collect();
        let plans: Vec<(Plan, u64)> = wanted
            .par_iter()
            .map(|found| match found {
                Ok((number, address)) => (decoded[*number].plan(*address), *address),
                Err(loss) => (Plan::lost(*loss), 0),
            })
            .collect();
        let planned = with_counts(plans, &sampled);
        let index = sampled.iter().zip(0..).map(|((key, _), number)| (*key, number)).collect();
        Self { index, planned }
    }

    /// The plan of a sampled address.
    pub fn find(&self, key: &CodeKey) -> Option<&PlannedCode> {
        self.planned.get(*self.index.get(key)? as usize)
    }
}

/// An access that a sample may have made counts only if it lies behind the sample, and if its
/// instruction is sure of no sample at all: what is often made is seen for sure when it is, and a way
/// out of a loop that is still to come is hardly ever taken.
fn with_counts(plans: Vec<(Plan, u64)>, sampled: &[(CodeKey, SampledCode)]) -> Vec<PlannedCode> {
    let is_certain = |access: &&PlannedAccess| access.certainty == Certainty::Certain;
    let sure: FxHashSet<_> = plans
        .iter()
        .zip(sampled)
        .flat_map(|((plan, _), (key, _))| {
            plan.accesses.iter().filter(is_certain).map(|access| (home_of(key), access.code))
        })
        .collect();
    let counts = |plan: &Plan, key: &CodeKey| {
        let accesses = plan.accesses.iter();
        accesses
            .map(|access| {
                is_certain(&access)
                    || access.place == Place::Before && !sure.contains(&(home_of(key), access.code))
            })
            .collect()
    };
    plans
        .into_iter()
        .zip(sampled)
        .map(|((plan, address), (key, _))| PlannedCode {
            counts: counts(&plan, key),
            plan,
            address,
        })
        .collect()
}

/// The distinct code addresses of user samples, each as it was sampled first.
fn sampled_code(
    recording: &Recording<'_>,
    identity: &Identity<'_>,
) -> FxHashMap<CodeKey, SampledCode> {
    let earlier = |a: SampledCode, b: SampledCode| if b.time < a.time { b } else { a };
    recording
        .batches()
        .par_iter()
        .fold(FxHashMap::default, |mut found: FxHashMap<CodeKey, SampledCode>, batch| {
            for (position, record) in recording.samples(batch) {
                let Ok(Some(sample)) = ClockSample::of(recording, position, &record) else {
                    continue;
                };
                if sample.mode != CpuMode::User {
                    continue;
                }
                let (pid, code, time) = (sample.pid, sample.code, sample.time);
                let mapping = identity.processes().find_user(pid, code.0, time);
                let key = CodeKey::of(identity, mapping, pid, code);
                let new = SampledCode { mapping, pid, code, time };
                found.entry(key).and_modify(|known| *known = earlier(*known, new)).or_insert(new);
            }
            found
        })
        .reduce(FxHashMap::default, |mut all, other| {
            for (key, new) in other {
                all.entry(key).and_modify(|known| *known = earlier(*known, new)).or_insert(new);
            }
            all
        })
}
