//! Accounts, sessions and access tokens.

use sluicegate_core::{Error, ErrorKind, GroupId, Result, Role, Timestamp, User, UserId};

use super::change::Put;
use super::directory::{STAMP, stored};
use super::removed::{Along, Removed};
use super::row::{Row, to_json};
use super::{Session as Connection, SqlStore, Value};
use crate::admin::Actor;
use crate::credential::KeyHash;
use crate::store::{
    AccessToken, Account, Identity, ResponseOwner, Session, SessionFacts, Stored, StoredToken,
};

const SESSION: &str = "hash, id, user_id, created_at, seen_at, expires_at, body";
const TOKEN: &str = "created_at, used_at, body";

impl SqlStore {
    pub(super) async fn find_account(&self, user: &UserId) -> Result<Option<Stored<Account>>> {
        let sql = format!("SELECT {STAMP} FROM sg_account WHERE user_id = $1");
        self.fetch(sql, vec![user.as_str().into()]).await?.into_iter().next().map(stored).transpose()
    }

    pub(super) async fn find_sealed_accounts(&self) -> Result<Vec<Stored<Account>>> {
        let all = self.fetch(format!("SELECT {STAMP} FROM sg_account ORDER BY user_id"), Vec::new()).await?;
        // BOUND: those with a second step, of accounts that somebody made one by one.
        let mut found = Vec::new();
        for row in all {
            let account: Stored<Account> = stored(row)?;
            if account.value.totp.is_some() || account.value.totp_pending.is_some() {
                found.push(account);
            }
        }
        Ok(found)
    }

    pub(super) async fn find_super_admin(&self) -> Result<bool> {
        Ok(!self
            .fetch("SELECT id FROM sg_user WHERE role = 'super_admin' LIMIT 1", Vec::new())
            .await?
            .is_empty())
    }

    /// Runs one statement in a transaction of its own; whether it hit anything.
    async fn hits(&self, sql: &'static str, args: Vec<Value>) -> Result<bool> {
        let mut session = self.database.begin().await?;
        let hit = session.execute(sql.into(), args).await?;
        session.commit().await?;
        Ok(hit > 0)
    }

    pub(super) async fn use_totp_step(&self, user: &UserId, step: i64) -> Result<bool> {
        let sql = "UPDATE sg_account SET totp_step = $1 WHERE user_id = $2 AND totp_step < $1";
        self.hits(sql, vec![step.into(), user.as_str().into()]).await
    }

    pub(super) async fn use_backup_code(&self, user: &UserId, hash: &KeyHash) -> Result<bool> {
        let sql = "DELETE FROM sg_backup_code WHERE user_id = $1 AND hash = $2";
        self.hits(sql, vec![user.as_str().into(), hash.to_string().into()]).await
    }

