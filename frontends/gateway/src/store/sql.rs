//! The store over SQL, written once for SQLite and PostgreSQL.
//!
//! Both take the same statements: `$n` for arguments, `ON CONFLICT`, `RETURNING`, and only two column types. What
//! differs, connecting and one row's decoding, is behind [`Database`] and [`Session`].

mod change;
mod condition;
mod conversation;
mod directory;
mod fill;
mod forget;
mod identity;
mod label;
mod labelled;
mod log;
mod mend;
mod migrate;
mod name;
mod once;
#[cfg(feature = "postgres")]
mod partition;
mod policy;
mod record;
mod removed;
mod report;
mod response;
mod rollup;
mod row;
mod shift;
mod span;
mod trouble;
mod usage;
mod work;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::AtomicU32;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use sluicegate_core::journal::JournalId;
use sluicegate_core::ledger::Balance;
use sluicegate_core::ports::{Checkpoint, RecordStore};
use sluicegate_core::{
    CallId, Error, ErrorKind, Group, GroupId, Membership, ModelName, Organization, OrganizationId,
    RecordEntry, Result, Timestamp, UsageRecord, User, UserId,
};

use super::{
    Account, Added, AuditChain, AuditEvent, AuditFilter, AuditedChange, Change, ConversationItem,
    ConversationShare, DailyRow, Dimension, Forget, Forgotten, GroupFilter, GroupName, ItemPage, ItemsAsked,
    KeptConversation, KeptResponse, KeyFilter, KeyName, KeyParts, KeyRef, LabelQuery, LabelUse, Latencies,
    Listing, LogCursor, LogFilter, LogPage, MemberFilter, NewEvent, Once, Owner, Page, PolicyFilter,
    PolicyVersion, Reach, RecordFilter, ReportQuery, ReportRows, ResponseOwner, ResponseWork, SharedUse,
    Since, Store, Stored, StoredChannel, StoredEvent, StoredKey, StoredPolicy, StoredToken, Sums,
    TroubleQuery, Troubles, UserFilter,
};
use crate::credential::KeyHash;

pub(super) use row::{Row, Value};

/// SQL text. Built from literals only: what a user gives is always an argument.
pub(super) type Sql = Cow<'static, str>;

/// Which SQL it is, where that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Dialect {
    /// SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite,
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres,
}

/// Connections to one database.
#[async_trait]
pub(super) trait Database: Send + Sync {
    /// Which SQL it speaks.
    fn dialect(&self) -> Dialect;

    /// A connection for reading, outside of any transaction.
    async fn read(&self) -> Result<Box<dyn Session>>;

    /// A transaction that may write. Dropped without [`Session::commit`], it leaves no trace.
    async fn begin(&self) -> Result<Box<dyn Session>>;

    /// Whether what the transaction under way writes is behind, so that it goes before everything else that its core has to
    /// do.
    fn in_haste(&self, _: bool) {}

    /// Gives the operating system back a piece of what deleted rows have left, if there is much of it; whether there is
    /// more.
    async fn shrink(&self) -> Result<bool> {
        Ok(false)
    }

    /// Closes every connection, when those in use are returned.
    async fn close(&self);
}

/// A connection in use.
#[async_trait]
pub(super) trait Session: Send {
    /// Runs a statement; how many rows it touched.
    async fn execute(&mut self, sql: Sql, args: Vec<Value>) -> Result<u64>;

    /// Runs a query and fetches its rows.
    async fn query(&mut self, sql: Sql, args: Vec<Value>) -> Result<Vec<Row>>;

    /// Makes a transaction's changes last.
    async fn commit(self: Box<Self>) -> Result<()>;
}

/// Everything the gateway keeps, in one SQL database.
pub(super) struct SqlStore {
    database: Box<dyn Database>,
    time_zone: TimeZone,
    /// Full batches that were written one after the other.
    full_batches: AtomicU32,
}

impl SqlStore {
    /// Brings the schema up to date and takes the database into use. Daily sums are by days of `time_zone`.
    pub(super) async fn open(database: Box<dyn Database>, time_zone: TimeZone) -> Result<Self> {
        migrate::run(&*database).await?;
        let store = Self { database, time_zone, full_batches: AtomicU32::new(0) };
        store.fill_rollups().await?;
        Ok(store)
    }

    async fn fetch(&self, sql: impl Into<Sql> + Send, args: Vec<Value>) -> Result<Vec<Row>> {
        self.database.read().await?.query(sql.into(), args).await
    }
}

