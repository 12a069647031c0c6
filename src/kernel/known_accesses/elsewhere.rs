//! Architectures for which no loop is written.

use super::{KnownAccess, KnownCode, KnownLoop, Line};

pub(super) const IS_WRITTEN: bool = false;

pub(super) fn run(_: KnownLoop, _: &mut [Line], _: u64) -> KnownCode {
    KnownCode { address: 0, bytes: Vec::new(), instructions: Vec::new() }
}

pub(super) fn accesses(_: KnownLoop, _: u64) -> Vec<KnownAccess> {
    Vec::new()
}
