//! What is said in sentences: the answer on top, and what each line costs.

use std::io::{self, Write};

use super::TextStyle;
use super::layout::{WIDTH, painted, wrapped};
use crate::render::{counted, grouped, percent};
use crate::report::Report;
use crate::report::model::{Gain, Grade, Line};

/// What a line is, over it and those like it that follow.
pub(super) fn heading(line: &Line) -> &'static str {
    match (line.grade, line.verdict) {
        (Grade::Measured, Some("migrating")) => "Used in turns, which is no contention:",
        (Grade::Measured, _) if line.contended_loads > 0 => "Contended:",
        (Grade::Measured, _) if line.writers > 1 => {
            "Without a contended load among the samples, but several threads write:"
        }
        (Grade::Measured, _) => "Without a contended load:",
        (Grade::Watched, _) | (Grade::Timed, None | Some("false" | "true" | "mixed")) => {
            "Contended:"
        }
        (Grade::Timed, Some("possible")) => "Suspects, each for its own reason:",
        (Grade::Timed, Some("migrating")) => "Used in turns, which is no contention:",
        (Grade::Timed, _) => "Without contention:",
    }
}

/// The first line is the answer.
pub(super) fn answer(report: &Report, style: &TextStyle, out: &mut dyn Write) -> io::Result<()> {
    for line in wrapped(&answer_sentence(report), WIDTH) {
        writeln!(out, "{}", painted(style, "1", &line))?;
    }
    Ok(())
}

/// The answer in a sentence.
pub(in crate::render) fn answer_sentence(report: &Report) -> String {
    match report.c2c {
        Some(stats) => measured_answer(report, stats.load),
        None => timed_answer(report),
    }
}

fn timed_answer(report: &Report) -> String {
    let summary = &report.summary;
    let high = summary.contention_high.unwrap_or_default();
    let of_suspects = summary.suspects_high.unwrap_or_default();
    let cost = between(summary.contention_low, (high - of_suspects).max(0.0));
    let waited = percent(summary.contention_waited.unwrap_or_default());
    let lines = |count: u64| counted(count, "cache line");
    match (summary.contended_lines, summary.suspects, summary.detection_floor) {
        (0, 0, None) => {
            "These samples do not tell whether lines are contended; the warnings say why."
                .to_owned()
        }
        (0, 0, Some(floor)) => {
            format!("No contention above {} of {}.", percent(floor), sampled_time(report))
        }
        (0, suspects, _) => format!(
            "No waiting for contended lines seen; {} may be contended (at most {} of CPU time).",
            lines(suspects),
            percent(of_suspects)
        ),
        (findings, 0, _) => {
            let lines = lines(findings);
            format!(
                "Contention on {lines} costs {cost} of this run's CPU time; {waited} seen waiting."
            )
        }
        (findings, suspects, _) => format!(
            "Contention on {} costs {cost} of this run's CPU time, {waited} seen waiting; {} more may \
             be contended (at most {}).",
            lines(findings),
            lines(suspects),
            percent(of_suspects)
        ),
    }
}

/// What was looked into: all of the time, or that outside the kernel.
fn sampled_time(report: &Report) -> String {
    const MENTIONED: f64 = 0.01;
    let in_kernel = report.summary.in_kernel as f64 / report.recording.accepted.max(1) as f64;
    if in_kernel < MENTIONED {
        return "this run's CPU time".to_owned();
    }
    format!("this run's CPU time; the kernel's {} of it were not looked into", percent(in_kernel))
}

/// An interval of shares.
fn between(low: Option<f64>, high: f64) -> String {
    match low {
        Some(low) if low > 0.0 => format!("between {} and {}", percent(low), percent(high)),
        _ => format!("up to {}", percent(high)),
    }
}

