//! Active health checks: when a channel is asked whether it is well, without a call of anybody's.

use serde::{Deserialize, Serialize};

/// What a channel says of its checks: whether there are any, or how they are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ChannelCheck {
    /// Whether it is checked at all.
    Switch(bool),
    /// It is, with these settings before everybody's.
    Own(CheckSettings),
}

/// How checks are made, as far as it is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckSettings {
    /// Between two of a channel, in milliseconds; at least 1,000. Default 60,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u64>,
    /// An answer that takes longer is none, in milliseconds. Default 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The upstream's model that is asked. Default: the channel's first that is no pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Which channels are asked. Default those that are out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<CheckOf>,
}

/// Which channels are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOf {
    /// Those that are out, and single keys that are.
    #[default]
    Benched,
    /// All, well or not.
    All,
}

/// How one channel is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check<'a> {
    /// Between two, in milliseconds.
    pub interval_ms: u64,
    /// For the whole answer, in milliseconds.
    pub timeout_ms: u64,
    /// The upstream's model, if one is named.
    pub model: Option<&'a str>,
    /// When.
    pub of: CheckOf,
}

impl<'a> Check<'a> {
    /// How a channel is checked by its own settings and everybody's; `None` when it isn't.
    pub fn of(own: Option<&'a ChannelCheck>, everybodys: Option<&'a CheckSettings>) -> Option<Self> {
        let own = match (own, everybodys) {
            (Some(ChannelCheck::Switch(false)), _) | (None, None) => return None,
            (Some(ChannelCheck::Own(own)), _) => Some(own),
            (Some(ChannelCheck::Switch(true)) | None, _) => None,
        };
        let both = [own, everybodys];
        let first = |of: fn(&CheckSettings) -> Option<u64>| both.into_iter().flatten().find_map(of);
        Some(Self {
            interval_ms: first(|it| it.interval_ms).unwrap_or(60_000).max(1_000),
            timeout_ms: first(|it| it.timeout_ms).unwrap_or(10_000),
            model: both.into_iter().flatten().find_map(|it| it.model.as_deref()),
            of: both.into_iter().flatten().find_map(|it| it.of).unwrap_or_default(),
        })
    }
}

/// What a check made of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It was out and is back.
    Back,
    /// One of its keys was out and is back.
    KeyBack,
    /// Nothing has changed.
    Same,
    /// It is out now, or one of its keys is, or stays out for longer.
    Out,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channels_own_settings_go_before_everybodys() {
        let all =
            CheckSettings { interval_ms: Some(5_000), of: Some(CheckOf::All), ..CheckSettings::default() };
        let own = ChannelCheck::Own(CheckSettings {
            model: Some("m".to_owned()),
            interval_ms: Some(10),
            ..CheckSettings::default()
        });
        let off = ChannelCheck::Switch(false);
        assert_eq!(Check::of(None, None), None);
        assert_eq!(Check::of(Some(&off), Some(&all)), None);
        let want = Check { interval_ms: 5_000, timeout_ms: 10_000, model: None, of: CheckOf::All };
        assert_eq!(Check::of(None, Some(&all)), Some(want));
        let want = Check { interval_ms: 1_000, model: Some("m"), ..want };
        assert_eq!(Check::of(Some(&own), Some(&all)), Some(want));
        let on = ChannelCheck::Switch(true);
        let want = Check { interval_ms: 60_000, timeout_ms: 10_000, model: None, of: CheckOf::Benched };
        assert_eq!(Check::of(Some(&on), None), Some(want));
        assert_eq!(serde_json::to_value(&off).unwrap(), serde_json::json!(false));
        assert_eq!(serde_json::from_value::<ChannelCheck>(serde_json::to_value(&own).unwrap()).unwrap(), own);
    }
}
