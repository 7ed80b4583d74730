//! By what calls are found.

use super::*;
use crate::store::LogFilter;

#[tokio::test]
async fn calls_are_found_by_what_is_whole_within_the_askers_organization() {
    let w = world().await;
    let all = RecordFilter::default;
    let user = |id: &str| RecordFilter { user: Some(id.into()), ..all() };
    let key = |id: &str| RecordFilter { key: Some(id.into()), ..all() };
    let group = |id: &str| RecordFilter { group: Some(id.into()), ..all() };
    for (actor, base, is_own) in [
        ("oa", user("u2"), true),
        ("au", user("u2"), true),
        ("oa", key("k3"), true),
        ("oa", group("g2"), true),
        ("oa", all(), false),
        // Somebody else's are as those that there aren't.
        ("oa", user("u3"), false),
        ("oa", user("nobody"), false),
        ("oa", key("k4"), false),
        ("oa", key("nothing"), false),
        ("oa", group("g3"), false),
        ("oa", RecordFilter { key: Some("k4".into()), ..user("u2") }, false),
        ("xa", user("u3"), true),
        ("xa", user("u2"), false),
        // What a member of their group does in other groups isn't theirs to see.
        ("ga", user("u1"), false),
        ("u1", user("u1"), false),
    ] {
        let filter = LogFilter { base, ..LogFilter::default() };
        let asked = w.admin.as_asked_by(&w.actor(actor).await, &filter).await.unwrap();
        assert_eq!(asked, LogFilter { is_own, ..filter.clone() }, "{actor} {filter:?}");
    }
}