fn measured_answer(report: &Report, loads: u64) -> String {
    let (contended, lines) = (report.summary.contended_loads, report.summary.contended_lines);
    match (loads, contended) {
        (0, _) => "No loads were sampled, so contention cannot be measured.".to_owned(),
        (loads, 0) => match report.summary.detection_floor {
            Some(floor) => format!(
                "No contention above {} of loads: none of {} came from another CPU's cache.",
                percent(floor),
                counted(loads, "sampled load"),
            ),
            None => format!("No contention seen in {}.", counted(loads, "sampled load")),
        },
        (loads, contended) => format!(
            "{} of {} sampled loads ({:.1} %) had to fetch a line from another CPU's cache, on {}.",
            grouped(contended),
            grouped(loads),
            contended as f64 / loads as f64 * 100.0,
            counted(lines, "cache line"),
        ),
    }
}

/// What a line costs, in a sentence.
pub(super) fn sentence(line: &Line) -> String {
    let sentence = match line.grade {
        Grade::Measured => measured_sentence(line),
        Grade::Timed | Grade::Watched => timed_sentence(line),
    };
    match line.confidence {
        // Nothing is as sure as rounding would make it.
        Some(sure) => format!("{sentence}; confidence {:.0} %", (sure * 100.0).min(99.0)),
        None => sentence,
    }
}

fn measured_sentence(line: &Line) -> String {
    let lost = line.cost.lost_cycles.map(|lost| format!(", {} of them lost", grouped(lost)));
    let cycles = line
        .contended_cycles
        .map(|cycles| format!(" ({} cycles{})", grouped(cycles), lost.unwrap_or_default()))
        .unwrap_or_default();
    format!(
        "{}{cycles}, {:.1} % of all; {}; threads: {} read, {} write",
        counted(line.contended_loads, "contended load"),
        line.contended_share * 100.0,
        counted(line.samples, "sample"),
        grouped(line.readers),
        grouped(line.writers),
    )
}

fn timed_sentence(line: &Line) -> String {
    let seconds = line.cost.cpu_ns_high.map(|ns| format!(" ({:.3} s)", ns as f64 / 1e9));
    let high = line.cost.share_high.unwrap_or_default();
    let cost = format!(
        "{} of CPU time{}, {} seen waiting; ",
        between(line.cost.share_low, high),
        seconds.unwrap_or_default(),
        percent(line.cost.share_waited.unwrap_or_default()),
    );
    format!(
        "{}{} near it, {} waited; threads: {} read, {} write",
        if high > 0.0 { cost.as_str() } else { "" },
        counted(line.samples, "sample"),
        grouped(line.waited.unwrap_or_default().round() as u64),
        grouped(line.readers),
        grouped(line.writers),
    )
}

/// What debug registers have seen of a line, if they watched it.
pub(super) fn watched_sentence(line: &Line) -> Option<String> {
    let watched = line.watched.as_ref()?;
    let accesses = |count: u64| match count {
        1 => "1 access".to_owned(),
        count => format!("{} accesses", grouped(count)),
    };
    let others = match watched.others {
        0 => String::new(),
        others => format!(
            "; besides, {} by {} not seen to come in between",
            accesses(watched.others_hits),
            counted(others, "thread")
        ),
    };
    Some(format!(
        "watched: {} by {} on {}, {} of them in between two of another thread{others}",
        accesses(watched.hits.saturating_sub(watched.others_hits)),
        counted(watched.threads, "thread"),
        counted(watched.cpus.len() as u64, "CPU"),
        grouped(watched.interleaved),
    ))
}

/// What fixing a line would gain, if that is known.
pub(super) fn gain_sentence(gain: &Gain) -> Option<String> {
    /// What is not worth mentioning.
    const NOTHING: f64 = 1.005;
    let range = match (gain.low, gain.high) {
        (_, Some(high)) if high < NOTHING => "would gain nothing".to_owned(),
        (Some(low), Some(high)) if low < NOTHING => {
            format!("may gain nothing, and makes it {high:.2} times as fast at most")
        }
        (Some(low), Some(high)) => {
            format!("would make it between {low:.2} and {high:.2} times as fast")
        }
        (Some(low), None) if low >= NOTHING => {
            format!("would make it at least {low:.2} times as fast")
        }
        _ => return None,
    };
    Some(format!("fixing it {range}"))
}
