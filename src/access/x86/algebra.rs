//! Sums over unknown values: what is known of a register's content along a path.
//!
//! All arithmetic is modulo 2^64. What 32-bit instructions leave is the low half of a sum,
//! zero-extended; such halves are kept in a table, so that a sum is small and can be copied.

/// What a sum is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Atom {
    /// A value that is not known otherwise. The first sixteen are the sampled registers.
    Symbol(u16),
    /// The low 32 bits of a sum, zero-extended.
    Low(u16),
    /// The low 32 bits of a sum, sign-extended.
    Signed(u16),
    /// What is added to an image's addresses in the process.
    CodeBase,
    /// The thread's segment base.
    ThreadBase,
}

/// How many terms a sum may have; more are of no use for an address.
const MAX_TERMS: usize = 4;

const LOW_HALF: u64 = 0xffff_ffff;

/// A sum of atoms with factors, and a constant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    terms: [(Atom, u64); MAX_TERMS],
    count: u8,
    constant: u64,
}

impl PartialEq for Sum {
    fn eq(&self, other: &Self) -> bool {
        self.constant == other.constant && self.terms() == other.terms()
    }
}

impl Eq for Sum {}

impl Sum {
    /// A number.
    pub(super) fn constant(constant: u64) -> Self {
        Self { terms: [(Atom::CodeBase, 0); MAX_TERMS], count: 0, constant }
    }

    /// An atom alone.
    pub(super) fn atom(atom: Atom) -> Self {
        let mut sum = Self::constant(0);
        sum.terms[0] = (atom, 1);
        sum.count = 1;
        sum
    }

    /// Its terms, in the order of the atoms, no factor 0.
    pub(super) fn terms(&self) -> &[(Atom, u64)] {
        &self.terms[..usize::from(self.count)]
    }

    /// What is added to them.
    pub(super) fn addend(&self) -> u64 {
        self.constant
    }

    /// The sum with a number more.
    pub(super) fn plus(mut self, constant: u64) -> Self {
        self.constant = self.constant.wrapping_add(constant);
        self
    }

    /// The sum times a number.
    pub(super) fn times(&self, factor: u64) -> Self {
        let mut product = Self::constant(self.constant.wrapping_mul(factor));
        for &(atom, own) in self.terms() {
            let factor = own.wrapping_mul(factor);
            if factor != 0 {
                product.terms[usize::from(product.count)] = (atom, factor);
                product.count += 1;
            }
        }
        product
    }

    /// The sum with `factor` times another; `None` if that has too many terms.
    pub(super) fn add(&self, other: &Self, factor: u64) -> Option<Self> {
        let mut sum = *self;
        sum.constant = sum.constant.wrapping_add(other.constant.wrapping_mul(factor));
        for &(atom, own) in other.terms() {
            sum = sum.add_term(atom, own.wrapping_mul(factor))?;
        }
        Some(sum)
    }

    fn add_term(mut self, atom: Atom, factor: u64) -> Option<Self> {
        let count = usize::from(self.count);
        match self.terms().binary_search_by_key(&atom, |term| term.0) {
            Ok(at) => {
                self.terms[at].1 = self.terms[at].1.wrapping_add(factor);
                if self.terms[at].1 == 0 {
                    self.terms.copy_within(at + 1..count, at);
                    self.count -= 1;
                }
            }
            Err(_) if factor == 0 => {}
            Err(_) if count == MAX_TERMS => return None,
            Err(at) => {
                self.terms.copy_within(at..count, at + 1);
                self.terms[at] = (atom, factor);
                self.count += 1;
            }
        }
        Some(self)
    }
}

/// The inverse of an odd number modulo 2^64; `None` for an even one, which has none.
pub(super) fn inverse(odd: u64) -> Option<u64> {
    // Newton's iteration doubles the number of right bits: 3 of them to begin with.
    let step = |guess: u64| guess.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(guess)));
    (odd & 1 == 1).then(|| (0..5).fold(odd, |guess, _| step(guess)))
}

/// Values for symbols.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    /// Full values.
    pub(super) full: Vec<Option<Sum>>,
    /// The low 32 bits only.
    pub(super) low: Vec<Option<Sum>>,
}

impl Assignment {
    /// The value of a symbol.
    pub(super) fn full(&self, symbol: u16) -> Option<Sum> {
        self.full.get(usize::from(symbol)).copied().flatten()
    }

    /// Something that agrees with a symbol in the low 32 bits.
    pub(super) fn low(&self, symbol: u16) -> Option<Sum> {
        self.full(symbol).or_else(|| self.low.get(usize::from(symbol)).copied().flatten())
    }
}

/// The symbols, and the sums that were cut to 32 bits.
#[derive(Debug, Default)]
pub(super) struct Algebra {
    is_clean: Vec<bool>,
    cut: Vec<Sum>,
}

impl Algebra {
    /// A new unknown value; clean ones have 0 in the high 32 bits.
    pub(super) fn symbol(&mut self, is_clean: bool) -> Sum {
        let number = self.is_clean.len().min(usize::from(u16::MAX));
        self.is_clean.push(is_clean);
        Sum::atom(Atom::Symbol(number as u16))
    }

