//! The second pass over clock samples: every access to the lines that the first one picked.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::plans::Plans;
use super::survey::{TimedOptions, find_plan, for_each_access, parts, passes};
use crate::access::{
    Certainty, ClockSample, CodeAddress, DataAddress, Direction, Place, Plan, Wait,
};
use crate::lines::{Identity, LineKey};
use crate::perf_data::{CpuMode, Recording, SamplePosition};
use crate::process::{Cpu, Pid, Tid, Time};

/// What a sample's time may have to do with one of its accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It waited for this very access.
    Waited,
    /// It waited at a store-draining instruction for this store, its own or an earlier one.
    Drained,
    /// The access was only made here: whether the sample waited for anything is not known.
    Present,
    /// The sample waited for something else.
    Elsewhere,
}

/// One access of one sample to a picked line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// Number of the line.
    pub line: u32,
    /// The sample.
    pub position: SamplePosition,
    /// When it was taken.
    pub time: Time,
    /// Process.
    pub pid: Pid,
    /// Thread.
    pub tid: Tid,
    /// CPU, if recorded.
    pub cpu: Option<Cpu>,
    /// The instruction that makes the access.
    pub code: CodeAddress,
    /// The mapping of that instruction.
    pub code_mapping: Option<u32>,
    /// What it touches.
    pub data: DataAddress,
    /// The mapping of that data.
    pub data_mapping: Option<u32>,
    /// Bytes it touches in this line.
    pub size: u32,
    /// Read, written or both.
    pub direction: Direction,
    /// What the sample's time may have to do with it.
    pub role: Role,
    /// Whether every path through the code that was sampled makes the access.
    pub is_certain: bool,
    /// Whether the filter lets the sample pass. The others are there because they may contend with it.
    pub is_wanted: bool,
    /// The time that the sample stands for.
    pub weight: u64,
}

/// What the second pass found.
#[derive(Debug, Default)]
pub struct Touches {
    touches: Vec<Touch>,
}

impl Touches {
    /// Collects the accesses to the lines in `picked`.
    pub fn of(
        recording: &Recording<'_>,
        identity: &Identity<'_>,
        plans: &Plans,
        options: &TimedOptions,
        picked: &FxHashMap<LineKey, u32>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Self {
        if picked.is_empty() {
            progress(recording.sample_count());
            return Self::default();
        }
        let parts: Vec<Vec<Touch>> = recording
            .batches()
            .par_iter()
            .map(|batch| {
                let mut touches = Vec::new();
                for (position, record) in recording.samples(batch) {
                    if let Ok(Some(sample)) = ClockSample::of(recording, position, &record)
                        && sample.mode == CpuMode::User
                        && !sample.is_idle()
                        && options.filter.covers(sample.time)
                    {
                        add_touches(&sample, identity, plans, options, picked, &mut touches);
                    }
                }
                progress(batch.samples);
                touches
            })
            .collect();
        let mut touches = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        for mut part in parts {
            touches.append(&mut part);
        }
        touches.par_sort_by_key(|touch| (touch.line, touch.time, touch.position));
        Self { touches }
    }

    /// Forgets what the samples waited for that something from outside has slowed down: their time is
    /// not the program's own.
    pub fn forget_waits(&mut self, is_disturbed: impl Fn(Pid, Tid, Time) -> bool) {
        for touch in &mut self.touches {
            if touch.role < Role::Present && is_disturbed(touch.pid, touch.tid, touch.time) {
                touch.role = Role::Present;
            }
        }
    }

    /// Those of one line, by time.
    pub fn of_line(&self, line: u32) -> &[Touch] {
        let start = self.touches.partition_point(|touch| touch.line < line);
        let end = self.touches.partition_point(|touch| touch.line <= line);
        self.touches.get(start..end).unwrap_or_default()
    }

    /// All of them, by line and then by time.
    pub fn all(&self) -> &[Touch] {
        &self.touches
    }
}

fn add_touches(
    sample: &ClockSample,
    identity: &Identity<'_>,
    plans: &Plans,
    options: &TimedOptions,
    picked: &FxHashMap<LineKey, u32>,
    touches: &mut Vec<Touch>,
) {
    let Some((code_mapping, planned)) = find_plan(sample, identity, plans) else {
        return;
    };
    let load_bias = sample.code.0.wrapping_sub(planned.address);
    let is_wanted = passes(sample, identity, &options.filter);
    for_each_access(sample, planned, options, |index, access, address| {
        if !planned.counts[index] {
            return;
        }
        let role = role(&planned.plan, index);
        let data_mapping = identity.processes().find_user(sample.pid, address, sample.time);
        for part in parts(identity, address, access.size) {
            let key = identity.user_key(sample.pid, sample.time, part.address, data_mapping);
            if let Some(&line) = picked.get(&key) {
                touches.push(Touch {
                    line,
                    position: sample.position,
                    time: sample.time,
                    pid: sample.pid,
                    tid: sample.tid,
                    cpu: sample.cpu,
                    code: CodeAddress(access.code.wrapping_add(load_bias)),
                    code_mapping,
                    data: DataAddress(part.address),
                    data_mapping,
                    size: part.size,
                    direction: access.direction,
                    role,
                    is_certain: access.certainty == Certainty::Certain,
                    is_wanted,
                    weight: sample.weight,
                });
            }
        }
    });
}

/// A plain store waits nowhere itself: its time shows where the store buffer has to drain, or where
/// it is full.
fn role(plan: &Plan, index: usize) -> Role {
    let access = &plan.accesses[index];
    let is_earlier_store =
        access.place == Place::Before && access.direction.writes() && !access.is_locked;
    let is = |own: u16| usize::from(own) == index;
    match plan.wait {
        Wait::Access(own) if is(own) => Role::Waited,
        Wait::Drain(Some(own)) if is(own) => Role::Drained,
        Wait::Drain(_) if is_earlier_store => Role::Drained,
        // A full store buffer shows at whatever instruction could not go on.
        Wait::Access(_) if is_earlier_store => Role::Present,
        Wait::Access(_) | Wait::Drain(_) => Role::Elsewhere,
        Wait::Unknown => Role::Present,
    }
}
