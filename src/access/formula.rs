//! An address as a function of sampled registers.

/// General registers of a sample, by the numbers of `PERF_REG_X86_*`
/// (`arch/x86/include/uapi/asm/perf_regs.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterValues {
    values: [u64; Self::COUNT],
    known: u32,
}

impl RegisterValues {
    /// Registers with numbers: `ax` 0 to `ip` 8, `flags` 9, segments to 15, `r8` 16 to `r15` 23.
    pub const COUNT: usize = 24;

    /// Takes the values of the registers in `mask` (`sample_regs_user`), lowest number first.
    pub fn new(mask: u64, values: impl IntoIterator<Item = u64>) -> Self {
        let mut registers = Self { values: [0; Self::COUNT], known: 0 };
        let numbers = (0..64).filter(|number| mask >> number & 1 == 1);
        for (number, value) in numbers.zip(values) {
            if number < Self::COUNT {
                registers.values[number] = value;
                registers.known |= 1 << number;
            }
        }
        registers
    }

    /// The value of a register, if it was sampled.
    #[inline]
    pub fn get(&self, number: u8) -> Option<u64> {
        let is_known = self.known.checked_shr(u32::from(number)).is_some_and(|bits| bits & 1 == 1);
        is_known.then(|| self.values[usize::from(number)])
    }
}

/// What an address may be relative to besides registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bases {
    /// What to add to an address of the code's own space (the image) for one of the process.
    pub load_bias: u64,
    /// The thread's segment base (`fs` on x86-64), where it was verified.
    pub thread: Option<u64>,
}

/// An address as a sum over sampled registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressFormula {
    /// Its terms.
    pub terms: Vec<Term>,
    /// What is added to them, modulo 2^64.
    pub constant: u64,
    /// Whether the load bias is added: the constant is an address of the code's own space.
    pub is_code_relative: bool,
    /// Whether the thread's segment base is added.
    pub is_thread_relative: bool,
}

/// A term of a sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// What is multiplied.
    pub value: TermValue,
    /// By how much, modulo 2^64.
    pub factor: u64,
}

/// The value of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TermValue {
    /// A sampled register.
    Register(u8),
    /// The low 32 bits of a sum, zero-extended: what 32-bit arithmetic leaves in a register.
    Low32(Box<AddressFormula>),
    /// The low 32 bits of a sum, sign-extended: a signed index that was widened.
    SignedLow32(Box<AddressFormula>),
}

impl AddressFormula {
    /// The address, or `None` when a register or the thread's base is not known.
    pub fn evaluate(&self, registers: &RegisterValues, bases: &Bases) -> Option<u64> {
        let mut sum = self.constant;
        if self.is_code_relative {
            sum = sum.wrapping_add(bases.load_bias);
        }
        if self.is_thread_relative {
            sum = sum.wrapping_add(bases.thread?);
        }
        for term in &self.terms {
            let value = match &term.value {
                TermValue::Register(number) => registers.get(*number)?,
                TermValue::Low32(inner) => inner.evaluate(registers, bases)? & 0xffff_ffff,
                TermValue::SignedLow32(inner) => {
                    inner.evaluate(registers, bases)? as u32 as i32 as u64
                }
            };
            sum = sum.wrapping_add(value.wrapping_mul(term.factor));
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_wrap_and_missing_registers_are_told() {
        let registers = RegisterValues::new(0b11, [8, u64::MAX]);
        let formula = |terms, thread| AddressFormula {
            terms,
            constant: 0x10,
            is_code_relative: true,
            is_thread_relative: thread,
        };
        let term = |number, factor| Term { value: TermValue::Register(number), factor };
        let bases = Bases { load_bias: 0x1000, thread: None };
        let sum = formula(vec![term(0, 4), term(1, 1)], false);
        assert_eq!(sum.evaluate(&registers, &bases), Some(0x1000 + 0x10 + 32 - 1));
        let low = TermValue::Low32(Box::new(AddressFormula {
            terms: vec![term(1, 1)],
            constant: 2,
            is_code_relative: false,
            is_thread_relative: false,
        }));
        let sum = formula(vec![Term { value: low, factor: 8 }], false);
        assert_eq!(sum.evaluate(&registers, &bases), Some(0x1018));
        assert_eq!(formula(vec![term(2, 1)], false).evaluate(&registers, &bases), None);
        assert_eq!(formula(vec![], true).evaluate(&registers, &bases), None);
        let thread = Bases { load_bias: 0, thread: Some(0x7000) };
        assert_eq!(formula(vec![], true).evaluate(&registers, &thread), Some(0x7010));
    }
}
