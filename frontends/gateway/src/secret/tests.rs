use sluicegate_core::call::Format;
use sluicegate_core::channel::{Auth, Endpoint};
use sluicegate_core::{GroupId, Timestamp};

use super::*;
use crate::store::Stored;

fn channel(id: &str, url: &str) -> Channel {
    Channel {
        endpoints: vec![Endpoint { format: Format::OpenaiChat, url: url.to_owned() }],
        auth: Auth::Bearer,
        secret: SecretRef::Sealed,
        ..Channel::new(id, id, "openai")
    }
}

fn master(text: &str) -> MasterSecret {
    MasterSecret::from_text(&text.repeat(32)).unwrap()
}

#[test]
fn a_sealed_credential_opens_for_its_channel_and_destination_only() {
    let sealer = master("a").sealer();
    let here = channel("c1", "https://api.example.com/v1/chat/completions");
    let sealed = sealer.seal(&here, &Secret::new("sk-upstream")).unwrap();
    assert!(!sealed.contains("upstream"));
    assert_eq!(sealer.open(&here, &sealed).unwrap().expose(), "sk-upstream");
    assert_ne!(sealer.seal(&here, &Secret::new("sk-upstream")).unwrap(), sealed, "nonces repeat");

    let mut proxied = here.clone();
    proxied.transport.proxy = Some("http://evil.example".to_owned());
    let mut header = here.clone();
    header.auth = Auth::Header("x-api-key".to_owned());
    let elsewhere = channel("c1", "https://evil.example/v1/chat/completions");
    for other in [channel("c2", &here.endpoints[0].url), elsewhere, proxied, header] {
        let error = sealer.open(&other, &sealed).unwrap_err();
        assert!(error.kind() == ErrorKind::Config && !error.to_string().contains("upstream"), "{error}");
    }
    assert!(master("b").sealer().open(&here, &sealed).is_err());
    for broken in ["", "v1:", "v1:AAAA", "v2:AAAA", &sealed[..sealed.len() - 4]] {
        assert!(sealer.open(&here, broken).is_err(), "{broken}");
    }
}

#[test]
fn rotation_seals_anew() {
    let (old, new) = (master("a").sealer(), master("b").sealer());
    let here = channel("c1", "https://api.example.com");
    let sealed = old.reseal(&here, &old.seal(&here, &Secret::new("x")).unwrap(), &new).unwrap();
    assert!(old.open(&here, &sealed).is_err());
    assert_eq!(new.open(&here, &sealed).unwrap().expose(), "x");
}

#[test]
fn secrets_come_from_where_the_channel_says() {
    let secrets = Secrets::new(Arc::new(|name| (name == "KEY").then(|| "from-env".to_owned())));
    let mut it = channel("c1", "https://api.example.com");
    for (reference, want) in [
        (SecretRef::None, Ok(None)),
        (SecretRef::Inline(Secret::new("inline")), Ok(Some("inline"))),
        (SecretRef::Env("KEY".to_owned()), Ok(Some("from-env"))),
        (SecretRef::Env("OTHER".to_owned()), Err("`OTHER`")),
        (SecretRef::Sealed, Err("no credential")),
    ] {
        it.secret = reference;
        match (secrets.channel_secret(&it, 0), want) {
            (Ok(got), Ok(want)) => assert_eq!(got.as_ref().map(Secret::expose), want),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (got, want) => panic!("{got:?} instead of {want:?}"),
        }
    }
    let sealer = master("a").sealer();
    let sealed = sealer.seal(&it, &Secret::new("sealed")).unwrap();
    let at = Timestamp::from_ms(0);
    let stored = Stored {
        value: it.clone(),
        version: 1,
        created_at: at,
        created_by: String::new(),
        updated_at: at,
        updated_by: String::new(),
    };
    let stored = [StoredChannel { channel: stored, secret: Some(sealed) }];
    secrets.load(&stored, Some(&sealer));
    assert_eq!(secrets.channel_secret(&it, 0).unwrap().unwrap().expose(), "sealed");
    assert!(secrets.channel_secret(&it, 1).is_err(), "a key that isn't there is no call without one");
    let more = Channel { more_keys: vec![SecretRef::Sealed], ..it.clone() };
    assert_eq!(secrets.channel_secret(&more, 0).unwrap().unwrap().expose(), "sealed");
    assert!(secrets.channel_secret(&more, 1).unwrap_err().to_string().contains("no key 1"), "nor is a line");
    secrets.load(&stored, None);
    assert!(secrets.channel_secret(&it, 0).unwrap_err().to_string().contains("no master secret"));
    secrets.load(&[], Some(&sealer));
    assert!(secrets.channel_secret(&it, 0).is_err());
}

#[test]
fn every_field_of_an_event_is_in_its_link() {
    let chain = master("a").audit_chain();
    let event = NewEvent {
        at: Timestamp::from_ms(1),
        actor: "a".to_owned(),
        action: "b".to_owned(),
        target: "c".to_owned(),
        organization: None,
        group: Some(GroupId::from("g")),
        user: None,
        detail: serde_json::json!({"x": 1}),
        address: None,
        credential: None,
    };
    let of = |event: &NewEvent| chain.link("", 1, event, "{}");
    let link = of(&event);
    assert_eq!(of(&event), link);
    let others = [
        NewEvent { at: Timestamp::from_ms(2), ..event.clone() },
        NewEvent { actor: "ab".to_owned(), action: String::new(), ..event.clone() },
        NewEvent { target: "d".to_owned(), ..event.clone() },
        NewEvent { group: None, user: Some("g".into()), ..event.clone() },
    ];
    for other in &others {
        assert_ne!(of(other), link, "{other:?}");
    }
    assert_ne!(chain.link("x", 1, &event, "{}"), link);
    assert_ne!(chain.link("", 2, &event, "{}"), link);
    assert_ne!(chain.link("", 1, &event, "{} "), link);
    assert_ne!(master("b").audit_chain().link("", 1, &event, "{}"), link);
}

#[cfg(unix)]
#[test]
fn the_master_secret_is_made_once_and_kept_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config/master.secret");
    let source = MasterSource { variable: None, path: path.clone(), data_dir: Some(dir.path().join("data")) };
    assert!(source.load().unwrap().is_none());
    let made = source.load_or_create().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(source.load_or_create().unwrap().0, made.0);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "a draft was left");

    let variable = MasterSource { variable: Some(Secret::new("v".repeat(40))), ..source.clone() };
    assert_ne!(variable.load_or_create().unwrap().0, made.0);
    let short = MasterSource { variable: Some(Secret::new("short")), ..source.clone() };
    assert!(!short.load().unwrap_err().to_string().contains("short;"), "shows the secret");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(source.load().unwrap_err().to_string().contains("chmod 600"));
    let inside = MasterSource { data_dir: Some(dir.path().to_owned()), ..source };
    assert!(inside.load().unwrap_err().to_string().contains("data directory"));
}

#[test]
fn the_default_place_follows_the_environment() {
    let with = |pairs: &[(&str, &str)]| {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        default_path(&move |name| pairs.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()))
    };
    assert_eq!(with(&[("HOME", "/h")]), Some("/h/.config/sluicegate/master.secret".into()));
    assert_eq!(
        with(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]),
        Some("/x/sluicegate/master.secret".into())
    );
    assert_eq!(with(&[]), None);
}
