//! Another master secret.

use super::*;
use crate::admin::rotation::is_fit;
use crate::store::{Account, Hidden};

fn other(letter: &str) -> MasterSecret {
    MasterSecret::from_text(&letter.repeat(32)).unwrap()
}

impl World {
    /// The service of a gateway that is started on the same database with another master secret.
    fn started_with(&self, master: &MasterSecret) -> Admin {
        let host = Host {
            reloads: AtomicUsize::new(0),
            only_file: AtomicBool::new(false),
            started_at: AtomicI64::new(-1),
            master: master.clone(),
        };
        Admin::new(AdminParts {
            store: Arc::clone(&self.store),
            directory: Arc::clone(&self.directory),
            engine: Arc::clone(&self.engine),
            clock: self.clock.clone(),
            chain: Arc::new(master.audit_chain()),
            auth: Arc::default(),
            providers: Arc::default(),
            host: Arc::new(host),
        })
    }
}

#[tokio::test]
async fn what_is_sealed_and_the_audit_trail_go_on_under_the_new_secret() {
    let (w, operator) = (world().await, Actor::operator());
    let new = NewChannel { channel: channel(""), secret: Some(Secret::new("upstream")), entry: None };
    let id = w.admin.create_channel(&operator, new).await.unwrap().channel.id;
    let secrets = from_json(serde_json::json!({"api_key": "shared"}));
    let credential = CredentialChange {
        values: from_json(serde_json::json!({})),
        secrets,
        info: from_json(serde_json::json!({})),
        channels: Vec::new(),
    };
    w.admin.create_credential(&operator, "c", credential).await.unwrap();
    let purpose = "user\0u1\0second step";
    let step = |text: &str| master().sealer().seal_text(purpose, &Secret::new(text)).map(Hidden).unwrap();
    let account = Account {
        user: "u1".into(),
        password: Hidden("$argon2id$".to_owned()),
        must_change: false,
        totp: Some(step("confirmed")),
        totp_pending: Some(step("offered")),
    };
    let deed = Deed::new("test.account", String::new());
    w.admin.commit(&operator, deed, vec![Change::PutAccount(account, Expect::New)]).await.unwrap();
    let anchor = w.admin.audit_anchor(&operator).await.unwrap();

    let (first, second) = (master(), other("n"));
    let oa = w.actor("oa").await;
    for (actor, present, new, want) in [
        (&oa, &first, &second, ErrorKind::Forbidden),
        (&operator, &first, &first, ErrorKind::InvalidRequest),
        (&operator, &second, &other("o"), ErrorKind::Config),
    ] {
        assert_eq!(w.admin.rotate_secret(actor, present, new).await.unwrap_err().kind(), want);
    }
    assert!(is_fit(&*w.store, &first).await.unwrap() && !is_fit(&*w.store, &second).await.unwrap());

    let mut admin = w.admin.clone();
    let mut present = first.clone();
    let mut last = anchor.seq;
    // Once more than once: the keys from before go along.
    for letter in ["n", "o"] {
        let new = other(letter);
        let done = admin.rotate_secret(&operator, &present, &new).await.unwrap();
        last += 1;
        assert_eq!(done, Rotated { channels: 1, credentials: 1, second_steps: 1, last });
        admin = w.started_with(&new);
        let sound = async |note: &str| {
            let check = admin.verify_audit(&operator, std::slice::from_ref(&anchor)).await.unwrap();
            assert!(check.sound, "{letter}, {note}: {check:?}");
            assert!(is_fit(&*w.store, &new).await.unwrap(), "{letter}, {note}");
            assert!(!is_fit(&*w.store, &present).await.unwrap(), "{letter}, {note}");
        };
        sound("nothing else").await;
        admin.create_organization(&operator, NewOrganization::default()).await.unwrap();
        last += 1;
        sound("something more").await;
        present = new;
    }

    let stored = w.store.channels().await.unwrap();
    let (stored, sealer) = (stored.iter().find(|it| it.channel.value.id == id).unwrap(), present.sealer());
    let opened = sealer.open(&stored.channel.value, stored.secret.as_deref().unwrap()).unwrap();
    assert_eq!(opened.expose(), "upstream");
    let opened = admin.opened_credential(&operator, "c").await.unwrap();
    assert_eq!(opened["api_key"], "shared");
    let account = w.store.account(&"u1".into()).await.unwrap().unwrap().value;
    for (sealed, want) in [(account.totp, "confirmed"), (account.totp_pending, "offered")] {
        assert_eq!(sealer.open_text(purpose, &sealed.unwrap().0).unwrap().expose(), want);
    }

    // Who holds an earlier secret writes nothing that fits, and can't verify.
    assert_eq!(w.admin.verify_audit(&operator, &[]).await.unwrap_err().kind(), ErrorKind::Config);
    w.admin.create_organization(&operator, NewOrganization::default()).await.unwrap();
    let check = admin.verify_audit(&operator, &[]).await.unwrap();
    assert_eq!(check.faults, [AuditFault { seq: last + 1, what: AuditFaultKind::Changed }]);
    // Nor do the events from before without their keys.
    let gone = vec![Change::DeleteSetting("secret/retired".to_owned())];
    admin.commit(&operator, Deed::new("test.gone", String::new()), gone).await.unwrap();
    assert!(!admin.verify_audit(&operator, &[]).await.unwrap().sound);
}
