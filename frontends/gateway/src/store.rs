//! Where the gateway keeps what must outlive it: tenants, keys, channels, records, balances, and who changed what.
//!
//! A store offers atomic primitives and no rule: who may change what is the [`admin`](crate::admin) service's affair,
//! what may be used is the engine's. [`open`] gives the store that an address names; all of them pass one contract
//! suite.

mod change;
mod conversation;
mod filter;
mod forget;
mod identity;
mod log;
mod name;
mod once;
mod policy;
#[cfg(feature = "postgres")]
mod postgres;
mod report;
mod response;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod trouble;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sluicegate_core::ports::RecordStore;
use sluicegate_core::snapshot::PolicySource;
use sluicegate_core::{
    ApiKey, CallId, Channel, Error, ErrorKind, Group, GroupId, Membership, ModelName, Organization,
    OrganizationId, Result, Timestamp, UsageRecord, User, UserId,
};

pub use change::{
    AuditChain, AuditEvent, AuditedChange, Change, Expect, HOLDER, NewEvent, SecretChange, StoredEvent, Thing,
};
pub use conversation::{
    Added, CONVERSATION_BYTES_MAX, CONVERSATION_ITEMS_MAX, ConversationItem, ConversationShare, Full,
    ItemPage, ItemsAsked, KeptConversation,
};
pub use filter::{
    After, AuditFilter, DailyRow, Dimension, GroupFilter, KeyFilter, KeyRef, Limited, Listing, MemberFilter,
    Narrow, Order, OrderBy, Owner, Page, Reach, RecordFilter, Since, Sums, UserFilter, folded_address,
};
pub use forget::{Forget, Forgotten};
pub use identity::{AccessToken, Account, Hidden, Identity, Session, SessionFacts, Stage, StoredToken};
pub use log::{LogCursor, LogFilter, LogPage};
pub use name::{GroupName, KeyName};
pub use once::Once;
pub use policy::{
    PolicyDraft, PolicyFilter, PolicyStanding, PolicyState, PolicyTestFailure, PolicyTests, PolicyVersion,
};
pub use report::{LabelQuery, LabelUse, Latencies, ReportFilter, ReportQuery, ReportRows, SharedUse, Split};
pub use response::{KeptResponse, ResponseOwner, ResponseWork};
pub use trouble::{SLOW_MS, Trouble, TroubleQuery, Troubles};

use crate::credential::KeyHash;

/// An organization's end customers, and its tags, are told apart in the sums of a day up to this number.
pub const LABELS_PER_DAY: usize = 10_000;
/// What end customers and tags beyond [`LABELS_PER_DAY`] are summed up as.
pub const LABEL_OVERFLOW: &str = "(others)";

/// A thing as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored<T> {
    /// The thing.
    pub value: T,
    /// Counts up with each change; a change that expects another one is refused.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
}

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredKey {
    /// The key.
    pub key: Stored<ApiKey>,
    /// The hash that it is found by.
    pub hash: KeyHash,
    /// Who issued its credential, as the audit trail calls them, one a line: several while an older one may still open it.
    pub issuers: String,
    /// Whether somebody who administers it has said what it may do, other than whoever made it.
    pub governed: bool,
}

/// A channel as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredChannel {
    /// The channel.
    pub channel: Stored<Channel>,
    /// Its sealed credential, if it has one here.
    pub secret: Option<String>,
}

/// A key and everything stored that it refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyParts {
    /// The key.
    pub key: ApiKey,
    /// Its group, if that is stored.
    pub group: Option<Group>,
    /// Its user, if they are stored.
    pub user: Option<User>,
    /// The user's membership in the group, if there is one.
    pub membership: Option<Membership>,
    /// Its organization, if that is stored.
    pub organization: Option<Organization>,
    /// When this hash stops opening the key: it was regenerated. `None` for the current one.
    pub retires_at: Option<Timestamp>,
}

/// A policy script as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredPolicy {
    /// The script.
    pub source: PolicySource,
    /// Whether it runs.
    pub enabled: bool,
}

