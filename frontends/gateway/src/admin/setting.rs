//! Settings that are changed while the gateway runs: what the file leaves out is kept in the database, as one thing with one tag.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sluicegate_config::{
    HostSettings, Registration, SETTINGS, SaidBy, Setting, SettingKind, nearest, overlay,
};
use sluicegate_core::snapshot::Declared;
use sluicegate_core::{Error, ErrorKind, Result, Retry, Timestamp};

use super::seed::Seeds;
use super::seen::etag;
use super::{
    Access, Actor, Admin, DEFAULT_ORGANIZATION, Deed, Then, came_second, forbidden, invalid, retried,
};
use crate::distinct::distinct;
use crate::store::{Change, Expect, Stored};

/// The name under which they are kept.
const STORED: &str = "settings";
/// The version while nobody has changed any.
const UNMADE: i64 = 0;

/// A change to settings, by their names: null takes one back to what holds without it, one left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SettingsPatch(#[serde(deserialize_with = "distinct")] pub Map<String, Value>);

/// The settings in force, and those that may be changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingsView {
    /// The tag of what is kept of them, for `if-match`.
    pub etag: String,
    /// When that was last changed.
    pub updated_at: Option<Timestamp>,
    /// Who changed it last.
    pub updated_by: Option<String>,
    /// Those that may be changed while the gateway runs.
    pub changeable: Vec<SettingView>,
    /// All that no other operation shows, by its part.
    #[serde(flatten)]
    pub in_force: Map<String, Value>,
}

/// A setting that may be changed while the gateway runs, unless the file says it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingView {
    /// Its name.
    pub name: &'static str,
    /// Its key in a configuration file of ours.
    pub file_key: &'static str,
    /// What it takes: `number`, `word` or `registration`.
    pub kind: &'static str,
    /// What a number of it counts.
    pub unit: Option<&'static str>,
    /// A number is no smaller.
    pub min: Option<u64>,
    /// Nor larger.
    pub max: Option<u64>,
    /// The words that it takes.
    pub words: Option<&'static [&'static str]>,
    /// What holds when nobody says it; null where nothing does.
    pub default: Value,
    /// What is in force.
    pub value: Value,
    /// Who says so.
    pub source: SettingSource,
    /// Where the file says it.
    pub fixed_by: Option<FixedBy>,
    /// Why what is kept of it isn't in force.
    pub unused: Option<String>,
}

/// Who says what a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingSource {
    /// The configuration file.
    File,
    /// The database: it was changed over the API.
    Database,
    /// Nobody.
    Default,
}

/// Where a file says a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FixedBy {
    /// The key, in the file's own dialect.
    pub key: String,
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
}

impl From<&SaidBy> for FixedBy {
    fn from(it: &SaidBy) -> Self {
        Self { key: it.key.clone(), file: it.path.clone(), line: it.line }
    }
}

/// What is kept of settings among all that is kept by name.
pub(crate) fn kept_settings(settings: &[(String, Stored<Value>)]) -> Map<String, Value> {
    let mine = settings.iter().find(|(name, _)| name == STORED);
    mine.and_then(|(_, stored)| stored.value.as_object().cloned()).unwrap_or_default()
}

/// The settings that a change names.
fn named_settings(patch: &SettingsPatch) -> Result<Vec<Setting>> {
    let one = |name: &String| {
        Setting::by_name(name).ok_or_else(|| {
            let message = match nearest(name, SETTINGS.map(Setting::name)) {
                Some(near) => format!("there is no setting `{name}`; did you mean `{near}`?"),
                None => {
                    format!(
                        "there is no setting `{name}`; GET /api/v1/settings lists those that may be changed"
                    )
                }
            };
            Error::new(ErrorKind::InvalidRequest, message).with("param", name.clone())
        })
    };
    patch.0.keys().map(one).collect()
}

/// What settings come to: the file's and what is kept besides.
struct Sum {
    declared: Declared,
    host: HostSettings,
    unused: Vec<(Setting, String)>,
}

impl Sum {
    fn value(&self, setting: Setting) -> Value {
        setting.value(&self.declared, &self.host)
    }
}

