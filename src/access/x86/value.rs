//! What a register holds, as a sum over symbols.

/// A symbol's number in [`Values`](super::values::Values).
pub(super) type Symbol = u32;

/// A sum of symbols with factors, and a constant; modulo 2^64.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Value {
    /// Sorted by symbol, factors not 0.
    pub(super) terms: Vec<(Symbol, u64)>,
    pub(super) constant: u64,
    /// Whether the constant is an address of the code's own space.
    pub(super) is_code_relative: bool,
}

/// Sums of more terms are not followed.
const MAX_TERMS: usize = 4;

impl Value {
    pub(super) fn constant(constant: u64) -> Self {
        Self { constant, ..Self::default() }
    }

    pub(super) fn code_address(address: u64) -> Self {
        Self { constant: address, is_code_relative: true, ..Self::default() }
    }

    pub(super) fn symbol(symbol: Symbol) -> Self {
        Self { terms: vec![(symbol, 1)], ..Self::default() }
    }

    /// The constant, if that is all.
    pub(super) fn as_constant(&self) -> Option<u64> {
        (self.terms.is_empty() && !self.is_code_relative).then_some(self.constant)
    }

    pub(super) fn plus(&self, constant: u64) -> Self {
        Self { constant: self.constant.wrapping_add(constant), ..self.clone() }
    }

    /// The sum with `factor` times another; `None` where it gets too long, or would hold an address
    /// of the code more or less than once.
    pub(super) fn plus_times(&self, other: &Self, factor: u64) -> Option<Self> {
        let is_code_relative = match (self.is_code_relative, other.is_code_relative, factor) {
            (code, false, _) => code,
            (false, true, 1) => true,
            (true, true, u64::MAX) => false,
            _ => return None,
        };
        let mut terms = self.terms.clone();
        for &(symbol, times) in &other.terms {
            let times = times.wrapping_mul(factor);
            match terms.binary_search_by_key(&symbol, |term| term.0) {
                Ok(at) => terms[at].1 = terms[at].1.wrapping_add(times),
                Err(at) => terms.insert(at, (symbol, times)),
            }
        }
        terms.retain(|term| term.1 != 0);
        let constant = self.constant.wrapping_add(other.constant.wrapping_mul(factor));
        (terms.len() <= MAX_TERMS).then_some(Self { terms, constant, is_code_relative })
    }

    pub(super) fn times(&self, factor: u64) -> Option<Self> {
        Self::default().plus_times(self, factor)
    }
}

/// The number that undoes a multiplication by an odd one, modulo 2^64 (Newton's iteration).
pub(super) fn inverse(odd: u64) -> Option<u64> {
    if odd.is_multiple_of(2) {
        return None;
    }
    let mut inverse = odd;
    for _ in 0..5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_add_and_odd_factors_invert() {
        let a = Value::symbol(1).plus(8);
        let sum = a.plus_times(&Value::symbol(0), 4).unwrap();
        assert_eq!(sum.terms, [(0, 4), (1, 1)]);
        assert_eq!(sum.plus_times(&a, u64::MAX).unwrap().terms, [(0, 4)]);
        let code = Value::code_address(0x1000);
        assert_eq!(code.plus_times(&code, u64::MAX), Some(Value::default()));
        assert_eq!(code.times(2), None);
        for odd in [1, 3, 5, 9, u64::MAX, 0x1234_5677] {
            assert_eq!(inverse(odd).unwrap().wrapping_mul(odd), 1);
        }
        assert_eq!(inverse(4), None);
    }
}
