//! What must hold for changes to be made.
//!
//! INVARIANT: changes follow each other, since each holds the head of the audit trail: what is read here stays until the end. What
//! was looked at before may be otherwise by now.

use std::collections::HashMap;

use sluicegate_core::{Channel, Error, ErrorKind, GroupId, OrganizationId, Result, Retry, UserId};

use super::Session;
use super::change::Put;
use super::row::Value;
use crate::store::{HOLDER, Thing};

/// How a thing's version is asked for, what it is called, and by what it is found.
fn asked(thing: &Thing) -> (String, String, Vec<Value>) {
    let one = |table: &str, what: &str, id: &str| {
        (format!("SELECT version FROM {table} WHERE id = $1"), format!("{what} `{id}`"), vec![id.into()])
    };
    match thing {
        Thing::Key(id) => one("sg_key", "key", id.as_str()),
        Thing::Group(id) => one("sg_group", "group", id.as_str()),
        Thing::User(id) => one("sg_user", "user", id.as_str()),
        Thing::Organization(id) => one("sg_organization", "organization", id.as_str()),
        Thing::Channel(id) => one("sg_channel", "channel", id.as_str()),
        Thing::Account(user) => (
            "SELECT version FROM sg_account WHERE user_id = $1".to_owned(),
            format!("the account of user `{user}`"),
            vec![user.as_str().into()],
        ),
        Thing::Session(user, id) => (
            "SELECT CAST(1 AS BIGINT) FROM sg_session WHERE user_id = $1 AND id = $2".to_owned(),
            format!("session `{id}`"),
            vec![user.as_str().into(), id.as_str().into()],
        ),
        Thing::Membership(group, user) => (
            "SELECT version FROM sg_membership WHERE group_id = $1 AND user_id = $2".to_owned(),
            format!("membership of user `{user}` in group `{group}`"),
            vec![group.as_str().into(), user.as_str().into()],
        ),
        Thing::Setting(name) => (
            "SELECT version FROM sg_setting WHERE name = $1".to_owned(),
            format!("setting `{name}`"),
            vec![name.as_str().into()],
        ),
        // Of all its versions together: it rises with each that is put, and with each change of one's state.
        Thing::Policy(name) => (
            "SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) FROM sg_policy_version WHERE name = $1"
                .to_owned(),
            format!("policy `{name}`"),
            vec![name.as_str().into()],
        ),
    }
}

async fn first(session: &mut dyn Session, sql: String, args: Vec<Value>) -> Result<Option<i64>> {
    session.query(sql.into(), args).await?.into_iter().next().map(|mut row| row.int()).transpose()
}

/// Whoever made up their mind before looks again, and decides on what is there now.
fn overtaken(message: String) -> Error {
    Error::new(ErrorKind::Conflict, message).with_retry(Retry::Now)
}

/// A thing is as it was.
pub(super) async fn version(session: &mut dyn Session, thing: &Thing, version: i64) -> Result<()> {
    let (sql, what, args) = asked(thing);
    match first(session, sql, args).await? {
        Some(found) if found == version => Ok(()),
        _ => Err(overtaken(format!(
            "{what} was changed or removed by somebody else meanwhile; read it and try again"
        ))),
    }
}

/// A thing is there (still).
pub(super) async fn is_there(session: &mut dyn Session, thing: &Thing) -> Result<()> {
    let (sql, what, args) = asked(thing);
    match first(session, sql, args).await? {
        Some(_) => Ok(()),
        None => Err(overtaken(format!("{what} was removed by somebody else meanwhile; look again"))),
    }
}

/// No setting names it (yet).
pub(super) async fn is_unnamed(
    session: &mut dyn Session,
    within: &[&str],
    at: &str,
    name: &str,
    besides: &[String],
) -> Result<()> {
    for beginning in within {
        let sql = "SELECT name, body FROM sg_setting WHERE name LIKE $1".to_owned();
        // BOUND: as many as super administrators have made of the kind.
        for mut row in session.query(sql.into(), vec![format!("{beginning}%").into()]).await? {
            let (setting, body) = (row.text()?, row.json::<serde_json::Value>()?);
            let says =
                setting.starts_with(beginning) && body.pointer(at).and_then(|it| it.as_str()) == Some(name);
            if says && !besides.contains(&setting) {
                return Err(overtaken(format!("setting `{setting}` names `{name}` meanwhile; look again")));
            }
        }
    }
    Ok(())
}