/// What a statement that failed becomes: constraint violations are the caller's affair, the rest is the store's.
pub(super) fn statement_error(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(db) if db.is_unique_violation() => {
            Error::new(ErrorKind::Conflict, "the id or name is already taken").with_source(error)
        }
        _ => Error::new(ErrorKind::Store, format!("the database refused a statement: {}", one_line(&error)))
            .with_retry(sluicegate_core::Retry::AfterMs(200))
            .with_source(error),
    }
}

/// An error's text on one line. Statements' arguments are never in it.
pub(super) fn one_line(error: &dyn std::error::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Collects conditions and their arguments into a `WHERE` clause.
#[derive(Default)]
pub(super) struct Where {
    sql: String,
    args: Vec<Value>,
}

impl Where {
    /// Adds a condition. Each `?` in it stands for the next of `args`.
    pub(super) fn and(&mut self, condition: &str, args: impl IntoIterator<Item = Value>) -> &mut Self {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        let mut args = args.into_iter();
        for part in condition.split_inclusive('?') {
            match (part.strip_suffix('?'), part.ends_with('?').then(|| args.next()).flatten()) {
                (Some(text), Some(arg)) => {
                    self.sql.push_str(text);
                    self.args.push(arg);
                    self.sql.push_str(&format!("${}", self.args.len()));
                }
                _ => self.sql.push_str(part),
            }
        }
        self
    }

    /// Adds a condition that only holds when the argument is given.
    pub(super) fn maybe<T: Into<Value>>(&mut self, condition: &str, arg: Option<T>) -> &mut Self {
        match arg {
            Some(arg) => self.and(condition, [arg.into()]),
            None => self,
        }
    }

    /// `column IN (…)`; an empty list matches nothing.
    pub(super) fn one_of<T: Into<Value>>(
        &mut self,
        column: &str,
        list: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        let args: Vec<Value> = list.into_iter().map(Into::into).collect();
        if args.is_empty() {
            return self.and("1 = 0", []);
        }
        let marks = vec!["?"; args.len()].join(", ");
        self.and(&format!("{column} IN ({marks})"), args)
    }

    /// Whether a condition is about a column.
    pub(super) fn mentions(&self, column: &str) -> bool {
        self.sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == column)
    }

    /// Puts `before`, the clause and `after` together; the next argument is number `args.len() + 1`.
    pub(super) fn wrap(self, before: &str, after: &str) -> (Sql, Vec<Value>) {
        (Cow::Owned(format!("{before}{}{after}", self.sql)), self.args)
    }

    /// Like [`wrap`](Self::wrap), with a page of rows.
    pub(super) fn page(mut self, before: &str, order: &str, page: super::Page) -> (Sql, Vec<Value>) {
        self.args.push(Value::from(i64::from(page.limit)));
        self.args.push(Value::from(i64::try_from(page.offset).unwrap_or(i64::MAX)));
        let (limit, offset) = (self.args.len() - 1, self.args.len());
        (
            Cow::Owned(format!("{before}{} ORDER BY {order} LIMIT ${limit} OFFSET ${offset}", self.sql)),
            self.args,
        )
    }
}

#[async_trait]
impl RecordStore for SqlStore {
    async fn append(
        &self,
        records: &[RecordEntry],
        balances: &[Balance],
        checkpoint: Option<Checkpoint>,
    ) -> Result<()> {
        self.append_batch(records, balances, checkpoint).await
    }

    async fn position(&self, journal: JournalId) -> Result<u64> {
        self.stored_position(journal).await
    }

    async fn journals(&self) -> Result<Vec<JournalId>> {
        self.list_journals().await
    }

