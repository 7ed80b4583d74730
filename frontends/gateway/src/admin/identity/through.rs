//! Signing in through a provider.
//!
//! - What begins a sign-in is sealed in a cookie of the browser that it begins in: state, nonce, PKCE's secret, the provider. It is
//!   finished there alone, within ten minutes, and once.
//! - Who somebody is is issuer and subject. An address or an id makes them a user whom we know only where the configuration says
//!   so, the provider has verified it, and the user may do no more than the provider gives.
//! - Groups and roles of the mapping follow each sign-in; what was given by hand stays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluicegate_config::{Link, OidcProvider};
use sluicegate_core::tenant::Source;
use sluicegate_core::{
    Error, ErrorKind, GroupId, Membership, OrganizationId, Result, Role, Secret, Timestamp, User, UserId,
};
use subtle::ConstantTimeEq as _;

use super::session::address_name;
use super::{FREE_BY_ADDRESS, Origin, SignedIn, about, random_text};
use crate::admin::group::placed_in;
use crate::admin::seed::Seeds;
use crate::admin::user::plain;
use crate::admin::{Actor, Admin, DEFAULT_ORGANIZATION, Deed, Then, not_found, retried};
use crate::credential::{KeyHash, new_id};
use crate::jwt::{Claims, Provider, claim, is_of_domain, text, texts, user_id};
use crate::store::{Change, Expect, Identity, Owner, Reach, Stage, Stored};

/// A sign-in must come back within so long, in milliseconds.
const UNDER_WAY_MS: i64 = 10 * 60_000;
/// No address to come back to is longer, in bytes.
const RETURN_MAX: usize = 512;

/// A provider, for a sign-in page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProviderView {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub name: String,
}

/// A sign-in that has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Where the browser is to go.
    pub url: String,
    /// What it must bring back.
    pub cookie: Secret,
}

/// What a browser comes back with.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ProviderAnswer {
    /// The code.
    pub code: Option<String>,
    /// The state that it was sent with.
    pub state: Option<String>,
    /// Whom it says that it comes from.
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct UnderWay {
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    until: Timestamp,
}

fn begin_again(why: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("{why}; begin again at the sign-in page"))
}

/// Who isn't known, who is another organization's, who may not be let in: the same answer.
fn nobody() -> Error {
    let message = "the provider knows you, and this gateway doesn't; ask an administrator to let you in";
    Error::new(ErrorKind::Forbidden, message)
}

/// A path of ours to come back to, whatever was asked for.
fn own_path(asked: Option<&str>) -> String {
    let is_own = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.len() <= RETURN_MAX
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    asked.filter(is_own).unwrap_or("/").to_owned()
}

/// What a provider says of somebody, as far as it is to be believed.
struct Person {
    subject: String,
    email: Option<String>,
    name: Option<String>,
    organization: OrganizationId,
    wanted: BTreeMap<GroupId, Role>,
    /// What they may do at most; `None` when roles are given by hand.
    role: Option<Role>,
    user: Option<UserId>,
}

impl Person {
    fn of(provider: &OidcProvider, claims: &Claims) -> Result<Self> {
        let said = |path: &str| claim(claims, path);
        let verified = claims.get("email_verified") == Some(&serde_json::Value::Bool(true));
        // `email_verified` speaks of `email`, and of no other claim that may hold an address.
        let verified = verified && provider.claims.email == "email";
        let email = text(said(&provider.claims.email)).filter(|_| verified);
        if !provider.email_domains.is_empty()
            && !email.as_deref().is_some_and(|email| is_of_domain(email, &provider.email_domains))
        {
            return Err(nobody());
        }
        let organization = if provider.organizations.is_empty() {
            provider.organization.clone()
        } else {
            let named = provider.claims.organization.as_deref().and_then(|path| text(said(path)));
            named.and_then(|named| provider.organizations.get(&named).cloned()).ok_or_else(nobody)?
        };
        let values = texts(said(&provider.claims.groups));
        let mut wanted = BTreeMap::new();
        for grant in provider.groups.iter().filter(|grant| values.contains(&grant.value)) {
            let role = wanted.entry(grant.group.clone()).or_insert(grant.role);
            *role = grant.role.max(*role);
        }
        let roles = provider.roles.iter().filter(|grant| values.contains(&grant.value));
        let highest = roles.map(|grant| grant.role).max().unwrap_or_default();
        Ok(Self {
            subject: text(claims.get("sub")).ok_or_else(nobody)?,
            email,
            name: text(said(&provider.claims.name)).map(|name| name.chars().take(200).collect()),
            organization,
            wanted,
            role: (!provider.roles.is_empty()).then_some(highest),
            user: provider
                .claims
                .user
                .as_deref()
                .and_then(|path| text(said(path)))
                .and_then(|id| user_id(&id)),
        })
    }
}

