//! The self-test for people: a line each.

use std::fmt::Write;

use super::contention::{Contention, Side};
use super::exactness::Exactness;
use super::line_passing::{LinePassing, PassedLine};
use super::reading::Reading;
use super::run::SelfTest;
use super::sampler::SamplerResult;
use super::trap::{Trap, Traps};
use crate::access::Loss;
use crate::kernel::KnownLoop;
use crate::render::clean;

/// A matrix of more CPUs is told by its extremes.
const WIDEST: usize = 16;

/// Everything that was measured, in lines.
pub fn text(test: &SelfTest) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(test, &mut out);
    out.lines().map(|line| format!("{}\n", clean(line).trim_end())).collect()
}

fn write(test: &SelfTest, out: &mut String) -> std::fmt::Result {
    let machine = &test.machine;
    let cpu = machine.cpu.as_deref().unwrap_or(&machine.arch);
    let kernel = machine.kernel.as_deref().unwrap_or("of unknown release");
    let place = if machine.is_virtual { ", in a virtual machine" } else { "" };
    writeln!(out, "hitm {} on {cpu}, Linux {kernel}{place}", test.hitm)?;
    for sampler in &test.samplers {
        writeln!(out)?;
        write_sampler(sampler, out)?;
    }
    if !test.not_opened.is_empty() {
        writeln!(out)?;
    }
    for sampler in &test.not_opened {
        writeln!(
            out,
            "sampler {}: not measured, it does not open: {}",
            sampler.sampler, sampler.reason
        )?;
    }
    writeln!(out)?;
    write_line_passing(&test.line_passing, out)?;
    writeln!(out)?;
    write_traps(&test.traps, out)?;
    writeln!(out, "measured in {:.0} s", test.seconds)
}

fn write_sampler(sampler: &SamplerResult, out: &mut String) -> std::fmt::Result {
    writeln!(out, "sampler {} ({})", sampler.sampler, sampler.events.join(", "))?;
    for reading in &sampler.loops {
        write_reading(reading, out)?;
    }
    if sampler.certain.accesses > 0 {
        let what = exactness(&sampler.certain);
        writeln!(out, "  certain accesses exact: {what}")?;
    }
    if sampler.possible.accesses > 0 {
        let what = exactness(&sampler.possible);
        writeln!(out, "  accesses on one of several paths exact: {what}")?;
    }
    let (waits, right) = sampler.waits();
    if waits > 0 {
        let share = right as f64 * 100.0 / waits as f64;
        writeln!(
            out,
            "  the access that a sample waited for: named {waits} times, {share:.2} % right"
        )?;
    }
    if let Some(near) = sampler.share_near() {
        let near = near * 100.0;
        writeln!(out, "  {near:.1} % of samples are at an access or at the instruction after it")?;
    }
    sampler.contention.iter().try_for_each(|contention| write_contention(contention, out))?;
    if let Some(cost) = &sampler.cost {
        writeln!(
            out,
            "  cost of sampling: {:.2} % (middle half of {} pairs of runs: {:.2} to {:.2} %)",
            cost.percent, cost.pairs, cost.percent_low, cost.percent_high
        )?;
    }
    sampler.failures.iter().try_for_each(|failure| writeln!(out, "  not measured: {failure}"))
}

fn write_reading(reading: &Reading, out: &mut String) -> std::fmt::Result {
    let lost = reading.lost.iter().map(|(loss, samples)| (*samples, loss_name(*loss)));
    let outcomes = [
        (reading.resolved, "resolved".to_owned()),
        (reading.possible_only, "possible only".to_owned()),
        (reading.no_operand, "without access".to_owned()),
        (reading.lost_records, "lost in buffers".to_owned()),
    ];
    let outcomes: Vec<String> = outcomes
        .into_iter()
        .chain(lost)
        .filter(|(samples, _)| *samples > 0)
        .map(|(samples, name)| format!("{samples} {name}"))
        .collect();
    let distances = reading.skid.by_distance.iter();
    let distances: Vec<String> =
        distances.map(|(distance, samples)| format!("+{distance}: {samples}")).collect();
    writeln!(
        out,
        "  {:<17} {} samples ({}), {} of {} certain accesses exact, skid {}",
        name(reading.workload),
        reading.in_loop,
        outcomes.join(", "),
        reading.certain.all,
        reading.certain.accesses,
        distances.join(", ")
    )
}

/// A reason as the JSON form has it, in words.
fn loss_name(loss: Loss) -> String {
    let name = serde_json::to_value(loss).ok();
    let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or("not told");
    name.replace('_', " ")
}

fn name(workload: KnownLoop) -> &'static str {
    match workload {
        KnownLoop::PointerChase => "pointer chase",
        KnownLoop::PlainStore => "plain store",
        KnownLoop::LockedIncrement => "locked increment",
        KnownLoop::LoadAndCompare => "load and compare",
        KnownLoop::StringCopy => "string copy",
        KnownLoop::Sizes => "sizes 1 to 16",
    }
}