    async fn balances(&self) -> Result<Vec<Balance>> {
        self.list_balances().await
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn key_by_hash(&self, hash: &KeyHash, now: Timestamp) -> Result<Option<KeyParts>> {
        self.find_key_by_hash(hash, now).await
    }

    async fn key(&self, key: &KeyRef, reach: &Reach) -> Result<Option<StoredKey>> {
        self.find_key(key, reach).await
    }

    async fn keys(&self, filter: &KeyFilter, reach: &Reach, page: Page) -> Result<Listing<StoredKey>> {
        self.list_keys(filter, reach, page).await
    }

    async fn key_names(&self, ids: &[&str], reach: &Reach) -> Result<Vec<KeyName>> {
        self.find_key_names(ids, reach).await
    }

    async fn key_aliases(&self, filter: &KeyFilter, reach: &Reach, page: Page) -> Result<Listing<String>> {
        self.list_key_aliases(filter, reach, page).await
    }

    async fn call_of_answer(&self, answer: &str, reach: &Reach) -> Result<Option<CallId>> {
        self.find_call_of_answer(answer, reach).await
    }

    async fn user_addresses(&self, ids: &[&str], reach: &Reach) -> Result<Vec<(UserId, Option<String>)>> {
        self.find_user_addresses(ids, reach).await
    }

    async fn group_names(&self, ids: &[&str], reach: &Reach) -> Result<Vec<GroupName>> {
        self.find_group_names(ids, reach).await
    }

    async fn group(&self, id_or_alias: &str, reach: &Reach) -> Result<Option<Stored<Group>>> {
        self.find_group(id_or_alias, reach).await
    }

    async fn groups(
        &self,
        filter: &GroupFilter,
        reach: &Reach,
        page: Page,
    ) -> Result<Listing<Stored<Group>>> {
        self.list_groups(filter, reach, page).await
    }

    async fn user(&self, id: &UserId, reach: &Reach) -> Result<Option<Stored<User>>> {
        self.find_user(id, reach).await
    }

    async fn users(&self, filter: &UserFilter, reach: &Reach, page: Page) -> Result<Listing<Stored<User>>> {
        self.list_users(filter, reach, page).await
    }

    async fn memberships(
        &self,
        group: Option<&GroupId>,
        user: Option<&UserId>,
    ) -> Result<Vec<Stored<Membership>>> {
        self.list_memberships(group, user).await
    }

    async fn members(&self, filter: &MemberFilter<'_>, most: Option<u32>) -> Result<Vec<Stored<Membership>>> {
        self.list_members(filter, most).await
    }

    async fn organization(&self, id: &OrganizationId, reach: &Reach) -> Result<Option<Stored<Organization>>> {
        self.find_organization(id, reach).await
    }

    async fn organizations(&self, reach: &Reach) -> Result<Vec<Stored<Organization>>> {
        self.list_organizations(reach).await
    }

    async fn channels(&self) -> Result<Vec<StoredChannel>> {
        self.list_channels().await
    }

    async fn policies(&self) -> Result<Vec<Stored<StoredPolicy>>> {
        self.list_policies().await
    }

    async fn policy_versions(
        &self,
        filter: &PolicyFilter<'_>,
        reach: &Reach,
    ) -> Result<Vec<Stored<PolicyVersion>>> {
        self.list_policy_versions(filter, reach).await
    }

    async fn policies_of(
        &self,
        organization: Option<&OrganizationId>,
        group: Option<&GroupId>,
    ) -> Result<u64> {
        self.count_policies(organization, group).await
    }

    async fn setting(&self, name: &str) -> Result<Option<Stored<serde_json::Value>>> {
        Ok(self.list_settings(Some(name)).await?.into_iter().next().map(|(_, setting)| setting))
    }

    async fn settings(&self) -> Result<Vec<(String, Stored<serde_json::Value>)>> {
        self.list_settings(None).await
    }

    async fn apply(
        &self,
        changes: &[Change],
        event: &NewEvent,
        chain: &dyn AuditChain,
    ) -> Result<AuditEvent> {
        self.change(changes, event, chain).await
    }

    async fn apply_all(&self, steps: &[AuditedChange], chain: &dyn AuditChain) -> Result<Vec<AuditEvent>> {
        self.change_all(steps, chain).await
    }

    async fn head(&self) -> Result<i64> {
        let rows = self.fetch("SELECT seq FROM sg_audit_head WHERE id = 1", Vec::new()).await?;
        rows.into_iter().next().map_or(Ok(0), |mut row| row.int())
    }

    async fn account(&self, user: &UserId) -> Result<Option<Stored<Account>>> {
        self.find_account(user).await
    }

    async fn sealed_accounts(&self) -> Result<Vec<Stored<Account>>> {
        self.find_sealed_accounts().await
    }

    async fn has_super_admin(&self) -> Result<bool> {
        self.find_super_admin().await
    }

    async fn take_totp_step(&self, user: &UserId, step: i64) -> Result<bool> {
        self.use_totp_step(user, step).await
    }

    async fn take_backup_code(&self, user: &UserId, hash: &KeyHash) -> Result<bool> {
        self.use_backup_code(user, hash).await
    }

    async fn backup_codes(&self, user: &UserId) -> Result<u64> {
        self.count_backup_codes(user).await
    }

    async fn session(&self, hash: &KeyHash) -> Result<Option<super::Session>> {
        self.find_session(hash).await
    }

    async fn sessions(&self, user: &UserId) -> Result<Vec<super::Session>> {
        self.list_sessions(user).await
    }

    async fn see_session(&self, hash: &KeyHash, now: Timestamp) -> Result<()> {
        Self::see_session(self, hash, now).await
    }

    async fn identity(&self, issuer: &str, subject: &str) -> Result<Option<Stored<super::Identity>>> {
        self.find_identity(issuer, subject).await
    }

    async fn has_identity(&self, user: &UserId) -> Result<bool> {
        self.is_known_by_a_provider(user).await
    }

    async fn access_token(&self, hash: &KeyHash) -> Result<Option<StoredToken>> {
        self.find_access_token(hash).await
    }

    async fn access_tokens(&self, user: &UserId) -> Result<Vec<StoredToken>> {
        self.list_access_tokens(user).await
    }

    async fn see_access_token(&self, id: &str, now: Timestamp) -> Result<()> {
        Self::see_access_token(self, id, now).await
    }

    async fn scan_events(&self, after: i64, limit: u32) -> Result<Vec<StoredEvent>> {
        self.list_events_after(after, limit).await
    }

    async fn audit_head(&self) -> Result<(i64, String)> {
        let rows = self.fetch("SELECT seq, mac FROM sg_audit_head WHERE id = 1", Vec::new()).await?;
        rows.into_iter().next().map_or(Ok((0, String::new())), |mut row| Ok((row.int()?, row.text()?)))
    }

    async fn events(&self, filter: &AuditFilter, reach: &Reach, page: Page) -> Result<Listing<AuditEvent>> {
        self.list_events(filter, reach, page).await
    }

    async fn records(
        &self,
        filter: &RecordFilter,
        reach: &Reach,
        page: Page,
    ) -> Result<Listing<UsageRecord>> {
        self.list_records(filter, reach, page).await
    }

    async fn log(
        &self,
        filter: &LogFilter,
        reach: &Reach,
        after: Option<&LogCursor>,
        limit: u32,
    ) -> Result<LogPage> {
        self.log_page(filter, reach, after, limit).await
    }

    async fn log_count(&self, filter: &LogFilter, reach: &Reach) -> Result<Option<u64>> {
        self.count_log(filter, reach).await
    }

    async fn troubles(&self, query: &TroubleQuery, reach: &Reach) -> Result<Troubles> {
        self.count_troubles(query, reach).await
    }

    async fn scan(
        &self,
        after: (Timestamp, &CallId),
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<UsageRecord>> {
        self.scan_records(after, until, limit).await
    }

    async fn daily(
        &self,
        filter: &RecordFilter,
        reach: &Reach,
        by: &[Dimension],
        page: Page,
    ) -> Result<Listing<DailyRow>> {
        self.list_daily(filter, reach, by, page).await
    }

    async fn label_use(&self, query: &LabelQuery, reach: &Reach) -> Result<Vec<LabelUse>> {
        self.sum_labels(query, reach).await
    }

    async fn shared_use(&self, query: &LabelQuery, reach: &Reach) -> Result<Option<Vec<SharedUse>>> {
        self.sum_shared(query, reach).await
    }

    async fn totals(&self, of: Dimension, ids: &[&str]) -> Result<HashMap<String, Sums>> {
        self.sum_totals(of, ids).await
    }

    async fn usage(&self, owner: &Owner, model: Option<&ModelName>, since: Since) -> Result<Sums> {
        self.sum_usage(owner, model, since).await
    }

    async fn usage_buckets(
        &self,
        owner: &Owner,
        model: Option<&ModelName>,
        since: Timestamp,
        bucket_ms: u64,
    ) -> Result<Vec<(Timestamp, Sums)>> {
        self.sum_buckets(owner, model, since, bucket_ms).await
    }

    fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    async fn report(&self, query: &ReportQuery, reach: &Reach) -> Result<ReportRows> {
        self.sum_report(query, reach).await
    }

    async fn latencies(
        &self,
        spans: &[(Timestamp, Timestamp)],
        by_day: bool,
        reach: &Reach,
    ) -> Result<Vec<Latencies>> {
        self.count_latencies(spans, by_day, reach).await
    }

    async fn keep_response(&self, response: &KeptResponse, items: &[String]) -> Result<()> {
        self.insert_response(response, items).await
    }

    async fn replace_response(&self, response: &KeptResponse, items: &[String]) -> Result<bool> {
        self.update_response(response, items).await
    }

    async fn begin_work(&self, owner: &ResponseOwner, id: &str, worker: &str, now: Timestamp) -> Result<()> {
        self.insert_work(owner, id, worker, now).await
    }

    async fn tend_work(&self, worker: &str, now: Timestamp) -> Result<Vec<ResponseWork>> {
        self.update_work(worker, now).await
    }

    async fn work_seen(&self, owner: &ResponseOwner, id: &str) -> Result<Option<Timestamp>> {
        self.find_work(owner, id).await
    }

    async fn cancel_work(&self, owner: &ResponseOwner, id: &str) -> Result<bool> {
        self.mark_work_cancelled(owner, id).await
    }

    async fn end_work(&self, owner: &ResponseOwner, id: &str) -> Result<()> {
        self.delete_work(owner, id).await
    }

    async fn end_work_of(&self, worker: &str) -> Result<u64> {
        self.delete_work_of(worker).await
    }

    async fn make_conversation(
        &self,
        conversation: &KeptConversation,
        items: &[ConversationItem],
        most: ConversationShare,
    ) -> Result<Added> {
        self.insert_conversation(conversation, items, most).await
    }

    async fn conversation_share(&self, owner: &ResponseOwner, now: Timestamp) -> Result<ConversationShare> {
        self.sum_conversations(owner, now).await
    }

    async fn kept_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<KeptConversation>> {
        self.find_kept_conversation(owner, id, now).await
    }

    async fn change_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        metadata: &str,
        now: Timestamp,
    ) -> Result<bool> {
        self.set_conversation_metadata(owner, id, metadata, now).await
    }

    async fn forget_conversation(&self, owner: &ResponseOwner, id: &str, now: Timestamp) -> Result<bool> {
        self.delete_conversation(owner, id, now).await
    }

    async fn conversation_items(
        &self,
        owner: &ResponseOwner,
        id: &str,
    ) -> Result<Option<Vec<ConversationItem>>> {
        self.find_conversation_items(owner, id).await
    }

    async fn add_to_conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        items: &[ConversationItem],
        lives: (Timestamp, Timestamp),
        most: Option<ConversationShare>,
    ) -> Result<Added> {
        self.append_conversation(owner, id, items, lives, most).await
    }

