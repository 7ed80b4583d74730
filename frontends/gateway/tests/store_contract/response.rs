//! Responses that are kept.

use std::sync::Arc;

use sluicegate::core::{Caller, OrganizationId};
use sluicegate::store::{
    Added, CONVERSATION_ITEMS_MAX, ConversationItem, ConversationShare, Forget, Full, ItemsAsked,
    KeptConversation, KeptResponse, ResponseOwner, ResponseWork, Store,
};

use super::at;

pub(super) fn owner(key: &str, user: Option<&str>, group: Option<&str>) -> ResponseOwner {
    let mut caller = Caller::operator(OrganizationId::from("o"), &[]);
    caller.key = Some(key.into());
    caller.user = user.map(Into::into);
    caller.group = group.map(Into::into);
    ResponseOwner::of(&caller)
}

pub(super) fn kept(owner: &ResponseOwner, id: &str, previous: Option<&str>, expires: i64) -> KeptResponse {
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

pub(super) const MUCH: ConversationShare = ConversationShare { conversations: 100, bytes: 1 << 30 };

fn item(id: &str) -> ConversationItem {
    ConversationItem { id: id.to_owned(), body: format!(r#"{{"id":"{id}"}}"#).into() }
}

pub(super) fn conversation(owner: &ResponseOwner, id: &str) -> KeptConversation {
    KeptConversation {
        owner: owner.clone(),
        id: id.to_owned(),
        created_at: at(1),
        expires_at: at(100),
        metadata: r#"{"a":"é"}"#.into(),
        items: 0,
        bytes: 0,
    }
}

pub(super) async fn conversations_are_kept_in_the_order_of_what_was_said(store: Arc<dyn Store>) {
    let (mine, other) = (owner("k1", None, None), owner("k2", None, None));
    let made = conversation(&mine, "conv_1");
    assert_eq!(store.make_conversation(&made, &[item("a"), item("b")], MUCH).await.unwrap(), Added::Yes);
    let counted = KeptConversation { items: 2, bytes: 20, ..made.clone() };
    assert_eq!(store.kept_conversation(&mine, "conv_1", at(50)).await.unwrap(), Some(counted));
    // Two at once: each keeps its own order, and neither is lost.
    let add = |id: &'static str| {
        let (store, mine) = (Arc::clone(&store), mine.clone());
        async move {
            let items = [id, id].map(|id| ConversationItem { id: id.to_owned(), body: "{}".into() });
            store.add_to_conversation(&mine, "conv_1", &items, (at(60), at(200)), Some(MUCH)).await.unwrap()
        }
    };
    assert_eq!(tokio::join!(add("c"), add("d")), (Added::Yes, Added::Yes));
    let items = store.conversation_items(&mine, "conv_1").await.unwrap().unwrap();
    let ids: Vec<_> = items.iter().map(|item| item.id.as_str()).collect();
    assert!(ids == ["a", "b", "c", "c", "d", "d"] || ids == ["a", "b", "d", "d", "c", "c"], "{ids:?}");
    // It lives on from what was said last.
    assert!(store.kept_conversation(&mine, "conv_1", at(150)).await.unwrap().is_some());
    assert!(store.change_conversation(&mine, "conv_1", "{}", at(150)).await.unwrap());
    assert!(store.forget_conversation_item(&mine, "conv_1", "c").await.unwrap());
    assert!(!store.forget_conversation_item(&mine, "conv_1", "c").await.unwrap());
    let left = store.kept_conversation(&mine, "conv_1", at(150)).await.unwrap().unwrap();
    assert_eq!((left.items, left.bytes), (4, 24), "two went at once");
    // Foreign, unknown and expired ones are the same.
    for (owner, id, now) in [(&other, "conv_1", 50), (&mine, "conv_2", 50), (&mine, "conv_1", 200)] {
        assert_eq!(store.kept_conversation(owner, id, at(now)).await.unwrap(), None);
        assert!(!store.change_conversation(owner, id, "{}", at(now)).await.unwrap());
        let lives = (at(now), at(300));
        let added = store.add_to_conversation(owner, id, &[item("x")], lives, Some(MUCH)).await.unwrap();
        assert_eq!(added, Added::Missing);
        assert!(!store.forget_conversation(owner, id, at(now)).await.unwrap());
    }
    assert_eq!(store.conversation_items(&other, "conv_1").await.unwrap(), Some(Vec::new()));
    assert_eq!(store.conversation_item(&other, "conv_1", "a").await.unwrap(), None);
    assert_eq!(store.conversation_item(&mine, "conv_1", "a").await.unwrap(), Some(item("a")));
    assert!(store.forget_conversation(&mine, "conv_1", at(60)).await.unwrap());
    assert_eq!(store.conversation_items(&mine, "conv_1").await.unwrap(), Some(Vec::new()));

    store.make_conversation(&made, &[item("a")], MUCH).await.unwrap();
    // Its items live as long as it does, however old they are.
    let longer = (at(90), at(300));
    store.add_to_conversation(&mine, "conv_1", &[item("b")], longer, Some(MUCH)).await.unwrap();
    let what = |before| Forget { records_before: None, sums_before: None, ended_before: at(before) };
    assert_eq!(store.prune(&what(250)).await.unwrap().rows, 0);
    assert_eq!(store.conversation_items(&mine, "conv_1").await.unwrap(), Some(vec![item("a"), item("b")]));
    assert_eq!(store.prune(&what(301)).await.unwrap().rows, 3, "a conversation, and its items");
}

pub(super) async fn conversations_of_an_owner_are_bounded(store: Arc<dyn Store>) {
    let (mine, other) = (owner("k1", None, None), owner("k2", None, None));
    let most = ConversationShare { conversations: 2, bytes: 40 };
    let make = async |owner: &ResponseOwner, id: &str, items: &[ConversationItem]| {
        store.make_conversation(&conversation(owner, id), items, most).await.unwrap()
    };
    let add = async |id: &str, items: &[ConversationItem], most| {
        store.add_to_conversation(&mine, id, items, (at(50), at(200)), most).await.unwrap()
    };
    assert_eq!(make(&mine, "conv_1", &[item("a")]).await, Added::Yes);
    // What was refused is as if it had never been asked.
    assert_eq!(make(&mine, "conv_2", &vec![item("b"); 4]).await, Added::Full(Full::OwnerBytes));
    assert_eq!(make(&mine, "conv_2", &[item("b")]).await, Added::Yes);
    assert_eq!(make(&mine, "conv_3", &[]).await, Added::Full(Full::Conversations));
    assert_eq!(make(&other, "conv_3", &[]).await, Added::Yes, "each owner has a share");
    assert_eq!(add("conv_1", &[item("c"), item("d")], Some(most)).await, Added::Yes);
    assert_eq!(add("conv_1", &[item("e")], Some(most)).await, Added::Full(Full::OwnerBytes));
    let kept = store.kept_conversation(&mine, "conv_1", at(50)).await.unwrap().unwrap();
    assert_eq!((kept.items, kept.bytes), (3, 30));
    // What was said is kept in any case.
    assert_eq!(add("conv_1", &[item("e")], None).await, Added::Yes);
    let has = store.conversation_share(&mine, at(50)).await.unwrap();
    assert_eq!(has, ConversationShare { conversations: 2, bytes: 50 });
    // What goes makes room, and so does what is over.
    assert!(store.forget_conversation_item(&mine, "conv_1", "a").await.unwrap());
    assert_eq!(store.conversation_share(&mine, at(50)).await.unwrap().bytes, 40);
    let has = store.conversation_share(&mine, at(150)).await.unwrap();
    assert_eq!(has, ConversationShare { conversations: 1, bytes: 30 }, "the other has expired");

    // One conversation has an end of its own.
    let full = vec![item("m"); usize::try_from(CONVERSATION_ITEMS_MAX).unwrap()];
    let long = conversation(&mine, "conv_9");
    let beyond = [full.as_slice(), &[item("n")]].concat();
    assert_eq!(store.make_conversation(&long, &beyond, MUCH).await.unwrap(), Added::Full(Full::Items));
    assert_eq!(store.make_conversation(&long, &full, MUCH).await.unwrap(), Added::Yes);
    assert_eq!(add("conv_9", &[item("n")], Some(MUCH)).await, Added::Full(Full::Items));
    assert_eq!(store.conversation_items(&mine, "conv_9").await.unwrap().unwrap().len(), full.len());
}

pub(super) async fn conversations_of_any_length_are_read_page_by_page(store: Arc<dyn Store>) {
    let mine = owner("k1", None, None);
    store.make_conversation(&conversation(&mine, "conv_1"), &[], MUCH).await.unwrap();
    let ids: Vec<String> = (0..5_000).map(|n| format!("i{n}")).collect();
    let items: Vec<_> = ids.iter().map(|id| item(id)).collect();
    store.add_to_conversation(&mine, "conv_1", &items, (at(2), at(200)), None).await.unwrap();
    assert_eq!(store.conversation_items(&mine, "conv_1").await.unwrap(), None, "too long for a call");
    for ascending in [true, false] {
        let (mut read, mut after) = (Vec::new(), None);
        loop {
            let asked = ItemsAsked { after: after.as_deref(), limit: 999, ascending };
            let page = store.conversation_page(&mine, "conv_1", &asked).await.unwrap().unwrap();
            assert!(page.items.len() <= 999);
            after = page.items.last().map(|item| item.id.clone());
            read.extend(page.items.into_iter().map(|item| item.id));
            if !page.more {
                break;
            }
        }
        if !ascending {
            read.reverse();
        }
        assert!(read == ids, "{ascending}: {} items", read.len());
    }
    let unknown = ItemsAsked { after: Some("nobody"), limit: 1, ascending: true };
    assert_eq!(store.conversation_page(&mine, "conv_1", &unknown).await.unwrap(), None);
    // Large items make small pages, of one at least.
    let large = |id: &str| ConversationItem { id: id.to_owned(), body: "x".repeat(5 << 20).into() };
    store.make_conversation(&conversation(&mine, "conv_2"), &["a", "b", "c"].map(large), MUCH).await.unwrap();
    let asked = ItemsAsked { after: None, limit: 100, ascending: true };
    let page = store.conversation_page(&mine, "conv_2", &asked).await.unwrap().unwrap();
    assert_eq!((page.items.len(), page.more), (1, true));
    // An item in the middle of many goes, and then all at once.
    assert!(store.forget_conversation_item(&mine, "conv_1", "i4500").await.unwrap());
    assert_eq!(store.conversation_item(&mine, "conv_1", "i4500").await.unwrap(), None);
    assert!(store.forget_conversation(&mine, "conv_1", at(50)).await.unwrap());
    assert_eq!(store.conversation_item(&mine, "conv_1", "i4999").await.unwrap(), None);
}

pub(super) async fn who_works_on_a_response_is_known_to_all(store: Arc<dyn Store>) {
    let (mine, other) = (owner("k1", None, None), owner("k2", None, None));
    for (owner, id, worker) in [(&mine, "a", "w1"), (&mine, "b", "w1"), (&other, "a", "w2")] {
        store.begin_work(owner, id, worker, at(10)).await.unwrap();
    }
    assert_eq!(store.work_seen(&mine, "a").await.unwrap(), Some(at(10)));
    assert_eq!(store.work_seen(&other, "b").await.unwrap(), None);
    assert!(store.cancel_work(&mine, "b").await.unwrap());
    assert!(!store.cancel_work(&other, "b").await.unwrap(), "it is somebody else's");
    let mut tended = store.tend_work("w1", at(20)).await.unwrap();
    tended.sort_by(|a, b| a.id.cmp(&b.id));
    let work = |id: &str, cancelled| ResponseWork { owner: mine.clone(), id: id.to_owned(), cancelled };
    assert_eq!(tended, [work("a", false), work("b", true)]);
    assert_eq!(store.work_seen(&mine, "a").await.unwrap(), Some(at(20)));
    assert_eq!(store.work_seen(&other, "a").await.unwrap(), Some(at(10)));
    store.end_work(&mine, "a").await.unwrap();
    assert_eq!(store.work_seen(&mine, "a").await.unwrap(), None);
    assert_eq!((store.end_work_of("w1").await.unwrap(), store.end_work_of("w1").await.unwrap()), (1, 0));
    let what = Forget { records_before: None, sums_before: None, ended_before: at(15) };
    assert_eq!(store.prune(&what).await.unwrap().rows, 1, "what nobody has seen for long");
}

pub(super) async fn what_a_user_made_as_a_caller_is_forgotten_without_anybody_elses(store: Arc<dyn Store>) {
    use sluicegate::store::{Change, Expect, KeyFilter, Page, Reach};
    let put = |id: &str, user: Option<&str>, issuers: &str| Change::PutKey {
        key: super::key(id, None, user, "o"),
        hash: sluicegate::credential::KeyHash::of(id),
        old_hash_until: None,
        issuers: Some(issuers.to_owned()),
        expect: Expect::New,
    };
    let keys = [
        put("k1", Some("u"), "user u"),
        put("k2", Some("U"), "user U\nuser u"),
        put("k3", None, "user u2"),
        put("k4", Some("a_u"), "user a_u"),
    ];
    super::apply(&*store, &keys).await.unwrap();
    let left = async || {
        let found = store.keys(&KeyFilter::default(), &Reach::ALL, Page::default()).await.unwrap().items;
        let mut left: Vec<String> =
            found.iter().map(|it| format!("{} {}", it.key.value.id, it.issuers)).collect();
        left.sort();
        left
    };
    super::apply(&*store, &[Change::ForgetWaysIn("u".into())]).await.unwrap();
    assert_eq!(left().await, ["k1 unknown", "k2 unknown", "k3 user u2", "k4 user a_u"]);

    let owners = [
        (owner("k1", Some("u"), Some("g")), false),
        (owner("k1", Some("u"), None), false),
        (owner("k2", Some("U"), Some("g")), true),
        (owner("k4", Some("a_u"), None), true),
        (owner("k5", Some("a\",\"u"), None), true),
        (owner("k6", None, Some("u")), true),
        (owner("u", None, None), true),
    ];
    for (owner, _) in &owners {
        store.keep_response(&kept(owner, "r", None, 100), &["i".to_owned()]).await.unwrap();
        assert_eq!(
            store.make_conversation(&conversation(owner, "c"), &[item("a")], MUCH).await.unwrap(),
            Added::Yes
        );
    }
    let mine = owner("k1", Some("u"), Some("g"));
    // Many go in several pieces, and one that comes afterwards goes with the keys.
    for n in 0..250 {
        store.keep_response(&kept(&mine, &format!("r{n}"), None, 100), &[format!("i{n}")]).await.unwrap();
    }
    store.forget_kept(&"u".into()).await.unwrap();
    assert!(store.response(&mine, "r249", at(50)).await.unwrap().is_none());
    assert!(store.response_of_item(&mine, "i249", at(50)).await.unwrap().is_none());
    assert_eq!(left().await.len(), 4);
    store.keep_response(&kept(&mine, "r", None, 100), &["i".to_owned()]).await.unwrap();
    super::apply(&*store, &[Change::ForgetCaller("u".into())]).await.unwrap();
    assert_eq!(left().await, ["k2 unknown", "k3 user u2", "k4 user a_u"]);
    for (owner, stays) in &owners {
        let found = [
            store.response(owner, "r", at(50)).await.unwrap().is_some(),
            store.response_of_item(owner, "i", at(50)).await.unwrap().is_some(),
            store.kept_conversation(owner, "c", at(50)).await.unwrap().is_some(),
        ];
        assert_eq!(found, [*stays; 3], "{owner:?}");
    }
}

pub(super) async fn what_was_kept_for_a_user_goes_with_them(store: Arc<dyn Store>) {
    use sluicegate::store::{Change, Expect};
    let put = || Change::PutUser(super::user("u", "o1"), Expect::New);
    let (mine, others) = (owner("k1", Some("u"), Some("g")), owner("k2", Some("u2"), None));
    let keep = async |owner: &ResponseOwner, count: usize| {
        for n in 0..count {
            store.keep_response(&kept(owner, &format!("r{n}"), None, 100), &[format!("i{n}")]).await.unwrap();
        }
        store.make_conversation(&conversation(owner, "c"), &[item("a")], MUCH).await.unwrap();
    };
    let left = async |owner: &ResponseOwner| {
        [
            store.response(owner, "r0", at(50)).await.unwrap().is_some(),
            store.response_of_item(owner, "i0", at(50)).await.unwrap().is_some(),
            store.kept_conversation(owner, "c", at(50)).await.unwrap().is_some(),
        ]
    };
    super::apply(&*store, &[put()]).await.unwrap();
    // More than goes in one piece.
    keep(&mine, 150).await;
    keep(&others, 1).await;
    store.forget_kept_of_gone(&"u".into()).await.unwrap();
    assert_eq!(left(&mine).await, [true; 3], "they are still there");
    super::apply(&*store, &[Change::DeleteUser("u".into())]).await.unwrap();
    store.forget_kept_of_gone(&"u".into()).await.unwrap();
    assert_eq!(left(&mine).await, [false; 3]);
    assert!(store.response(&mine, "r149", at(50)).await.unwrap().is_none());
    // A call that ended after they were gone has left something; whoever comes under the id has nothing of it.
    keep(&mine, 1).await;
    super::apply(&*store, &[put()]).await.unwrap();
    assert_eq!(left(&mine).await, [false; 3]);
    assert_eq!(left(&others).await, [true; 3]);
}

pub(super) async fn what_was_kept_for_a_group_goes_with_it(store: Arc<dyn Store>) {
    use sluicegate::store::{Change, Expect};
    let put = |id: &str| Change::PutGroup(super::group(id, None, "o"), Expect::New);
    let (of_group, of_member) = (owner("k1", None, Some("g")), owner("k2", Some("u"), Some("g")));
    let of_other = owner("k3", None, Some("g2"));
    let keep = async |owner: &ResponseOwner| {
        store.keep_response(&kept(owner, "r", None, 100), &["i".to_owned()]).await.unwrap();
        store.make_conversation(&conversation(owner, "c"), &[item("a")], MUCH).await.unwrap();
    };
    let left = async |owner: &ResponseOwner| {
        [
            store.response(owner, "r", at(50)).await.unwrap().is_some(),
            store.response_of_item(owner, "i", at(50)).await.unwrap().is_some(),
            store.kept_conversation(owner, "c", at(50)).await.unwrap().is_some(),
        ]
    };
    super::apply(&*store, &[put("g"), put("g2")]).await.unwrap();
    for owner in [&of_group, &of_member, &of_other] {
        keep(owner).await;
    }
    let forget = async || store.forget_kept_of_gone_group(&"o".into(), &"g".into()).await.unwrap();
    forget().await;
    assert_eq!(left(&of_group).await, [true; 3], "the group is still there");
    super::apply(&*store, &[Change::DeleteGroup("g".into())]).await.unwrap();
    forget().await;
    assert_eq!(left(&of_group).await, [false; 3]);
    // A call that ended after the group was gone has left something; a group of its id has nothing of it.
    keep(&of_group).await;
    super::apply(&*store, &[put("g")]).await.unwrap();
    assert_eq!(left(&of_group).await, [false; 3]);
    // A member's own is the member's, in whatever group; another group's stays.
    assert_eq!([left(&of_member).await, left(&of_other).await], [[true; 3]; 2]);
}
