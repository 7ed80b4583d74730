//! Our own dialect.
use sluicegate_core::snapshot::Declared;
use crate::host::HostSettings;
use crate::reader::{Item, Load};
/// Lowers a file.
pub(crate) fn lower(_load: &mut Load<'_>, _root: &Item<'_>, _declared: &mut Declared, _host: &mut HostSettings) {}
/// schema
pub fn json_schema() -> serde_json::Value { serde_json::Value::Null }