    pub(super) async fn count_backup_codes(&self, user: &UserId) -> Result<u64> {
        let sql = "SELECT COUNT(*) FROM sg_backup_code WHERE user_id = $1";
        let rows = self.fetch(sql, vec![user.as_str().into()]).await?;
        let count = rows.into_iter().next().map_or(Ok(0), |mut row| row.int())?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    pub(super) async fn find_session(&self, hash: &KeyHash) -> Result<Option<Session>> {
        let sql = format!("SELECT {SESSION} FROM sg_session WHERE hash = $1");
        self.fetch(sql, vec![hash.to_string().into()]).await?.into_iter().next().map(session).transpose()
    }

    pub(super) async fn list_sessions(&self, user: &UserId) -> Result<Vec<Session>> {
        // BOUND: who signs in again and again is shown the newest.
        let sql = format!(
            "SELECT {SESSION} FROM sg_session WHERE user_id = $1 ORDER BY created_at DESC, id LIMIT 1000"
        );
        self.fetch(sql, vec![user.as_str().into()]).await?.into_iter().map(session).collect()
    }

    pub(super) async fn see_session(&self, hash: &KeyHash, now: Timestamp) -> Result<()> {
        let sql = "UPDATE sg_session SET seen_at = $1 WHERE hash = $2 AND seen_at < $1";
        self.hits(sql, vec![now.as_ms().into(), hash.to_string().into()]).await.map(drop)
    }

    pub(super) async fn find_identity(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Stored<Identity>>> {
        let sql = format!("SELECT {STAMP} FROM sg_identity WHERE issuer = $1 AND subject = $2");
        let rows = self.fetch(sql, vec![issuer.into(), subject.into()]).await?;
        rows.into_iter().next().map(stored).transpose()
    }

    pub(super) async fn is_known_by_a_provider(&self, user: &UserId) -> Result<bool> {
        let sql = "SELECT user_id FROM sg_identity WHERE user_id = $1 LIMIT 1";
        Ok(!self.fetch(sql, vec![user.as_str().into()]).await?.is_empty())
    }

    pub(super) async fn find_access_token(&self, hash: &KeyHash) -> Result<Option<StoredToken>> {
        let sql = format!("SELECT {TOKEN} FROM sg_access_token WHERE hash = $1");
        self.fetch(sql, vec![hash.to_string().into()]).await?.into_iter().next().map(token).transpose()
    }

    pub(super) async fn list_access_tokens(&self, user: &UserId) -> Result<Vec<StoredToken>> {
        let sql =
            format!("SELECT {TOKEN} FROM sg_access_token WHERE user_id = $1 ORDER BY created_at DESC, id");
        self.fetch(sql, vec![user.as_str().into()]).await?.into_iter().map(token).collect()
    }

    pub(super) async fn see_access_token(&self, id: &str, now: Timestamp) -> Result<()> {
        let sql = "UPDATE sg_access_token SET used_at = $1 WHERE id = $2 AND used_at < $1";
        self.hits(sql, vec![now.as_ms().into(), id.into()]).await.map(drop)
    }
}

fn session(mut row: Row) -> Result<Session> {
    let hash = KeyHash::from_hex(&row.text()?)
        .ok_or_else(|| Error::new(ErrorKind::Store, "a stored session's hash can't be read"))?;
    Ok(Session {
        hash,
        id: row.text()?,
        user: UserId::from(row.text()?.as_str()),
        created_at: Timestamp::from_ms(row.int()?),
        seen_at: Timestamp::from_ms(row.int()?),
        expires_at: Timestamp::from_ms(row.int()?),
        facts: row.json::<SessionFacts>()?,
    })
}

fn token(mut row: Row) -> Result<StoredToken> {
    let (created_at, used_at) = (Timestamp::from_ms(row.int()?), row.int()?);
    let used_at = Some(used_at).filter(|ms| *ms > 0).map(Timestamp::from_ms);
    Ok(StoredToken { token: row.json()?, created_at, used_at })
}

/// An account's row.
pub(super) fn account_row(it: &Account) -> Result<Put> {
    Ok(Put {
        table: "sg_account",
        what: format!("the account of user `{}`", it.user),
        id: vec![("user_id", it.user.as_str().into())],
        columns: vec![("body", to_json(it)?.into())],
    })
}

/// An identity's row.
pub(super) fn identity_row(it: &Identity) -> Result<Put> {
    Ok(Put {
        table: "sg_identity",
        what: format!("the identity of user `{}`", it.user),
        id: vec![("issuer", it.issuer.as_str().into()), ("subject", it.subject.as_str().into())],
        columns: vec![("user_id", it.user.as_str().into()), ("body", to_json(it)?.into())],
    })
}

/// Fails when this sign-in was finished before.
pub(super) async fn use_sign_in(
    connection: &mut dyn Connection,
    hash: &KeyHash,
    until: Timestamp,
) -> Result<()> {
    let sql = "INSERT INTO sg_used_sign_in (hash, expires_at) VALUES ($1, $2)";
    let used = connection.execute(sql.into(), vec![hash.to_string().into(), until.as_ms().into()]).await;
    used.map(drop).map_err(|error| match error.kind() {
        ErrorKind::Conflict => {
            Error::new(ErrorKind::Unauthenticated, "this sign-in was finished already; begin again")
        }
        _ => error,
    })
}

/// Removes whatever opens a user's account.
pub(super) async fn forget_ways_in(
    connection: &mut dyn Connection,
    user: &UserId,
    removed: &mut Removed,
) -> Result<()> {
    forget_tokens(connection, user, removed).await?;
    for sql in [
        "DELETE FROM sg_session WHERE user_id = $1",
        "DELETE FROM sg_backup_code WHERE user_id = $1",
        "DELETE FROM sg_account WHERE user_id = $1",
    ] {
        connection.execute(sql.into(), vec![user.as_str().into()]).await?;
    }
    Ok(())
}

/// Removes a user's access tokens.
pub(super) async fn forget_tokens(
    connection: &mut dyn Connection,
    user: &UserId,
    removed: &mut Removed,
) -> Result<()> {
    let tokens = Along { what: "tokens", table: "sg_access_token", id: "id", of: "user_id = $1" };
    removed.take(connection, &tokens, &[user.as_str().into()]).await
}

/// Takes a user for nobody known among those who have had a key in hand: it does what its own user may only as far as all of
/// those may.
pub(super) async fn disown_keys(connection: &mut dyn Connection, user: &UserId) -> Result<()> {
    // The names are one a line; each stands between two ends of lines then. LIKE would mind no case in SQLite.
    let sql = "UPDATE sg_key SET issuers = $1 \
               WHERE replace($2 || COALESCE(issuers, created_by) || $2, $2 || $3 || $2, '') \
               <> $2 || COALESCE(issuers, created_by) || $2";
    let (nobody, name) = (Actor::unknown(), Actor::user_name(user));
    let args = vec![nobody.name().into(), "\n".into(), name.as_str().into()];
    connection.execute(sql.into(), args).await?;
    Ok(())
}

/// Takes the keys of whoever had a new user's id for keys that nobody known has had in hand; of somebody who administers, also
/// those that they have issued.
pub(super) async fn disown_keys_of_new(connection: &mut dyn Connection, user: &User) -> Result<()> {
    let sql = "UPDATE sg_key SET issuers = $1 WHERE user_id = $2";
    let nobody = Actor::unknown();
    connection.execute(sql.into(), vec![nobody.name().into(), user.id.as_str().into()]).await?;
    match user.role {
        // Looking through all keys isn't worth it for who can lend a key nothing.
        Role::User => Ok(()),
        _ => disown_keys(connection, &user.id).await,
    }
}

/// Removes a user's keys, and the responses and conversations that are kept for them, in whatever group.
pub(super) async fn forget_caller(
    connection: &mut dyn Connection,
    user: &UserId,
    removed: &mut Removed,
) -> Result<()> {
    let keys = Along { what: "keys", table: "sg_key", id: "id", of: "user_id = $1" };
    removed.take(connection, &keys, &[user.as_str().into()]).await?;
    forget_content(connection, user).await
}

/// Removes the responses and conversations that are kept for a user, in whatever group.
pub(super) async fn forget_content(connection: &mut dyn Connection, user: &UserId) -> Result<()> {
    for owner in owners_of(connection, user).await? {
        forget_content_of(connection, &owner).await?;
    }
    Ok(())
}

/// Removes the responses and conversations that are kept for an owner.
pub(super) async fn forget_content_of(connection: &mut dyn Connection, owner: &str) -> Result<()> {
    for (table, _) in KEPT {
        let sql = format!("DELETE FROM {table} WHERE owner = $1");
        connection.execute(sql.into(), vec![owner.into()]).await?;
    }
    Ok(())
}

/// What is kept by owner, and what a row is told from an owner's others by.
const KEPT: [(&str, &str); 4] = [
    ("sg_conversation", "id"),
    ("sg_conversation_item", "conversation_id, position"),
    ("sg_response", "id"),
    ("sg_response_item", "id"),
];

/// So many rows go at once: some may have megabytes.
const PIECE: u64 = 100;

/// The owners that are a user, in whatever group.
async fn owners_of(connection: &mut dyn Connection, user: &UserId) -> Result<Vec<String>> {
    let sql = "SELECT owner FROM sg_user_owner WHERE user_id = $1";
    let rows = connection.query(sql.into(), vec![user.as_str().into()]).await?;
    rows.into_iter().map(|mut row| row.text()).collect()
}

impl SqlStore {
    /// Removes the responses and conversations that are kept for a user, piece by piece, so that nobody waits for all of them;
    /// with `of_gone` only while there is no such user.
    pub(super) async fn clear_kept(&self, user: &UserId, of_gone: bool) -> Result<()> {
        let owners = owners_of(&mut *self.database.read().await?, user).await?;
        let unless = of_gone.then_some(("sg_user", user.as_str()));
        self.clear_owners(&owners, unless).await
    }

    /// The same of what a group's keys made that belong to no user, while there is no such group.
    pub(super) async fn clear_kept_of_gone(&self, owner: &ResponseOwner, group: &GroupId) -> Result<()> {
        self.clear_owners(&[owner.0.to_string()], Some(("sg_group", group.as_str()))).await
    }

    /// Removes what is kept for these owners, unless the table has a row of this id.
    async fn clear_owners(&self, owners: &[String], unless: Option<(&str, &str)>) -> Result<()> {
        let condition =
            unless.map(|(table, _)| format!(" AND NOT EXISTS (SELECT 1 FROM {table} WHERE id = $2)"));
        let condition = condition.unwrap_or_default();
        for (owner, (table, id)) in owners.iter().flat_map(|owner| KEPT.map(|table| (owner, table))) {
            let sql = format!(
                "DELETE FROM {table} WHERE owner = $1 AND ({id}) IN (SELECT {id} FROM {table} WHERE owner = $1 LIMIT {PIECE}){condition}"
            );
            let mut args = vec![Value::from(owner.as_str())];
            args.extend(unless.map(|(_, id)| Value::from(id)));
            // BOUND: as many pieces as are kept for one owner.
            loop {
                let mut session = self.database.begin().await?;
                let gone = session.execute(sql.clone().into(), args.clone()).await?;
                session.commit().await?;
                if gone < PIECE {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Removes whoever a user is at providers.
pub(super) async fn forget_identities(connection: &mut dyn Connection, user: &UserId) -> Result<()> {
    let sql = "DELETE FROM sg_identity WHERE user_id = $1";
    connection.execute(sql.into(), vec![user.as_str().into()]).await.map(drop)
}

/// An access token's row.
pub(super) fn token_row(it: &AccessToken, hash: &KeyHash) -> Result<Put> {
    Ok(Put {
        table: "sg_access_token",
        what: format!("access token `{}`", it.id),
        id: vec![("id", it.id.as_str().into())],
        columns: vec![
            ("hash", hash.to_string().into()),
            ("user_id", it.user.as_str().into()),
            ("body", to_json(it)?.into()),
        ],
    })
}

pub(super) async fn add_session(connection: &mut dyn Connection, it: &Session) -> Result<()> {
    let sql = format!("INSERT INTO sg_session ({SESSION}) VALUES ($1, $2, $3, $4, $5, $6, $7)");
    let args = vec![
        it.hash.to_string().into(),
        it.id.as_str().into(),
        it.user.as_str().into(),
        it.created_at.as_ms().into(),
        it.seen_at.as_ms().into(),
        it.expires_at.as_ms().into(),
        to_json(&it.facts)?.into(),
    ];
    connection.execute(sql.into(), args).await.map(drop)
}

pub(super) async fn set_backup_codes(
    connection: &mut dyn Connection,
    user: &UserId,
    codes: &[KeyHash],
) -> Result<()> {
    let sql = "DELETE FROM sg_backup_code WHERE user_id = $1";
    connection.execute(sql.into(), vec![user.as_str().into()]).await?;
    for code in codes {
        let sql = "INSERT INTO sg_backup_code (user_id, hash) VALUES ($1, $2)";
        connection.execute(sql.into(), vec![user.as_str().into(), code.to_string().into()]).await?;
    }
    Ok(())
}

/// Fails unless somebody is left who may do everything.
pub(super) async fn keep_super_admin(connection: &mut dyn Connection) -> Result<()> {
    // BOUND: super administrators are few, and as many as somebody made one by one.
    let rows =
        connection.query("SELECT body FROM sg_user WHERE role = 'super_admin'".into(), Vec::new()).await?;
    for mut row in rows {
        if !row.json::<User>()?.blocked {
            return Ok(());
        }
    }
    let message = "this would leave no super administrator who isn't blocked; make another one first";
    Err(Error::new(ErrorKind::Conflict, message))
}

/// Fails when somebody may do everything already.
pub(super) async fn expect_no_super_admin(connection: &mut dyn Connection) -> Result<()> {
    let sql = "SELECT id FROM sg_user WHERE role = 'super_admin' LIMIT 1";
    if connection.query(sql.into(), Vec::new()).await?.is_empty() {
        return Ok(());
    }
    let message = "there is a super administrator already; sign in, or reset their password with the administrator's key";
    Err(Error::new(ErrorKind::Conflict, message))
}
