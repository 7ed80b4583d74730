//! Reports, as a client meets them.

use serde_json::{Value, json};
use sluicegate::Timestamp;

use crate::rig::{MASTER, NOW_MS, Rig};

const HOUR: i64 = 3_600_000;

/// Two groups with a key each, and calls of three days, the last one now; one is refused.
async fn world() -> (Rig, Vec<String>) {
    let rig = Rig::new().await;
    let mut keys = Vec::new();
    for group in ["g-1", "g-2"] {
        rig.manage("POST", "/api/v1/groups", json!({"id": group, "alias": group})).await;
        let limits = if group == "g-2" { json!({"requests": {"day": 1}}) } else { json!({}) };
        let new = json!({"group": group, "alias": format!("of {group}"), "limits": limits});
        let key = rig.manage("POST", "/api/v1/keys", new).await;
        keys.push(key["secret"].as_str().unwrap().to_owned());
    }
    for (hours, key) in [(-48, 0), (-47, 0), (-24, 0), (-1, 0), (0, 1), (0, 1)] {
        rig.clock.set(Timestamp::from_ms(NOW_MS + hours * HOUR));
        let body = json!({"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}],
            "user": "=cmd()"});
        rig.ask("POST", "/v1/chat/completions", &keys[key], &body).await;
    }
    (rig, keys)
}

async fn get(rig: &Rig, path: &str) -> Value {
    rig.manage("GET", path, Value::Null).await
}

#[actix_web::test]
async fn a_report_tells_apart_compares_and_leaves_nothing_out() {
    let (rig, _) = world().await;
    let day = 24 * HOUR;
    let start = NOW_MS - NOW_MS.rem_euclid(day);
    let (from, to) = (start - 2 * day, start + day);
    let report = get(
        &rig,
        &format!("/api/v1/reports/usage?by=group&order=requests&top=1&from={from}&to={to}&compare=previous"),
    )
    .await;
    assert_eq!((report["from"].as_i64(), report["to"].as_i64()), (Some(from), Some(to)));
    assert_eq!(report["time_zone"], "UTC");
    let told =
        |it: &Value| ["requests", "successful", "failed", "denied"].map(|name| it[name].as_i64().unwrap());
    assert_eq!(told(&report["total"]), [6, 5, 0, 1], "{report}");
    let by_day: Vec<_> = report["buckets"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(by_day.iter().map(|day| day[0]).sum::<i64>(), 6);
    assert_eq!(by_day.len(), 3);
    assert_eq!(report["rows"].as_array().unwrap().len(), 1);
    let row = &report["rows"][0];
    assert_eq!((row["by"]["group"].as_str(), told(&row["total"])), (Some("g-1"), [4, 4, 0, 0]));
    assert_eq!(told(&row["previous"]), [0; 4]);
    assert_eq!(row["series"].as_array().unwrap().len(), 3);
    assert_eq!(report["others"]["rows"], 1);
    assert_eq!(told(&report["others"]["total"]), [2, 1, 0, 1]);
    assert_eq!(told(&report["others"]["series"][2])[3], 1);
    // The time before the last day is the day before it.
    let path = format!("/api/v1/reports/usage?from={}&to={to}&compare=previous", to - day);
    let report = get(&rig, &path).await;
    assert_eq!(report["previous"]["from"].as_i64(), Some(to - 2 * day));
    let before = told(&report["previous"])[0] + told(&report["total"])[0];
    assert_eq!(before, 6 - by_day[0][0]);
    // Any other time of that length: two days before, by its beginning.
    let path = format!("/api/v1/reports/usage?from={}&to={to}&compare={}", to - day, to - 3 * day);
    let report = get(&rig, &path).await;
    let times = ["from", "to"].map(|name| report["previous"][name].as_i64());
    assert_eq!(times, [Some(to - 3 * day), Some(to - 2 * day)]);
    assert_eq!(told(&report["previous"]), by_day[0]);
    // What was spent is what the records say.
    let records = get(&rig, "/api/v1/records").await;
    let spent: i64 =
        records["items"].as_array().unwrap().iter().map(|it| it["spend"].as_i64().unwrap()).sum();
    let report = get(&rig, "/api/v1/reports/usage?granularity=total&by=provider,model&order=requests").await;
    assert_eq!(report["total"]["spend"].as_i64(), Some(spent));
    assert_eq!(report["rows"][0]["by"], json!({"provider": "mock", "model": "mock"}));
    assert!(report["buckets"].as_array().unwrap().is_empty());
}

#[actix_web::test]
async fn a_report_is_a_table_without_formulas() {
    let (rig, _) = world().await;
    let path = "/api/v1/reports/usage?by=customer&granularity=total&format=";
    let csv = rig.ask("GET", &format!("{path}csv"), MASTER, &Value::Null).await;
    assert_eq!(csv.headers.get("content-type").unwrap(), "text/csv; charset=utf-8");
    let text = csv.text();
    let lines: Vec<&str> = text.trim().split("\r\n").collect();
    assert!(lines[0].starts_with("\"from\",\"to\",\"customer\","), "{text}");
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[1].contains("\"'=cmd()\""), "{text}");
    let lines = rig.ask("GET", &format!("{path}jsonl"), MASTER, &Value::Null).await.text();
    let line: Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!((&line["by"]["customer"], line["requests"].as_i64()), (&json!("=cmd()"), Some(6)));
    let by_hour = rig
        .ask("GET", "/api/v1/reports/usage?granularity=hour&format=jsonl", MASTER, &Value::Null)
        .await
        .text();
    assert_eq!(by_hour.lines().count(), 24);
}