impl Admin {
    /// The providers that people may sign in through.
    pub fn sign_in_providers(&self) -> Vec<ProviderView> {
        let view =
            |it: &Provider| ProviderView { id: it.settings.id.clone(), name: it.settings.name.clone() };
        self.0.providers.0.iter().map(view).collect()
    }

    /// Where people reach the gateway, as the configuration says.
    pub fn public_url(&self) -> Option<String> {
        self.auth().public_url.clone()
    }

    /// Whether browsers reach this gateway by TLS, whoever ends it: its public address says so.
    pub fn is_public_by_tls(&self) -> bool {
        self.auth().public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// Whether passwords open sessions.
    pub fn takes_passwords(&self) -> bool {
        self.auth().password.sign_in
    }

    fn provider(&self, id: &str) -> Result<&Provider> {
        let found = self.0.providers.0.iter().find(|it| it.settings.id == id);
        found.ok_or_else(|| not_found("provider", &id.chars().take(64).collect::<String>()))
    }

    fn comes_back(&self, provider: &str) -> String {
        let public = self.public_url().unwrap_or_default();
        format!("{public}/api/v1/session/oidc/{provider}/callback")
    }

    /// Begins to sign in through a provider; it ends at `return_to`, a path of ours.
    ///
    /// # Errors
    /// `NotFound`; `UpstreamUnavailable` when the provider doesn't answer.
    pub async fn begin_sign_in(&self, provider: &str, return_to: Option<&str>) -> Result<Begun> {
        let provider = self.provider(provider)?;
        let id = &provider.settings.id;
        let now = self.now();
        let under_way = UnderWay {
            state: random_text()?,
            nonce: random_text()?,
            verifier: random_text()?,
            return_to: own_path(return_to),
            until: now.plus_ms(UNDER_WAY_MS),
        };
        let secrets = (&*under_way.state, &*under_way.nonce, &*under_way.verifier);
        let url = provider.address(&self.comes_back(id), secrets, now).await?;
        let written = serde_json::to_string(&under_way).map_err(|why| {
            Error::new(ErrorKind::Internal, "a sign-in can't be written down").with_source(why)
        })?;
        let sealed = self.sealer()?.seal_text(&format!("sign-in\0{id}"), &Secret::new(written))?;
        Ok(Begun { url, cookie: Secret::new(sealed) })
    }

    /// Finishes it: a session, and where the browser goes on.
    ///
    /// # Errors
    /// `Unauthenticated` when it wasn't begun in this browser, is over, or what the provider says isn't to be trusted;
    /// `Forbidden` when they may not come in; `NotFound`, `UpstreamUnavailable`, `Store`.
    pub async fn finish_sign_in(
        &self,
        provider: &str,
        cookie: Option<&Secret>,
        answer: &ProviderAnswer,
        origin: &Origin,
    ) -> Result<(SignedIn, String)> {
        let provider = self.provider(provider)?;
        let (id, now) = (&provider.settings.id, self.now());
        let opened = match cookie {
            // Sealed for this provider: no other one's answer finishes it.
            Some(cookie) => self.sealer()?.open_text(&format!("sign-in\0{id}"), cookie.expose()),
            None => None,
        };
        let under_way: UnderWay = opened
            .and_then(|text| serde_json::from_str(text.expose()).ok())
            .ok_or_else(|| begin_again("this sign-in wasn't begun in this browser"))?;
        let state = answer.state.as_deref().unwrap_or_default();
        if now >= under_way.until || !bool::from(state.as_bytes().ct_eq(under_way.state.as_bytes())) {
            return Err(begin_again("this sign-in is over, or another one"));
        }
        let document = provider.document(now).await?;
        let named = answer.iss.as_deref();
        if named.is_some_and(|iss| iss != provider.settings.issuer)
            || (named.is_none() && document.authorization_response_iss_parameter_supported)
        {
            return Err(begin_again("this answer is another provider's"));
        }
        let Some(code) = answer.code.as_deref().filter(|_| answer.error.is_none()) else {
            let why: String = answer.error.as_deref().unwrap_or("no code").chars().take(64).collect();
            let why = why.replace(|c: char| !(c.is_ascii_lowercase() || c == '_' || c == ' '), "");
            return Err(begin_again(&format!("the provider didn't let you in ({why})")));
        };
        let secrets = (&*under_way.nonce, &*under_way.verifier);
        // Whoever has begun could have codes made up looked at, with our secret, as often as they like.
        let by_address = address_name(origin.address);
        self.throttle().begin(&by_address, FREE_BY_ADDRESS, now)?;
        let claims = provider.exchange(code, &self.comes_back(id), secrets, now).await;
        if !claims.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unauthenticated) {
            self.throttle().forgive(&by_address);
        }
        let claims = claims?;
        let person = Person::of(&provider.settings, &claims)?;
        let used = Change::UseSignIn(KeyHash::of(&under_way.state), under_way.until.plus_ms(UNDER_WAY_MS));
        let user = self.let_in(&provider.settings, &person, &used).await?;
        let totp = self.store().account(&user.id).await?.is_some_and(|account| account.value.totp.is_some());
        let stage = if totp { Stage::SecondStep } else { Stage::Done };
        let signed = self.begin_session(&user, stage, origin, Vec::new()).await?;
        Ok((signed, under_way.return_to))
    }

