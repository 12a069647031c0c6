//! From the registers at the sample back to the values along the path.

use super::algebra::{Algebra, Assignment, Atom, Sum, inverse};
use super::register::COUNT;

/// How often all equations are gone through. Each round can only use what earlier ones found; chains
/// longer than this do not occur in code.
const ROUNDS: usize = 4;

/// Solves `registers[i] = sampled register i` for the symbols in `registers`. The sampled registers
/// are the symbols 0 to 15.
pub(super) fn solve(algebra: &mut Algebra, registers: &[Sum; COUNT]) -> Assignment {
    let mut values =
        Assignment { full: vec![None; algebra.symbols()], low: vec![None; algebra.symbols()] };
    // A register that is as it was is worth more than one that was made from it: the formula is
    // shorter and equal on more paths.
    for wanted_constant in [true, false] {
        for (number, sum) in (0u16..).zip(registers) {
            if let [(Atom::Symbol(symbol), 1)] = sum.terms()
                && (sum.addend() == 0) == wanted_constant
                && values.full(*symbol).is_none()
            {
                let sampled = Sum::atom(Atom::Symbol(number)).plus(sum.addend().wrapping_neg());
                values.full[usize::from(*symbol)] = Some(sampled);
            }
        }
    }
    for _ in 0..ROUNDS {
        let before = known(&values);
        for (number, sum) in (0u16..).zip(registers) {
            let sampled = Sum::atom(Atom::Symbol(number));
            solve_sum(algebra, &mut values, sum, &sampled);
        }
        if known(&values) == before {
            break;
        }
    }
    values
}

fn known(values: &Assignment) -> usize {
    let count = |values: &[Option<Sum>]| values.iter().flatten().count();
    count(&values.full) + count(&values.low)
}

/// Uses `sum = value`, where at most one atom of the sum is not known.
fn solve_sum(algebra: &mut Algebra, values: &mut Assignment, sum: &Sum, value: &Sum) -> Option<()> {
    let mut unknown = None;
    let mut rest = value.plus(sum.addend().wrapping_neg());
    for &(atom, factor) in sum.terms() {
        match algebra.substitute(&Sum::atom(atom), values) {
            Some(known) => rest = rest.add(&known, factor.wrapping_neg())?,
            None if unknown.is_none() => unknown = Some((atom, factor)),
            None => return None,
        }
    }
    let (atom, factor) = unknown?;
    let found = rest.times(inverse(factor)?);
    match atom {
        Atom::Symbol(symbol) => values.full[usize::from(symbol)] = Some(found),
        Atom::Low(number) | Atom::Signed(number) => {
            let inner = algebra.inner(number);
            solve_low(algebra, values, &inner, &found)?;
        }
        Atom::CodeBase | Atom::ThreadBase => {}
    }
    Some(())
}

/// Uses `inner = value` modulo 2^32.
fn solve_low(
    algebra: &mut Algebra,
    values: &mut Assignment,
    inner: &Sum,
    value: &Sum,
) -> Option<()> {
    let mut unknown = None;
    let mut rest = value.plus(inner.addend().wrapping_neg());
    for &(atom, factor) in inner.terms() {
        match algebra.substitute_low(&Sum::atom(atom), values) {
            Some(known) => rest = rest.add(&known, factor.wrapping_neg())?,
            None if unknown.is_none() => unknown = Some((atom, factor)),
            None => return None,
        }
    }
    let (Atom::Symbol(symbol), factor) = unknown? else { return None };
    let found = algebra.low(&rest.times(inverse(factor)?))?;
    if algebra.is_clean_symbol(symbol) {
        values.full[usize::from(symbol)] = Some(found);
    } else {
        values.low[usize::from(symbol)] = Some(found);
    }
    Some(())
}
