//! Register values along a path, and what the sampled registers at its end tell of them.

use super::value::{Symbol, Value, inverse};
use crate::access::formula::{AddressFormula, Term, TermValue};

/// General registers.
pub(super) const REGISTERS: usize = 16;

/// `PERF_REG_X86_*` of each general register, in the order of instruction encoding: `rax rcx rdx rbx
/// rsp rbp rsi rdi r8 …`.
const SAMPLED_AS: [u8; REGISTERS] = [0, 2, 3, 1, 7, 6, 4, 5, 16, 17, 18, 19, 20, 21, 22, 23];

/// Where a symbol comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// Nothing is known about it.
    Free,
    /// The low half of a value, zero-extended.
    Low32(Value),
    /// The low half of a value, sign-extended.
    Sign32(Value),
}

#[derive(Debug, Clone)]
struct Definition {
    origin: Origin,
    /// Whether the upper half is 0.
    is_clean: bool,
}

/// The registers at one point of a path.
#[derive(Debug, Clone)]
pub(super) struct Values {
    symbols: Vec<Definition>,
    registers: [Value; REGISTERS],
}

impl Values {
    /// Nothing is known but which registers have an upper half of 0.
    pub(super) fn unknown(clean: u16) -> Self {
        let symbols = (0..REGISTERS)
            .map(|number| Definition { origin: Origin::Free, is_clean: clean >> number & 1 == 1 })
            .collect();
        Self { symbols, registers: std::array::from_fn(|number| Value::symbol(number as Symbol)) }
    }

    pub(super) fn get(&self, register: usize) -> &Value {
        &self.registers[register]
    }

    pub(super) fn set(&mut self, register: usize, value: Value) {
        self.registers[register] = value;
    }

    /// A value of which nothing is known, but whether it has an upper half of 0.
    pub(super) fn fresh(&mut self, is_clean: bool) -> Value {
        self.define(Origin::Free, is_clean)
    }

    /// The low half of a value, zero-extended.
    pub(super) fn low32(&mut self, value: Value) -> Value {
        if let Some(constant) = value.as_constant() {
            return Value::constant(constant & 0xffff_ffff);
        }
        if self.is_clean(&value) {
            return value;
        }
        self.define(Origin::Low32(value), true)
    }

    /// The low half of a value, sign-extended.
    pub(super) fn sign32(&mut self, value: Value) -> Value {
        match value.as_constant() {
            Some(constant) => Value::constant(constant as u32 as i32 as i64 as u64),
            None => self.define(Origin::Sign32(value), false),
        }
    }

    /// Whether a value is known to have an upper half of 0.
    pub(super) fn is_clean(&self, value: &Value) -> bool {
        match value.terms.as_slice() {
            [] => value.as_constant().is_some_and(|constant| constant >> 32 == 0),
            [(symbol, 1)] if value.constant == 0 && !value.is_code_relative => {
                self.symbols[*symbol as usize].is_clean
            }
            _ => false,
        }
    }

    fn define(&mut self, origin: Origin, is_clean: bool) -> Value {
        self.symbols.push(Definition { origin, is_clean });
        Value::symbol(self.symbols.len() as Symbol - 1)
    }

    /// Which registers have an upper half of 0.
    pub(super) fn clean_registers(&self) -> u16 {
        let is_clean = |number: &usize| self.is_clean(&self.registers[*number]);
        (0..REGISTERS).filter(is_clean).fold(0, |mask, number| mask | 1 << number)
    }

    /// Takes the registers here as the sampled ones, and says what they tell of all symbols.
    pub(super) fn solve(&self) -> Solution<'_> {
        let mut solution = Solution { values: self, known: vec![None; self.symbols.len()] };
        let registers = self.registers.iter().zip(SAMPLED_AS);
        let mut equations: Vec<Equation> = registers
            .map(|(value, sampled)| Equation {
                value: value.clone(),
                equals: register(sampled),
                is_low: false,
            })
            .collect();
        // Each round knows one symbol more or is the last.
        for _ in 0..=self.symbols.len() {
            let mut has_learnt = false;
            for index in 0..equations.len() {
                let learnt = solution.learn(&equations[index]);
                has_learnt |= learnt.is_some();
                equations.extend(learnt.flatten());
            }
            has_learnt |= solution.derive();
            if !has_learnt {
                break;
            }
        }
        solution
    }
}

impl Values {
    /// Takes the registers at the start as the sampled ones, and says what they tell of all symbols.
    pub(super) fn solve_from_start(&self) -> Solution<'_> {
        let mut known = vec![None; self.symbols.len()];
        for (symbol, sampled) in known.iter_mut().zip(SAMPLED_AS) {
            *symbol = Some(register(sampled));
        }
        let mut solution = Solution { values: self, known };
        while solution.derive() {}
        solution
    }
}

/// A value equals a formula, or the low halves of both are equal.
struct Equation {
    value: Value,
    equals: AddressFormula,
    is_low: bool,
}