/// An organization has nothing left.
pub(super) async fn is_empty(session: &mut dyn Session, id: &OrganizationId) -> Result<()> {
    for (table, what) in [("sg_group", "groups"), ("sg_user", "users"), ("sg_key", "keys")] {
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE organization_id = $1");
        let count = first(session, sql, vec![id.as_str().into()]).await?.unwrap_or_default();
        if count > 0 {
            let message = format!("organization `{id}` still has {count} {what}; delete them first");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
    }
    Ok(())
}

/// A group has these members, each as it was.
pub(super) async fn has_members(
    session: &mut dyn Session,
    group: &GroupId,
    members: &[(UserId, i64)],
) -> Result<()> {
    let known: HashMap<&str, i64> = members.iter().map(|(user, version)| (user.as_str(), *version)).collect();
    let sql = "SELECT user_id, version FROM sg_membership WHERE group_id = $1";
    let found = session.query(sql.into(), vec![group.as_str().into()]).await?;
    let mut same = found.len() == known.len();
    for mut row in found {
        let (user, version) = (row.text()?, row.int()?);
        same = same && known.get(user.as_str()) == Some(&version);
    }
    match same {
        true => Ok(()),
        false => Err(overtaken(format!(
            "the members of group `{group}` were changed by somebody else meanwhile; read them and try again"
        ))),
    }
}

/// A user may have another key.
pub(super) async fn has_fewer_keys(session: &mut dyn Session, user: &UserId, most: u32) -> Result<()> {
    let sql = "SELECT COUNT(*) FROM sg_key WHERE user_id = $1".to_owned();
    let count = first(session, sql, vec![user.as_str().into()]).await?.unwrap_or_default();
    if count < i64::from(most) {
        return Ok(());
    }
    let message = format!(
        "user `{user}` has {count} keys, and may have {most}; delete some, or have an administrator make this one"
    );
    Err(Error::new(ErrorKind::Conflict, message).with("param", "user"))
}

/// No other one has its name for people in the organization, or its address. Whoever has it is told to who may see them.
pub(super) async fn is_name_for_people_free(session: &mut dyn Session, row: &Put) -> Result<()> {
    let value =
        |name: &str| row.columns.iter().find(|(column, _)| *column == name).map(|(_, value)| value.clone());
    let (what, column) = match row.table {
        "sg_key" => ("key", "alias"),
        "sg_group" => ("group", "alias"),
        "sg_user" => ("user", "email"),
        _ => return Ok(()),
    };
    let (Some(Value::Text(Some(name))), Some((_, id))) = (value(column), row.id.first()) else {
        return Ok(());
    };
    let (within, mut args) = (what != "user", vec![Value::from(name.as_str()), id.clone()]);
    let mut sql = format!("SELECT id FROM {} WHERE {column} = $1 AND id <> $2", row.table);
    if within {
        sql.push_str(" AND organization_id = $3");
        args.extend(value("organization_id"));
    }
    let Some(mut holder) = session.query(sql.into(), args).await?.into_iter().next() else { return Ok(()) };
    let whose =
        if within { format!("another {what} of the organization") } else { "somebody else".to_owned() };
    let message = format!("the {column} `{name}` is already taken by {whose}; choose another");
    let error = Error::new(ErrorKind::Conflict, message).with("param", column);
    Err(error.with(HOLDER, format!("{what} {}", holder.text()?)))
}

/// No other channel has its name: of two only one would be in use. Those that share one from before may keep it.
pub(super) async fn is_name_free(session: &mut dyn Session, it: &Channel) -> Result<()> {
    let sql = "SELECT COUNT(*) FROM sg_channel WHERE name = $1 AND id <> $2 \
               AND NOT EXISTS (SELECT 1 FROM sg_channel mine WHERE mine.name = $1 AND mine.id = $2)"
        .to_owned();
    let args = vec![it.name.as_str().into(), it.id.as_str().into()];
    match first(session, sql, args).await? {
        Some(count) if count > 0 => {
            let message = format!("a channel needs a name of its own; `{}` is taken", it.name);
            Err(Error::new(ErrorKind::Conflict, message).with("param", "name"))
        }
        _ => Ok(()),
    }
}
