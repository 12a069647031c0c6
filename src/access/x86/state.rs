//! The general registers' contents along a path, as sums.

use super::algebra::{Algebra, Atom, Sum};
use super::effect::{Content, Cut, Effect};
use super::instruction::Instruction;
use super::operand::{Address, Base};
use super::register::COUNT;

/// The content of every general register.
#[derive(Debug, Clone)]
pub(super) struct State {
    registers: [Sum; COUNT],
}

impl State {
    /// All registers unknown; `clean` has a bit for each whose high 32 bits are 0.
    pub(super) fn unknown(algebra: &mut Algebra, clean: u16) -> Self {
        Self { registers: std::array::from_fn(|number| algebra.symbol(clean >> number & 1 == 1)) }
    }

    /// The registers' contents, in order of their numbers.
    pub(super) fn registers(&self) -> &[Sum; COUNT] {
        &self.registers
    }

    /// The address of an operand; `None` if no sum expresses it.
    pub(super) fn address(&self, address: &Address, algebra: &mut Algebra) -> Option<Sum> {
        let sum = self.sum(&address.registers, address.displacement)?;
        let sum = match address.base {
            Base::Process | Base::Thread => sum,
            Base::Code => sum.add(&Sum::atom(Atom::CodeBase), 1)?,
        };
        let sum = if address.is_narrow { algebra.low(&sum)? } else { sum };
        match address.base {
            Base::Thread => sum.add(&Sum::atom(Atom::ThreadBase), 1),
            Base::Process | Base::Code => Some(sum),
        }
    }

    fn sum(&self, registers: &[Option<(u8, u64)>; 2], constant: u64) -> Option<Sum> {
        registers.iter().flatten().try_fold(Sum::constant(constant), |sum, &(number, factor)| {
            sum.add(&self.registers[usize::from(number)], factor)
        })
    }

    /// Runs an instruction.
    pub(super) fn run(
        &mut self,
        instruction: &Instruction,
        algebra: &mut Algebra,
        is_64_bit: bool,
    ) {
        // At most the first two read other registers, and both see what was before; what comes
        // behind them is known no better than as "something else".
        let (exact, others) = instruction.effects.split_at(instruction.effects.len().min(2));
        let mut contents = [None; 2];
        for (content, effect) in contents.iter_mut().zip(exact) {
            *content = Some((effect.register, self.after(effect, algebra, is_64_bit)));
        }
        for (register, content) in contents.into_iter().flatten() {
            self.registers[usize::from(register)] = content;
        }
        for effect in others {
            self.registers[usize::from(effect.register)] = self.after(effect, algebra, is_64_bit);
        }
    }

    fn after(&self, effect: &Effect, algebra: &mut Algebra, is_64_bit: bool) -> Sum {
        match effect.content {
            Content::Sum { registers, constant, is_code_relative, cut } => {
                let sum = self.sum(&registers, constant);
                let sum = match is_code_relative {
                    true => sum.and_then(|sum| sum.add(&Sum::atom(Atom::CodeBase), 1)),
                    false => sum,
                };
                let value = match cut {
                    Cut::None => sum,
                    Cut::Low => sum.and_then(|sum| algebra.low(&sum)),
                    Cut::Signed => sum.and_then(|sum| algebra.signed(&sum)),
                };
                value.unwrap_or_else(|| algebra.symbol(cut == Cut::Low))
            }
            Content::ThreadBase => Sum::atom(Atom::ThreadBase),
            Content::Clean => algebra.symbol(true),
            Content::Partial => {
                let is_clean = algebra.is_clean(&self.registers[usize::from(effect.register)]);
                algebra.symbol(is_clean)
            }
            Content::Unknown => algebra.symbol(!is_64_bit),
        }
    }
}
