//! Budgets and credentials that go while somebody is given them.

use super::*;

fn budget_of(name: &str) -> NamedScope {
    NamedScope { budget: Some(name.to_owned()), ..NamedScope::default() }
}

fn limited() -> NamedScope {
    NamedScope { limits: vec![Limit::strict(Metric::Spend, Window::Lifetime, 5)], ..NamedScope::default() }
}

/// Both at once: whichever comes first, nobody is left with a budget that isn't there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_left_with_a_budget_that_is_gone() {
    let w = world().await;
    for round in 0..24 {
        let (budget, name) = (format!("b{round}"), format!("n{round}"));
        w.admin.create_named(&Actor::operator(), NamedKind::Budget, &budget, limited()).await.unwrap();
        let kind = if round % 2 == 0 { NamedKind::Customer } else { NamedKind::Tag };
        let changes = round % 4 < 2;
        if changes {
            w.admin.create_named(&Actor::operator(), kind, &name, NamedScope::default()).await.unwrap();
        }
        let (admin, id, called) = (w.admin.clone(), budget.clone(), name.clone());
        let given = tokio::spawn(async move {
            let operator = Actor::operator();
            if !changes {
                return admin.create_named(&operator, kind, &called, budget_of(&id)).await.map(drop);
            }
            let edit = |it: &mut NamedScope| {
                it.budget = Some(id.clone());
                Ok(())
            };
            admin.update_named(&operator, kind, &called, &edit).await.map(drop)
        });
        let gone = w.admin.delete_named(&Actor::operator(), NamedKind::Budget, &budget).await;
        match (given.await.unwrap(), gone) {
            (Ok(()), Err(error)) => {
                assert!(
                    error.message().contains(&format!("still limits {} `{name}`", kind.as_str())),
                    "{error}"
                );
            }
            (Err(error), Ok(_)) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
            (given, gone) => panic!("round {round}: {given:?} and {gone:?}"),
        }
    }
}

#[tokio::test]
async fn what_has_a_budget_fails_once_it_is_gone_and_what_names_it_holds_it() {
    let w = world().await;
    let operator = Actor::operator();
    w.admin.create_named(&operator, NamedKind::Budget, "b", limited()).await.unwrap();
    // Prepared on what was there, and made on what is.
    let given =
        w.admin.made_named(&operator, NamedKind::Customer, "c", &budget_of("b"), Vec::new()).await.unwrap();
    let (gone, _) = w.admin.removed_named(&operator, NamedKind::Budget, "b").await.unwrap();
    w.admin.create_named(&operator, NamedKind::Tag, "t", budget_of("b")).await.unwrap();
    let made = w.admin.write(&operator, gone.deed, gone.changes, Seeds::new(), Then::Channels).await;
    assert!(came_second(&made.unwrap_err()));
    w.admin.delete_named(&operator, NamedKind::Tag, "t").await.unwrap();
    w.admin.delete_named(&operator, NamedKind::Budget, "b").await.unwrap();
    let made = w.admin.write(&operator, given.deed, given.changes, Seeds::new(), Then::Channels).await;
    assert!(came_second(&made.unwrap_err()));
}

#[tokio::test]
async fn a_model_gets_no_credential_that_is_gone() {
    let w = world().await;
    let operator = Actor::operator();
    let params = serde_json::json!({"litellm_credential_name": "corp"});
    let entry = serde_json::Map::from_iter([("litellm_params".to_owned(), params)]);
    let new = || NewChannel { channel: channel("c9"), secret: None, entry: Some(entry.clone()) };
    let error = w.admin.create_channel(&operator, new()).await.unwrap_err();
    assert!(came_second(&error), "{error}");
    let values = serde_json::Map::from_iter([("api_key".to_owned(), "s".into())]);
    let credential = CredentialChange {
        values: serde_json::Map::new(),
        secrets: values,
        info: serde_json::Map::new(),
        channels: Vec::new(),
    };
    w.admin.create_credential(&operator, "corp", credential).await.unwrap();
    w.admin.create_channel(&operator, new()).await.unwrap();
    let error = w.admin.delete_credential(&operator, "corp").await.unwrap_err();
    assert!(error.message().contains("model `c9` still has credential `corp`"), "{error}");
}