/// Everything that the gateway keeps.
///
/// Every method is atomic, and safe to drop while it waits: then it happened entirely or not at all. Things out of
/// `reach` are answered exactly like things that don't exist. Implementations fail with `Store` when the database
/// can't be reached or refuses.
#[async_trait]
pub trait Store: RecordStore {
    /// What the hash opens: the key and its group, user, membership and organization, in one query. Hashes that have
    /// retired before `now` open nothing.
    async fn key_by_hash(&self, hash: &KeyHash, now: Timestamp) -> Result<Option<KeyParts>>;

    /// One key. An alias that keys of several organizations within reach have is a `Conflict` that names their ids.
    async fn key(&self, key: &KeyRef, reach: &Reach) -> Result<Option<StoredKey>>;

    /// Keys, newest first.
    async fn keys(&self, filter: &KeyFilter, reach: &Reach, page: Page) -> Result<Listing<StoredKey>>;

    /// What these keys are called, as far as there are any within reach, in no order.
    async fn key_names(&self, ids: &[&str], reach: &Reach) -> Result<Vec<KeyName>>;

    /// The names for people of keys that have one, sorted by their characters' numbers.
    async fn key_aliases(&self, filter: &KeyFilter, reach: &Reach, page: Page) -> Result<Listing<String>>;

    /// What these groups are called, as far as there are any within reach, in no order.
    async fn group_names(&self, ids: &[&str], reach: &Reach) -> Result<Vec<GroupName>>;

    /// The call whose answer has this id at its upstream, of several the newest in reach.
    async fn call_of_answer(&self, answer: &str, reach: &Reach) -> Result<Option<CallId>>;

    /// The e-mail addresses of those of these users that there are and that are in reach.
    async fn user_addresses(&self, ids: &[&str], reach: &Reach) -> Result<Vec<(UserId, Option<String>)>>;

    /// One group, by id, or by alias. An alias that groups of several organizations within reach have is a `Conflict` that names
    /// their ids.
    async fn group(&self, id_or_alias: &str, reach: &Reach) -> Result<Option<Stored<Group>>>;

    /// One group, by its id alone, whoever has an alias of that text.
    async fn group_by_id(&self, id: &GroupId) -> Result<Option<Stored<Group>>> {
        let filter = GroupFilter { id: Some(id.clone()), ..GroupFilter::default() };
        let page = Page { limit: 1, uncounted: true, ..Page::default() };
        Ok(self.groups(&filter, &Reach::ALL, page).await?.items.pop())
    }

    /// Groups, newest first.
    async fn groups(&self, filter: &GroupFilter, reach: &Reach, page: Page)
    -> Result<Listing<Stored<Group>>>;

    /// One user.
    async fn user(&self, id: &UserId, reach: &Reach) -> Result<Option<Stored<User>>>;

    /// Users, newest first.
    async fn users(&self, filter: &UserFilter, reach: &Reach, page: Page) -> Result<Listing<Stored<User>>>;

    /// Memberships of a group, of a user, or of both.
    async fn memberships(
        &self,
        group: Option<&GroupId>,
        user: Option<&UserId>,
    ) -> Result<Vec<Stored<Membership>>>;

