//! The instructions of the sites that are reported.

use super::code_source::ImageCodeSource;
use super::names::Names;
use super::session::Session;
use crate::access::{CodeAddress, Direction, OperandFacts};
use crate::lines::timed::SampledCode;
use crate::lines::{DecodedCode, PlacedFunction, PlacedFunctions};
use crate::process::Pid;

/// The functions that reported sites are in, decoded.
#[derive(Debug, Default)]
pub(super) struct SiteCode {
    functions: PlacedFunctions,
}

impl SiteCode {
    /// Decodes the functions of all sites.
    pub(super) fn of<'p>(
        session: &'p Session<'_, '_>,
        names: &mut Names<'p>,
        sites: impl Iterator<Item = SampledCode>,
    ) -> Self {
        let mut source = ImageCodeSource::new(session.recording, &session.processes, names);
        let mut code = DecodedCode::new(&mut source);
        for site in sites {
            code.function(&site);
        }
        Self { functions: code.into_functions() }
    }

    /// The function of a site.
    pub(super) fn function(
        &self,
        mapping: Option<u32>,
        pid: Pid,
        code: CodeAddress,
    ) -> Option<&PlacedFunction> {
        self.functions.find(mapping, pid, code)
    }

    /// The memory operand of a site's instruction that reads, or writes, as it was seen to. `None` where
    /// its code is not at hand, or several operands of different sizes may be meant.
    pub(super) fn operand(
        &self,
        mapping: Option<u32>,
        pid: Pid,
        code: CodeAddress,
        seen: Direction,
    ) -> Option<OperandFacts> {
        let function = self.function(mapping, pid, code)?;
        let operands = function.decoded.operands(code.0.wrapping_sub(function.load_bias));
        let does = |operand: &OperandFacts| match seen {
            Direction::Load => operand.direction.reads(),
            Direction::Store => operand.direction.writes(),
            Direction::ReadModifyWrite => operand.direction == Direction::ReadModifyWrite,
        };
        let (implied, stated): (Vec<OperandFacts>, Vec<OperandFacts>) =
            operands.into_iter().filter(does).partition(|operand| operand.is_stack);
        let mut meant = if stated.is_empty() { implied } else { stated }.into_iter();
        let first = meant.next()?;
        meant.all(|other| other.size == first.size).then_some(first)
    }
}