    /// Where a browser goes to sign out at a provider, too.
    ///
    /// # Errors
    /// `NotFound` when there is no such provider, or it has no such place; `UpstreamUnavailable`.
    pub async fn sign_out_at(&self, provider: &str) -> Result<String> {
        let provider = self.provider(provider)?;
        let public = self.public_url().unwrap_or_default();
        let way_out = provider.way_out(&format!("{public}/"), self.now()).await?;
        way_out.ok_or_else(|| not_found("way to sign out at", &provider.settings.id))
    }

    /// The user whom somebody is, with the groups and the role that they have from now on. Of two sign-ins at once the second is
    /// worked out on what the first has left.
    async fn let_in(&self, provider: &OidcProvider, person: &Person, used: &Change) -> Result<User> {
        // Somebody new may have become a user meanwhile, and what was to be taken back be gone.
        let was_overtaken = |error: &Error| matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound);
        retried(was_overtaken, || self.try_let_in(provider, person, used.clone())).await
    }

    async fn try_let_in(&self, provider: &OidcProvider, person: &Person, used: Change) -> Result<User> {
        let known = self.store().identity(&provider.issuer, &person.subject).await?;
        let found = match &known {
            Some(identity) => self.find_user_within(&Reach::ALL, &identity.value.user).await?,
            None => self.linked(provider, person).await?,
        };
        let (stored, is_new) = match found {
            Some(stored) => (stored, false),
            None if known.is_none() && provider.sign_up => match self.new_user(person).await {
                // Of two sign-ins of one person at once the other one has made them since we looked.
                Err(_) if self.store().identity(&provider.issuer, &person.subject).await?.is_some() => {
                    let message = "somebody has signed in as the same person meanwhile; try again";
                    return Err(Error::new(ErrorKind::Conflict, message));
                }
                made => (made?, true),
            },
            None => return Err(nobody()),
        };
        let before = &stored.value;
        if before.organization != person.organization {
            return Err(nobody());
        }
        self.refuse_blocked(before).await?;
        let mut changes = vec![used];
        let mut after = before.clone();
        if let Some(role) = person.role.filter(|_| before.source == Source::Database) {
            after.role = role;
        }
        if is_new {
            changes.push(Change::PutUser(after.clone(), Expect::New));
        } else if after.role != before.role {
            changes.push(Change::PutUser(after.clone(), Expect::Version(stored.version)));
            changes.extend(self.keeps_super_admin(before, Some(&after)));
            changes.push(Change::EndSessions(after.id.clone()));
        }
        // Their address was nobody's word but that of whoever registered with it, until a provider knew them.
        let was_registered = stored.created_by == Actor::registration().name()
            && !self.store().has_identity(&before.id).await?;
        // What this sign-in takes back is what was given by the one before: no other may come between.
        let expect = known.as_ref().map_or(Expect::New, |identity| Expect::Version(identity.version));
        let had = known.map(|identity| identity.value.granted).unwrap_or_default();
        let (granted, seeds) = self.follow_groups(person, &after.id, &had, &mut changes).await?;
        let rises = |change: &Change| matches!(change, Change::PutMembership(it, was) if rises_by(after.role, it.role, *was));
        // An auditor reads more than who administers a group.
        let reads_more = after.role == Role::Auditor && before.role != Role::Auditor;
        let rises = after.role > before.role || reads_more || changes.iter().any(rises);
        if !is_new && (rises || was_registered) {
            // Whoever has set a password or made a token for them before doesn't rise with them, and neither do their keys.
            changes.push(Change::ForgetWaysIn(after.id.clone()));
        }
        let taken = |change: &Change| match change {
            Change::DeleteMembership(group, _) => Some(group.clone()),
            _ => None,
        };
        let taken: Vec<GroupId> = changes.iter().filter_map(taken).collect();
        let role = match is_new || after.role == before.role {
            true => serde_json::json!(after.role),
            false => serde_json::json!({"from": before.role, "to": after.role}),
        };
        let mut detail = serde_json::json!({
            "provider": provider.id, "subject": person.subject, "groups": granted, "role": role,
        });
        if is_new {
            detail["made"] = true.into();
        }
        if !taken.is_empty() {
            detail["taken"] = serde_json::json!(taken);
        }
        if was_registered {
            // Most of what was kept for them goes before, so that the change itself takes no longer the more that was.
            self.store().forget_kept(&after.id).await?;
            // Whoever registered has those keys, and would go on spending as them.
            changes.push(Change::ForgetCaller(after.id.clone()));
            detail["forgotten"] = "what was registered".into();
        }
        let identity = Identity {
            issuer: provider.issuer.clone(),
            subject: person.subject.clone(),
            user: after.id.clone(),
            granted,
        };
        changes.push(Change::PutIdentity(identity, expect));
        let deed = Deed { detail, ..about("account.sign_in", &after) };
        // Each place that is taken back goes in an event of its own, with the keys that go along: its group's administrators read it.
        let is_taken = |change: &mut Change| matches!(change, Change::DeleteMembership(..));
        let gone: Vec<Change> = changes.extract_if(.., is_taken).collect();
        let mut deeds = vec![(deed, changes)];
        deeds.extend(taken.iter().zip(gone).map(|(group, change)| {
            let deed = Deed::new("member.remove", format!("group {group}"))
                .of(&after.organization, Some(group), Some(&after.id))
                .whole(&serde_json::json!({"group": group, "user": after.id}));
            (deed, vec![change])
        }));
        self.write_all(&Actor::issuer(&provider.id), deeds, seeds, Then::Callers).await?;
        Ok(after)
    }

    /// A user whom we know already and whom the configuration lets them be.
    async fn linked(&self, provider: &OidcProvider, person: &Person) -> Result<Option<Stored<User>>> {
        let user = match (provider.link, &person.email, &person.user) {
            (Link::Email, Some(email), _) => self.user_of_address(email).await?.map(|user| user.id),
            (Link::Id, _, Some(id)) => Some(id.clone()),
            _ => None,
        };
        let Some(id) = user else { return Ok(None) };
        let Some(stored) = self.find_user_within(&Reach::ALL, &id).await? else { return Ok(None) };
        // Nobody becomes somebody who may do more than the provider gives.
        let most = person.role.unwrap_or_default();
        let is_given = |it: &Membership| {
            most >= Role::GroupAdmin || person.wanted.get(&it.group).is_some_and(|role| *role >= it.role)
        };
        let memberships = self.memberships(None, Some(&id)).await?;
        // An auditor reads more than who administers a group.
        let above = stored.value.role > most
            || (stored.value.role == Role::Auditor && most == Role::GroupAdmin)
            || memberships.iter().any(|it| it.role >= Role::GroupAdmin && !is_given(it));
        if above || stored.value.organization != person.organization {
            return Err(nobody());
        }
        Ok(Some(stored))
    }

    async fn new_user(&self, person: &Person) -> Result<Stored<User>> {
        let is_there = person.organization.as_str() == DEFAULT_ORGANIZATION
            || self.any_organization(&person.organization).await?.is_some();
        if !is_there {
            return Err(nobody());
        }
        let now = self.now();
        let id = match &person.user {
            // Another one has this id, whoever they are.
            Some(id) if self.user_by_id(id).await?.is_some() => return Err(nobody()),
            Some(id) => id.clone(),
            None => UserId::from(new_id(now)?),
        };
        let email = match &person.email {
            Some(email) if self.user_of_address(email).await?.is_some() => return Err(nobody()),
            email => email.clone(),
        };
        let user = User { email, alias: person.name.clone(), ..plain(id, person.organization.clone(), now)? };
        Ok(crate::admin::access::as_stored(user, now))
    }

    /// Gives and takes back what the mapping gives: the groups that it gave, and what the limits there begin with.
    async fn follow_groups(
        &self,
        person: &Person,
        user: &UserId,
        had: &[GroupId],
        changes: &mut Vec<Change>,
    ) -> Result<(Vec<GroupId>, Seeds)> {
        let memberships = self.stamped_memberships(None, Some(user)).await?;
        let is_declared = |group: &GroupId| self.declared().membership(group, user).is_some();
        let (mut granted, mut seeds) = (Vec::new(), Seeds::new());
        for (group, role) in &person.wanted {
            let found = self.group_by_id(group).await?;
            let Some(found) = found.filter(|it| it.value.organization == person.organization) else {
                tracing::warn!(%group, "a provider's mapping names a group that isn't there, or another organization's");
                continue;
            };
            match memberships.iter().find(|it| it.value.group == *group) {
                // Given by hand, or by the file.
                Some(_) if !had.contains(group) || is_declared(group) => continue,
                Some(it) if it.value.role == *role => {}
                Some(it) => {
                    let raised = Membership { role: *role, ..it.value.clone() };
                    changes.push(Change::PutMembership(raised, Expect::Version(it.version)));
                }
                None => {
                    let (it, expect) = match placed_in(&found, user, *role, Vec::new()) {
                        Ok(it) => it,
                        Err(error) => {
                            tracing::warn!(%group, %error, "a provider's mapping gives nobody a place in a group whose limits of members can't be read");
                            continue;
                        }
                    };
                    // Who comes back has used something of it.
                    let owner = Owner::Membership(group.clone(), user.clone());
                    seeds.extend(self.seeds(&owner, &[], &it.limits).await?);
                    changes.extend(expect);
                    changes.push(Change::PutMembership(it, Expect::New));
                }
            }
            granted.push(group.clone());
        }
        for group in had.iter().filter(|group| !granted.contains(group)) {
            if !is_declared(group) && memberships.iter().any(|it| it.value.group == *group) {
                changes.push(Change::DeleteMembership(group.clone(), user.clone()));
            }
        }
        Ok((granted, seeds))
    }
}

