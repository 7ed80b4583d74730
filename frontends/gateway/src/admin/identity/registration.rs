//! People who make users of themselves, where the configuration lets them. Nothing is sent to their addresses: whoever reaches the
//! gateway may say any address of the domains, and so it opens no more than what the configuration gives everybody.

use serde::Deserialize;
use sluicegate_config::Registration;
use sluicegate_core::{Error, ErrorKind, Result, Secret, User, UserId};

use super::account::{about_user, fresh};
use super::session::address_name;
use super::{Origin, SignedIn, about, password};
use crate::admin::group::placed_in;
use crate::admin::user::plain;
use crate::admin::{Actor, Admin, DEFAULT_ORGANIZATION, came_second, forbidden, retried};
use crate::credential::new_id;
use crate::jwt::is_of_domain;
use crate::store::{Change, Expect, Stage};

/// From one address so many may register before the next one has to wait.
const FREE: u32 = 5;
/// No e-mail address is longer, in bytes (RFC 5321).
const EMAIL_MAX: usize = 254;
/// A name for people is cut here, in characters.
const ALIAS_MAX: usize = 128;

/// Who makes a user of themselves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRegistration {
    /// Their e-mail address.
    pub email: String,
    /// The password that they choose.
    pub password: Secret,
    /// Their name for people.
    #[serde(default)]
    pub alias: Option<String>,
}

impl Admin {
    /// Who may register; `None` where nobody may.
    fn registration(&self) -> Option<Registration> {
        self.auth().registration.clone().filter(|_| self.takes_passwords())
    }

    /// Whether anybody may make a user of themselves.
    pub fn lets_register(&self) -> bool {
        self.registration().is_some()
    }

    /// Makes a user of somebody, and signs them in.
    ///
    /// # Errors
    /// `Forbidden` where nobody may, or not with such an address; `Conflict` when the address is somebody's; `InvalidRequest` for
    /// a password that won't do; `RateLimited` after too many from one address; `Store`.
    pub async fn register(&self, new: NewRegistration, origin: &Origin) -> Result<SignedIn> {
        let Some(settings) = self.registration() else {
            return Err(forbidden("make a user of yourself"));
        };
        let now = self.now();
        // Each counts, also one that is let in: an address makes no crowd.
        self.throttle().begin(&format!("registration {}", address_name(origin.address)), FREE, now)?;
        let email = new.email.trim();
        if !is_address(email) || !is_of_domain(email, &settings.email_domains) {
            let message = "with such an address nobody registers here; ask an administrator for an account";
            return Err(Error::new(ErrorKind::Forbidden, message).with("param", "email"));
        }
        let alias = new.alias.map(|alias| alias.trim().chars().take(ALIAS_MAX).collect::<String>());
        let id = UserId::from(new_id(now)?);
        let user = User {
            email: Some(email.to_owned()),
            alias: alias.filter(|alias| !alias.is_empty()),
            ..plain(id, settings.organization.clone(), now)?
        };
        password::check(&new.password, self.auth().password.min_length, &about_user(&user))?;
        if self.user_of_address(email).await?.is_some() {
            let message = "this address has an account already; sign in, or ask an administrator";
            return Err(Error::new(ErrorKind::Conflict, message).with("param", "email"));
        }
        let account = fresh(&user, password::hash(&new.password).await?);
        let actor = Actor::registration().from(origin.address);
        retried(came_second, || async {
            let mut changes = vec![
                Change::PutUser(user.clone(), Expect::New),
                Change::PutAccount(account.clone(), Expect::New),
            ];
            changes.extend(self.first_membership(&settings, &user).await?);
            self.refuse_blocked(&user).await?;
            self.commit(&actor, about("account.register", &user).whole(&user), changes).await
        })
        .await?;
        self.begin_session(&user, Stage::Done, origin, Vec::new()).await
    }

    /// The group that they come into.
    async fn first_membership(&self, settings: &Registration, user: &User) -> Result<Vec<Change>> {
        let is_there = settings.organization.as_str() == DEFAULT_ORGANIZATION
            || self.any_organization(&settings.organization).await?.is_some();
        let group = match &settings.group {
            Some(id) => {
                self.group_by_id(id).await?.filter(|it| it.value.organization == settings.organization)
            }
            None => None,
        };
        if !is_there || (settings.group.is_some() && group.is_none()) {
            tracing::warn!("`auth.registration` names an organization or a group that isn't there");
            return Err(forbidden("make a user of yourself"));
        }
        let Some(group) = group else { return Ok(Vec::new()) };
        let (place, expect) = placed_in(&group, &user.id, settings.role, Vec::new())?;
        Ok(expect.into_iter().chain([Change::PutMembership(place, Expect::New)]).collect())
    }
}

/// Whether a text may be an e-mail address: something, one `@`, something with a dot.
fn is_address(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | ',');
    let parts = text.split_once('@');
    text.len() <= EMAIL_MAX
        && !text.contains(odd)
        && parts.is_some_and(|(name, domain)| {
            !name.is_empty() && domain.contains('.') && !domain.contains('@') && !domain.starts_with('.')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_other_texts() {
        for (text, want) in [
            ("ada@corp.example", true),
            ("ada.l+x@mail.corp.example", true),
            ("ada", false),
            ("@corp.example", false),
            ("ada@corp", false),
            ("ada@.example", false),
            ("ada@evil.example@corp.example", false),
            ("ada <ada@corp.example", false),
            ("ada@corp.example\n", false),
        ] {
            assert_eq!(is_address(text), want, "{text:?}");
        }
        assert!(!is_address(&format!("{}@corp.example", "a".repeat(250))));
    }

    /// Who registers while a group's limits of members change, gets none that it doesn't give any more.
    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn a_place_is_given_at_what_the_group_gives_by_then() {
        use sluicegate_core::Role;

        use crate::admin::tests::world;
        use crate::admin::{GroupPatch, MEMBER_LIMITS, Patch, came_second};
        let w = world().await;
        let user = w.admin.user_by_id(&"u2".into()).await.unwrap().unwrap();
        let settings = Registration {
            email_domains: Vec::new(),
            organization: "o1".into(),
            group: Some("g1".into()),
            role: Role::User,
        };
        let changes = w.admin.first_membership(&settings, &user).await.unwrap();
        let given = serde_json::json!({"requests": {"day": 5}});
        let data = serde_json::Map::from_iter([(MEMBER_LIMITS.to_owned(), given)]);
        let patch = GroupPatch { metadata: Patch::Set(data), ..GroupPatch::default() };
        w.admin.update_group(&Actor::operator(), "g1", patch).await.unwrap();
        let late =
            w.admin.commit(&Actor::operator(), about("account.register", &user), changes).await.unwrap_err();
        assert!(came_second(&late), "{late}");
        let changes = w.admin.first_membership(&settings, &user).await.unwrap();
        let limits = changes.iter().find_map(|it| match it {
            Change::PutMembership(it, _) => Some(it.limits.len()),
            _ => None,
        });
        assert_eq!(limits, Some(1));
        w.admin.commit(&Actor::operator(), about("account.register", &user), changes).await.unwrap();
    }
}