impl Admin {
    /// The settings in force, and which may be changed. For super administrators.
    ///
    /// # Errors
    /// `Forbidden`, `Store`.
    pub async fn settings(&self, actor: &Actor) -> Result<SettingsView> {
        let in_force = self.settings_in_force(actor)?;
        let stored = self.stored_settings().await?;
        let (file, whole) = (self.0.host.file(), self.sum(&stored.value));
        let (without, built_in) = (self.sum(&Map::new()), (Declared::default(), HostSettings::default()));
        let view = |setting: Setting| {
            let said = file.fixed.get(setting);
            let unused = whole.unused.iter().find(|(it, _)| *it == setting).map(|(_, why)| why.clone());
            let is_kept = stored.value.contains_key(setting.name()) && unused.is_none();
            let (min, max, words, kind) = match setting.kind() {
                SettingKind::Number { min, max } => (Some(min), Some(max), None, "number"),
                SettingKind::Word(words) => (None, None, Some(words), "word"),
                SettingKind::Registration => (None, None, None, "registration"),
            };
            SettingView {
                name: setting.name(),
                file_key: setting.file_key(),
                kind,
                unit: setting.unit(),
                min,
                max,
                words,
                default: match said {
                    Some(_) => setting.value(&built_in.0, &built_in.1),
                    None => without.value(setting),
                },
                value: whole.value(setting),
                source: match (said, is_kept) {
                    (Some(_), _) => SettingSource::File,
                    (None, true) => SettingSource::Database,
                    (None, false) => SettingSource::Default,
                },
                fixed_by: said.map(FixedBy::from),
                unused,
            }
        };
        let is_made = stored.version != UNMADE;
        Ok(SettingsView {
            etag: etag(&stored),
            updated_at: is_made.then_some(stored.updated_at),
            updated_by: is_made.then(|| stored.updated_by.clone()),
            changeable: SETTINGS.into_iter().map(view).collect(),
            in_force,
        })
    }

    /// Changes settings and takes them into use, here at once and on other nodes within a second: all of them, or none. For super
    /// administrators; how people sign in isn't changed by a token.
    ///
    /// # Errors
    /// `Forbidden`; `InvalidRequest` for an unknown name or a value that it can't have; `Conflict` for what the file says, and when
    /// somebody else came between; `Store`.
    pub async fn change_settings(&self, actor: &Actor, patch: SettingsPatch) -> Result<SettingsView> {
        if !actor.is_super() {
            return Err(forbidden("change settings"));
        }
        let named = named_settings(&patch)?;
        for area in named.iter().copied().map(area_of) {
            actor.may(area, Access::Write)?;
        }
        retried(came_second, || self.try_change_settings(actor, &patch, &named)).await?;
        self.settings(actor).await
    }

    async fn try_change_settings(
        &self,
        actor: &Actor,
        patch: &SettingsPatch,
        named: &[Setting],
    ) -> Result<()> {
        let stored = self.stored_settings().await?;
        self.refuse_fixed(patch, named, &stored.value)?;
        actor.expects(&stored)?;
        let mut kept = stored.value.clone();
        for (name, value) in &patch.0 {
            match value {
                Value::Null => drop(kept.remove(name)),
                value => drop(kept.insert(name.clone(), value.clone())),
            }
        }
        let (before, after) = (self.sum(&stored.value), self.sum(&kept));
        let is_new = |setting: &Setting| before.unused.iter().all(|(it, _)| it != setting);
        let refused = after.unused.iter().find(|(it, _)| named.contains(it) || is_new(it));
        if let Some((setting, why)) = refused {
            return Err(invalid(setting.name(), format!("the setting `{}` {why}", setting.name())));
        }
        if kept.contains_key(Setting::Registration.name())
            && named.contains(&Setting::Registration)
            && let Some(it) = &after.host.auth.registration
        {
            self.check_place(it).await?;
        }
        let told = |sum: &Sum| -> Map<String, Value> {
            named.iter().map(|it| (it.name().to_owned(), sum.value(*it))).collect()
        };
        if kept == stored.value {
            return Ok(());
        }
        let deed = Deed::new("settings.update", STORED.to_owned()).changed(&told(&before), &told(&after));
        let expect = if stored.version == UNMADE { Expect::New } else { Expect::Version(stored.version) };
        let put = Change::PutSetting(STORED.to_owned(), kept.into(), expect);
        match self.write(actor, deed, vec![put], Seeds::new(), Then::Channels).await {
            // Of two who change the first ones the second changes what the other has left.
            Err(error) if expect == Expect::New && error.kind() == ErrorKind::Conflict => {
                Err(error.with_retry(Retry::Now))
            }
            done => done.map(drop),
        }
    }