#[actix_web::test]
async fn what_no_report_can_be_made_of_is_named() {
    let rig = Rig::new().await;
    for (query, param, says) in [
        ("by=colour", "by", "`colour` is no by of a report; take one of organization, group"),
        ("by=key,user,model", "by", "one or two"),
        ("by=key,key", "by", "two different things"),
        ("by=tag,customer", "by", "not by both"),
        ("by=channel,provider", "by", "one provider"),
        ("granularity=minute", "granularity", "hour, day, week, month, total"),
        ("granularity=hour&from=2026-01-01&to=2026-06-01", "granularity", "coarser"),
        ("time_zone=Mars/Olympus", "time_zone", "`Mars/Olympus`"),
        ("time_zone=Asia/Kolkata", "time_zone", "other minutes"),
        ("from=2026-02-01&to=2026-01-01", "to", "later"),
        ("from=yesterday", "from", "must be a date"),
        ("from=9223372036854775807", "from", "calendar"),
        ("top=101", "top", "1 to 100"),
        ("top=0", "top", "1 to 100"),
        ("compare=next", "compare", "`previous`"),
        ("compare=2026-02-30", "compare", "when the other time begins"),
        ("format=xlsx", "format", "`csv`"),
        ("limit=3", "limit", "no parameter `limit`"),
    ] {
        let answer = rig.ask("GET", &format!("/api/v1/reports/usage?{query}"), MASTER, &Value::Null).await;
        let error = &answer.json()["error"];
        assert_eq!((answer.status, &error["param"]), (400, &json!(param)), "{query}: {}", answer.text());
        assert!(error["message"].as_str().unwrap().contains(says), "{query}: {error}");
    }
}

