//! Responses that are kept.

use std::sync::Arc;

use sluicegate::core::{Caller, OrganizationId};
use sluicegate::store::{Forget, KeptResponse, ResponseOwner, Store};

use super::at;

fn owner(key: &str, user: Option<&str>, group: Option<&str>) -> ResponseOwner {
    let mut caller = Caller::operator(OrganizationId::from("o"), &[]);
    caller.key = Some(key.into());
    caller.user = user.map(Into::into);
    caller.group = group.map(Into::into);
    ResponseOwner::of(&caller)
}

fn kept(owner: &ResponseOwner, id: &str, previous: Option<&str>, expires: i64) -> KeptResponse {
    KeptResponse {
        owner: owner.clone(),
        id: id.to_owned(),
        previous: previous.map(Into::into),
        channel: "c".into(),
        conversation: u64::MAX - 1,
        unseen: 7,
        created_at: at(1),
        expires_at: at(expires),
        input: r#"[{"content":"é\u0000"}]"#.into(),
        body: format!(r#"{{"id":"{id}"}}"#).into(),
    }
}

pub(super) async fn responses_are_kept_for_their_owner_and_in_their_order(store: Arc<dyn Store>) {
    let (mine, other) = (owner("k1", Some("u"), Some("g")), owner("k1", Some("u"), None));
    // Keys of the same user and group share; a key without either is by itself.
    assert_eq!(mine, owner("k2", Some("u"), Some("g")));
    assert_ne!(owner("k1", None, None), owner("k2", None, None));
    assert_ne!(owner("k", Some("a"), None), owner("k", None, Some("a")));
    let chain = [("a", None), ("b", Some("a")), ("c", Some("b"))].map(|(id, on)| kept(&mine, id, on, 100));
    for response in &chain {
        let items = [format!("msg_{}", response.id)];
        store.keep_response(response, &items).await.unwrap();
    }
    let again = KeptResponse { body: "{}".into(), ..chain[0].clone() };
    store.keep_response(&again, &["msg_other".to_owned()]).await.unwrap();
    assert_eq!(store.response(&mine, "a", at(50)).await.unwrap().as_ref(), Some(&chain[0]));
    assert_eq!(store.conversation(&mine, "c", at(50)).await.unwrap(), chain);
    assert_eq!(store.conversation(&mine, "a", at(50)).await.unwrap(), chain[..1]);

    let of_item = |item: &'static str, now: i64| {
        let (store, mine) = (Arc::clone(&store), mine.clone());
        async move { store.response_of_item(&mine, item, at(now)).await.unwrap().map(|kept| kept.id) }
    };
    // What it was made from is nobody's question there, and may be large.
    let without_input = KeptResponse { input: "".into(), ..chain[1].clone() };
    assert_eq!(store.response_of_item(&mine, "msg_b", at(50)).await.unwrap(), Some(without_input));
    assert_eq!(of_item("msg_b", 50).await.as_deref(), Some("b"));
    assert_eq!((of_item("msg_b", 100).await, of_item("msg_other", 50).await), (None, None));
    assert_eq!(store.response_of_item(&other, "msg_b", at(50)).await.unwrap(), None);

    // Foreign, unknown and expired ones are the same.
    for (owner, id, now) in [(&other, "c", 50), (&mine, "x", 50), (&mine, "c", 100)] {
        assert_eq!(store.response(owner, id, at(now)).await.unwrap(), None);
        assert_eq!(store.conversation(owner, id, at(now)).await.unwrap(), []);
        assert!(!store.forget_response(owner, id, at(now)).await.unwrap());
    }
    // The same id is another's response.
    store.keep_response(&kept(&other, "b", None, 100), &[]).await.unwrap();
    assert!(store.forget_response(&mine, "b", at(50)).await.unwrap());
    assert!(store.response(&other, "b", at(50)).await.unwrap().is_some());
    assert_eq!(store.conversation(&mine, "c", at(50)).await.unwrap(), [], "its beginning is gone");
    assert_eq!(of_item("msg_b", 50).await, None, "its items are gone with it");

    let what = Forget { records_before: None, sums_before: None, ended_before: at(101) };
    assert_eq!(store.prune(&what).await.unwrap().rows, 5, "three responses, and two items");
    assert_eq!(store.response(&mine, "a", at(50)).await.unwrap(), None);
}