fn exactness(it: &Exactness) -> String {
    let percent = |count: u64, of: u64| match of {
        0 => "not told".to_owned(),
        of => format!("{:.2} %", count as f64 * 100.0 / of as f64),
    };
    let all = it.accesses;
    format!(
        "code {}, address {}, size {}, direction {} (of {all})",
        percent(it.code, all),
        percent(it.address, all),
        percent(it.size, it.size_told),
        percent(it.direction, all),
    )
}

fn write_contention(contention: &Contention, out: &mut String) -> std::fmt::Result {
    let said = |side: &Side| match (side.is_claimed, side.is_suspected) {
        (true, _) => "called contended",
        (false, true) => "suspected only",
        (false, false) => "not named",
    };
    let Contention { shared, padded, .. } = contention;
    writeln!(
        out,
        "  contended line: {} ({}, {} of 2 words with their threads, {} other lines), {} samples; \
         padded twin {:.1} times as fast: {} ({}, {} other lines), {} samples",
        if contention.is_found { "found" } else { "NOT found" },
        said(shared),
        shared.right_threads,
        shared.other_claims,
        shared.samples,
        contention.padded_speed_up,
        if contention.twin_is_clean { "clean" } else { "NOT clean" },
        said(padded),
        padded.other_claims,
        padded.samples,
    )
}

fn write_line_passing(passing: &LinePassing, out: &mut String) -> std::fmt::Result {
    let count = passing.cpus.len();
    match (count, passing.allowed_cpus) {
        (..2, _) => {
            return writeln!(out, "a line passed between CPUs: this process may use one CPU only");
        }
        (some, all) if some < all => writeln!(
            out,
            "a line passed between CPUs, ns one way: a sample of {some} of {all} CPUs, pairs of \
             neighbours at even distances"
        )?,
        _ => writeln!(out, "a line passed between CPUs, ns one way:")?,
    }
    if count <= WIDEST {
        write_matrix(passing, out)?;
    }
    let mut claims: Vec<_> = passing.pairs.iter().map(|pair| pair.claim).collect();
    claims.sort_unstable();
    claims.dedup();
    for claim in claims {
        let of_claim = || passing.pairs.iter().filter(|pair| pair.claim == claim);
        let times = || {
            of_claim().flat_map(|pair| pair.nanoseconds.into_iter().chain(pair.nanoseconds_later))
        };
        let fastest = times().min_by(f64::total_cmp);
        let slowest = times().max_by(f64::total_cmp);
        let pairs = of_claim().filter(|pair| pair.from < pair.to).count();
        match fastest.zip(slowest) {
            Some((fastest, slowest)) => writeln!(
                out,
                "  the topology says \"{claim}\" of {pairs} pairs: {fastest:.0} to {slowest:.0} ns"
            )?,
            None => {
                writeln!(out, "  the topology says \"{claim}\" of {pairs} pairs: not measured")?
            }
        }
    }
    let unmeasured = passing.pairs.iter().find(|pair| pair.nanoseconds.is_none());
    if let Some(PassedLine { from, to, reason: Some(reason), .. }) = unmeasured {
        writeln!(out, "  {from} to {to} was not measured: {reason}")?;
    }
    if passing.contradictions.is_empty() {
        writeln!(out, "  nothing measured contradicts the topology")?;
    }
    passing.contradictions.iter().try_for_each(|sentence| writeln!(out, "  {sentence}"))
}

fn write_matrix(passing: &LinePassing, out: &mut String) -> std::fmt::Result {
    let columns: String = passing.cpus.iter().map(|cpu| format!("{cpu:>7}")).collect();
    writeln!(out, "  from\\to{columns}")?;
    for from in &passing.cpus {
        write!(out, "  {from:>7}")?;
        for to in &passing.cpus {
            let pair = passing.pairs.iter().find(|pair| (pair.from, pair.to) == (*from, *to));
            match pair.and_then(|pair| pair.nanoseconds) {
                Some(time) => write!(out, "{time:>7.0}")?,
                None => write!(out, "{:>7}", "-")?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_traps(traps: &Traps, out: &mut String) -> std::fmt::Result {
    let mut line = |what: &str, trap: &Trap| {
        let found = trap.sampled.map_or_else(
            || format!("{} counted", trap.counted),
            |sampled| format!("{} counted, {sampled} sampled", trap.counted),
        );
        writeln!(
            out,
            "a debug register that is hit, {what}: {:.1} µs ({:.1} to {:.1}), {} writes, {found}",
            trap.microseconds, trap.microseconds_low, trap.microseconds_high, trap.writes
        )
    };
    traps.counting.iter().try_for_each(|trap| line("counted only", trap))?;
    traps.sampling.iter().try_for_each(|trap| line("with a sample", trap))?;
    traps.reason.iter().try_for_each(|reason| writeln!(out, "debug registers: {reason}"))
}
