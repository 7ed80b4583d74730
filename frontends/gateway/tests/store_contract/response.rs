//! Responses that are kept.

use std::sync::Arc;

use sluicegate::core::{Caller, OrganizationId};
use sluicegate::store::{ConversationItem, Forget, KeptConversation, KeptResponse, ResponseOwner, Store};

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

pub(super) async fn what_became_of_a_response_takes_its_place(store: Arc<dyn Store>) {
    let (mine, other) = (owner("k1", None, None), owner("k2", None, None));
    let begun = kept(&mine, "a", None, 100);
    store.keep_response(&begun, &[]).await.unwrap();
    let done = KeptResponse { body: r#"{"id":"a","output":[]}"#.into(), unseen: 9, ..begun.clone() };
    assert!(store.replace_response(&done, &["msg_a".to_owned()]).await.unwrap());
    assert_eq!(store.response(&mine, "a", at(50)).await.unwrap(), Some(done.clone()));
    assert!(store.response_of_item(&mine, "msg_a", at(50)).await.unwrap().is_some());
    let foreign = KeptResponse { owner: other, ..done.clone() };
    assert!(!store.replace_response(&foreign, &["msg_b".to_owned()]).await.unwrap());
    // What was forgotten meanwhile doesn't come back.
    assert!(store.forget_response(&mine, "a", at(50)).await.unwrap());
    assert!(!store.replace_response(&done, &["msg_a".to_owned()]).await.unwrap());
    assert_eq!(store.response(&mine, "a", at(50)).await.unwrap(), None);
    assert_eq!(store.response_of_item(&mine, "msg_a", at(50)).await.unwrap(), None);
}

pub(super) async fn conversations_are_kept_in_the_order_of_what_was_said(store: Arc<dyn Store>) {
    let (mine, other) = (owner("k1", None, None), owner("k2", None, None));
    let item = |id: &str| ConversationItem { id: id.to_owned(), body: format!(r#"{{"id":"{id}"}}"#).into() };
    let made = KeptConversation {
        owner: mine.clone(),
        id: "conv_1".to_owned(),
        created_at: at(1),
        expires_at: at(100),
        metadata: r#"{"a":"é"}"#.into(),
    };
    store.make_conversation(&made, &[item("a"), item("b")]).await.unwrap();
    assert_eq!(store.kept_conversation(&mine, "conv_1", at(50)).await.unwrap(), Some(made.clone()));
    // Two at once: each keeps its own order, and neither is lost.
    let add = |id: &'static str| {
        let (store, mine) = (Arc::clone(&store), mine.clone());
        async move {
            let items = [id, id].map(|id| ConversationItem { id: id.to_owned(), body: "{}".into() });
            store.add_to_conversation(&mine, "conv_1", &items, at(60), at(200)).await.unwrap()
        }
    };
    let (one, two) = tokio::join!(add("c"), add("d"));
    assert!(one && two);
    let items = store.conversation_items(&mine, "conv_1").await.unwrap().unwrap();
    let ids: Vec<_> = items.iter().map(|item| item.id.as_str()).collect();
    assert!(ids == ["a", "b", "c", "c", "d", "d"] || ids == ["a", "b", "d", "d", "c", "c"], "{ids:?}");
    // It lives on from what was said last.
    assert!(store.kept_conversation(&mine, "conv_1", at(150)).await.unwrap().is_some());
    assert!(store.change_conversation(&mine, "conv_1", "{}", at(150)).await.unwrap());
    assert!(store.forget_conversation_item(&mine, "conv_1", "c").await.unwrap());
    assert!(!store.forget_conversation_item(&mine, "conv_1", "c").await.unwrap());
    // Foreign, unknown and expired ones are the same.
    for (owner, id, now) in [(&other, "conv_1", 50), (&mine, "conv_2", 50), (&mine, "conv_1", 200)] {
        assert_eq!(store.kept_conversation(owner, id, at(now)).await.unwrap(), None);
        assert!(!store.change_conversation(owner, id, "{}", at(now)).await.unwrap());
        assert!(!store.add_to_conversation(owner, id, &[item("x")], at(now), at(300)).await.unwrap());
        assert!(!store.forget_conversation(owner, id, at(now)).await.unwrap());
    }
    assert_eq!(store.conversation_items(&other, "conv_1").await.unwrap(), Some(Vec::new()));
    let many = vec![item("m"); 4_096];
    assert!(store.add_to_conversation(&mine, "conv_1", &many, at(60), at(200)).await.unwrap());
    assert_eq!(store.conversation_items(&mine, "conv_1").await.unwrap(), None, "it is too long to be read");
    assert!(store.forget_conversation(&mine, "conv_1", at(60)).await.unwrap());
    assert_eq!(store.conversation_items(&mine, "conv_1").await.unwrap(), Some(Vec::new()));
    store.make_conversation(&made, &[item("a")]).await.unwrap();
    let what = Forget { records_before: None, sums_before: None, ended_before: at(101) };
    assert_eq!(store.prune(&what).await.unwrap().rows, 2, "a conversation, and its item");
}