    /// Refuses a change of what the file says. What is kept of it, until the file leaves it out, may be taken back.
    fn refuse_fixed(
        &self,
        patch: &SettingsPatch,
        named: &[Setting],
        kept: &Map<String, Value>,
    ) -> Result<()> {
        let file = self.0.host.file();
        for setting in named {
            let name = setting.name();
            let takes_back = kept.contains_key(name) && patch.0.get(name).is_some_and(Value::is_null);
            let Some(said) = file.fixed.get(*setting).filter(|_| !takes_back) else { continue };
            let message = format!(
                "`{name}` is `{}` in `{}`, line {}; change it there, or take it out of the file and start again",
                said.key, said.path, said.line
            );
            let error = Error::new(ErrorKind::Conflict, message).with("file", said.path.clone());
            return Err(error.with("param", name));
        }
        Ok(())
    }

    /// Whether whoever registers has somewhere to be.
    async fn check_place(&self, it: &Registration) -> Result<()> {
        let name = Setting::Registration.name();
        let is_there = it.organization.as_str() == DEFAULT_ORGANIZATION
            || self.any_organization(&it.organization).await?.is_some();
        if !is_there {
            return Err(invalid(name, format!("organization `{}` doesn't exist", it.organization)));
        }
        let Some(id) = &it.group else { return Ok(()) };
        let group = self.group_by_id(id).await?.filter(|group| group.value.organization == it.organization);
        match group {
            Some(_) => Ok(()),
            None => {
                Err(invalid(name, format!("group `{id}` isn't one of organization `{}`", it.organization)))
            }
        }
    }

    async fn stored_settings(&self) -> Result<Stored<Map<String, Value>>> {
        let Some(stored) = self.store().setting(STORED).await? else {
            let by = || "gateway".to_owned();
            let (created_at, updated_at) = Default::default();
            return Ok(Stored {
                value: Map::new(),
                version: UNMADE,
                created_at,
                created_by: by(),
                updated_at,
                updated_by: by(),
            });
        };
        let Stored { value, version, created_at, created_by, updated_at, updated_by } = stored;
        let value = match value {
            Value::Object(map) => map,
            _ => return Err(Error::new(ErrorKind::Store, "the stored settings can't be read")),
        };
        Ok(Stored { value, version, created_at, created_by, updated_at, updated_by })
    }

    /// What settings come to with these kept: no more of what is declared than settings are about.
    fn sum(&self, kept: &Map<String, Value>) -> Sum {
        let file = self.0.host.file();
        let of_file = &file.declared;
        let mut declared = Declared {
            routing: of_file.routing,
            quota: of_file.quota.clone(),
            currencies: of_file.currencies.clone(),
            ..Declared::default()
        };
        let mut host = file.host.clone();
        let unused = overlay(kept, &file.fixed, &mut declared, &mut host);
        Sum { declared, host, unused }
    }
}

/// The area of access tokens that a setting belongs to; `account` for what no token changes.
fn area_of(setting: Setting) -> &'static str {
    let name = setting.name();
    match name.split('.').next() {
        _ if setting == Setting::KeysPerUser => "keys",
        Some("auth") => "account",
        // What is kept of calls, and what they cost.
        Some("retention" | "quotas" | "currencies") => "ledger",
        _ => "routing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_there_twice_is_refused() {
        let read = |text: &str| serde_json::from_str::<SettingsPatch>(text).map(|it| it.0.len());
        assert_eq!(read(r#"{"routing": 1, "keys": null}"#).unwrap(), 2);
        let error = read(r#"{"routing": 1, "routing": 2}"#).unwrap_err();
        assert!(error.to_string().contains("`routing` is there twice"), "{error}");
    }
}
