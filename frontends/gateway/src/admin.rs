//! Administration: one service, with authorization in it. Every face (HTTP API, compatibility dialects, command line)
//! calls these operations and adds no rule of its own.
//!
//! - Each operation takes an [`Actor`] and decides what it may do. What an actor may not see is answered exactly like
//!   what doesn't exist.
//! - What a configuration file declares can be read like everything else and changed only in the file.
//! - Each change is one transaction with the audit event that tells of it, and holds for the next call.
//! - A limit put where there was none begins with what has been used in its window, not with nothing.

mod access;
mod access_group;
mod actor;
mod audit;
mod bound;
mod budget;
mod bulk;
mod channel;
mod deed;
mod group;
mod identity;
mod key;
mod ledger;
mod limit;
mod log;
mod model;
mod name;
mod named;
mod once;
mod organization;
mod overview;
mod patch;
mod policy;
mod replay;
mod report;
pub(crate) mod rotation;
mod scope;
mod seed;
mod seen;
mod set_back;
mod setting;
mod shared_credential;
mod system;
mod usage;
mod user;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use sluicegate_config::{AuthSettings, Loaded};
use sluicegate_core::engine::ShadowReport;
use sluicegate_core::ledger::LimitState;
use sluicegate_core::snapshot::{ModuleSource, PolicySource};
use sluicegate_core::tenant::Source;
use sluicegate_core::{
    Clock, Engine, Error, ErrorKind, GroupId, Limit, OrganizationId, Result, Retry, Role, Scope, ScopeLimits,
    UsageRecord, UserId,
};

pub use access_group::{GivenTo, Holders};
pub use actor::Actor;
pub use audit::{AuditAnchor, AuditCheck, AuditFault, AuditFaultKind};
pub use budget::{BUDGETS_MAX, BudgetView, Burned, Forecast};
pub use bulk::{BulkItem, BulkView};
pub use channel::{
    BalanceView, ChannelBulk, ChannelDraft, ChannelKeyView, ChannelPatch, ChannelTrial, ChannelView,
    KeyPlace, NewChannel, NewChannelKeys, OfferedModel, TrialView,
};
pub use deed::ACTIONS;
use deed::Deed;
pub use group::{
    GroupPatch, GroupView, MEMBER_LIMITS, MemberBulk, MemberDeed, MemberPatch, MemberView, ModelEdit,
    NewGroup, NewMember, Place, member_limits,
};
pub use identity::{
    AccountView, Begun, INVITATION_PREFIX, InvitationView, IssuedInvitation, IssuedToken, NewPassword,
    NewRegistration, NewToken, Origin, PASSWORD_BYTES_MAX, PasswordChange, Proof, ProviderAnswer,
    ProviderView, SecondStepOffer, SessionView, SetUp, Signed, SignedIn, TOKEN_PREFIX, TokenView,
};
pub use key::{
    IssuedKey, KeyBulk, KeyDeed, KeyOutcome, KeyPatch, KeyView, KeysDone, NewKey, Regenerate, refuse_retired,
};
pub use ledger::{Charge, HeldFilter, JournalStatus, LedgerAudit, LedgerStatus, Reconcile, Reconciled, Used};
pub use limit::{LimitFilter, LimitOrder, LimitView};
pub use log::{CallView, RecordTail, Tailed};
pub use model::{ModelChannel, ModelFallbacks, ModelView, PriceFilter, PriceSource, PriceView, Sight};
pub(crate) use named::add_named;
pub use named::{NamedKind, NamedScope};
pub use once::{OnceBegun, OnceTicket};
pub use organization::{NewOrganization, OrganizationPatch, OrganizationView};
pub use overview::{
    ChannelStanding, OverviewQuestion, OverviewReport, OverviewSpan, Percentiles, TopRow, channel_state,
};
pub use patch::{LimitEditor, Limits, Patch};
pub use policy::{
    NewPolicyVersion, PolicyCheck, PolicyDiff, PolicyFault, PolicyShadow, PolicyVersionView, PolicyView,
};
pub use replay::{ReplayPolicy, ReplayQuestion, ReplayUnderWay};
pub use report::{
    Bucket, By, Compare, Granularity, Metrics, Order, Others, REPORT_ROWS_MAX, REPORT_TOTALS_MAX,
    UsageQuestion, UsageReport, UsageRow,
};
pub use rotation::Rotated;
pub use scope::{AREAS, Access, Scopes};
use seed::Seeds;
pub use seen::{Seen, etag};
pub use set_back::SetBack;
pub(crate) use setting::kept_settings;
pub use setting::{SettingView, SettingsPatch, SettingsView};
pub use shared_credential::{CredentialChange, SharedCredential};
pub use system::{About, SystemView};
pub use usage::{LimitUse, SpendQuery};
pub use user::{NewUser, UserBulk, UserDeed, UserPatch, UserView};

