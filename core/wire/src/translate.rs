//! Between formats.
use bytes::Bytes;
use sluicegate_core::Format;
use crate::bridge::{BridgeOptions, End};
use crate::error::{Result, WireError};
use crate::fault::{Fault, FaultClass};
use crate::observed::Observed;
use crate::prepare::Prepared;
use crate::scan::Scanned;
use crate::splice::Edits;
pub(crate) fn request(_scanned: &Scanned, _edits: &Edits<'_>, target: Format) -> Result<Prepared> {
    Err(WireError::unsupported(format!("translation to `{}` isn't built in yet", target.as_str())))
}
#[derive(Debug)]
pub(crate) struct Translator { observed: Observed }
impl Translator {
    pub(crate) fn new(_options: BridgeOptions) -> Self { Self { observed: Observed::default() } }
    pub(crate) fn push(&mut self, _chunk: Bytes, _out: &mut impl FnMut(Bytes)) -> Result<(), Fault> {
        Err(Fault::new(FaultClass::Server, "translation isn't built in yet"))
    }
    pub(crate) fn finish(&mut self, _end: End, _out: &mut impl FnMut(Bytes)) {}
    pub(crate) fn observed(&self) -> &Observed { &self.observed }
}