    /// Memberships, by group and user; with a bound no more than that, the newest.
    async fn members(&self, filter: &MemberFilter<'_>, most: Option<u32>) -> Result<Vec<Stored<Membership>>>;

    /// One organization.
    async fn organization(&self, id: &OrganizationId, reach: &Reach) -> Result<Option<Stored<Organization>>>;

    /// Organizations, by id.
    async fn organizations(&self, reach: &Reach) -> Result<Vec<Stored<Organization>>>;

    /// Every channel, by id, with its sealed credential.
    async fn channels(&self) -> Result<Vec<StoredChannel>>;

    /// Versions of policies, by name and number.
    async fn policy_versions(
        &self,
        filter: &PolicyFilter<'_>,
        reach: &Reach,
    ) -> Result<Vec<Stored<PolicyVersion>>>;

    /// How many policies are attached in the group; without one, to the organization or to keys of it; without either, to
    /// everybody.
    async fn policies_of(
        &self,
        organization: Option<&OrganizationId>,
        group: Option<&GroupId>,
    ) -> Result<u64>;

    /// Every policy script as stores kept them before there were versions, by name. Nothing runs them.
    async fn policies(&self) -> Result<Vec<Stored<StoredPolicy>>>;

    /// One setting.
    async fn setting(&self, name: &str) -> Result<Option<Stored<serde_json::Value>>>;

    /// Every setting, by name.
    async fn settings(&self) -> Result<Vec<(String, Stored<serde_json::Value>)>>;

    /// Makes changes, in their order, and appends the event that tells of them: all or nothing.
    ///
    /// # Errors
    /// `Conflict` when something that should be new exists, or when something has another version than expected: then
    /// the retry is [`Now`](sluicegate_core::Retry::Now). `NotFound` when something to be changed isn't there.
    async fn apply(&self, changes: &[Change], event: &NewEvent, chain: &dyn AuditChain)
    -> Result<AuditEvent>;

    /// Takes several steps, in their order: all or nothing.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), with the number of the step, from 0, as `step` in the error's context.
    async fn apply_all(&self, steps: &[AuditedChange], chain: &dyn AuditChain) -> Result<Vec<AuditEvent>>;

    /// The number of the newest event. Any change to anything but records and balances moves it: who caches asks it.
    async fn head(&self) -> Result<i64>;

    /// How a user signs in, if they do.
    async fn account(&self, user: &UserId) -> Result<Option<Stored<Account>>>;

    /// How those sign in of whom something is sealed: a second step, or one that is offered.
    async fn sealed_accounts(&self) -> Result<Vec<Stored<Account>>>;

    /// Whether anybody stored may do everything, blocked or not.
    async fn has_super_admin(&self) -> Result<bool>;

    /// Takes a half minute's code of a user: whether neither it nor a later one was taken before.
    async fn take_totp_step(&self, user: &UserId, step: i64) -> Result<bool>;

    /// Takes a backup code of a user: whether it was there.
    async fn take_backup_code(&self, user: &UserId, hash: &KeyHash) -> Result<bool>;

    /// How many backup codes a user has left.
    async fn backup_codes(&self, user: &UserId) -> Result<u64>;

    /// The session that a secret of this hash opens, over or not.
    async fn session(&self, hash: &KeyHash) -> Result<Option<Session>>;

    /// A user's sessions, newest first, over or not; 1,000 at most.
    async fn sessions(&self, user: &UserId) -> Result<Vec<Session>>;

    /// Says that a session was used.
    async fn see_session(&self, hash: &KeyHash, now: Timestamp) -> Result<()>;

    /// Who somebody is whom a provider knows.
    async fn identity(&self, issuer: &str, subject: &str) -> Result<Option<Stored<Identity>>>;

    /// Whether a user is known by any provider.
    async fn has_identity(&self, user: &UserId) -> Result<bool>;

    /// The access token of this hash, over or not.
    async fn access_token(&self, hash: &KeyHash) -> Result<Option<StoredToken>>;

    /// A user's access tokens, newest first.
    async fn access_tokens(&self, user: &UserId) -> Result<Vec<StoredToken>>;

    /// Says that an access token was used.
    async fn see_access_token(&self, id: &str, now: Timestamp) -> Result<()>;

    /// Events after this number, oldest first.
    async fn scan_events(&self, after: i64, limit: u32) -> Result<Vec<StoredEvent>>;

    /// The newest event's number and code, as they are kept beside the events.
    async fn audit_head(&self) -> Result<(i64, String)>;

    /// Events, newest first.
    async fn events(&self, filter: &AuditFilter, reach: &Reach, page: Page) -> Result<Listing<AuditEvent>>;

    /// Records, newest first.
    async fn records(&self, filter: &RecordFilter, reach: &Reach, page: Page)
    -> Result<Listing<UsageRecord>>;

    /// Records, newest first, after a place in their order: in a time that doesn't grow with how many there are.
    async fn log(
        &self,
        filter: &LogFilter,
        reach: &Reach,
        after: Option<&LogCursor>,
        limit: u32,
    ) -> Result<LogPage>;

    /// How many records a filter finds: 10,001 for more than 10,000, `None` where it would take long to say.
    async fn log_count(&self, filter: &LogFilter, reach: &Reach) -> Result<Option<u64>>;

    /// Counts calls that failed or took long, the newest of them.
    async fn troubles(&self, query: &TroubleQuery, reach: &Reach) -> Result<Troubles>;

    /// Records that began before `until`, of all callers, oldest first: those after `after`, a record's beginning and call.
    /// Whoever reads on where the last one ended misses none that was there when they began.
    async fn scan(
        &self,
        after: (Timestamp, &CallId),
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<UsageRecord>>;

    /// Daily sums, by the dimensions given and in their order. At most `page.limit` rows.
    async fn daily(
        &self,
        filter: &RecordFilter,
        reach: &Reach,
        by: &[Dimension],
        page: Page,
    ) -> Result<Listing<DailyRow>>;

    /// What was used by tags or end customers in days, those with the most users first, then those with the most calls.
    async fn label_use(&self, query: &LabelQuery, reach: &Reach) -> Result<Vec<LabelUse>>;

    /// What the sums of several tags have in common, from the calls that are still recorded: what to take from them so that each call
    /// counts once. `None` where that would take long.
    async fn shared_use(&self, query: &LabelQuery, reach: &Reach) -> Result<Option<Vec<SharedUse>>>;

    /// What was used in all by each of these, in days since the first record: keys, groups, users, organizations,
    /// models or channels.
    async fn totals(&self, of: Dimension, ids: &[&str]) -> Result<std::collections::HashMap<String, Sums>>;

    /// What an owner has used since then. By days, the days are those of the store's time zone.
    async fn usage(&self, owner: &Owner, model: Option<&ModelName>, since: Since) -> Result<Sums>;

    /// What an owner has used since then, in spans of `bucket_ms`, each with its start.
    async fn usage_buckets(
        &self,
        owner: &Owner,
        model: Option<&ModelName>,
        since: Timestamp,
        bucket_ms: u64,
    ) -> Result<Vec<(Timestamp, Sums)>>;

    /// The time zone whose days and hours sums are by.
    fn time_zone(&self) -> &TimeZone;

    /// Sums for a report.
    async fn report(&self, query: &ReportQuery, reach: &Reach) -> Result<ReportRows>;

    /// How long calls took in each of these spans of time, whose starts are hours' (days', for days of the store's zone). Of
    /// what the reach covers by organization and group.
    async fn latencies(
        &self,
        spans: &[(Timestamp, Timestamp)],
        by_day: bool,
        reach: &Reach,
    ) -> Result<Vec<Latencies>>;

    /// Keeps a response, to be found by the ids of its items, too. One that is there already under this id stays as it is, and
    /// so does an item.
    async fn keep_response(&self, response: &KeptResponse, items: &[String]) -> Result<()>;

    /// Puts what became of a response, and the ids of its items, in the place of what was kept of it; whether it is still there.
    async fn replace_response(&self, response: &KeptResponse, items: &[String]) -> Result<bool>;

    /// Takes note that a worker works on a response in the background.
    async fn begin_work(&self, owner: &ResponseOwner, id: &str, worker: &str, now: Timestamp) -> Result<()>;

    /// A worker still works on what it works on: all of that.
    async fn tend_work(&self, worker: &str, now: Timestamp) -> Result<Vec<ResponseWork>>;

    /// When a response was last known to be worked on; `None` when nobody does.
    async fn work_seen(&self, owner: &ResponseOwner, id: &str) -> Result<Option<Timestamp>>;

    /// Asks whoever works on a response to end that; whether somebody does.
    async fn cancel_work(&self, owner: &ResponseOwner, id: &str) -> Result<bool>;

    /// Nobody works on a response any more.
    async fn end_work(&self, owner: &ResponseOwner, id: &str) -> Result<()>;

    /// A worker works on nothing any more; on how many responses it did.
    async fn end_work_of(&self, worker: &str) -> Result<u64>;

    /// Keeps a new conversation with its first items, unless its owner has as much as may be: never
    /// [`Missing`](Added::Missing).
    async fn make_conversation(
        &self,
        conversation: &KeptConversation,
        items: &[ConversationItem],
        most: ConversationShare,
    ) -> Result<Added>;

    /// What an owner has of conversations that aren't as good as gone.
    async fn conversation_share(&self, owner: &ResponseOwner, now: Timestamp) -> Result<ConversationShare>;

    /// A conversation that is kept for this owner, and not as good as gone.
    async fn kept_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<KeptConversation>>;

    /// Changes what is said of a conversation; whether there is one.
    async fn change_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        metadata: &str,
        now: Timestamp,
    ) -> Result<bool>;

    /// Forgets a conversation with its items; whether there was one.
    async fn forget_conversation(&self, owner: &ResponseOwner, id: &str, now: Timestamp) -> Result<bool>;

    /// The items of a conversation, the oldest first; `None` when they are more than [`CONVERSATION_ITEMS_MAX`], or than
    /// [`CONVERSATION_BYTES_MAX`].
    async fn conversation_items(
        &self,
        owner: &ResponseOwner,
        id: &str,
    ) -> Result<Option<Vec<ConversationItem>>>;

    /// Some items of a conversation, however many it has. `None` when none of it has the id that they are behind.
    async fn conversation_page(
        &self,
        owner: &ResponseOwner,
        id: &str,
        asked: &ItemsAsked<'_>,
    ) -> Result<Option<ItemPage>>;

    /// One item of a conversation; the oldest where several have its id.
    async fn conversation_item(
        &self,
        owner: &ResponseOwner,
        id: &str,
        item: &str,
    ) -> Result<Option<ConversationItem>>;

    /// Appends items to a conversation, which lives from `now` until `expires_at` then, if they fit into it and into what its owner
    /// may have. Without `most`, they are kept in any case: they were said.
    async fn add_to_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        items: &[ConversationItem],
        lives: (Timestamp, Timestamp),
        most: Option<ConversationShare>,
    ) -> Result<Added>;

