//! Costs are in proportion to time.

use crate::compile::Build;
use crate::outcome::{Standing, address, share};
use crate::record::{Program, Turn};

/// Three lines are fought over for 3 : 2 : 1 of the time. Each line's share of the whole cost is its
/// phase's share of the CPU time, within a tenth of it.
#[test]
fn three_to_two_to_one() {
    Turn::take(|| {
        let Some(program) = Program::build("phases", Build::C) else { return };
        let outcome = program.outcome("3", "contended");
        outcome.assert_found(Standing::Claimed);
        let cost = |label: &str| {
            let truth = outcome.said.contended.iter().find(|line| line.label == label);
            let truth = truth.expect("each phase has its line");
            let mut lines = outcome.lines().iter();
            let line = lines.find(|line| address(&line["address"]) == truth.addresses[0]);
            share(line.expect("it was found"), "share_high")
        };
        let all: f64 = outcome.said.phases.iter().map(|(label, _)| cost(label)).sum();
        let time: u64 = outcome.said.phases.iter().map(|(_, time)| time).sum();
        for (label, took) in &outcome.said.phases {
            let is = cost(label) / all;
            let should_be = *took as f64 / time as f64;
            assert!(
                (is / should_be - 1.0).abs() < 0.1,
                "{label} has {is:.3} of the cost and {should_be:.3} of the time"
            );
        }
        // And the costs are of the whole run: both threads did nothing else.
        assert!(all > 0.95 && all < 1.0001, "together they cost {all:.3}");
    });
}

#[test]
fn padded() {
    Turn::take(|| {
        let Some(program) = Program::build("phases", Build::C) else { return };
        program.outcome("1.2", "padded").assert_nothing();
        program.outcome("1.2", "pinned").assert_nothing();
    });
}