    async fn conversation_page(
        &self,
        owner: &ResponseOwner,
        id: &str,
        asked: &ItemsAsked<'_>,
    ) -> Result<Option<ItemPage>> {
        self.find_conversation_page(owner, id, asked).await
    }

    async fn conversation_item(
        &self,
        owner: &ResponseOwner,
        id: &str,
        item: &str,
    ) -> Result<Option<ConversationItem>> {
        self.find_conversation_item(owner, id, item).await
    }

    async fn forget_conversation_item(&self, owner: &ResponseOwner, id: &str, item: &str) -> Result<bool> {
        self.delete_conversation_item(owner, id, item).await
    }

    async fn response_of_item(
        &self,
        owner: &ResponseOwner,
        item: &str,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>> {
        self.find_response_of_item(owner, item, now).await
    }

    async fn response(
        &self,
        owner: &ResponseOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>> {
        self.find_response(owner, id, now).await
    }

    async fn conversation(
        &self,
        owner: &ResponseOwner,
        id: &str,
        now: Timestamp,
    ) -> Result<Vec<KeptResponse>> {
        self.find_conversation(owner, id, now).await
    }

    async fn forget_kept(&self, user: &UserId) -> Result<()> {
        self.clear_kept(user, false).await
    }

    async fn forget_kept_of_gone(&self, user: &UserId) -> Result<()> {
        self.clear_kept(user, true).await
    }

    async fn forget_kept_of_gone_group(&self, organization: &OrganizationId, group: &GroupId) -> Result<()> {
        self.clear_kept_of_gone(&ResponseOwner::of_group(organization, group), group).await
    }

    async fn forget_response(&self, owner: &ResponseOwner, id: &str, now: Timestamp) -> Result<bool> {
        self.delete_response(owner, id, now).await
    }

    async fn begin_once(&self, id: &str, request: &str, now: Timestamp, until: Timestamp) -> Result<Once> {
        self.take_once(id, request, now, until).await
    }

    async fn end_once(&self, id: &str, answer: &str) -> Result<()> {
        self.answer_once(id, answer).await
    }

    async fn leave_once(&self, id: &str) -> Result<()> {
        self.forget_once(id).await
    }

    async fn prune(&self, what: &Forget) -> Result<Forgotten> {
        self.forget(what).await
    }

    async fn mend(&self, now: Timestamp) -> Result<u64> {
        self.mend_sums(now).await
    }

    async fn records_since(&self) -> Result<Timestamp> {
        self.forgotten_before("records").await
    }

    async fn prepare(&self, now: Timestamp) -> Result<()> {
        #[cfg(feature = "postgres")]
        self.make_partitions(now).await?;
        // In a single table there is always room.
        let _ = now;
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        self.fetch("SELECT seq FROM sg_audit_head", Vec::new()).await.map(drop)
    }

    async fn close(&self) {
        self.database.close().await;
    }
}