    /// Takes an item out of a conversation; whether there was one.
    async fn forget_conversation_item(&self, owner: &ResponseOwner, id: &str, item: &str) -> Result<bool>;

    /// A response that is kept for this owner, and not as good as gone.
    async fn response(&self, owner: &ResponseOwner, id: &str, now: Timestamp)
    -> Result<Option<KeptResponse>>;

    /// A response and all that it goes on from, the oldest first. Nothing when one of them isn't kept any more, or when they
    /// are more than 1,024.
    async fn conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Vec<KeptResponse>>;

    /// The response that an item of this id is of, as [`Store::response`], without its input.
    async fn response_of_item(
        &self,
        owner: &ResponseOwner,
        item: &str,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>>;

    /// Removes the responses and conversations that are kept for a user, in whatever group, piece by piece: nobody waits for all of
    /// them. What is kept meanwhile stays, see [`Change::ForgetCaller`].
    async fn forget_kept(&self, user: &UserId) -> Result<()>;

    /// The same of a user who is gone: nothing of somebody who has been made under their id since.
    async fn forget_kept_of_gone(&self, user: &UserId) -> Result<()>;

    /// The same of what keys of a group made that belonged to no user: nothing while there is a group of its id.
    async fn forget_kept_of_gone_group(&self, organization: &OrganizationId, group: &GroupId) -> Result<()>;

    /// Forgets a response; whether there was one.
    async fn forget_response(&self, owner: &ResponseOwner, id: &str, now: Timestamp) -> Result<bool>;

    /// Takes note that a request is under way that is to be done once, unless it is known from before. Until then it is kept.
    async fn begin_once(&self, id: &str, request: &str, now: Timestamp, until: Timestamp) -> Result<Once>;

    /// Keeps the answer to it, sealed.
    async fn end_once(&self, id: &str, answer: &str) -> Result<()>;

    /// Forgets it, unless it has an answer: nothing was done.
    async fn leave_once(&self, id: &str) -> Result<()>;

    /// Forgets one piece of what need not be kept, so small that no writer waits long for it. Balances of lifetimes stay, and
    /// forgetting records leaves daily sums as they are. Of several nodes one does it at a time; the others are told that
    /// there is nothing to do.
    async fn prune(&self, what: &Forget) -> Result<Forgotten>;

    /// Compares sums with what they are made of, and makes those of a month anew that don't agree, since a node of an earlier version
    /// didn't write them; how many. All months once, and then this one and the one before.
    async fn mend(&self, now: Timestamp) -> Result<u64>;

    /// Records that began before this may be forgotten; of what they said, the daily sums are left. It is the start of a
    /// day.
    async fn records_since(&self) -> Result<Timestamp>;

    /// Makes room for the records of the months to come, where they are kept apart.
    async fn prepare(&self, now: Timestamp) -> Result<()>;

    /// Says whether the database answers.
    async fn ping(&self) -> Result<()>;

    /// Closes every connection.
    async fn close(&self);
}

/// Opens the store at an address: `memory`, `sqlite:PATH` or a path, `postgres://USER:PASSWORD@HOST/DATABASE`.
///
/// Days are those of `time_zone`. The schema is created or brought up to date.
///
/// # Errors
/// `Config` when the address makes no sense, holds a placeholder that nobody replaced, or names a kind of database
/// that this build lacks. `Store` when the database can't be reached or doesn't let us in. No message holds the
/// password.
pub async fn open(address: &str, time_zone: TimeZone) -> Result<std::sync::Arc<dyn Store>> {
    let address = address.trim();
    if address.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "the database's address is empty; give `memory`, a path or `postgres://user:password@host/database`",
        ));
    }
    match address.split_once("://") {
        Some(("postgres" | "postgresql", _)) => open_postgres(address, time_zone).await,
        Some(("sqlite", path)) => open_sqlite(path, time_zone).await,
        Some((scheme, _)) => Err(Error::new(
            ErrorKind::Config,
            format!("no database is known by `{scheme}://`; use `sqlite:` or `postgres://`"),
        )),
        None => open_sqlite(address.strip_prefix("sqlite:").unwrap_or(address), time_zone).await,
    }
}

