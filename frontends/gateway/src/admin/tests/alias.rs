//! Who is meant where several are called the same.

use super::*;

/// Aliases are one organization's: whoever sees several isn't served the first of them.
#[tokio::test]
async fn an_alias_that_several_have_means_none_of_them() {
    let w = world().await;
    let operator = Actor::operator();
    for organization in ["o1", "o2"] {
        let new = NewKey {
            alias: Some("ci".to_owned()),
            organization: Some(organization.into()),
            ..NewKey::default()
        };
        w.admin.create_key(&operator, new).await.unwrap();
        let new = NewGroup {
            id: Some(format!("eng-{organization}").as_str().into()),
            alias: Some("eng".to_owned()),
            organization: Some(organization.into()),
            ..NewGroup::default()
        };
        w.admin.create_group(&operator, new).await.unwrap();
    }
    let ci = KeyRef::Alias("ci".to_owned());
    let several = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.message().contains("by its id"), "{error}");
    };
    several(w.admin.key(&operator, &ci).await.unwrap_err());
    assert_eq!(w.admin.key_named(&operator, "ci").await.unwrap(), ci);
    several(w.admin.block_key(&operator, &ci, true).await.unwrap_err());
    several(w.admin.delete_key(&operator, &ci).await.unwrap_err());
    several(w.admin.group(&operator, "eng").await.unwrap_err());
    several(w.admin.update_group(&operator, "eng", GroupPatch::default()).await.unwrap_err());
    several(w.admin.delete_group(&operator, "eng").await.unwrap_err());
    let new = NewKey { group: Some("eng".to_owned()), ..NewKey::default() };
    several(w.admin.create_key(&operator, new).await.unwrap_err());
    // Whoever sees one of them means that one.
    let (oa, xa) = (w.actor("oa").await, w.actor("xa").await);
    assert_eq!(w.admin.group(&oa, "eng").await.unwrap().group.id.as_str(), "eng-o1");
    assert_eq!(w.admin.delete_group(&xa, "eng").await.unwrap().id.as_str(), "eng-o2");
    assert!(!w.admin.block_key(&oa, &ci, true).await.unwrap().key.organization.as_str().is_empty());
    assert_eq!(w.admin.group(&operator, "eng").await.unwrap().group.id.as_str(), "eng-o1");
}