pub use crate::trial::{Trial, Trialled};

use crate::credential::fill_random;
use crate::directory::{DeclaredTenants, Directory};
use crate::journal::Journal;
pub use crate::jwt::Providers;
use crate::secret::Sealer;
use crate::store::{
    AuditChain, AuditEvent, AuditedChange, Change, Expect, HOLDER, KeyRef, NewEvent, Owner, Store, Thing,
};

/// The organization of everything that names none.
pub const DEFAULT_ORGANIZATION: &str = "default";

/// A change that another one came before is tried again so often.
const TRIES: u32 = 24;
/// And waits no longer than this before it, in milliseconds.
const PAUSE_MAX_MS: u64 = 64;

/// What the service asks of the gateway around it.
#[async_trait]
pub trait AdminHost: Send + Sync {
    /// Waits until every record of a finished call is stored, so that what is read next holds it.
    ///
    /// # Errors
    /// `Store` when they can't be stored at the moment.
    async fn flush_records(&self) -> Result<()>;

    /// Takes changed channels and policies into use.
    ///
    /// # Errors
    /// When they can't be: those in use stay in use.
    async fn reload(&self) -> Result<()>;

    /// The configuration file's path, for messages; `None` when there is none.
    fn config_file(&self) -> Option<String>;

    /// Whether channels may be made here, beside those that the file declares.
    fn stores_models(&self) -> bool;

    /// The ledger's journal; `None` when there is none.
    fn journal(&self) -> Option<Journal>;

    /// Writes a usage record, as that of a call that has ended, and waits until it is as safe as that.
    ///
    /// # Errors
    /// `Store` when the gateway is closing.
    async fn record(&self, record: UsageRecord) -> Result<()>;

    /// Usage records from now on, as calls of this node end.
    ///
    /// # Errors
    /// `Store` when the gateway is closing, `RateLimited` when as many as are let follow already.
    fn follow_records(&self) -> Result<tokio::sync::broadcast::Receiver<Arc<sluicegate_core::RecordEntry>>>;

    /// How many usage records wait for the database.
    fn records_waiting(&self) -> usize;

    /// The policies that the configuration file declares.
    fn file_policies(&self) -> Vec<PolicySource>;

    /// What the configuration file says, its tenants included.
    fn file(&self) -> Arc<Loaded>;

    /// What scripts may import.
    fn policy_modules(&self) -> Vec<ModuleSource>;

    /// What was counted of a policy's version in shadow, on this node; `None` when it isn't.
    fn policy_shadow(&self, policy: &str, number: i64) -> Option<ShadowReport>;

    /// Of the calls that an active version has steered here, so many were refused by it, in millionths; `None` when it has
    /// steered too few to say.
    fn policy_denied_ppm(&self, policy: &str, number: i64) -> Option<u32>;

    /// A variable of the environment; an empty one is none.
    fn variable(&self, name: &str) -> Option<String>;

    /// Makes a small call through one channel.
    ///
    /// # Errors
    /// `InvalidRequest` when the channel can't be sent to as it is.
    async fn try_channel(&self, trial: &Trial) -> Result<Trialled>;

    /// Gets what a channel's upstream tells of itself at an address of it.
    ///
    /// # Errors
    /// As [`try_channel`](Self::try_channel), and what the upstream's refusal means.
    async fn ask_upstream(&self, trial: &Trial, url: &str) -> Result<serde_json::Value>;

    /// What the gateway around is, for whoever operates it; `None` when there is none.
    fn about(&self) -> Option<About>;

    /// Seals channels' credentials. The master secret is made on first need.
    ///
    /// # Errors
    /// `Config` when there is no master secret and none can be made.
    fn sealer(&self) -> Result<Sealer>;
}

/// What the service is made of.
pub struct AdminParts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Who credentials are.
    pub directory: Arc<Directory>,
    /// Who decides, and holds what is used.
    pub engine: Arc<Engine>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Links audit events.
    pub chain: Arc<dyn AuditChain>,
    /// How people sign in, now.
    pub auth: Arc<ArcSwap<AuthSettings>>,
    /// Whom they sign in through.
    pub providers: Arc<Providers>,
    /// The gateway around.
    pub host: Arc<dyn AdminHost>,
}