#[actix_web::test]
async fn the_log_goes_on_where_a_page_ended() {
    let (rig, keys) = world().await;
    let (mut calls, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&rig, &format!("/api/v1/records?limit=4{cursor}")).await;
        calls.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(calls.len(), 6);
    let first = get(&rig, "/api/v1/records?limit=2&offset=3").await;
    assert_eq!((&first["items"][0], &first["total"]), (&calls[3], &json!(6)));
    for (query, count) in [
        ("status=failed", 1),
        ("status=denied", 1),
        ("status=ok", 5),
        ("error=insufficient_quota", 1),
        ("customer=%3Dcmd()", 6),
        ("group=g-1", 4),
        ("cost_over=1000000000000", 0),
        ("duration_over=0&model=mock", 6),
        ("tag=none", 0),
    ] {
        let page = get(&rig, &format!("/api/v1/records?{query}")).await;
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    // One of them, whole.
    let id = calls[5]["call"].as_str().unwrap();
    let one = get(&rig, &format!("/api/v1/records/{id}")).await;
    assert_eq!((&one["record"], &one["amendments"]), (&calls[5], &json!([])));
    assert!(one["record"]["replay"]["explanation"].is_array(), "{one}");
    // As a table.
    let csv = rig.ask("GET", "/api/v1/records?format=csv", MASTER, &Value::Null).await;
    assert!(csv.headers.get("x-sluicegate-next").is_none());
    assert_eq!(csv.text().lines().count(), 7);
    assert!(csv.text().contains("\"'=cmd()\""), "{}", csv.text());
    let lines = rig.ask("GET", "/api/v1/records?format=jsonl&status=ok", &keys[0], &Value::Null).await;
    assert_eq!(lines.text().lines().count(), 4, "a key sees its own");
    for (query, says) in [
        ("cursor=nonsense", "`cursor`"),
        ("status=sad", "`sad` is no status"),
        ("cost_over=much", "`cost_over`"),
        ("colour=red", "`colour`"),
    ] {
        let answer = rig.ask("GET", &format!("/api/v1/records?{query}"), MASTER, &Value::Null).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains(says), "{}", answer.text());
    }
}

