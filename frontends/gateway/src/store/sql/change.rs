//! Writing tenants, keys, channels and settings.

use sluicegate_core::{Error, ErrorKind, Limit, Result, Retry, User};

use super::name::folded_names;
use super::removed::{Along, Removed};
use super::row::{Value, to_json};
use super::{Session, Sql, SqlStore, condition, identity, policy};
use crate::store::{
    AuditChain, AuditEvent, AuditedChange, Change, Expect, NewEvent, ResponseOwner, SecretChange,
    folded_address,
};

/// Who changes, and when.
struct Author<'a> {
    name: &'a str,
    at: i64,
}

/// A row as it shall be: its table, the columns that identify it, and the others.
pub(super) struct Put {
    pub(super) table: &'static str,
    pub(super) what: String,
    pub(super) id: Vec<(&'static str, Value)>,
    pub(super) columns: Vec<(&'static str, Value)>,
}

impl SqlStore {
    pub(super) async fn change(
        &self,
        changes: &[Change],
        event: &NewEvent,
        chain: &dyn AuditChain,
    ) -> Result<AuditEvent> {
        let mut session = self.database.begin().await?;
        let event = change(&mut *session, changes, event, chain).await?;
        session.commit().await?;
        Ok(event)
    }

    pub(super) async fn change_all(
        &self,
        steps: &[AuditedChange],
        chain: &dyn AuditChain,
    ) -> Result<Vec<AuditEvent>> {
        let mut session = self.database.begin().await?;
        let mut events = Vec::with_capacity(steps.len());
        for (at, step) in steps.iter().enumerate() {
            let event = change(&mut *session, &step.changes, &step.event, chain).await;
            events.push(event.map_err(|error| error.with("step", at.to_string()))?);
        }
        session.commit().await?;
        Ok(events)
    }
}

/// Makes the changes of one event, and writes it down.
async fn change(
    session: &mut dyn Session,
    changes: &[Change],
    event: &NewEvent,
    chain: &dyn AuditChain,
) -> Result<AuditEvent> {
    // First, so that changes follow each other: the row is locked until the end.
    let mut head = session
        .query("UPDATE sg_audit_head SET seq = seq + 1 WHERE id = 1 RETURNING seq, mac".into(), Vec::new())
        .await?
        .into_iter()
        .next()
        .ok_or_else(|| Error::new(ErrorKind::Store, "the database has lost the head of its audit trail"))?;
    let (seq, previous) = (head.int()?, head.text()?);
    let author = Author { name: &event.actor, at: event.at.as_ms() };
    let mut removed = Removed::default();
    for change in changes {
        apply(session, change, &author, &mut removed).await?;
    }
    let mut event = event.clone();
    removed.told_in(&mut event.detail);
    let detail = to_json(&event.detail)?;
    let mac = chain.link(&previous, seq, &event, &detail);
    append_event(session, seq, &event, &detail, &mac).await?;
    Ok(AuditEvent { seq, event, mac })
}

async fn append_event(
    session: &mut dyn Session,
    seq: i64,
    event: &NewEvent,
    detail: &str,
    mac: &str,
) -> Result<()> {
    session
        .execute(
            "INSERT INTO sg_audit (seq, at, actor, action, target, organization_id, group_id, user_id, detail, address, \
             credential, mac) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
                .into(),
            vec![
                seq.into(),
                event.at.as_ms().into(),
                event.actor.as_str().into(),
                event.action.as_str().into(),
                event.target.as_str().into(),
                event.organization.as_ref().map(|id| id.as_str()).into(),
                event.group.as_ref().map(|id| id.as_str()).into(),
                event.user.as_ref().map(|id| id.as_str()).into(),
                detail.into(),
                event.address.as_deref().into(),
                event.credential.as_deref().into(),
                mac.into(),
            ],
        )
        .await?;
    session.execute("UPDATE sg_audit_head SET mac = $1 WHERE id = 1".into(), vec![mac.into()]).await?;
    Ok(())
}

async fn apply(
    session: &mut dyn Session,
    change: &Change,
    author: &Author<'_>,
    removed: &mut Removed,
) -> Result<()> {
    match change {
        Change::PutOrganization(it, expect) => {
            let row = Put {
                table: "sg_organization",
                what: format!("organization `{}`", it.id),
                id: vec![("id", it.id.as_str().into())],
                columns: vec![("alias", it.alias.as_deref().into()), ("body", to_json(it)?.into())],
            };
            put(session, row, *expect, author).await
        }
        Change::PutGroup(it, expect) => {
            if *expect == Expect::New {
                // Of a group of this id that was before: its keys' content is nobody's who comes now.
                let owner = ResponseOwner::of_group(&it.organization, &it.id);
                identity::forget_content_of(session, &owner.0).await?;
            }
            let row = Put {
                table: "sg_group",
                what: format!("group `{}`", it.id),
                id: vec![("id", it.id.as_str().into())],
                columns: vec![
                    ("alias", it.alias.as_deref().into()),
                    ("organization_id", it.organization.as_str().into()),
                    ("names", folded_names(&[Some(it.id.as_str()), it.alias.as_deref()]).into()),
                    ("limited", limited(&it.limits)),
                    ("body", to_json(it)?.into()),
                ],
            };
            put(session, row, *expect, author).await
        }
        Change::PutUser(it, expect) => {
            if *expect == Expect::New {
                // Of somebody of this id whom a file declared once: whoever they were opens nothing of this user's.
                identity::forget_ways_in(session, &it.id, removed).await?;
                identity::forget_identities(session, &it.id).await?;
                identity::disown_keys_of_new(session, it).await?;
                identity::forget_content(session, &it.id).await?;
            }
            let address = address(session, it, *expect).await?;
            let names = folded_names(&[Some(it.id.as_str()), it.alias.as_deref(), address.as_deref()]);
            let row = Put {
                table: "sg_user",
                what: format!("user `{}`", it.id),
                id: vec![("id", it.id.as_str().into())],
                columns: vec![
                    ("email", Value::Text(address)),
                    ("alias", it.alias.as_deref().into()),
                    ("organization_id", it.organization.as_str().into()),
                    ("role", word(&it.role)?.into()),
                    ("names", names.into()),
                    ("limited", limited(&it.limits)),
                    ("body", to_json(it)?.into()),
                ],
            };
            put(session, row, *expect, author).await
        }
        Change::PutMembership(it, expect) => {
            let row = Put {
                table: "sg_membership",
                what: format!("membership of user `{}` in group `{}`", it.user, it.group),
                id: vec![("group_id", it.group.as_str().into()), ("user_id", it.user.as_str().into())],
                columns: vec![
                    ("role", word(&it.role)?.into()),
                    ("limited", limited(&it.limits)),
                    ("body", to_json(it)?.into()),
                ],
            };
            put(session, row, *expect, author).await
        }
        Change::PutKey { key, hash, old_hash_until, issuers, expect } => {
            retire_hash(session, key.id.as_str(), &hash.to_string(), old_hash_until.map(|at| at.as_ms()))
                .await?;
            let mut columns = vec![
                ("hash", hash.to_string().into()),
                ("alias", key.alias.as_deref().into()),
                ("organization_id", key.organization.as_str().into()),
                ("group_id", key.group.as_ref().map(|id| id.as_str()).into()),
                ("user_id", key.user.as_ref().map(|id| id.as_str()).into()),
                ("names", folded_names(&[Some(key.id.as_str()), key.alias.as_deref()]).into()),
                ("limited", limited(&key.limits)),
                ("body", to_json(key)?.into()),
            ];
            columns.extend(issuers.as_deref().map(|names| ("issuers", names.into())));
            let row = Put {
                table: "sg_key",
                what: format!("key `{}`", key.id),
                id: vec![("id", key.id.as_str().into())],
                columns,
            };
            put(session, row, *expect, author).await
        }
        Change::GovernKey(id) => {
            let sql = "UPDATE sg_key SET governed = 1 WHERE id = $1";
            session.execute(sql.into(), vec![id.as_str().into()]).await.map(drop)
        }
        Change::PutChannel(it, secret, expect) => {
            condition::is_name_free(session, it).await?;
            let mut columns = vec![("name", it.name.as_str().into()), ("body", to_json(it)?.into())];
            match secret {
                SecretChange::Keep => {}
                SecretChange::Clear => columns.push(("secret", Value::Text(None))),
                SecretChange::Set(sealed) => columns.push(("secret", sealed.as_str().into())),
            }
            let row = Put {
                table: "sg_channel",
                what: format!("channel `{}`", it.id),
                id: vec![("id", it.id.as_str().into())],
                columns,
            };
            put(session, row, *expect, author).await
        }
        Change::PutPolicy(it, expect) => {
            let row = Put {
                table: "sg_policy",
                what: format!("policy `{}`", it.source.name),
                id: vec![("name", it.source.name.as_str().into())],
                columns: vec![("body", to_json(it)?.into())],
            };
            put(session, row, *expect, author).await
        }
        Change::AddPolicyVersion(it) => put(session, policy::new_row(it)?, Expect::New, author).await,
        Change::SetPolicyState(it, version) => {
            put(session, policy::state_row(it)?, Expect::Version(*version), author).await
        }
        Change::PutSetting(name, value, expect) => {
            let row = Put {
                table: "sg_setting",
                what: format!("setting `{name}`"),
                id: vec![("name", name.as_str().into())],
                columns: vec![("body", to_json(value)?.into())],
            };
            put(session, row, *expect, author).await
        }
        Change::ExpectVersion(thing, version) => condition::version(session, thing, *version).await,
        Change::ExpectThere(thing) => condition::is_there(session, thing).await,
        Change::ExpectUnnamed { within, at, name, besides } => {
            condition::is_unnamed(session, within, at, name, besides).await
        }
        Change::ExpectEmptyOrganization(id) => condition::is_empty(session, id).await,
        Change::ExpectFewerKeys(user, most) => condition::has_fewer_keys(session, user, *most).await,
        Change::ExpectMembers(group, members) => condition::has_members(session, group, members).await,
        Change::KeepSuperAdmin => identity::keep_super_admin(session).await,
        Change::ExpectNoSuperAdmin => identity::expect_no_super_admin(session).await,
        Change::PutAccount(it, expect) => put(session, identity::account_row(it)?, *expect, author).await,
        Change::SetBackupCodes(user, codes) => identity::set_backup_codes(session, user, codes).await,
        Change::AddSession(it) => identity::add_session(session, it).await,
        Change::EndSession(user, id) => {
            let sql = "DELETE FROM sg_session WHERE user_id = $1 AND id = $2";
            session.execute(sql.into(), vec![user.as_str().into(), id.as_str().into()]).await.map(drop)
        }
        Change::EndSessions(user) => {
            let sql = "DELETE FROM sg_session WHERE user_id = $1";
            session.execute(sql.into(), vec![user.as_str().into()]).await.map(drop)
        }
        Change::ForgetWaysIn(user) => {
            identity::forget_ways_in(session, user, removed).await?;
            identity::disown_keys(session, user).await
        }
        Change::ForgetCaller(user) => identity::forget_caller(session, user, removed).await,
        Change::PutIdentity(it, expect) => put(session, identity::identity_row(it)?, *expect, author).await,
        Change::UseSignIn(hash, until) => identity::use_sign_in(session, hash, *until).await,
        Change::DeleteAccessTokens(user) => identity::forget_tokens(session, user, removed).await,
        Change::PutAccessToken(it, hash, expect) => {
            put(session, identity::token_row(it, hash)?, *expect, author).await
        }
        _ => delete(session, change, removed).await,
    }
}

async fn delete(session: &mut dyn Session, change: &Change, removed: &mut Removed) -> Result<()> {
    // What hangs on it goes first; the last statement must hit.
    let (what, args, statements): (String, Vec<Value>, &[&'static str]) = match change {
        Change::DeleteOrganization(id) => (
            format!("organization `{id}`"),
            vec![id.as_str().into()],
            &["DELETE FROM sg_organization WHERE id = $1"],
        ),
        Change::DeleteGroup(id) => {
            (format!("group `{id}`"), vec![id.as_str().into()], &["DELETE FROM sg_group WHERE id = $1"])
        }
        Change::DeleteUser(id) => (
            format!("user `{id}`"),
            vec![id.as_str().into()],
            &[
                "DELETE FROM sg_session WHERE user_id = $1",
                "DELETE FROM sg_backup_code WHERE user_id = $1",
                "DELETE FROM sg_account WHERE user_id = $1",
                "DELETE FROM sg_identity WHERE user_id = $1",
                "DELETE FROM sg_setting WHERE name = 'invitation/' || $1",
                "DELETE FROM sg_user WHERE id = $1",
            ],
        ),
        Change::DeleteMembership(group, user) => (
            format!("membership of user `{user}` in group `{group}`"),
            vec![group.as_str().into(), user.as_str().into()],
            &["DELETE FROM sg_membership WHERE group_id = $1 AND user_id = $2"],
        ),
        Change::DeleteKey(id) => (
            format!("key `{id}`"),
            vec![id.as_str().into()],
            &["DELETE FROM sg_retired_hash WHERE key_id = $1", "DELETE FROM sg_key WHERE id = $1"],
        ),
        Change::DeleteChannel(id) => {
            (format!("channel `{id}`"), vec![id.as_str().into()], &["DELETE FROM sg_channel WHERE id = $1"])
        }
        Change::DeleteAccessToken(id) => (
            format!("access token `{id}`"),
            vec![id.as_str().into()],
            &["DELETE FROM sg_access_token WHERE id = $1"],
        ),
        Change::DeletePolicy(name) => (
            format!("policy `{name}`"),
            vec![name.as_str().into()],
            &["DELETE FROM sg_policy WHERE name = $1"],
        ),
        Change::DeletePolicyVersions(name) => (
            format!("policy `{name}`"),
            vec![name.as_str().into()],
            &["DELETE FROM sg_policy_version WHERE name = $1"],
        ),
        Change::DeleteSetting(name) => (
            format!("setting `{name}`"),
            vec![name.as_str().into()],
            &["DELETE FROM sg_setting WHERE name = $1"],
        ),
        _ => {
            return Err(Error::new(
                ErrorKind::Internal,
                "a change that puts something was taken for one that removes",
            ));
        }
    };
    for along in along_with(change) {
        removed.take(session, along, &args).await?;
    }
    let mut hit = 0;
    for statement in statements {
        hit = session.execute((*statement).into(), args.clone()).await?;
    }
    if hit == 0 { Err(missing(&what)) } else { Ok(()) }
}

/// What goes along with what is removed, and is told in the event.
fn along_with(change: &Change) -> &'static [Along] {
    match change {
        Change::DeleteGroup(_) => &[
            Along { what: "keys", table: "sg_key", id: "id", of: "group_id = $1" },
            Along { what: "members", table: "sg_membership", id: "user_id", of: "group_id = $1" },
        ],
        Change::DeleteUser(_) => &[
            Along { what: "keys", table: "sg_key", id: "id", of: "user_id = $1" },
            Along { what: "groups", table: "sg_membership", id: "group_id", of: "user_id = $1" },
            Along { what: "tokens", table: "sg_access_token", id: "id", of: "user_id = $1" },
        ],
        Change::DeleteMembership(..) => {
            &[Along { what: "keys", table: "sg_key", id: "id", of: "group_id = $1 AND user_id = $2" }]
        }
        _ => &[],
    }
}

/// When a key's hash changes, the old one goes on opening it until then.
async fn retire_hash(session: &mut dyn Session, key: &str, hash: &str, until: Option<i64>) -> Result<()> {
    if let Some(until) = until {
        session
            .execute(
                "INSERT INTO sg_retired_hash (hash, key_id, retires_at) \
                 SELECT hash, id, $1 FROM sg_key WHERE id = $2 AND hash <> $3"
                    .into(),
                vec![until.into(), key.into(), hash.into()],
            )
            .await?;
    }
    Ok(())
}

/// What a user is found by. Of several whose addresses are one but for their case, from before that was heeded, the first is found
/// by it; the others may keep it, be changed and be blocked, and stay known by their ids.
async fn address(session: &mut dyn Session, it: &User, expect: Expect) -> Result<Option<String>> {
    let Some(address) = it.email.as_deref().map(folded_address) else { return Ok(None) };
    if expect == Expect::New {
        return Ok(Some(address));
    }
    let sql = "SELECT body FROM sg_user WHERE id = $1 AND email IS NULL \
               AND EXISTS (SELECT 1 FROM sg_user twin WHERE twin.email = $2)";
    let found = session.query(sql.into(), vec![it.id.as_str().into(), address.as_str().into()]).await?;
    let Some(mut row) = found.into_iter().next() else { return Ok(Some(address)) };
    let before: User = row.json()?;
    let is_kept = before.email.as_deref().map(folded_address).as_ref() == Some(&address);
    Ok((!is_kept).then_some(address))
}

/// Whether something has limits, as a flag.
fn limited(limits: &[Limit]) -> Value {
    i64::from(!limits.is_empty()).into()
}

async fn put(session: &mut dyn Session, row: Put, expect: Expect, author: &Author<'_>) -> Result<()> {
    let what = row.what.clone();
    condition::is_name_for_people_free(session, &row).await?;
    let (sql, args) = match expect {
        Expect::Version(version) => update(row, version, author),
        Expect::New | Expect::Any => insert(row, expect == Expect::Any, author),
    };
    let hit = session.execute(sql, args).await.map_err(|error| match error.kind() {
        ErrorKind::Conflict => Error::new(
            ErrorKind::Conflict,
            format!("{what} can't be stored: its id or name is already taken"),
        )
        .with("what", what.clone()),
        _ => error,
    })?;
    match (hit, expect) {
        (0, Expect::Version(_)) => {
            let message =
                format!("{what} was changed or removed by somebody else meanwhile; read it and try again");
            Err(Error::new(ErrorKind::Conflict, message).with_retry(Retry::Now))
        }
        _ => Ok(()),
    }
}

fn update(row: Put, version: i64, author: &Author<'_>) -> (Sql, Vec<Value>) {
    let mut args = Vec::new();
    let mut set = Vec::new();
    for (column, value) in
        row.columns.into_iter().chain([("updated_at", author.at.into()), ("updated_by", author.name.into())])
    {
        args.push(value);
        set.push(format!("{column} = ${}", args.len()));
    }
    let mut find = Vec::new();
    for (column, value) in row.id.into_iter().chain([("version", version.into())]) {
        args.push(value);
        find.push(format!("{column} = ${}", args.len()));
    }
    let sql = format!(
        "UPDATE {} SET version = version + 1, {} WHERE {}",
        row.table,
        set.join(", "),
        find.join(" AND ")
    );
    (sql.into(), args)
}

fn insert(row: Put, or_update: bool, author: &Author<'_>) -> (Sql, Vec<Value>) {
    let stamp: [(&str, Value); 5] = [
        ("version", 1.into()),
        ("created_at", author.at.into()),
        ("created_by", author.name.into()),
        ("updated_at", author.at.into()),
        ("updated_by", author.name.into()),
    ];
    let key = row.id.iter().map(|(column, _)| *column).collect::<Vec<_>>().join(", ");
    let renewed: Vec<String> = row
        .columns
        .iter()
        .map(|(column, _)| *column)
        .chain(["updated_at", "updated_by"])
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let (columns, args): (Vec<&str>, Vec<Value>) = row.id.into_iter().chain(row.columns).chain(stamp).unzip();
    let marks: Vec<String> = (1..=args.len()).map(|n| format!("${n}")).collect();
    let mut sql = format!("INSERT INTO {} ({}) VALUES ({})", row.table, columns.join(", "), marks.join(", "));
    if or_update {
        let version = format!("version = {}.version + 1", row.table);
        sql.push_str(&format!(" ON CONFLICT ({key}) DO UPDATE SET {version}, {}", renewed.join(", ")));
    }
    (sql.into(), args)
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{what} doesn't exist"))
}

/// A unit variant's serialised word.
pub(super) fn word(value: &impl serde::Serialize) -> Result<String> {
    Ok(to_json(value)?.trim_matches('"').to_owned())
}
