//! The types of memory without a name, from the operands of the instructions that touch it.
//!
//! An operand's register is a variable there, or was made from one: its type then says what lies around
//! the address. Where the debug information names no variable for the register, the code is followed back
//! to where the value is from. Several ways have to agree.

use super::names::Names;
use super::objects::NamedObject;
use super::site_code::SiteCode;
use crate::access::{Direction, DwarfRegister, OperandAddress, ValueSource};
use crate::lines::PlacedFunction;
use crate::lines::timed::SampledCode;
use crate::process::MemoryKind;
use crate::symbols::{
    DataType, ImageAddress, ImageId, MemberRole, RegisterValue, Symbolizer, TypeKind, ValuePlace,
};

/// How many steps back a value is followed.
const MAX_STEPS: usize = 12;
/// How deep types that wrap a pointer are followed.
const MAX_WRAPPERS: usize = 8;

/// One access of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct TypedAccess {
    /// The instruction.
    pub(super) code: SampledCode,
    /// What it does.
    pub(super) direction: Direction,
    /// What it touches, in the process.
    pub(super) data: u64,
    /// Bytes of it in the line.
    pub(super) size: u32,
}

/// What a register points into.
#[derive(Debug, Clone)]
struct Pointed {
    data_type: DataType,
    /// Where, bytes from the start of such an object.
    offset: u64,
}

impl Pointed {
    fn agrees_with(&self, other: &Self) -> bool {
        self.offset == other.offset
            && self.data_type.size() == other.data_type.size()
            && self.data_type.name() == other.data_type.name()
    }
}

/// Objects that lie in a line by the types of the operands that touch it: each once, those that most
/// accesses speak for first. Such as contradict each other, by lying in each other with different types,
/// are left out.
pub(super) fn typed_objects(
    accesses: &[TypedAccess],
    code: &SiteCode,
    names: &mut Names<'_>,
) -> Vec<NamedObject> {
    let mut found: Vec<(usize, NamedObject)> = Vec::new();
    for access in accesses {
        let Some(object) = typed(access, code, names) else { continue };
        let is_same = |known: &NamedObject| {
            known.base == object.base
                && known.size == object.size
                && known.name == object.name
                && known.data_type.as_ref().map(DataType::name)
                    == object.data_type.as_ref().map(DataType::name)
        };
        match found.iter_mut().find(|(_, known)| is_same(known)) {
            Some((votes, _)) => *votes += 1,
            None => found.push((1, object)),
        }
    }
    found.sort_by_key(|(votes, object)| (std::cmp::Reverse(*votes), object.base));
    let objects: Vec<NamedObject> = found.into_iter().map(|(_, object)| object).collect();
    // A part of another object is told by that one.
    let is_part = |one: &NamedObject, whole: &NamedObject| {
        one.size < whole.size && whole.base <= one.base && one.end() <= whole.end()
    };
    let overlaps =
        |one: &NamedObject, other: &NamedObject| one.base < other.end() && other.base < one.end();
    let outer: Vec<&NamedObject> =
        objects.iter().filter(|one| !objects.iter().any(|other| is_part(one, other))).collect();
    let is_alone = |at: usize| {
        let one = outer[at];
        outer.iter().enumerate().all(|(other, it)| other == at || !overlaps(one, it))
    };
    (0..outer.len()).filter(|at| is_alone(*at)).map(|at| outer[at].clone()).collect()
}

/// The object that one access is for.
fn typed(access: &TypedAccess, code: &SiteCode, names: &mut Names<'_>) -> Option<NamedObject> {
    let SampledCode { mapping, pid, code: address, .. } = access.code;
    let operand = code.operand(mapping, pid, address, access.direction)?;
    // What began in the line before has its start there.
    if operand.size != access.size {
        return None;
    }
    let operand_address = operand.address?;
    let function = code.function(mapping, pid, address)?;
    let (image, kind) = names.image_of_code(mapping?)?;
    if kind != MemoryKind::File {
        return None;
    }
    let mut search =
        Search { symbolizer: names.symbolizer(), image, function, visited: Vec::new() };
    let at = address.0.wrapping_sub(function.load_bias);
    if let Some(variable) = search.stack_variable(at, &operand_address) {
        let (value, within) = variable;
        let data_type = value.data_type?;
        return Some(NamedObject {
            kind: "stack",
            name: Some(value.name),
            base: access.data.wrapping_sub(within),
            size: data_type.size()?,
            language: data_type.language(),
            data_type: Some(data_type),
            allocated_at: Vec::new(),
            heap: None,
        });
    }
    let [(base, 1), rest @ ..] = &operand_address.registers[..] else { return None };
    let pointed = search.pointed(at, *base, 0, true)?;
    let size = pointed.data_type.size().filter(|size| *size > 0)?;
    let offset = pointed.offset.wrapping_add(operand_address.displacement);
    // An index counts whole objects, or an array within one: which is not known.
    let is_whole = rest.iter().all(|(_, scale)| *scale == size);
    let fits = offset.checked_add(u64::from(operand.size)).is_some_and(|end| end <= size);
    (is_whole && fits).then(|| NamedObject {
        kind: "unknown",
        name: None,
        base: access.data.wrapping_sub(offset),
        size,
        language: pointed.data_type.language(),
        data_type: Some(pointed.data_type),
        allocated_at: Vec::new(),
        heap: None,
    })
}