/// Whether a database server can be reached and lets us in. Changes nothing there. An embedded database has none.
///
/// # Errors
/// As [`open`].
pub async fn reach(address: &str) -> Result<()> {
    match address.trim().split_once("://") {
        Some(("postgres" | "postgresql", _)) => reach_postgres(address.trim()).await,
        _ => Ok(()),
    }
}

/// Copies an embedded database as it is at one moment, while others use it. Returns how far each journal's events are in the
/// copy.
///
/// # Errors
/// `Store` when one can't be read or the other not be made, `Config` when this build has no SQLite.
#[cfg(feature = "sqlite")]
pub(crate) async fn copy_embedded(
    path: &std::path::Path,
    to: &std::path::Path,
) -> Result<Vec<(String, u64)>> {
    sqlite::copy(path, to).await
}

#[cfg(not(feature = "sqlite"))]
pub(crate) async fn copy_embedded(_: &std::path::Path, _: &std::path::Path) -> Result<Vec<(String, u64)>> {
    Err(Error::new(ErrorKind::Config, "this build has no SQLite; build it with the feature `sqlite`"))
}

#[cfg(feature = "sqlite")]
async fn open_sqlite(path: &str, time_zone: TimeZone) -> Result<std::sync::Arc<dyn Store>> {
    let database: Box<dyn sql::Database> = match path {
        "memory" | ":memory:" => Box::new(sqlite::Sqlite::memory().await?),
        path => Box::new(sqlite::Sqlite::file(std::path::Path::new(path)).await?),
    };
    Ok(std::sync::Arc::new(sql::SqlStore::open(database, time_zone).await?))
}

#[cfg(not(feature = "sqlite"))]
async fn open_sqlite(_: &str, _: TimeZone) -> Result<std::sync::Arc<dyn Store>> {
    Err(Error::new(ErrorKind::Config, "this build has no SQLite; build it with the feature `sqlite`"))
}

#[cfg(feature = "postgres")]
async fn reach_postgres(address: &str) -> Result<()> {
    postgres::Postgres::connect(address).await.map(drop)
}

#[cfg(not(feature = "postgres"))]
async fn reach_postgres(_: &str) -> Result<()> {
    Ok(())
}

#[cfg(feature = "postgres")]
async fn open_postgres(address: &str, time_zone: TimeZone) -> Result<std::sync::Arc<dyn Store>> {
    let database = Box::new(postgres::Postgres::connect(address).await?);
    Ok(std::sync::Arc::new(sql::SqlStore::open(database, time_zone).await?))
}

#[cfg(not(feature = "postgres"))]
async fn open_postgres(_: &str, _: TimeZone) -> Result<std::sync::Arc<dyn Store>> {
    Err(Error::new(ErrorKind::Config, "this build has no PostgreSQL; build it with the feature `postgres`"))
}