/// What sampled registers tell of symbols.
#[derive(Debug)]
pub(super) struct Solution<'v> {
    values: &'v Values,
    known: Vec<Option<AddressFormula>>,
}

impl Solution<'_> {
    /// A value as a formula over sampled registers.
    pub(super) fn formula(&self, value: &Value) -> Option<AddressFormula> {
        let mut sum = constant(value);
        for (symbol, factor) in &value.terms {
            let known = self.known.get(*symbol as usize)?.as_ref()?;
            sum = plus_times(sum, known, *factor)?;
        }
        Some(sum)
    }

    /// Solves an equation with one unknown; what follows from that is a further equation.
    fn learn(&mut self, equation: &Equation) -> Option<Option<Equation>> {
        let mut unknown = None;
        let mut rest = constant(&equation.value);
        for &(symbol, factor) in &equation.value.terms {
            match self.known.get(symbol as usize)? {
                Some(known) => rest = plus_times(rest, known, factor)?,
                None if unknown.is_some() => return None,
                None => unknown = Some((symbol, factor)),
            }
        }
        let (symbol, factor) = unknown?;
        let definition = &self.values.symbols[symbol as usize];
        let difference = plus_times(equation.equals.clone(), &rest, u64::MAX)?;
        let solved = plus_times(empty(), &difference, inverse(factor)?)?;
        let solved = match equation.is_low {
            false => solved,
            true if definition.is_clean => low32(solved)?,
            true => return None,
        };
        let further = match &definition.origin {
            Origin::Free => None,
            Origin::Low32(inner) | Origin::Sign32(inner) => {
                Some(Equation { value: inner.clone(), equals: solved.clone(), is_low: true })
            }
        };
        self.known[symbol as usize] = Some(solved);
        Some(further)
    }

    /// Symbols whose definitions are known.
    fn derive(&mut self) -> bool {
        let mut has_learnt = false;
        for (number, definition) in self.values.symbols.iter().enumerate() {
            if self.known[number].is_some() {
                continue;
            }
            let derived = match &definition.origin {
                Origin::Free => None,
                Origin::Low32(inner) => self.formula(inner).and_then(low32),
                Origin::Sign32(inner) => self.formula(inner).and_then(sign32),
            };
            has_learnt |= derived.is_some();
            self.known[number] = derived;
        }
        has_learnt
    }
}

/// Formulas of more terms, or nested deeper, are not followed.
const MAX_TERMS: usize = 6;
const MAX_DEPTH: usize = 4;

fn empty() -> AddressFormula {
    AddressFormula {
        terms: Vec::new(),
        constant: 0,
        is_code_relative: false,
        is_thread_relative: false,
    }
}

fn constant(value: &Value) -> AddressFormula {
    AddressFormula { constant: value.constant, is_code_relative: value.is_code_relative, ..empty() }
}

fn register(sampled: u8) -> AddressFormula {
    let terms = vec![Term { value: TermValue::Register(sampled), factor: 1 }];
    AddressFormula { terms, ..empty() }
}

fn low32(formula: AddressFormula) -> Option<AddressFormula> {
    nested(formula, TermValue::Low32)
}

fn sign32(formula: AddressFormula) -> Option<AddressFormula> {
    nested(formula, TermValue::Sign32)
}

fn nested(
    formula: AddressFormula,
    of: fn(Box<AddressFormula>) -> TermValue,
) -> Option<AddressFormula> {
    let is_shallow = depth(&formula) < MAX_DEPTH;
    let terms = vec![Term { value: of(Box::new(formula)), factor: 1 }];
    is_shallow.then(|| AddressFormula { terms, ..empty() })
}

fn depth(formula: &AddressFormula) -> usize {
    let of_term = |term: &Term| match &term.value {
        TermValue::Register(_) => 0,
        TermValue::Low32(inner) | TermValue::Sign32(inner) => 1 + depth(inner),
    };
    formula.terms.iter().map(of_term).max().unwrap_or(0)
}

fn plus_times(
    mut sum: AddressFormula,
    other: &AddressFormula,
    factor: u64,
) -> Option<AddressFormula> {
    sum.is_code_relative = match (sum.is_code_relative, other.is_code_relative, factor) {
        (code, false, _) => code,
        (false, true, 1) => true,
        (true, true, u64::MAX) => false,
        _ => return None,
    };
    sum.constant = sum.constant.wrapping_add(other.constant.wrapping_mul(factor));
    for term in &other.terms {
        let times = term.factor.wrapping_mul(factor);
        match sum.terms.iter_mut().find(|known| known.value == term.value) {
            Some(known) => known.factor = known.factor.wrapping_add(times),
            None => sum.terms.push(Term { value: term.value.clone(), factor: times }),
        }
    }
    sum.terms.retain(|term| term.factor != 0);
    (sum.terms.len() <= MAX_TERMS).then_some(sum)
}