/// Whether somebody of this role may more once they have a membership that is new or changed.
fn rises_by(role: Role, in_group: Role, was: Expect) -> bool {
    match role {
        // They run every group already.
        Role::OrganizationAdmin | Role::SuperAdmin => false,
        // They run each that they come into, whatever they are called there.
        Role::GroupAdmin => was == Expect::New,
        Role::User | Role::Auditor => in_group >= Role::GroupAdmin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_a_group_already_doesnt_rise_by_it() {
        let (new, changed) = (Expect::New, Expect::Version(1));
        for (role, in_group, was, want) in [
            (Role::User, Role::User, new, false),
            (Role::User, Role::GroupAdmin, new, true),
            (Role::User, Role::GroupAdmin, changed, true),
            (Role::Auditor, Role::User, new, false),
            (Role::Auditor, Role::GroupAdmin, changed, true),
            (Role::GroupAdmin, Role::User, new, true),
            (Role::GroupAdmin, Role::User, changed, false),
            (Role::GroupAdmin, Role::GroupAdmin, changed, false),
            (Role::OrganizationAdmin, Role::User, new, false),
            (Role::OrganizationAdmin, Role::GroupAdmin, new, false),
            (Role::SuperAdmin, Role::GroupAdmin, changed, false),
        ] {
            assert_eq!(rises_by(role, in_group, was), want, "{role:?} {in_group:?} {was:?}");
        }
    }

    #[test]
    fn a_sign_in_ends_at_a_path_of_ours() {
        for (asked, want) in [
            (Some("/keys?a=b#c"), "/keys?a=b#c"),
            (None, "/"),
            (Some(""), "/"),
            (Some("keys"), "/"),
            (Some("//evil.example"), "/"),
            (Some("/\\evil.example"), "/"),
            (Some("/\t/evil.example"), "/"),
            (Some("/a\r\nset-cookie: x"), "/"),
            (Some("https://evil.example"), "/"),
            (Some("javascript:alert(1)"), "/"),
        ] {
            assert_eq!(own_path(asked), want, "{asked:?}");
        }
    }

    /// Who comes by a provider while a group's limits of members change, gets none that it doesn't give any more.
    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn a_place_is_given_at_what_the_group_gives_by_then() {
        use crate::admin::tests::world;
        use crate::admin::{GroupPatch, MEMBER_LIMITS, Patch, came_second};
        let w = world().await;
        let user = w.admin.user_by_id(&"u2".into()).await.unwrap().unwrap();
        let person = Person {
            subject: "s".to_owned(),
            email: None,
            name: None,
            organization: "o1".into(),
            wanted: BTreeMap::from([("g1".into(), Role::User)]),
            role: None,
            user: None,
        };
        let mut changes = Vec::new();
        w.admin.follow_groups(&person, &user.id, &[], &mut changes).await.unwrap();
        let given = serde_json::json!({"requests": {"day": 5}});
        let data = serde_json::Map::from_iter([(MEMBER_LIMITS.to_owned(), given)]);
        let patch = GroupPatch { metadata: Patch::Set(data), ..GroupPatch::default() };
        w.admin.update_group(&Actor::operator(), "g1", patch).await.unwrap();
        let late =
            w.admin.commit(&Actor::operator(), about("account.sign_in", &user), changes).await.unwrap_err();
        assert!(came_second(&late), "{late}");
        let mut changes = Vec::new();
        w.admin.follow_groups(&person, &user.id, &[], &mut changes).await.unwrap();
        let limits = changes.iter().find_map(|it| match it {
            Change::PutMembership(it, _) => Some(it.limits.len()),
            _ => None,
        });
        assert_eq!(limits, Some(1));
        w.admin.commit(&Actor::operator(), about("account.sign_in", &user), changes).await.unwrap();
    }
}