/// The administration service. Cheap to clone; clones are the same service.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    parts: AdminParts,
    /// Held while something is reconciled.
    reconciling: tokio::sync::Mutex<()>,
    /// Held while a script's tests run.
    testing: tokio::sync::Mutex<()>,
    /// The replay that is running.
    replaying: Arc<replay::Replaying>,
    /// What signing in shares.
    doors: identity::Doors,
    /// How many wait for a check, the one that has it included.
    waiting_checks: AtomicUsize,
}

impl std::ops::Deref for Inner {
    type Target = AdminParts;

    fn deref(&self) -> &AdminParts {
        &self.parts
    }
}

impl Admin {
    /// A service of these parts.
    pub fn new(parts: AdminParts) -> Self {
        let (reconciling, testing, replaying, doors, waiting_checks) = Default::default();
        Self(Arc::new(Inner { parts, reconciling, testing, replaying, doors, waiting_checks }))
    }

    fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    fn declared(&self) -> Arc<DeclaredTenants> {
        self.0.directory.declared()
    }

    fn auth(&self) -> Arc<AuthSettings> {
        self.0.auth.load_full()
    }

    fn now(&self) -> sluicegate_core::Timestamp {
        self.0.clock.now()
    }

    /// What is declared in the file can't be changed here.
    fn refuse_declared(&self, source: Source, what: impl FnOnce() -> String) -> Result<()> {
        match source {
            Source::Database => Ok(()),
            Source::File => {
                let file = self.0.host.config_file();
                let file = file.as_deref().unwrap_or("the configuration");
                let message = format!("{} is declared in `{file}`; change it there", what());
                Err(Error::new(ErrorKind::Conflict, message).with("file", file))
            }
        }
    }

    /// Makes changes and writes down who did what; forgets what is cached about callers.
    async fn commit(&self, actor: &Actor, deed: Deed, changes: Vec<Change>) -> Result<AuditEvent> {
        self.write(actor, deed, changes, Seeds::new(), Then::Callers).await
    }

    /// Like [`commit`](Self::commit), for a change of limits: their counters are seeded before any call can meet them.
    async fn commit_limits(
        &self,
        actor: &Actor,
        deed: Deed,
        changes: Vec<Change>,
        owner: &Owner,
        (before, after): (&[Limit], &[Limit]),
    ) -> Result<AuditEvent> {
        let seeds = self.seeds(owner, before, after).await?;
        self.write(actor, deed, changes, seeds, Then::Callers).await
    }

    /// Stores changes and takes them into use. Once it has begun, both happen, even when whoever asked is gone and the
    /// future is dropped: a key that the database has lost mustn't go on working.
    async fn write(
        &self,
        actor: &Actor,
        deed: Deed,
        changes: Vec<Change>,
        seeds: Seeds,
        then: Then,
    ) -> Result<AuditEvent> {
        let events = self.write_all(actor, vec![(deed, changes)], seeds, then).await?;
        let event = events.into_iter().next();
        event.ok_or_else(|| Error::new(ErrorKind::Internal, "a change left no event"))
    }

    /// The same for several deeds: all of them, or none.
    async fn write_all(
        &self,
        actor: &Actor,
        deeds: Vec<(Deed, Vec<Change>)>,
        seeds: Seeds,
        then: Then,
    ) -> Result<Vec<AuditEvent>> {
        let written = self.write_steps(actor, deeds, seeds, then).await;
        written.map_err(|error| bulk::without(error, "step"))
    }

    /// The same; the error says by `step` which of the deeds couldn't be done.
    async fn write_steps(
        &self,
        actor: &Actor,
        deeds: Vec<(Deed, Vec<Change>)>,
        seeds: Seeds,
        then: Then,
    ) -> Result<Vec<AuditEvent>> {
        let (mut steps, mut besides) = (Vec::with_capacity(deeds.len()), Vec::new());
        for (mut deed, changes) in deeds {
            actor.may(scope::area_of_action(deed.action), Access::Write)?;
            if actor.is_confined() {
                may_make(actor, &changes)?;
                self.refuse_wider_keys(&changes).await?;
                self.refuse_administrators(&changes).await?;
            }
            besides.extend(deed.besides(&changes));
            let changes = self.anchored(changes);
            steps.push(AuditedChange { event: self.event_of(actor, deed), changes });
        }
        // Last, since a step that fails is known by its place among the deeds.
        let told = besides.into_iter();
        steps.extend(
            told.map(|deed| AuditedChange { event: self.event_of(actor, deed), changes: Vec::new() }),
        );
        let this = self.clone();
        let written = tokio::spawn(async move {
            let events = this.store().apply_all(&steps, &*this.0.chain).await?;
            this.plant(&seeds);
            if let Some(last) = events.last() {
                this.0.directory.saw(last.seq);
            }
            if !matches!(then, Then::Nothing) {
                this.0.directory.invalidate();
            }
            this.forget_kept_of_gone(&steps).await;
            match then {
                Then::Nothing | Then::Callers => {}
                Then::Channels | Then::Policies => this.0.host.reload().await?,
            }
            Ok(events)
        });
        let written = written.await.unwrap_or_else(|why| {
            let message = "the change was cut off; look whether it was made";
            Err(Error::new(ErrorKind::Internal, message).with_source(why))
        });
        match written {
            Err(error) => Err(self.naming_holder(actor, error).await),
            done => done,
        }
    }

