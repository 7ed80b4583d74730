//! Signing in and the audit trail, where the API's own tests don't reach.

use super::*;

const PASSWORD: &str = "walrus teapot octave 93";
const OTHER: &str = "anchovy trellis plinth 71";

impl World {
    async fn with(&self, changes: Vec<Change>) {
        self.admin.commit(&Actor::operator(), Deed::new("test.more", String::new()), changes).await.unwrap();
    }

    async fn give_password(&self, user: &str, password: &str) {
        let new = NewPassword { password: Some(Secret::new(password)) };
        self.admin.reset_password(&Actor::operator(), &user.into(), new).await.unwrap();
    }

    async fn sign_in(&self, login: &str, password: &str) -> Result<SignedIn> {
        self.admin.sign_in(login, &Secret::new(password), &Origin::default()).await
    }
}

#[tokio::test]
async fn an_id_that_is_somebodys_address_doesnt_stand_before_them() {
    let w = world().await;
    let address = "u1@example.com";
    let u1 = UserPatch { email: Patch::Set(address.to_owned()), ..UserPatch::default() };
    w.admin.update_user(&Actor::operator(), &"u1".into(), u1).await.unwrap();
    w.give_password("u1", PASSWORD).await;
    w.with(vec![Change::PutUser(user(address, "o2", "user"), Expect::New)]).await;
    w.give_password(address, OTHER).await;
    assert_eq!(w.sign_in(address, PASSWORD).await.unwrap().view.user.as_str(), "u1");
    assert_eq!(w.sign_in("u1", PASSWORD).await.unwrap().view.user.as_str(), "u1");
    assert_eq!(w.sign_in(address, OTHER).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn an_id_and_an_address_are_guessed_at_together() {
    let w = world().await;
    let u1 = UserPatch { email: Patch::Set("u1@example.com".to_owned()), ..UserPatch::default() };
    w.admin.update_user(&Actor::operator(), &"u1".into(), u1).await.unwrap();
    w.give_password("u1", PASSWORD).await;
    for n in 0..5 {
        let login = if n % 2 == 0 { "u1" } else { "u1@example.com" };
        assert_eq!(w.sign_in(login, OTHER).await.unwrap_err().kind(), ErrorKind::Unauthenticated, "{n}");
    }
    for login in ["u1", "u1@example.com"] {
        assert_eq!(w.sign_in(login, PASSWORD).await.unwrap_err().kind(), ErrorKind::RateLimited, "{login}");
    }
}

#[tokio::test]
async fn by_a_session_ones_own_password_isnt_reset() {
    let w = world().await;
    let oa = w.actor("oa").await.in_session("s");
    let own = w.admin.reset_password(&oa, &"oa".into(), NewPassword::default()).await.unwrap_err();
    assert_eq!(own.kind(), ErrorKind::Forbidden);
    assert!(own.message().contains("/api/v1/session/password"), "{own}");
    w.admin.reset_password(&oa, &"u1".into(), NewPassword::default()).await.unwrap();
}

#[tokio::test]
async fn a_token_reads_nothing_of_how_somebody_signs_in() {
    let w = world().await;
    let scopes = from_json::<Scopes>(serde_json::json!(["read", "write"]));
    w.give_password("oa", PASSWORD).await;
    let (plain, oa) = (w.actor("oa").await, UserId::from("oa"));
    let token = plain.clone().within(scopes);
    for (actor, want) in [(&plain, None), (&token, Some(ErrorKind::Forbidden))] {
        assert_eq!(w.admin.sessions(actor, &oa).await.err().map(|it| it.kind()), want);
        assert_eq!(w.admin.tokens(actor, &oa).await.err().map(|it| it.kind()), want);
        assert_eq!(w.admin.own_account(actor).await.err().map(|it| it.kind()), want);
    }
}

#[tokio::test]
async fn a_first_administrator_who_cant_be_made_is_told_of() {
    let w = world().await;
    let set_up = || w.admin.set_up_from("root@example.com".to_owned(), Secret::new(PASSWORD));
    set_up().await.unwrap();
    let admin = w.store.user(&"admin".into(), &Reach::ALL).await.unwrap();
    assert!(admin.is_none(), "there is a super administrator already");
    w.with(vec![
        Change::DeleteUser("boss".into()),
        Change::PutUser(user("admin", "o1", "user"), Expect::New),
    ])
    .await;
    let error = set_up().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("user `admin`"), "{error}");

    let declared = SetUp { id: Some("uf".into()), email: None, alias: None, password: Secret::new(PASSWORD) };
    let error = w.admin.set_up(&Actor::operator(), declared).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("gateway.yaml"), "{error}");
}

#[tokio::test]
async fn a_number_that_reading_changes_leaves_the_audit_trail_sound() {
    let w = world().await;
    let number = 9.869353375553726e99_f64;
    let metadata = from_json(serde_json::json!({"n": number}));
    let new = NewGroup { organization: Some("o1".into()), metadata, ..NewGroup::default() };
    w.admin.create_group(&Actor::operator(), new).await.unwrap();
    let check = w.admin.verify_audit(&Actor::operator(), &[]).await.unwrap();
    assert!(check.sound, "{check:?}");
}

#[tokio::test]
async fn every_anchor_of_many_is_checked_in_one_pass() {
    let w = world().await;
    let anchor = w.admin.audit_anchor(&Actor::operator()).await.unwrap();
    let other = AuditAnchor { mac: "aa".to_owned(), ..anchor.clone() };
    let later = AuditAnchor { seq: anchor.seq + 1, ..anchor.clone() };
    let anchors = [anchor.clone(), later.clone(), other.clone(), anchor.clone(), other.clone()];
    let check = w.admin.verify_audit(&Actor::operator(), &anchors).await.unwrap();
    let places: Vec<i64> = check.faults.iter().map(|fault| fault.seq).collect();
    assert_eq!(places, [anchor.seq, anchor.seq, later.seq]);
}
