//! Changes to what is stored, and the events that tell of them.

use serde::{Deserialize, Serialize};
use sluicegate_core::{
    ApiKey, Channel, ChannelId, Group, GroupId, KeyId, Membership, Organization, OrganizationId, Timestamp,
    User, UserId,
};

use super::{AccessToken, Account, Identity, PolicyVersion, Session, StoredPolicy};
use crate::credential::KeyHash;

/// The fact of an error that says who has a name that is taken: `key k1`. For who may see them, and nobody else.
pub const HOLDER: &str = "holder";

/// What must be stored under the id for a change to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    New,
    /// This version.
    Version(i64),
    /// Anything or nothing.
    Any,
}

/// What a version is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A key.
    Key(KeyId),
    /// A group.
    Group(GroupId),
    /// A user.
    User(UserId),
    /// An organization.
    Organization(OrganizationId),
    /// A channel.
    Channel(ChannelId),
    /// How a user signs in.
    Account(UserId),
    /// A session of a user. It has no versions: it is there, or isn't.
    Session(UserId, String),
    /// A user's place in a group.
    Membership(GroupId, UserId),
    /// A policy: of all its versions, the sum.
    Policy(String),
    /// What is kept under a name: an end customer, a tag, a budget, an access group, a credential.
    Setting(String),
}

/// What happens to a channel's sealed credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretChange {
    /// It stays.
    Keep,
    /// It is removed.
    Clear,
    /// It becomes this one, sealed.
    Set(String),
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Fails unless a thing is stored in this version. Stands before the changes that it guards.
    ExpectVersion(Thing, i64),
    /// Fails unless a thing is stored. Stands before the changes that hang something on it, so that it isn't gone meanwhile.
    ExpectThere(Thing),
    /// Fails when a setting whose name begins with one of `within` says `name` at the JSON pointer `at`, other than those in `besides`.
    /// Stands before the removal of what it would name.
    ExpectUnnamed {
        /// Beginnings of the settings' names.
        within: &'static [&'static str],
        /// Where in a setting it would say so.
        at: &'static str,
        /// What it would say.
        name: String,
        /// The names of settings that may say so.
        besides: Vec<String>,
    },
    /// Fails when anything of an organization is stored: groups, users or keys. Stands before its removal.
    ExpectEmptyOrganization(OrganizationId),
    /// Fails unless a user has fewer keys than this.
    ExpectFewerKeys(UserId, u32),
    /// Fails unless the stored members of a group are these, each in its version. Stands before the changes that it guards.
    ExpectMembers(GroupId, Vec<(UserId, i64)>),
    /// An organization as it shall be.
    PutOrganization(Organization, Expect),
    /// Removes an organization.
    DeleteOrganization(OrganizationId),
    /// A group as it shall be. A new one has nothing that was kept for one of its id.
    PutGroup(Group, Expect),
    /// Removes a group, its memberships and its keys. What is kept for its keys goes by
    /// [`forget_kept_of_gone_group`](super::Store::forget_kept_of_gone_group).
    DeleteGroup(GroupId),
    /// A user as they shall be. One who is new has no ways in that somebody of their id may have left and nothing that was kept for
    /// them, and of keys that are left it isn't known who had them in hand.
    PutUser(User, Expect),
    /// Removes a user, their memberships and their keys. What is kept for them goes by
    /// [`forget_kept_of_gone`](super::Store::forget_kept_of_gone).
    DeleteUser(UserId),
    /// Fails unless somebody is left who may do everything: an unblocked super administrator. Stands behind the changes that
    /// it guards, so that of two at the same time the second sees what the first has left.
    KeepSuperAdmin,
    /// Fails when anybody stored may do everything. Stands before the changes that it guards.
    ExpectNoSuperAdmin,
    /// How a user signs in.
    PutAccount(Account, Expect),
    /// All backup codes of a user, by their hashes.
    SetBackupCodes(UserId, Vec<KeyHash>),
    /// A session that begins.
    AddSession(Session),
    /// Ends a session of a user, if there is one.
    EndSession(UserId, String),
    /// Ends every session of a user.
    EndSessions(UserId),
    /// Removes whatever opens a user's account: password, second step, access tokens, sessions. Of keys that somebody had in
    /// hand as that user it isn't known any more who that was.
    ForgetWaysIn(UserId),
    /// Removes what a user has made as a caller: their keys, and the responses and conversations that are kept for them.
    ForgetCaller(UserId),
    /// Who somebody is at a provider.
    PutIdentity(Identity, Expect),
    /// Takes a sign-in that was under way; fails when it was taken before. It is remembered until then.
    UseSignIn(KeyHash, Timestamp),
    /// An access token as it shall be, and what it is found by.
    PutAccessToken(AccessToken, KeyHash, Expect),
    /// Removes every access token of a user.
    DeleteAccessTokens(UserId),
    /// Removes an access token.
    DeleteAccessToken(String),
    /// A membership as it shall be.
    PutMembership(Membership, Expect),
    /// Removes a membership, and the keys that the user has in the group.
    DeleteMembership(GroupId, UserId),
    /// A key as it shall be.
    PutKey {
        /// The key.
        key: ApiKey,
        /// What it is found by.
        hash: KeyHash,
        /// When the hash that this one replaces stops opening the key; `None` is at once.
        old_hash_until: Option<Timestamp>,
        /// Who has had the credential in hand, one a line; `None` keeps what is stored, and for a new key is whoever makes it.
        issuers: Option<String>,
        /// What must be there.
        expect: Expect,
    },
    /// Somebody who administers a key has said what it may do: who made it for themselves loosens that no more.
    GovernKey(KeyId),
    /// Removes a key.
    DeleteKey(KeyId),
    /// A channel as it shall be. Fails when another one has its name.
    PutChannel(Box<Channel>, SecretChange, Expect),
    /// Removes a channel.
    DeleteChannel(ChannelId),
    /// A policy as it shall be.
    PutPolicy(StoredPolicy, Expect),
    /// Removes a policy.
    DeletePolicy(String),
    /// A new version of a policy. Its number must be the next one.
    AddPolicyVersion(PolicyVersion),
    /// Sets a version's state and what is said of it, if it is stored in this version; everything else stays.
    SetPolicyState(PolicyVersion, i64),
    /// Removes every version of a policy.
    DeletePolicyVersions(String),
    /// A setting as it shall be.
    PutSetting(String, serde_json::Value, Expect),
    /// Removes a setting.
    DeleteSetting(String),
}

