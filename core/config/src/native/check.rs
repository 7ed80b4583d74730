//! Active health checks.

use sluicegate_core::Channel;
use sluicegate_core::check::{ChannelCheck, CheckOf, CheckSettings};

use super::section;
use crate::diagnostic::Severity;
use crate::host::HostSettings;
use crate::reader::{Fields, Item, Load};
use crate::yaml::Value;

/// Those of every channel.
pub(super) fn everybodys(load: &mut Load<'_>, item: &Item<'_>, host: &mut HostSettings) {
    let Some(fields) = Fields::open_section(load, item, &section::HEALTH_CHECKS) else { return };
    host.health_checks = Some(settings(load, &fields));
    if let Some(item) = fields.get("concurrency")
        && let Some(most) =
            item.parsed(load, "a whole number, 1 or more", |text| text.parse().ok().filter(|n| *n > 0))
    {
        host.health_checks_at_once = most;
    }
}

/// Those of one channel.
pub(super) fn own(load: &mut Load<'_>, item: &Item<'_>, channel: &mut Channel) {
    channel.health_check = match &item.node.value {
        Value::Map(_) => Fields::open_section(load, item, &section::HEALTH_CHECK)
            .map(|fields| ChannelCheck::Own(settings(load, &fields))),
        _ => item.boolean(load).map(ChannelCheck::Switch),
    };
}

fn settings(load: &mut Load<'_>, fields: &Fields<'_>) -> CheckSettings {
    let of = fields.get("of");
    let mut settings = CheckSettings {
        interval_ms: fields.get("interval").and_then(|item| item.duration_ms(load)),
        timeout_ms: fields.get("timeout").and_then(|item| item.duration_ms(load)),
        model: fields.text(load, "model"),
        of: of.and_then(|item| item.word(load, &[("benched", CheckOf::Benched), ("all", CheckOf::All)])),
    };
    if let Some(item) = fields.get("interval")
        && settings.interval_ms.is_some_and(|ms| ms < 1_000)
    {
        settings.interval_ms = None;
        let message = "a channel is asked once a second at most";
        item.say(load, Severity::Error, "invalid_value", message, "write 1s or more");
    }
    settings
}