    /// What was kept for users and groups that are gone by these steps goes, too: piece by piece, and not in their transaction, so that
    /// nobody waits for much. What is left of it when that fails is nobody's, and cleared for whoever is made under their id.
    async fn forget_kept_of_gone(&self, steps: &[AuditedChange]) {
        for AuditedChange { changes, event } in steps {
            for change in changes {
                let done = match (change, &event.organization) {
                    (Change::DeleteUser(user), _) => self.store().forget_kept_of_gone(user).await,
                    (Change::DeleteGroup(group), Some(organization)) => {
                        self.store().forget_kept_of_gone_group(organization, group).await
                    }
                    _ => continue,
                };
                if let Err(error) = done {
                    let of = &event.target;
                    tracing::warn!(%of, %error, "what was kept for it, which was removed, is still there until it expires");
                }
            }
        }
    }

    /// Of a name that is taken, who has it, if the actor may see them.
    async fn naming_holder(&self, actor: &Actor, error: Error) -> Error {
        let holder =
            error.context().iter().find(|(name, _)| *name == HOLDER).map(|(_, holder)| holder.clone());
        let Some((what, id)) = holder.as_deref().and_then(|holder| holder.split_once(' ')) else {
            return error;
        };
        let is_seen = match what {
            "key" => self.find_key(actor, &KeyRef::Id(id.into())).await.is_ok(),
            "group" => self.resolve_group(actor, id).await.is_ok(),
            _ => self.find_user(actor, &id.into()).await.is_ok(),
        };
        let error = bulk::without(error, HOLDER);
        match is_seen {
            true => bulk::saying(&error, format!("{}: {what} `{id}` has it", error.message())),
            false => error,
        }
    }

    /// The changes, with what the new things among them hang on in front of each: it was looked at before, and may be gone by
    /// the time that they are made.
    fn anchored(&self, changes: Vec<Change>) -> Vec<Change> {
        let mut all = Vec::with_capacity(changes.len());
        for change in changes {
            all.extend(self.anchors_of(&change).into_iter().map(Change::ExpectThere));
            all.push(change);
        }
        all
    }

    /// What something new hangs on, as far as it is stored: what a file declares doesn't go by a change, and the default
    /// organization, or one that the file names, is used without being made.
    fn anchors_of(&self, change: &Change) -> Vec<Thing> {
        let (organization, group, user) = match change {
            Change::PutKey { key, expect: Expect::New, .. } => {
                (Some(&key.organization), key.group.as_ref(), key.user.as_ref())
            }
            Change::PutGroup(it, Expect::New) => (Some(&it.organization), None, None),
            Change::PutUser(it, Expect::New) => (Some(&it.organization), None, None),
            Change::PutMembership(it, Expect::New) => (None, Some(&it.group), Some(&it.user)),
            _ => return Vec::new(),
        };
        self.stored_things(organization, group, user)
    }

    /// Those of these that live in the database.
    fn stored_things(
        &self,
        organization: Option<&OrganizationId>,
        group: Option<&GroupId>,
        user: Option<&UserId>,
    ) -> Vec<Thing> {
        let declared = self.declared();
        let organization =
            organization.filter(|id| id.as_str() != DEFAULT_ORGANIZATION && !declared.has_organization(id));
        let group = group.filter(|id| declared.group(id.as_str()).is_none_or(|it| it.id != **id));
        let user = user.filter(|id| declared.user(id).is_none());
        let things = [organization.map(Thing::from), group.map(Thing::from), user.map(Thing::from)];
        things.into_iter().flatten().collect()
    }

    fn event_of(&self, actor: &Actor, deed: Deed) -> NewEvent {
        NewEvent {
            at: self.now(),
            actor: actor.name().to_owned(),
            action: deed.action.to_owned(),
            target: deed.target,
            organization: deed.organization,
            group: deed.group,
            user: deed.user,
            detail: deed::told(deed.detail),
            address: actor.address().map(|ip| ip.to_string()),
            credential: actor.credential().map(str::to_owned),
        }
    }