/// Changes, and the event that tells of them.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditedChange {
    /// What changes, in this order.
    pub changes: Vec<Change>,
    /// What is written down.
    pub event: NewEvent,
}

/// An event to be written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// When.
    pub at: Timestamp,
    /// Who, such as `master key`, `user u1` or `key k1`.
    pub actor: String,
    /// What, such as `key.create`.
    pub action: String,
    /// To which, such as `key k1`.
    pub target: String,
    /// Whose organization it touches; `None` is the whole installation's affair.
    pub organization: Option<OrganizationId>,
    /// Whose group it touches.
    pub group: Option<GroupId>,
    /// Whose user it touches.
    pub user: Option<UserId>,
    /// What changed. Never a secret.
    pub detail: serde_json::Value,
    /// The address that it was done from, where that is known.
    #[serde(default)]
    pub address: Option<String>,
    /// The credential that it was done by, such as `session s1` or `key k1`, where there was one.
    #[serde(default)]
    pub credential: Option<String>,
}

/// An event that was written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Its number: 1, 2, 3 and so on without a gap.
    pub seq: i64,
    /// What happened.
    #[serde(flatten)]
    pub event: NewEvent,
    /// A keyed code over it and the one before, in hexadecimal: who holds the key can tell whether any was changed,
    /// removed or put in.
    pub mac: String,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// The event.
    pub event: AuditEvent,
    /// Its detail, as the text that its code is over.
    pub detail: String,
}

/// Links an event to the one before it. Called inside the transaction that writes it.
pub trait AuditChain: Send + Sync {
    /// The code of event number `seq`, given the code of the one before it (empty for the first). `detail` is the event's detail
    /// as it is stored, byte for byte: a number that is read and written again needn't be the same text.
    fn link(&self, previous: &str, seq: i64, event: &NewEvent, detail: &str) -> String;
}
