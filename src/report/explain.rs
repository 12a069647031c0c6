//! What the accesses of a line come to.

use super::advice::advice;
use super::blame::is_in_lock_primitive;
use super::model::Line;
use super::objects::NamedObject;
use super::pairs::pairs;
use super::sharing;
use crate::lines::Sharing;

/// Says how threads share a line, with the names that its fields and accesses have by now.
pub(super) fn explain(line: &mut Line, objects: &[NamedObject], sharing: Option<&Sharing>) {
    for access in &mut line.accesses {
        if access.lock.is_none() && is_in_lock_primitive(access) {
            access.lock = Some("use");
        }
    }
    line.pairs = pairs(&line.accesses);
    let Some(sharing) = sharing else { return };
    line.parts = sharing::parts(sharing, line);
    line.verdict = Some(sharing::name(sharing.verdict));
    line.reason = Some(sharing::reason(sharing.verdict, &line.parts));
    line.advice = advice(line, objects);
}