    /// A token gives nobody a way in that reaches further than itself: a key may do what its user may, whatever the scopes of
    /// what made it.
    async fn refuse_wider_keys(&self, changes: &[Change]) -> Result<()> {
        for change in changes {
            let Change::PutKey { key, .. } = change else { continue };
            let Some(user) = &key.user else { continue };
            let owner = self.actor_of(user).await?;
            if owner.is_some_and(|it| it.role() != Role::User || !it.admin_of().is_empty()) {
                let message = format!(
                    "a token can't make a key that administers, as user `{user}` does; sign in with a password for it"
                );
                return Err(Error::new(ErrorKind::Forbidden, message));
            }
        }
        Ok(())
    }

    /// A token makes nobody an administrator: they would have a way in that reaches further than itself.
    async fn refuse_administrators(&self, changes: &[Change]) -> Result<()> {
        for change in changes {
            let (user, raised) = match change {
                Change::PutUser(after, _) => {
                    let before = self.user_by_id(&after.id).await?.map_or(Role::User, |it| it.role);
                    (&after.id, after.role > before)
                }
                Change::PutMembership(after, _) => {
                    let known = self.memberships(Some(&after.group), Some(&after.user)).await?;
                    let was = known.first().map(|it| it.role);
                    let by_role =
                        self.user_by_id(&after.user).await?.is_some_and(|it| it.role == Role::GroupAdmin);
                    let raised = after.role > was.unwrap_or_default() || (by_role && was.is_none());
                    (&after.user, raised)
                }
                _ => continue,
            };
            if raised {
                let message = format!(
                    "a token can't make user `{user}` an administrator; sign in with a password for it"
                );
                return Err(Error::new(ErrorKind::Forbidden, message));
            }
        }
        Ok(())
    }

    /// How the limits of a scope stand.
    fn limit_states(&self, scope: Scope, limits: &[Limit]) -> Vec<LimitUse> {
        if limits.is_empty() {
            return Vec::new();
        }
        let now = self.now();
        let mut ledger = self.0.engine.ledger();
        let bound = ledger.bind(0, &ScopeLimits { scope, limits: limits.to_vec() });
        bound
            .iter()
            .map(|bound| ledger.state(bound, now))
            .map(|state: LimitState| LimitUse::from(&state))
            .collect()
    }
}

/// What a change must reach.
#[derive(Clone, Copy)]
enum Then {
    /// Nothing that is in use.
    Nothing,
    /// The callers that are cached.
    Callers,
    /// These and the channels in use.
    Channels,
    /// These and the policies in use.
    Policies,
}

fn not_found(what: &str, id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{what} `{id}` doesn't exist"))
}

fn forbidden(what: &str) -> Error {
    Error::new(ErrorKind::Forbidden, format!("your role doesn't allow you to {what}; ask an administrator"))
}

fn invalid(param: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidRequest, message).with("param", param)
}

/// A deed in one area that reaches into others asks for these, too.
fn may_make(actor: &Actor, changes: &[Change]) -> Result<()> {
    for change in changes {
        let area = match change {
            Change::PutKey { .. } => "keys",
            Change::PutGroup(..) | Change::PutMembership(..) | Change::DeleteMembership(..) => "groups",
            Change::PutUser(..) => "users",
            Change::PutOrganization(..) => "organizations",
            _ => continue,
        };
        actor.may(area, Access::Write)?;
    }
    Ok(())
}

/// Makes a change, and makes it anew on what is there by then as long as `was_overtaken` takes its error for that of one that
/// another came before.
///
/// # Errors
/// Whatever the change says.
pub async fn retried<T, F: Future<Output = Result<T>>>(
    was_overtaken: impl Fn(&Error) -> bool,
    change: impl Fn() -> F,
) -> Result<T> {
    for tried in 0..TRIES {
        match change().await {
            Err(error) if was_overtaken(&error) => tokio::time::sleep(pause(tried)).await,
            other => return other,
        }
    }
    change().await
}

/// At random, so that those who were overtaken together don't come together again; longer each time.
fn pause(tried: u32) -> Duration {
    let mut random = [0u8; 8];
    // Without randomness they come together again.
    let _ = fill_random(&mut random);
    let most = (2_u64 << tried.min(16)).min(PAUSE_MAX_MS);
    Duration::from_millis(u64::from_le_bytes(random) % most)
}

/// Whether a change came second and should be tried again on what is there now.
pub fn came_second(error: &Error) -> bool {
    error.kind() == ErrorKind::Conflict && error.retry() == Retry::Now
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