    /// How many symbols there are.
    pub(super) fn symbols(&self) -> usize {
        self.is_clean.len()
    }

    /// Whether the high 32 bits of a symbol are 0.
    pub(super) fn is_clean_symbol(&self, symbol: u16) -> bool {
        self.is_clean.get(usize::from(symbol)).copied().unwrap_or(false)
    }

    /// Whether the high 32 bits of a value are known to be 0.
    pub(super) fn is_clean(&self, sum: &Sum) -> bool {
        match sum.terms() {
            [] => sum.addend() <= LOW_HALF,
            [(Atom::Symbol(symbol), 1)] => sum.addend() == 0 && self.is_clean_symbol(*symbol),
            [(Atom::Low(_), 1)] => sum.addend() == 0,
            _ => false,
        }
    }

    /// What was cut to 32 bits; never has halves in it itself.
    pub(super) fn inner(&self, number: u16) -> Sum {
        self.cut.get(usize::from(number)).copied().unwrap_or(Sum::constant(0))
    }

    /// The low 32 bits, zero-extended.
    pub(super) fn low(&mut self, sum: &Sum) -> Option<Sum> {
        if self.is_clean(sum) {
            return Some(*sum);
        }
        let inner = self.modulo(sum)?;
        if self.is_clean(&inner) {
            return Some(inner);
        }
        Some(Sum::atom(Atom::Low(self.keep(inner))))
    }

    /// The low 32 bits, sign-extended.
    pub(super) fn signed(&mut self, sum: &Sum) -> Option<Sum> {
        let inner = self.modulo(sum)?;
        if inner.terms().is_empty() {
            return Some(Sum::constant(inner.addend() as u32 as i32 as u64));
        }
        Some(Sum::atom(Atom::Signed(self.keep(inner))))
    }

    /// The sum modulo 2^32, in which halves stand for what they are halves of.
    fn modulo(&self, sum: &Sum) -> Option<Sum> {
        let mut flat = Sum::constant(sum.addend());
        for &(atom, factor) in sum.terms() {
            flat = match atom {
                Atom::Low(number) | Atom::Signed(number) => {
                    flat.add(&self.inner(number), factor)?
                }
                other => flat.add_term(other, factor)?,
            };
        }
        let mut reduced = Sum::constant(flat.addend() & LOW_HALF);
        for &(atom, factor) in flat.terms() {
            reduced = reduced.add_term(atom, factor & LOW_HALF)?;
        }
        Some(reduced)
    }

    fn keep(&mut self, inner: Sum) -> u16 {
        let known = self.cut.iter().position(|other| *other == inner);
        known.unwrap_or_else(|| {
            self.cut.push(inner);
            self.cut.len() - 1
        }) as u16
    }

    /// The sum with the values of its symbols; `None` if one that matters is not known.
    pub(super) fn substitute(&mut self, sum: &Sum, values: &Assignment) -> Option<Sum> {
        let mut result = Sum::constant(sum.addend());
        for &(atom, factor) in sum.terms() {
            let value = match atom {
                Atom::Symbol(symbol) => values.full(symbol)?,
                Atom::Low(number) => {
                    let inner = self.substitute_low(&self.inner(number), values)?;
                    self.low(&inner)?
                }
                Atom::Signed(number) => {
                    let inner = self.substitute_low(&self.inner(number), values)?;
                    self.signed(&inner)?
                }
                base => Sum::atom(base),
            };
            result = result.add(&value, factor)?;
        }
        Some(result)
    }

    /// The same for a sum of which only the low 32 bits matter.
    pub(super) fn substitute_low(&self, inner: &Sum, values: &Assignment) -> Option<Sum> {
        let mut result = Sum::constant(inner.addend());
        for &(atom, factor) in inner.terms() {
            let value = match atom {
                Atom::Symbol(symbol) => values.low(symbol)?,
                base => Sum::atom(base),
            };
            result = result.add(&value, factor)?;
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_numbers_have_inverses() {
        for odd in [1u64, 3, 5, 7, 9, 0xdead_beef, u64::MAX] {
            assert_eq!(inverse(odd).map(|other| other.wrapping_mul(odd)), Some(1));
        }
        assert_eq!(inverse(6), None);
    }

    #[test]
    fn terms_cancel_and_halves_flatten() {
        let mut algebra = Algebra::default();
        let wide = algebra.symbol(false);
        let clean = algebra.symbol(true);
        let both = wide.add(&clean, 4).expect("two terms");
        assert_eq!(both.add(&clean, 4u64.wrapping_neg()), Some(wide));
        assert_eq!(algebra.low(&clean), Some(clean), "the half of a clean value is the value");
        let once = algebra.low(&wide.plus(1)).expect("one term");
        let twice = algebra.low(&once.plus(u64::MAX)).expect("one term");
        assert_eq!(Some(twice), algebra.low(&wide), "plus one, minus one, modulo 2^32");
        let signed = algebra.signed(&once).expect("one term");
        assert_eq!(algebra.low(&signed), Some(once));
        assert_eq!(algebra.signed(&Sum::constant(0xffff_fff0)), Some(Sum::constant(!15)));
    }
}
