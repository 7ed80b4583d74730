//! Channels as an operator works with them: made from the catalogue, tried, changed in part and in bulk, their keys.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};
use sluicegate::{ConfigText, Options};
use sluicegate_server::block_on;

use crate::rig::{MASTER, Rig, SECRET};

/// An upstream that answers by path, and keeps the heads of what it was asked.
fn upstream(answers: Vec<(&'static str, u16, Value)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let mut heads = Vec::new();
        for (path, status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut head, mut byte) = (Vec::new(), [0u8]);
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            assert!(head.split_whitespace().nth(1).is_some_and(|it| it == path), "{head}");
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
            });
            let mut rest = vec![0; length.map_or(0, |text| text.trim().parse().unwrap())];
            stream.read_exact(&mut rest).unwrap();
            let body = body.to_string();
            write!(stream, "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).unwrap();
            heads.push(head);
        }
        heads
    });
    (address, asked)
}

fn reply(text: &str) -> Value {
    json!({
        "id": "c-1", "object": "chat.completion", "created": 1, "model": "m-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    })
}

#[test]
fn a_draft_is_tried_before_it_is_saved_and_the_saved_one_with_its_own_credential() {
    block_on(async {
        let rig = Rig::new().await;
        let refusal = json!({"error": {"message": "no such key", "type": "invalid_request_error", "code": "invalid_api_key"}});
        let (url, asked) = upstream(vec![
            ("/v1/chat/completions", 401, refusal),
            ("/v1/chat/completions", 200, reply("ready")),
            ("/v1/models", 200, json!({"data": [{"id": "m"}, {"id": "gpt-5.4"}]})),
            ("/v1/chat/completions", 200, reply("ready")),
        ]);
        let declared =
            json!({"name": "c", "provider": "openai", "url": format!("{url}/v1"), "models": ["m"]});
        let draft = json!({"declared": declared, "secret": "sk-wrong-one", "test": {"prompt": "hello"}});
        let told = rig.manage("POST", "/api/v1/channels/test", draft.clone()).await;
        assert_eq!(
            (&told["ok"], &told["status"], &told["class"]),
            (&json!(false), &json!(401), &json!("auth"))
        );
        assert_eq!(told["message"], "no such key");
        let mut draft = draft;
        draft["secret"] = "sk-right-one".into();
        let told = rig.manage("POST", "/api/v1/channels/test", draft).await;
        assert_eq!(
            (&told["ok"], &told["answer"], &told["served_model"]),
            (&json!(true), &json!("ready"), &json!("m-2026"))
        );
        assert_eq!(told["usage"]["input_uncached"], 9);
        let offered = json!({"declared": declared, "secret": "sk-right-one"});
        let models = rig.manage("POST", "/api/v1/channels/models/fetch", offered).await;
        let names: Vec<_> = models["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (&it["name"], &it["known"], &it["served"]))
            .collect();
        assert_eq!(
            names,
            [(&json!("gpt-5.4"), &json!(true), &json!(false)), (&json!("m"), &json!(false), &json!(true))]
        );
        // Nothing was saved by it, and the gateway's own calls aren't records.
        assert_eq!(rig.manage("GET", "/api/v1/channels?search=openai", Value::Null).await["total"], 0);
        let made = rig
            .manage("POST", "/api/v1/channels", json!({"declared": declared, "secret": "sk-right-one"}))
            .await;
        let id = made["id"].as_str().unwrap().to_owned();
        let told = rig.manage("POST", &format!("/api/v1/channels/{id}/test"), json!({})).await;
        assert_eq!(told["ok"], true, "{told}");
        let heads = asked.join().unwrap();
        let keys: Vec<bool> =
            heads.iter().map(|head| head.to_ascii_lowercase().contains("bearer sk-right-one")).collect();
        assert_eq!(keys, [false, true, true, true]);
        assert_eq!(rig.manage("GET", "/api/v1/records", Value::Null).await["total"], 0);
        // A saved credential isn't sent elsewhere by a draft that names the channel.
        let elsewhere = json!({"declared": {"id": id, "name": "c", "provider": "openai", "url": "http://127.0.0.1:9/v1", "models": ["m"]}});
        let told = rig.manage("POST", "/api/v1/channels/test", elsewhere).await;
        assert_eq!(told["class"], "unreachable", "{told}");
    });
}

/// A channel as it is sent, without what is only told of it.
fn alone(mut channel: Value) -> Value {
    let told = [
        "etag",
        "has_secret",
        "created_by",
        "updated_at",
        "updated_by",
        "used",
        "limit_states",
        "state",
        "health",
        "latency",
        "recent",
        "keys",
    ];
    channel.as_object_mut().unwrap().retain(|name, _| !told.contains(&name.as_str()));
    channel
}

#[test]
fn no_draft_is_sent_a_credential_that_was_meant_for_another_address() {
    block_on(async {
        let rig = Rig::new().await;
        let declared = json!({"id": "o", "name": "o", "provider": "openai", "models": ["gpt-5.4"]});
        rig.manage("POST", "/api/v1/channels", json!({"declared": declared, "secret": "sk-one\nsk-two"}))
            .await;
        let (url, asked) = upstream(vec![
            ("/v1/chat/completions", 200, reply("ready")),
            ("/v1/models", 200, json!({"data": []})),
            ("/v1/chat/completions", 200, reply("ready")),
        ]);
        let mut channel = alone(rig.manage("GET", "/api/v1/channels/o", Value::Null).await);
        assert_eq!(channel["secret"], "sealed", "{channel}");
        channel["endpoints"] =
            json!([{"format": "openai_chat", "url": format!("{url}/v1/chat/completions")}]);
        let told = rig.manage("POST", "/api/v1/channels/test", json!({"channel": channel})).await;
        assert_eq!(told["ok"], true, "{told}");
        rig.manage("POST", "/api/v1/channels/models/fetch", json!({"channel": channel})).await;
        // Nor one of several.
        channel["secret"] = json!({"env": "OTHER"});
        rig.ask("POST", "/api/v1/channels/test", MASTER, &json!({"channel": channel, "test": {"key": 1}}))
            .await;
        channel["secret"] = json!("none");
        let told = rig.manage("POST", "/api/v1/channels/test", json!({"channel": channel})).await;
        assert_eq!(told["ok"], true, "{told}");
        for head in asked.join().unwrap() {
            assert!(!head.contains("sk-") && !head.to_ascii_lowercase().contains("authorization"), "{head}");
        }
    });
}

#[test]
fn no_channel_shows_or_is_sent_what_the_gateway_is_opened_by() {
    block_on(async {
        let rig = Rig::try_with(Default::default(), &[("OTHER", "sk-other")]).await.unwrap();
        let declared = |field: &str, value: Value| {
            let mut declared = json!({"name": "p", "provider": "openai", "models": ["gpt-5.4"]});
            declared[field] = value;
            json!({"declared": declared})
        };
        for (field, value) in [
            ("name", json!("${SLUICEGATE_MASTER_SECRET}")),
            ("name", json!("os.environ/OTHER")),
            ("tags", json!(["a", "${OTHER}"])),
            ("headers", json!({"x-a": "${OTHER:-b}"})),
            ("models", json!([{"name": "m", "upstream": "x${OTHER}"}])),
            ("credential", json!("${SLUICEGATE_MASTER_SECRET}")),
            ("credential", json!("a${SLUICEGATE_MASTER_SECRET}")),
            ("keys", json!(["${SLUICEGATE_MASTER_SECRET}"])),
        ] {
            for path in ["/api/v1/channels", "/api/v1/channels/test"] {
                let answer = rig.ask("POST", path, MASTER, &declared(field, value.clone())).await;
                assert_eq!(answer.status, 400, "{path} {field} {value}: {}", answer.text());
                assert!(
                    !answer.text().contains(SECRET) && !answer.text().contains("sk-other"),
                    "{}",
                    answer.text()
                );
            }
        }
        let made = rig.manage("POST", "/api/v1/channels", declared("credential", json!("${OTHER}"))).await;
        assert_eq!(made["has_secret"], true, "{made}");
        let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
        let edit = json!({"models": ["${OTHER}"]});
        assert_eq!(rig.ask("PATCH", &path, MASTER, &edit).await.status, 400);
        let mut channel = alone(made);
        for (field, value) in
            [("id", json!("q")), ("name", json!("q")), ("secret", json!({"env": "SLUICEGATE_MASTER_SECRET"}))]
        {
            channel[field] = value;
        }
        let answer = rig.ask("POST", "/api/v1/channels", MASTER, &json!({"channel": channel})).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("the gateway's own"), "{}", answer.text());
    });
}

#[test]
fn what_the_catalogue_knows_is_filled_in_and_what_is_wrong_is_named() {
    block_on(async {
        let rig = Rig::new().await;
        let declared = json!({"name": "o", "provider": "openai", "models": ["gpt-5.4"]});
        let made =
            rig.manage("POST", "/api/v1/channels", json!({"declared": declared, "secret": "sk-a"})).await;
        assert!(made["models"][0]["price"]["input"].is_i64(), "{made}");
        assert!(made["endpoints"].as_array().unwrap().len() > 1);
        let wrong = json!({"declared": {"name": "p", "provider": "opnai", "models": ["m"]}});
        let answer = rig.ask("POST", "/api/v1/channels", MASTER, &wrong).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("openai"), "{}", answer.text());
    });
}

#[test]
fn no_change_of_a_channel_s_address_costs_it_its_credential_in_silence() {
    block_on(async {
        let rig = Rig::new().await;
        let declared = json!({"name": "o", "provider": "openai", "models": ["gpt-5.4"]});
        let made =
            rig.manage("POST", "/api/v1/channels", json!({"declared": declared, "secret": "sk-a"})).await;
        let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
        let mut endpoints = made["endpoints"].clone();
        endpoints[0]["url"] = json!("https://elsewhere.example/v1/chat/completions");
        let moves = [json!({"endpoints": endpoints}), json!({"auth": {"header": "x-api-key"}})];
        for change in &moves {
            let refused = rig.ask("PATCH", &path, MASTER, change).await;
            assert_eq!(refused.status, 400, "{}", refused.text());
            assert_eq!(refused.json()["error"]["param"], "secret", "{}", refused.text());
            let still = rig.manage("GET", &path, Value::Null).await;
            assert_eq!((&still["has_secret"], &still["endpoints"]), (&json!(true), &made["endpoints"]));
        }
        for (change, secret, has) in [(&moves[0], "sk-b", true), (&moves[1], "", false)] {
            let mut change = change.clone();
            change["secret"] = json!(secret);
            assert_eq!(rig.manage("PATCH", &path, change).await["has_secret"], has);
        }
        // There is nothing to lose any more.
        rig.manage("PATCH", &path, moves[0].clone()).await;
    });
}

#[test]
fn a_credential_in_a_variable_is_named_again_for_another_address() {
    block_on(async {
        let rig = Rig::try_with(Default::default(), &[("OTHER", "sk-other")]).await.unwrap();
        let declared =
            json!({"name": "o", "provider": "openai", "models": ["gpt-5.4"], "credential": "${OTHER}"});
        let made = rig.manage("POST", "/api/v1/channels", json!({"declared": declared})).await;
        let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
        assert_eq!(made["secret"], json!({"env": "OTHER"}), "{made}");
        let to = |host: &str, secret: Value| {
            let mut change = json!({"endpoints": made["endpoints"]});
            change["endpoints"][0]["url"] = json!(format!("https://{host}.example/v1/chat/completions"));
            if !secret.is_null() {
                change["secret"] = secret;
            }
            change
        };
        for (host, secret, param) in [
            ("a", Value::Null, "secret"),
            ("a", json!(5), "secret"),
            ("a", json!({"var": "OTHER"}), "secret"),
            ("a", json!([]), "secret"),
            ("a", json!({"env": "SLUICEGATE_MASTER_SECRET"}), "secret"),
        ] {
            let refused = rig.ask("PATCH", &path, MASTER, &to(host, secret.clone())).await;
            assert_eq!(refused.status, 400, "{secret}: {}", refused.text());
            assert_eq!(refused.json()["error"]["param"], param, "{secret}");
        }
        for (host, secret, kept) in [
            ("a", json!({"env": "OTHER"}), json!({"env": "OTHER"})),
            ("b", json!([{"env": "OTHER"}, {"env": "MORE"}]), json!({"env": "OTHER"})),
            ("c", json!("sk-own"), json!("sealed")),
            ("d", json!({"env": "OTHER"}), json!({"env": "OTHER"})),
            ("e", json!(""), json!("none")),
        ] {
            let changed = rig.manage("PATCH", &path, to(host, secret.clone())).await;
            assert_eq!(changed["secret"], kept, "{secret}: {changed}");
        }
        // Whole channels, likewise: what names a variable says so.
        let mut channel = alone(rig.manage("PATCH", &path, json!({"secret": {"env": "OTHER"}})).await);
        channel["endpoints"] = to("f", Value::Null)["endpoints"].clone();
        assert_eq!(
            rig.manage("PUT", &path, json!({"channel": channel})).await["secret"],
            json!({"env": "OTHER"})
        );
        (channel["endpoints"], channel["secret"]) =
            (to("g", Value::Null)["endpoints"].clone(), json!("none"));
        let refused = rig.ask("PUT", &path, MASTER, &json!({"channel": channel})).await;
        assert_eq!(
            (refused.status, &refused.json()["error"]["param"]),
            (400, &json!("secret")),
            "{}",
            refused.text()
        );
        let changed = rig.manage("PUT", &path, json!({"channel": channel, "secret": ""})).await;
        assert_eq!(changed["has_secret"], false, "{changed}");
        // The channel as it was seen, with its variables.
        channel["secret"] = json!({"env": "OTHER"});
        channel["more_keys"] = json!([{"env": "MORE"}]);
        for (secret, has) in [(Value::Null, true), (json!(""), false)] {
            let changed = rig.manage("PUT", &path, json!({"channel": channel, "secret": secret})).await;
            assert_eq!(changed["has_secret"], has, "{changed}");
            assert_eq!(
                changed["more_keys"].as_array().is_some_and(|keys| !keys.is_empty()),
                has,
                "{changed}"
            );
        }
    });
}

#[test]
fn a_model_s_credential_is_given_again_for_another_address() {
    block_on(async {
        let rig = Rig::try_with(Default::default(), &[("OTHER", "sk-other")]).await.unwrap();
        let params = json!({"model": "openai/gpt-4o", "api_base": "https://a.example/v1", "api_key": "sk-a"});
        let new = json!({"model_name": "fast", "litellm_params": params, "model_info": {"id": "m-1"}});
        rig.manage("POST", "/model/new", new).await;
        let secret = async || rig.manage("GET", "/api/v1/channels/m-1", Value::Null).await["secret"].clone();
        for (base, key, kept) in [
            // Where nothing moves, no key is no change.
            ("https://a.example/v1", Some(Value::Null), json!("sealed")),
            ("https://a.example/v1", Some(json!("")), json!("sealed")),
            ("https://b.example/v1", None, Value::Null),
            ("https://b.example/v1", Some(json!("sk-b")), json!("sealed")),
            ("https://c.example/v1", Some(json!("os.environ/OTHER")), json!({"env": "OTHER"})),
            ("https://c.example/v1", Some(json!("")), json!({"env": "OTHER"})),
            ("https://d.example/v1", None, Value::Null),
            ("https://d.example/v1", Some(Value::Null), json!("none")),
            ("https://d.example/v1", Some(json!("sk-d")), json!("sealed")),
            ("https://e.example/v1", Some(json!("")), json!("none")),
        ] {
            let mut params = json!({"api_base": base});
            if let Some(key) = &key {
                params["api_key"] = key.clone();
            }
            let change = json!({"model_info": {"id": "m-1"}, "litellm_params": params});
            let answer = rig.ask("POST", "/model/update", MASTER, &change).await;
            if kept.is_null() {
                assert_eq!(answer.status, 400, "{change}: {}", answer.text());
                assert!(answer.text().contains("api_key"), "{change}: {}", answer.text());
                assert_ne!(secret().await, json!("none"), "{change}");
            } else {
                assert_eq!(answer.status, 200, "{change}: {}", answer.text());
                assert_eq!(secret().await, kept, "{change}");
            }
        }
    });
}

#[test]
fn a_key_where_none_is_needed_stays_until_it_is_taken_away() {
    block_on(async {
        let rig = Rig::new().await;
        for (id, model, base) in [
            ("vllm", "hosted_vllm/m", "https://own.example/v1"),
            ("ollama", "ollama_chat/m", "https://own.example"),
            ("studio", "lm_studio/m", "https://own.example/v1"),
            ("local", "openai/m", "http://localhost:9/v1"),
        ] {
            let params = json!({"model": model, "api_base": base, "api_key": "sk-own"});
            let new = json!({"model_name": id, "litellm_params": params, "model_info": {"id": id}});
            rig.manage("POST", "/model/new", new).await;
            let path = format!("/api/v1/channels/{id}");
            let before = rig.manage("GET", &path, Value::Null).await;
            assert_eq!(
                (&before["secret"], &before["auth"]),
                (&json!("sealed"), &json!("bearer")),
                "{before}"
            );
            let update = async |params: Value| {
                let change = json!({"model_info": {"id": id}, "litellm_params": params});
                rig.ask("POST", "/model/update", MASTER, &change).await
            };
            let changed = update(json!({"rpm": 100})).await;
            assert_eq!(changed.status, 200, "{id}: {}", changed.text());
            let after = rig.manage("GET", &path, Value::Null).await;
            assert_eq!((&after["secret"], &after["auth"]), (&before["secret"], &before["auth"]), "{after}");
            assert_eq!(after["limits"].as_array().map(Vec::len), Some(1), "{after}");
            // Not to another address, unless it is said that there shall be none.
            let moved = base.replace("own.", "other.").replace(":9", ":8");
            assert_eq!(update(json!({"api_base": moved})).await.status, 400, "{id}");
            let moved = update(json!({"api_base": moved, "api_key": null})).await;
            assert_eq!(moved.status, 200, "{id}: {}", moved.text());
            let after = rig.manage("GET", &path, Value::Null).await;
            assert_eq!((&after["secret"], &after["auth"]), (&json!("none"), &json!("none")), "{after}");
        }
    });
}

#[test]
fn parts_of_a_channel_are_changed_and_nobody_else_s_change_is_lost() {
    block_on(async {
        let rig = Rig::new().await;
        let declared = json!({"name": "o", "provider": "openai", "models": ["gpt-5.4"]});
        let made =
            rig.manage("POST", "/api/v1/channels", json!({"declared": declared, "secret": "sk-a"})).await;
        let (path, tag) =
            (format!("/api/v1/channels/{}", made["id"].as_str().unwrap()), made["etag"].as_str().unwrap());
        let by = format!("Bearer {MASTER}");
        let patch = async |tag: &str, body: Value| {
            let headers = [("authorization", by.as_str()), ("if-match", tag)];
            rig.send("PATCH", &path, &headers, &body).await
        };
        let seen = format!("\"{tag}\"");
        let first = patch(&seen, json!({"weight": 3, "tags": ["a"]})).await;
        assert_eq!(first.status, 200, "{}", first.text());
        let now = first.headers.get("etag").unwrap().to_str().unwrap().to_owned();
        assert_eq!(now, format!("\"{}\"", first.json()["etag"].as_str().unwrap()));
        // Who has seen what was before is told so, with what it is now.
        let second = patch(&seen, json!({"weight": 4})).await;
        assert_eq!(second.status, 412, "{}", second.text());
        assert_eq!(second.headers.get("etag").unwrap().to_str().unwrap(), now);
        assert_eq!(patch("nonsense", json!({"weight": 4})).await.status, 400);
        let third = patch("*", json!({"priority": 7, "models": ["gpt-5.4", "gpt-5.4-mini"]})).await.json();
        assert_eq!(
            (&third["weight"], &third["priority"], &third["tags"]),
            (&json!(3), &json!(7), &json!(["a"]))
        );
        assert_eq!(third["models"].as_array().unwrap().len(), 2);
        assert_eq!(third["has_secret"], true);
        let odd = patch("*", json!({"wieght": 1})).await;
        assert_eq!(odd.status, 400);
        assert!(odd.text().contains("did you mean `weight`?"), "{}", odd.text());
        let gone =
            rig.send("DELETE", &path, &[("authorization", &by), ("if-match", &now)], &Value::Null).await;
        assert_eq!(gone.status, 412);
        assert_eq!(rig.ask("DELETE", &path, MASTER, &Value::Null).await.status, 204);
    });
}

#[test]
fn where_a_call_went_is_told_to_the_operator_alone() {
    block_on(async {
        let config = ConfigText {
            path: "sluicegate.yaml".to_owned(),
            text: "version: 1\ncompat: {litellm: \"1.106\"}\n".to_owned(),
        };
        let rig = Rig::with(Options { config: Some(config), ..Options::default() }).await;
        let (url, asked) = upstream(vec![
            ("/v1/chat/completions", 200, reply("ready")),
            ("/v1/chat/completions", 200, reply("ready")),
        ]);
        let declared =
            json!({"name": "c", "provider": "openai", "url": format!("{url}/v1"), "models": ["m"]});
        rig.manage("POST", "/api/v1/channels", json!({"declared": declared, "secret": "sk-a"})).await;
        let key = rig.manage("POST", "/api/v1/keys", json!({})).await["secret"].as_str().unwrap().to_owned();
        let call = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
        for (by, told) in [(MASTER, Some(format!("{url}/v1/chat/completions"))), (key.as_str(), None)] {
            let answer = rig.ask("POST", "/v1/chat/completions", by, &call).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let base =
                answer.headers.get("x-litellm-model-api-base").map(|it| it.to_str().unwrap().to_owned());
            assert_eq!(base, told);
            assert!(answer.headers.contains_key("x-litellm-model-id"));
        }
        asked.join().unwrap();
    });
}

#[test]
fn places_in_groups_and_policies_are_changed_as_they_were_seen() {
    block_on(async {
        let rig = Rig::new().await;
        let by = format!("Bearer {MASTER}");
        let ask = async |method: &str, path: &str, tag: &str, body: Value| {
            rig.send(method, path, &[("authorization", &by), ("if-match", tag)], &body).await
        };
        let tag = |answer: &Value| format!("\"{}\"", answer["etag"].as_str().unwrap());
        rig.manage("POST", "/api/v1/groups", json!({"id": "g"})).await;
        rig.manage("POST", "/api/v1/users", json!({"id": "u"})).await;
        let seen = tag(&rig.manage("POST", "/api/v1/groups/g/members", json!({"user": "u"})).await);
        assert_eq!(seen, tag(&rig.manage("GET", "/api/v1/groups/g", Value::Null).await["members"][0]));
        assert_eq!(seen, tag(&rig.manage("GET", "/api/v1/users/u", Value::Null).await["memberships"][0]));
        let place = "/api/v1/groups/g/members/u";
        let raise = json!({"role": "group_admin"});
        let raised = ask("PATCH", place, &seen, raise.clone()).await;
        let now = raised.headers.get("etag").unwrap().to_str().unwrap().to_owned();
        assert_eq!((raised.status, &now), (200, &tag(&raised.json())));
        for (method, body) in [("PATCH", raise), ("DELETE", Value::Null)] {
            let late = ask(method, place, &seen, body).await;
            assert_eq!((late.status, late.headers.get("etag").unwrap().to_str().unwrap()), (412, &*now));
        }
        assert_eq!(ask("DELETE", place, &now, Value::Null).await.status, 204);

        let policy = "/api/v1/policies/p";
        let script = |name: &str| json!({"text": format!("fn route(call) {{ tag(\"{name}\"); }}")});
        assert_eq!(ask("PUT", policy, "\"1-1\"", script("a")).await.status, 412, "there is none");
        rig.manage("PUT", policy, script("a")).await;
        let first = rig.ask("GET", policy, MASTER, &Value::Null).await;
        let seen = tag(&first.json());
        assert_eq!(first.headers.get("etag").unwrap().to_str().unwrap(), seen);
        assert_eq!(ask("PUT", policy, &seen, script("b")).await.status, 201);
        for (method, path, body) in [
            ("PUT", policy, script("c")),
            ("POST", "/api/v1/policies/p/activate", json!({})),
            ("POST", "/api/v1/policies/p/shadow", json!({})),
            ("DELETE", policy, Value::Null),
        ] {
            assert_eq!(ask(method, path, &seen, body).await.status, 412, "{method} {path}");
        }
        let now = tag(&rig.manage("GET", policy, Value::Null).await);
        assert_eq!(ask("POST", "/api/v1/policies/p/activate", &now, json!({})).await.status, 200);
        assert_eq!(ask("DELETE", policy, &now, Value::Null).await.status, 412, "it runs by now");
        let now = tag(&rig.manage("GET", policy, Value::Null).await);
        assert_eq!(ask("DELETE", policy, &now, Value::Null).await.status, 204);
    });
}

#[test]
fn many_channels_are_changed_in_one_step_or_none_is() {
    block_on(async {
        let rig = Rig::new().await;
        for name in ["a", "b", "c"] {
            let tags = if name == "c" { json!([]) } else { json!(["pool"]) };
            let declared =
                json!({"id": name, "name": name, "provider": "openai", "models": ["gpt-5.4"], "tags": tags});
            rig.manage("POST", "/api/v1/channels", json!({"declared": declared, "secret": "sk-a"})).await;
        }
        let weights = async || {
            let all = rig.manage("GET", "/api/v1/channels?provider=openai&sort=id", Value::Null).await;
            let items = all["items"].as_array().unwrap();
            items.iter().map(|it| it["weight"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        let bulk = json!({"tag": "pool", "set": {"weight": 5}, "add_tags": ["eu"]});
        let done = rig.manage("POST", "/api/v1/channels/bulk", bulk.clone()).await;
        assert_eq!(done["done"], true, "{done}");
        assert_eq!(weights().await, [5, 5, 1]);
        let again = rig.manage("POST", "/api/v1/channels/bulk", bulk).await;
        assert_eq!(again["items"][0]["outcome"], "same");
        // One that can't be changed keeps the others from it.
        let bulk = json!({"ids": ["a", "nowhere"], "set": {"weight": 9}});
        let refused = rig.manage("POST", "/api/v1/channels/bulk", bulk).await;
        assert_eq!((&refused["done"], &refused["items"][1]["outcome"]), (&json!(false), &json!("refused")));
        assert_eq!(weights().await, [5, 5, 1]);
        let gone = rig.manage("POST", "/api/v1/channels/bulk", json!({"tag": "eu", "delete": true})).await;
        assert_eq!(gone["done"], true);
        assert_eq!(weights().await, [1]);
    });
}

#[test]
fn keys_of_a_channel_are_known_by_their_fingerprints_alone() {
    block_on(async {
        let rig = Rig::new().await;
        let declared = json!({"id": "o", "name": "o", "provider": "openai", "models": ["gpt-5.4"]});
        rig.manage("POST", "/api/v1/channels", json!({"declared": declared, "secret": "sk-one\nsk-two"}))
            .await;
        let keys = "/api/v1/channels/o/keys";
        let prints = |answer: &Value| -> Vec<String> {
            let items = answer["items"].as_array().unwrap();
            items.iter().map(|it| it["fingerprint"].as_str().unwrap().to_owned()).collect()
        };
        let before = rig.manage("GET", keys, Value::Null).await;
        assert_eq!(prints(&before).len(), 2);
        let added = rig.manage("POST", keys, json!({"secret": "sk-three"})).await;
        assert_eq!(prints(&added)[..2], prints(&before)[..]);
        assert!(!added.to_string().contains("sk-"));
        assert_eq!(rig.ask("POST", keys, MASTER, &json!({"secret": "sk-one"})).await.status, 409);
        let first = &prints(&before)[0];
        assert_eq!(rig.ask("DELETE", &format!("{keys}/{first}"), MASTER, &Value::Null).await.status, 204);
        let left = rig.manage("GET", keys, Value::Null).await;
        assert_eq!(prints(&left), prints(&added)[1..]);
        let enabled = rig.manage("POST", &format!("{keys}/{}/enable", prints(&left)[0]), Value::Null).await;
        assert_eq!(enabled["disabled"], false);
        let trail = rig.manage("GET", "/api/v1/audit?action=channel.", Value::Null).await;
        assert!(!trail.to_string().contains("sk-t"), "{trail}");
    });
}

#[test]
fn a_shared_credential_is_what_is_sent_and_a_new_one_at_once() {
    block_on(async {
        let rig = Rig::new().await;
        let (url, asked) = upstream(vec![
            ("/v1/chat/completions", 200, reply("one")),
            ("/v1/chat/completions", 200, reply("two")),
        ]);
        let values = |key: &str| json!({"api_key": key, "api_base": format!("{url}/v1")});
        let new = json!({"credential_name": "corp", "credential_values": values("sk-first-secret")});
        rig.manage("POST", "/credentials", new).await;
        let params = json!({"model": "openai/gpt-4o", "litellm_credential_name": "corp"});
        rig.manage("POST", "/model/new", json!({"model_name": "fast", "litellm_params": params})).await;
        let call = json!({"model": "fast", "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(rig.ask("POST", "/v1/chat/completions", MASTER, &call).await.status, 200);
        let change = json!({"credential_values": values("sk-second-secret")});
        rig.manage("PATCH", "/credentials/corp", change).await;
        assert_eq!(rig.ask("POST", "/v1/chat/completions", MASTER, &call).await.status, 200);
        let heads = asked.join().unwrap();
        for (head, key) in heads.iter().zip(["sk-first-secret", "sk-second-secret"]) {
            assert!(head.contains(&format!("Bearer {key}\r\n")), "{head}");
        }
    });
}

#[test]
fn the_database_s_channels_make_findings_about_the_file_void() {
    block_on(async {
        let text = "version: 1\nfallbacks: {general: {ghost: [other]}}\n";
        let config = ConfigText { path: "c.yaml".to_owned(), text: text.to_owned() };
        let rig = Rig::with(Options { config: Some(config), ..Options::default() }).await;
        let lacking = async || {
            let found = rig.manage("GET", "/api/v1/diagnostics", Value::Null).await;
            let system = rig.manage("GET", "/api/v1/system", Value::Null).await;
            let items = found["items"].as_array().unwrap();
            assert_eq!(found["total"], items.len(), "{found}");
            let warnings = items.iter().filter(|it| it["severity"] == "warning").count();
            assert_eq!(system["configuration"]["warnings"], warnings, "{system}");
            let models = ["ghost", "other"];
            models.map(|model| {
                items.iter().any(|it| it["message"].to_string().contains(&format!("serves `{model}`")))
            })
        };
        assert_eq!(lacking().await, [true, true]);
        let declared = json!({"id": "o", "name": "o", "provider": "openai", "models": ["ghost"]});
        rig.manage("POST", "/api/v1/channels", json!({"declared": declared, "secret": "sk-one"})).await;
        assert_eq!(lacking().await, [false, true]);
        rig.manage("PATCH", "/api/v1/channels/o", json!({"enabled": false})).await;
        assert_eq!(lacking().await, [true, true]);
    });
}