#[actix_web::test]
async fn who_follows_the_log_sees_what_they_may() {
    let (rig, keys) = world().await;
    let follow = async |key: &str, query: &str| {
        let path = format!("/api/v1/records/tail?seconds=2{query}");
        rig.ask("GET", &path, key, &Value::Null).await
    };
    // Calls go on for as long as anybody follows: whoever begins late sees some, too.
    let calls = async {
        let body =
            json!({"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]});
        loop {
            for key in &keys {
                rig.ask("POST", "/v1/chat/completions", key, &body).await;
            }
            tokio::task::yield_now().await;
        }
    };
    let following =
        async { tokio::join!(follow(MASTER, ""), follow(&keys[0], ""), follow(MASTER, "&status=failed")) };
    let (all, first, refused) = tokio::select! {
        answers = following => answers,
        () = calls => unreachable!("calls go on"),
    };
    assert_eq!(all.headers.get("content-type").unwrap(), "text/event-stream");
    let groups = |text: &str| ["g-1", "g-2"].map(|group| text.contains(&format!("\"group\":\"{group}\"")));
    for (answer, seen) in [(all, [true, true]), (first, [true, false]), (refused, [false, true])] {
        let text = answer.text();
        assert!(text.contains("event: record\n"), "{text}");
        assert_eq!(groups(&text), seen, "{text}");
        assert!(text.ends_with("event: end\ndata: {}\n\n"), "{text}");
    }
}

#[actix_web::test]
async fn who_is_blocked_follows_the_log_no_more() {
    for (path, body) in [
        ("/api/v1/users/boss", json!({"blocked": true})),
        ("/api/v1/users/boss", json!({"role": "user"})),
        ("/api/v1/keys/of-boss", json!({"blocked": true})),
    ] {
        let (rig, keys) = world().await;
        rig.manage("POST", "/api/v1/users", json!({"id": "boss", "role": "organization_admin"})).await;
        let key = rig.manage("POST", "/api/v1/keys", json!({"alias": "of-boss", "user": "boss"})).await;
        let key = key["secret"].as_str().unwrap().to_owned();
        let call = async || {
            let body =
                json!({"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]});
            rig.ask("POST", "/v1/chat/completions", &keys[0], &body).await;
            tokio::task::yield_now().await;
        };
        let calls = async {
            // As many as it takes until the log is followed.
            for _ in 0..200 {
                call().await;
            }
            rig.manage("PATCH", path, body.clone()).await;
            loop {
                call().await;
            }
        };
        let answer = tokio::select! {
            biased;
            answer = rig.ask("GET", "/api/v1/records/tail?seconds=2", &key, &Value::Null) => answer,
            () = calls => unreachable!("calls go on"),
        };
        let seen = answer.text().matches("event: record\n").count();
        assert!((1..=200).contains(&seen), "{path} {body}: {seen}");
    }
}

#[actix_web::test]
async fn an_overview_says_what_the_reports_say_and_no_more_than_one_may_see() {
    let (rig, keys) = world().await;
    let whole = get(&rig, "/api/v1/reports/overview?top=1").await;
    let usage = get(&rig, "/api/v1/reports/usage?compare=previous&by=group&top=1").await;
    let same = |span: &Value, of: &Value| {
        for (name, value) in of.as_object().unwrap() {
            assert_eq!(&span[name], value, "{name} of {span}");
        }
    };
    same(&whole["total"], &usage["total"]);
    same(&whole["previous"], &usage["previous"]);
    assert_eq!((&whole["total"]["from"], &whole["total"]["to"]), (&usage["from"], &usage["to"]));
    let (days, want) = (whole["buckets"].as_array().unwrap(), usage["buckets"].as_array().unwrap());
    assert_eq!(days.len(), want.len());
    days.iter().zip(want).for_each(|(day, want)| same(day, want));
    assert!(whole["total"]["duration"]["p95"].is_i64(), "{}", whole["total"]);
    assert!(days.iter().any(|day| day["duration"].is_object()) && days[0]["duration"].is_null(), "{days:?}");
    let groups = whole["groups"].as_array().unwrap();
    assert_eq!((groups.len(), &groups[0]["id"], &groups[0]["name"]), (1, &json!("g-1"), &json!("g-1")));
    assert_eq!(groups[0]["total"], usage["rows"][0]["total"]);
    assert!(["of g-1", "of g-2"].contains(&whole["keys"][0]["name"].as_str().unwrap()), "{whole}");
    assert_eq!(whole["models"][0]["id"], "mock");
    let channel = &whole["channels"][0];
    assert_eq!(
        (&channel["state"], &channel["total"]["successful"]),
        (&json!("well"), &json!(5)),
        "{channel}"
    );
    assert_eq!(
        (&whole["budgets"][0]["name"], &whole["budgets"][0]["used_ppm"]),
        (&json!("of g-2"), &json!(1_000_000))
    );
    // Those who used the most are compared with the same time before.
    let day = 24 * HOUR;
    let start = NOW_MS - NOW_MS.rem_euclid(day);
    let two = get(&rig, &format!("/api/v1/reports/overview?from={}&to={}", start - day, start + day)).await;
    let first = two["groups"].as_array().unwrap().iter().find(|it| it["id"] == "g-1").unwrap();
    assert_eq!(
        (&first["previous"]["requests"], &two["previous"]["requests"]),
        (&json!(2), &json!(2)),
        "{two}"
    );
    // A key sees its own, and neither channels nor how fast its group was.
    let mine = rig.ask("GET", "/api/v1/reports/overview", &keys[0], &Value::Null).await.json();
    assert_eq!((&mine["total"]["requests"], &mine["channels"]), (&json!(4), &Value::Null), "{mine}");
    assert_eq!((&mine["total"]["duration"], mine["groups"].as_array().unwrap().len()), (&Value::Null, 1));
    assert!(!mine.to_string().contains("of g-2"), "{mine}");
    for (query, param) in [("top=0", "top"), ("top=101", "top"), ("granularity=minute", "granularity")] {
        let answer = rig.ask("GET", &format!("/api/v1/reports/overview?{query}"), MASTER, &Value::Null).await;
        assert_eq!((answer.status, &answer.json()["error"]["param"]), (400, &json!(param)), "{query}");
    }
    let unknown = rig.ask("GET", "/api/v1/reports/overview?by=key", MASTER, &Value::Null).await;
    assert_eq!((unknown.status, unknown.text().contains("`by`")), (400, true), "{}", unknown.text());
}

#[actix_web::test]
async fn a_budget_says_how_it_was_used_up_and_where_that_leads() {
    let rig = Rig::new().await;
    rig.manage("POST", "/api/v1/users", json!({"id": "u-1", "limits": {"requests": {"week": 1000}}})).await;
    let limits = json!({"requests": {"month": 100, "minute": 60}, "concurrency": 3});
    rig.manage("POST", "/api/v1/groups", json!({"id": "g-1", "limits": limits})).await;
    let day = json!({"requests": {"day": 10}, "models": {"mock": {"requests": {"lifetime": 50}}}});
    let key = rig
        .manage(
            "POST",
            "/api/v1/keys",
            json!({"group": "g-1", "user": "u-1", "alias": "of g-1", "limits": day}),
        )
        .await;
    let secret = key["secret"].as_str().unwrap().to_owned();
    let start = NOW_MS - NOW_MS.rem_euclid(24 * HOUR) + 7 * 24 * HOUR;
    // Four on the day before, then one each in three hours.
    for at in [
        start - 3 * HOUR,
        start - 2 * HOUR,
        start - 2 * HOUR,
        start - HOUR,
        start,
        start + HOUR,
        start + 2 * HOUR,
    ] {
        rig.clock.set(Timestamp::from_ms(at + 60_000));
        let body =
            json!({"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]});
        let answer = rig.ask("POST", "/v1/chat/completions", &secret, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    rig.clock.set(Timestamp::from_ms(start + 3 * HOUR));
    let all = get(&rig, "/api/v1/reports/budgets").await;
    let items = all["items"].as_array().unwrap();
    let find = |scope: &str, window: &str| {
        items
            .iter()
            .find(|it| it["scope"] == scope && it["window"] == window)
            .unwrap_or_else(|| panic!("{scope} {window}: {all}"))
    };
    let day = find("key", "day");
    assert_eq!((&day["settled"], day["starts_at"].as_i64()), (&json!(3), Some(start)), "{day}");
    let burned: Vec<_> = day["burned"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["used"].clone(), it["total"].clone()))
        .collect();
    assert_eq!(
        burned,
        [(json!(1), json!(1)), (json!(1), json!(2)), (json!(1), json!(3)), (json!(0), json!(3))]
    );
    // Of the last six hours, in which seven came: 28 a day, so that seven more last six hours.
    let forecast = &day["forecast"];
    assert_eq!(
        (&forecast["per_day"], forecast["since"].as_i64()),
        (&json!(28), Some(start - 3 * HOUR)),
        "{forecast}"
    );
    assert_eq!(
        (&forecast["used_at_end"], forecast["runs_out_at"].as_i64()),
        (&json!(27), Some(start + 9 * HOUR)),
        "{forecast}"
    );
    let month = find("group", "month");
    let last = month["burned"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["used"], &last["total"], &month["settled"]),
        (&json!(3), &month["settled"], &json!(7)),
        "{month}"
    );
    let lifetime = find("key", "lifetime");
    assert_eq!((&lifetime["starts_at"], &lifetime["forecast"]["used_at_end"]), (&Value::Null, &Value::Null));
    assert_eq!(lifetime["burned"].as_array().unwrap().last().unwrap()["total"], 7, "{lifetime}");
    // A user's limit counts only calls without a group here.
    assert_eq!(
        (&find("user", "week")["settled"], &find("user", "week")["forecast"]["per_day"]),
        (&json!(0), &json!(0))
    );
    for rate in [find("group", "minute"), items.iter().find(|it| it["metric"] == "concurrency").unwrap()] {
        assert_eq!((&rate["burned"], &rate["forecast"]), (&json!([]), &Value::Null), "{rate}");
    }
    let csv = rig.ask("GET", "/api/v1/reports/budgets?scope=key&format=csv", MASTER, &Value::Null).await;
    assert_eq!(csv.text().lines().count(), 3, "{}", csv.text());
}

#[actix_web::test]
async fn a_total_has_every_call_once_whatever_labels_it_has() {
    let (rig, keys) = world().await;
    let day = 24 * HOUR;
    let start = NOW_MS - NOW_MS.rem_euclid(day);
    rig.clock.set(Timestamp::from_ms(NOW_MS));
    for tags in [json!(["a", "b"]), json!(["a"])] {
        let body = json!({"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}],
            "metadata": {"tags": tags}});
        let answer = rig.ask("POST", "/v1/chat/completions", &keys[0], &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let span = format!("from={}&to={}&compare=previous", start - day, start + day);
    let all = get(&rig, &format!("/api/v1/reports/usage?{span}")).await;
    assert_eq!(all["told_apart"], Value::Null);
    // By what, and in how many rows calls are.
    for (by, told) in [("tag", 3), ("tag,group", 3), ("customer", 4)] {
        for top in [1, 10] {
            let labelled = get(&rig, &format!("/api/v1/reports/usage?{span}&by={by}&top={top}")).await;
            for name in ["total", "previous", "buckets"] {
                assert_eq!(labelled[name], all[name], "{name} by {by}");
            }
            let requests = |it: &Value| it["requests"].as_i64().unwrap_or_default();
            assert_eq!(requests(&labelled["told_apart"]), told, "{by}: {labelled}");
            let rows: i64 =
                labelled["rows"].as_array().unwrap().iter().map(|it| requests(&it["total"])).sum();
            assert_eq!(rows + requests(&labelled["others"]["total"]), told, "{by}: {labelled}");
            let others =
                labelled["others"]["series"].as_array().map_or(0, |all| all.iter().map(requests).sum());
            assert_eq!(others, requests(&labelled["others"]["total"]), "{by}: {labelled}");
        }
    }
    // Of a tag, it is those that have it.
    let of_b = get(&rig, &format!("/api/v1/reports/usage?{span}&tag=b&by=key")).await;
    assert_eq!((&of_b["total"]["requests"], &of_b["told_apart"]), (&json!(1), &Value::Null));
}

/// Reports of so many rows and buckets that the course of what is shown is read by itself.
#[actix_web::test]
async fn a_long_report_is_read_in_parts_that_add_up() {
    let (rig, keys) = world().await;
    rig.clock.set(Timestamp::from_ms(NOW_MS));
    let tags = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for n in 1..=tags.len() {
        let body = json!({"model": "mock", "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}],
            "metadata": {"tags": tags[..n]}});
        let answer = rig.ask("POST", "/v1/chat/completions", &keys[0], &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let span =
        format!("granularity=hour&order=requests&from={}&to={}", NOW_MS - 40 * 24 * HOUR, NOW_MS + HOUR);
    let all = get(&rig, &format!("/api/v1/reports/usage?{span}")).await;
    let requests = |it: &Value| it["requests"].as_i64().unwrap();
    let course = |it: &Value| it.as_array().unwrap().iter().map(requests).collect::<Vec<_>>();
    for by in ["tag", "tag,provider", "tag,group", "tag,model"] {
        let report = get(&rig, &format!("/api/v1/reports/usage?{span}&by={by}&top=3")).await;
        assert_eq!(report["buckets"], all["buckets"], "{by}");
        let rows = report["rows"].as_array().unwrap();
        assert_eq!(
            rows.iter().map(|row| requests(&row["total"])).collect::<Vec<_>>(),
            [8, 7, 6],
            "{by}: {rows:?}"
        );
        for row in rows {
            assert_eq!(course(&row["series"]).iter().sum::<i64>(), requests(&row["total"]), "{by}: {row}");
        }
        let others = &report["others"];
        assert_eq!(
            (requests(&others["total"]), course(&others["series"]).iter().sum::<i64>()),
            (15, 15),
            "{by}"
        );
        assert_eq!(requests(&report["told_apart"]), 36, "{by}");
    }
}