/// Follows values within one function.
struct Search<'s> {
    symbolizer: &'s mut Symbolizer,
    image: ImageId,
    function: &'s PlacedFunction,
    visited: Vec<(u64, DwarfRegister)>,
}

impl Search<'_> {
    /// The variable on the stack that an operand is for.
    fn stack_variable(
        &mut self,
        code: u64,
        address: &OperandAddress,
    ) -> Option<(RegisterValue, u64)> {
        let [(register, 1)] = address.registers[..] else { return None };
        let displacement = address.displacement as i64;
        let (image, code) = (self.image, ImageAddress(code));
        let found = self.symbolizer.variable_at_operand(image, code, register.0, displacement)?;
        found.0.certain.then_some(found)
    }

    /// What a register points into before the instruction at `code`. On the way to an object there may be
    /// pointers to pointers; at its end only what has parts of its own is wanted.
    fn pointed(
        &mut self,
        code: u64,
        register: DwarfRegister,
        steps: usize,
        wants_object: bool,
    ) -> Option<Pointed> {
        if steps > MAX_STEPS || self.visited.contains(&(code, register)) {
            return None;
        }
        self.visited.push((code, register));
        self.by_variable(code, register, wants_object).or_else(|| {
            let sources = self.function.decoded.sources(code, register);
            let mut agreed: Option<Pointed> = None;
            for source in sources {
                // What comes round a loop is decided by what enters it.
                if self.is_of_loop(&source, register) {
                    continue;
                }
                let pointed = self.by_source(&source, steps, wants_object)?;
                if agreed.as_ref().is_some_and(|known| !known.agrees_with(&pointed)) {
                    return None;
                }
                agreed = Some(pointed);
            }
            agreed
        })
    }

    fn is_of_loop(&self, source: &ValueSource, own: DwarfRegister) -> bool {
        matches!(*source, ValueSource::Sum { code, register, .. }
            if register == own && self.visited.contains(&(code, register)))
    }

    fn by_source(
        &mut self,
        source: &ValueSource,
        steps: usize,
        wants_object: bool,
    ) -> Option<Pointed> {
        match *source {
            ValueSource::Entry { register } => {
                let first = self.function.first.wrapping_sub(self.function.load_bias);
                self.by_variable(first, register, wants_object)
            }
            ValueSource::Sum { code, register, addend } => {
                let from = self.pointed(code, register, steps + 1, wants_object)?;
                let offset = from.offset.wrapping_add(addend);
                let size = from.data_type.size()?;
                (offset < size).then_some(Pointed { offset, ..from })
            }
            ValueSource::Load { code, register: Some(register), displacement } => {
                let address = OperandAddress {
                    registers: vec![(register, 1)],
                    displacement,
                    is_code_relative: false,
                    is_thread_relative: false,
                };
                if let Some((value, within)) = self.stack_variable(code, &address) {
                    return pointee_at(&value.data_type?, within, wants_object);
                }
                let from = self.pointed(code, register, steps + 1, false)?;
                let offset = from.offset.wrapping_add(displacement);
                pointee_at(&from.data_type, offset, wants_object)
            }
            ValueSource::Load { register: None, displacement, .. } => {
                let variable =
                    self.symbolizer.variable_at(self.image, ImageAddress(displacement))?;
                let offset = displacement.checked_sub(variable.address)?;
                pointee_at(&variable.data_type?, offset, wants_object)
            }
            ValueSource::Address { .. } | ValueSource::Returned { .. } | ValueSource::Other => None,
        }
    }

    /// What a register points into by the variables that the debug information has in it. Of several the
    /// largest object tells most, if the others lie in it.
    fn by_variable(
        &mut self,
        code: u64,
        register: DwarfRegister,
        wants_object: bool,
    ) -> Option<Pointed> {
        let values = self.symbolizer.value_in_register(self.image, ImageAddress(code), register.0);
        let mut found: Vec<Pointed> = Vec::new();
        for value in values.into_iter().filter(|value| value.certain) {
            let ValuePlace::Value { offset } = value.place else { continue };
            let Some(pointee) =
                value.data_type.and_then(|it| pointee(&it, value.part, wants_object))
            else {
                continue;
            };
            // The variable is the register plus `offset`, so the register is that far before it.
            let Ok(before) = u64::try_from(offset.checked_neg()?) else { continue };
            let pointed = Pointed { data_type: pointee, offset: before };
            if !found.iter().any(|it| it.agrees_with(&pointed)) {
                found.push(pointed);
            }
        }
        found.sort_by_key(|it| std::cmp::Reverse(it.data_type.size()));
        let largest = found.first()?.clone();
        let lies_in = |it: &Pointed| {
            has_part(&largest.data_type, &it.data_type, largest.offset.wrapping_sub(it.offset), 0)
        };
        found.iter().skip(1).all(lies_in).then_some(largest)
    }
}

