//! `/api/v1/spend` in pages that go on behind their last row.

use serde_json::{Value, json};
use sluicegate_server::block_on;

use crate::rig::{MASTER, Rig};

#[test]
fn sums_go_on_behind_their_last_row() {
    block_on(async {
        let rig = Rig::new().await;
        let call = |user: &str| json!({"model": "mock", "max_tokens": 5, "user": user, "messages": [{"role": "user", "content": "hi"}]});
        let customers = ["a", "b", "c", "d", "e"];
        for customer in customers {
            let answer = rig.ask("POST", "/v1/chat/completions", MASTER, &call(customer)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let path = format!("/api/v1/spend?by=day,customer&limit=2&cursor={cursor}");
            let page = rig.manage("GET", &path, Value::Null).await;
            assert_eq!(page["total"], 5, "{page}");
            let items = page["items"].as_array().unwrap();
            seen.extend(items.iter().map(|it| it["by"]["customer"].as_str().unwrap().to_owned()));
            pages += 1;
            // One comes in front of where it goes on, and isn't told twice or instead of another.
            rig.ask("POST", "/v1/chat/completions", MASTER, &call("a")).await;
            match page["next"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!((seen, pages), (customers.map(str::to_owned).to_vec(), 3));
        for path in [
            "/api/v1/spend?by=day,customer&cursor=nothing".to_owned(),
            format!("/api/v1/spend?by=customer&cursor={cursor}"),
            format!("/api/v1/spend?cursor={cursor}"),
        ] {
            let answer = rig.ask("GET", &path, MASTER, &Value::Null).await;
            assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        }
    });
}
