//! What is kept for a user who goes.

use sluicegate_core::Caller;

use super::*;
use crate::store::{KeptResponse, ResponseOwner};

#[tokio::test]
async fn what_was_kept_for_a_user_goes_with_them() {
    let w = world().await;
    let operator = Actor::operator();
    let mut caller = Caller::operator("o1".into(), &[]);
    caller.user = Some("u2".into());
    let owner = ResponseOwner::of(&caller);
    let keep = async || {
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
    };
    let is_kept = async || w.store.response(&owner, "r", Timestamp::from_ms(NOW)).await.unwrap().is_some();
    let new = || NewUser { id: Some("u2".into()), organization: Some("o1".into()), ..NewUser::default() };
    keep().await;
    w.admin.delete_user(&operator, &"u2".into()).await.unwrap();
    assert!(!is_kept().await);
    w.admin.create_user(&operator, new()).await.unwrap();
    keep().await;
    let bulk = UserBulk { users: vec!["u2".into()], delete: true, ..UserBulk::default() };
    assert!(w.admin.change_users(&operator, bulk).await.unwrap().done);
    assert!(!is_kept().await);
    // What a call left that ended after that.
    keep().await;
    w.admin.create_user(&operator, new()).await.unwrap();
    assert!(!is_kept().await);
}