/// Whether a type has a part of another type at an offset.
fn has_part(whole: &DataType, part: &DataType, offset: u64, depth: usize) -> bool {
    let whole = whole.stripped();
    if offset == 0 && whole.size() == part.size() && whole.name() == part.stripped().name() {
        return true;
    }
    if depth > MAX_WRAPPERS {
        return false;
    }
    if let Some((element, _)) = whole.element() {
        let size = element.size().unwrap_or_default();
        return size > 0 && has_part(&element, part, offset % size, depth + 1);
    }
    whole.members().iter().any(|member| {
        let start = member.offset.unwrap_or(u64::MAX);
        let is_within = (start..start.saturating_add(member.size)).contains(&offset);
        is_within && has_part(&member.data_type, part, offset - start, depth + 1)
    })
}

/// Whether a type has parts of its own: a number has none, nor what only wraps one.
fn is_object(of: &DataType) -> bool {
    let mut inner = of.stripped();
    for _ in 0..MAX_WRAPPERS {
        match inner.wrapped() {
            Some(member) => inner = member.data_type.stripped(),
            None => break,
        }
    }
    matches!(inner.kind(), TypeKind::Struct | TypeKind::Union | TypeKind::Variants)
}

/// What the pointer at an offset of an object points to.
fn pointee_at(of: &DataType, offset: u64, wants_object: bool) -> Option<Pointed> {
    let mut inner = of.stripped();
    let mut rest = offset;
    for _ in 0..MAX_WRAPPERS * 2 {
        match inner.kind() {
            TypeKind::Pointer | TypeKind::Reference if rest == 0 => {
                let data_type = inner.target()?;
                let is_wanted = !wants_object || is_object(&data_type);
                return is_wanted.then_some(Pointed { data_type, offset: 0 });
            }
            TypeKind::Array => {
                let (element, _) = inner.element()?;
                rest = rest.checked_rem(element.size()?)?;
                inner = element.stripped();
            }
            TypeKind::Struct => {
                let member = inner.members().into_iter().find(|member| {
                    let start = member.offset.unwrap_or(u64::MAX);
                    member.role != MemberRole::VirtualBase
                        && (start..start.saturating_add(member.size)).contains(&rest)
                })?;
                rest -= member.offset?;
                inner = member.data_type.stripped();
            }
            _ => return None,
        }
    }
    None
}

/// What a value of this type, or the part of it that is there, points to.
fn pointee(of: &DataType, part: Option<(u64, u64)>, wants_object: bool) -> Option<DataType> {
    Some(pointee_at(of, part.map_or(0, |(start, _)| start), wants_object)?.data_type)
}

/// Puts types to what is known otherwise: an allocation has the type of the operands that touch it, if it
/// begins where an object of that type does.
pub(super) fn merge(objects: &mut Vec<NamedObject>, typed: Vec<NamedObject>, kind: &'static str) {
    for mut object in typed {
        let around =
            objects.iter_mut().find(|known| known.base < object.end() && object.base < known.end());
        match around {
            // Variables know better what they are.
            Some(known) if known.kind != "heap" || known.data_type.is_some() => {}
            Some(known) => {
                let is_row =
                    object.size > 0 && known.base <= object.base && object.end() <= known.end();
                if is_row && known.base == object.base && known.size < object.size.saturating_mul(2)
                {
                    known.data_type = object.data_type;
                    known.language = object.language;
                } else if is_row {
                    object.allocated_at = known.allocated_at.clone();
                    object.heap = known.heap.clone();
                    object.kind = "heap";
                    objects.push(object);
                }
            }
            None => {
                if object.kind == "unknown" {
                    object.kind = kind;
                }
                objects.push(object);
            }
        }
    }
}
