//! What is kept for a user or a group that goes.

use sluicegate_core::Caller;

use super::*;
use crate::store::{KeptResponse, ResponseOwner};

async fn keep(w: &World, owner: &ResponseOwner) {
    let kept = KeptResponse {
        owner: owner.clone(),
        id: "r".to_owned(),
        previous: None,
        channel: "c".into(),
        conversation: 1,
        unseen: 0,
        created_at: Timestamp::from_ms(NOW),
        expires_at: Timestamp::from_ms(NOW + 1_000),
        input: "[]".into(),
        body: "{}".into(),
    };
    w.store.keep_response(&kept, &[]).await.unwrap();
}

async fn is_kept(w: &World, owner: &ResponseOwner) -> bool {
    w.store.response(owner, "r", Timestamp::from_ms(NOW)).await.unwrap().is_some()
}

#[tokio::test]
async fn what_a_groups_keys_kept_goes_with_it() {
    let w = world().await;
    let operator = Actor::operator();
    let owner = |organization: &str, group: &str| {
        let mut caller = Caller::operator(organization.into(), &[]);
        caller.group = Some(group.into());
        ResponseOwner::of(&caller)
    };
    let [first, second, other] = [owner("o1", "g1"), owner("o1", "g2"), owner("o2", "g3")];
    for it in [&first, &second, &other] {
        keep(&w, it).await;
    }
    w.admin.delete_group(&operator, "g1").await.unwrap();
    assert!(!is_kept(&w, &first).await);
    assert!(is_kept(&w, &second).await);
    w.admin.delete_groups(&operator, &["g2".into()]).await.unwrap();
    assert!(!is_kept(&w, &second).await);
    assert!(is_kept(&w, &other).await, "of another organization");
}

#[tokio::test]
async fn what_was_kept_for_a_user_goes_with_them() {
    let w = world().await;
    let operator = Actor::operator();
    let mut caller = Caller::operator("o1".into(), &[]);
    caller.user = Some("u2".into());
    let owner = ResponseOwner::of(&caller);
    let new = || NewUser { id: Some("u2".into()), organization: Some("o1".into()), ..NewUser::default() };
    keep(&w, &owner).await;
    w.admin.delete_user(&operator, &"u2".into()).await.unwrap();
    assert!(!is_kept(&w, &owner).await);
    w.admin.create_user(&operator, new()).await.unwrap();
    keep(&w, &owner).await;
    let bulk = UserBulk { users: vec!["u2".into()], delete: true, ..UserBulk::default() };
    assert!(w.admin.change_users(&operator, bulk).await.unwrap().done);
    assert!(!is_kept(&w, &owner).await);
    // What a call left that ended after that.
    keep(&w, &owner).await;
    w.admin.create_user(&operator, new()).await.unwrap();
    assert!(!is_kept(&w, &owner).await);
}
