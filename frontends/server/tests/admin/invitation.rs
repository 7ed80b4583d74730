//! Users who are invited to set their own password.

use serde_json::{Value, json};
use sluicegate::Timestamp;
use sluicegate_server::block_on;

use crate::rig::{Answer, NOW_MS, PASSWORD, Rig};

const ACCEPT: &str = "/api/v1/session/invitation";
const CSRF: [(&str, &str); 1] = [("x-sluicegate-csrf", "1")];

impl Rig {
    /// An acme with an administrator (their key) and somebody plain.
    async fn acme(&self) -> String {
        self.manage("POST", "/api/v1/organizations", json!({"id": "acme"})).await;
        for (id, role) in [("ann", "organization_admin"), ("bob", "user")] {
            self.manage("POST", "/api/v1/users", json!({"id": id, "organization": "acme", "role": role}))
                .await;
        }
        let key = self.manage("POST", "/api/v1/keys", json!({"user": "ann"})).await;
        key["secret"].as_str().unwrap().to_owned()
    }

    async fn invites(&self, by: &str, user: &str) -> String {
        let path = format!("/api/v1/users/{user}/invitation");
        let answer = self.ask("POST", &path, by, &Value::Null).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let made = answer.json();
        let secret = made["secret"].as_str().unwrap().to_owned();
        assert_eq!(made["url"], format!("/login#invitation={secret}"), "{made}");
        secret
    }

    async fn accepts(&self, secret: &str, password: &str) -> Answer {
        self.send("POST", ACCEPT, &CSRF, &json!({"invitation": secret, "password": password})).await
    }
}

#[test]
fn whoever_is_invited_sets_their_password_once() {
    block_on(async {
        let rig = Rig::new().await;
        let ann = rig.acme().await;
        let secret = rig.invites(&ann, "bob").await;
        let told = rig.ask("GET", "/api/v1/users/bob/invitation", &ann, &Value::Null).await.json();
        assert_eq!((&told["accepted_at"], &told["created_by"]), (&Value::Null, &json!("user ann")), "{told}");
        // Without the header that other sites can't send; with a weak password it still counts.
        let body = json!({"invitation": secret, "password": PASSWORD});
        assert_eq!(rig.send("POST", ACCEPT, &[], &body).await.status, 403);
        assert_eq!(rig.accepts(&secret, "weak").await.status, 400);
        let signed = rig.accepts(&secret, PASSWORD).await;
        assert_eq!(signed.status, 200, "{}", signed.text());
        assert_eq!(signed.json()["session"]["stage"], "done");
        let me = rig.by(&signed.cookie(), "GET", "/api/v1/me", &Value::Null).await.json();
        assert_eq!(me["user"], "bob", "{me}");
        let again = rig.accepts(&secret, PASSWORD).await;
        assert_eq!(again.status, 403);
        // What never was, is answered alike.
        assert_eq!(rig.accepts("sginv_Ym9i.none", PASSWORD).await.text(), again.text());
        assert_eq!(rig.accepts("none", PASSWORD).await.text(), again.text());
        rig.sign_in("bob", PASSWORD).await;
        let told = rig.ask("GET", "/api/v1/users/bob/invitation", &ann, &Value::Null).await.json();
        assert!(told["accepted_at"].is_i64(), "{told}");
        // The trail says what was done, and nothing opens by it.
        let trail = rig.manage("GET", "/api/v1/audit?action=account.", Value::Null).await.to_string();
        assert!(trail.contains("account.invite") && trail.contains("account.accept_invitation"), "{trail}");
        assert!(!trail.contains("sginv_"), "{trail}");
    });
}

#[test]
fn an_invitation_counts_no_longer_than_it_should() {
    block_on(async {
        let rig = Rig::new().await;
        let ann = rig.acme().await;
        let first = rig.invites(&ann, "bob").await;
        let second = rig.invites(&ann, "bob").await;
        assert_eq!(rig.accepts(&first, PASSWORD).await.status, 403, "it was replaced");
        let path = "/api/v1/users/bob/invitation";
        assert_eq!(rig.ask("DELETE", path, &ann, &Value::Null).await.status, 204);
        assert_eq!(rig.ask("GET", path, &ann, &Value::Null).await.status, 404);
        assert_eq!(rig.accepts(&second, PASSWORD).await.status, 403, "it was taken back");
        let late = rig.invites(&ann, "bob").await;
        rig.clock.set(Timestamp::from_ms(NOW_MS + 7 * 86_400_000));
        assert_eq!(rig.accepts(&late, PASSWORD).await.status, 403, "it is over");
        // Who may do more by then isn't taken over by whoever invited them.
        // One who stays when they are lowered again.
        rig.manage("POST", "/api/v1/users", json!({"id": "root", "role": "super_admin"})).await;
        let low = rig.invites(&ann, "bob").await;
        rig.manage("PATCH", "/api/v1/users/bob", json!({"role": "super_admin"})).await;
        assert_eq!(rig.accepts(&low, PASSWORD).await.status, 403, "they were promoted");
        rig.manage("PATCH", "/api/v1/users/bob", json!({"role": "user"})).await;
        rig.manage("PATCH", "/api/v1/users/bob", json!({"blocked": true})).await;
        assert_eq!(rig.accepts(&low, PASSWORD).await.status, 403, "they are blocked");
        rig.manage("PATCH", "/api/v1/users/bob", json!({"blocked": false})).await;
        // Another one of the same id isn't invited.
        rig.manage("DELETE", "/api/v1/users/bob", Value::Null).await;
        rig.manage("POST", "/api/v1/users", json!({"id": "bob", "organization": "acme"})).await;
        assert_eq!(rig.accepts(&low, PASSWORD).await.status, 403);
        assert_eq!(rig.ask("GET", path, &ann, &Value::Null).await.status, 404);
    });
}

#[test]
fn a_second_step_stays_and_nobody_foreign_is_invited() {
    block_on(async {
        let rig = Rig::new().await;
        let ann = rig.acme().await;
        rig.manage("POST", "/api/v1/users", json!({"id": "rita"})).await;
        let foreign = rig.ask("POST", "/api/v1/users/rita/invitation", &ann, &Value::Null).await;
        let unknown = rig.ask("POST", "/api/v1/users/none/invitation", &ann, &Value::Null).await;
        assert_eq!(foreign.status, 404);
        assert_eq!(foreign.text().replace("rita", "none"), unknown.text());
        let (cookie, _) = rig.signed_in("bob").await;
        let offer =
            rig.by(&cookie, "POST", "/api/v1/account/second-step", &json!({"password": PASSWORD})).await;
        let code = rig.code_of(offer.json()["secret"].as_str().unwrap());
        let confirmed = rig.by(&cookie, "PUT", "/api/v1/account/second-step", &json!({"code": code})).await;
        assert_eq!(confirmed.status, 200, "{}", confirmed.text());
        let secret = rig.invites(&ann, "bob").await;
        let signed = rig.accepts(&secret, "teapot walrus octave 39").await;
        assert_eq!(signed.json()["session"]["stage"], "second_step", "{}", signed.text());
        // Whoever was signed in is so no more.
        assert_eq!(rig.by(&confirmed.cookie(), "GET", "/api/v1/me", &Value::Null).await.status, 401);
    });
}
