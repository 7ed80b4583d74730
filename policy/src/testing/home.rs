//! Who calls in a test that doesn't say: the scope that the script is attached to.

use sluicegate_core::ids::{GroupId, KeyId, OrganizationId};
use sluicegate_core::snapshot::Attachment;
use sluicegate_core::tenant::Caller;

/// What is known of the scope that a script is attached to, besides its id.
#[derive(Clone, Debug, Default)]
pub struct Whose {
    /// The organization that it is of.
    pub organization: Option<OrganizationId>,
    /// What people call it: a test may name it so, too.
    pub names: Vec<String>,
}

/// Who calls where a test says nothing else.
pub(super) struct Home {
    attached: Attachment,
    whose: Whose,
}

/// What a test says of who calls.
pub(super) struct Said {
    pub(super) organization: Option<String>,
    pub(super) group: Option<String>,
    pub(super) group_id: Option<String>,
    pub(super) key: Option<String>,
}

impl Home {
    pub(super) fn of(attached: &Attachment, whose: &Whose) -> Self {
        Self { attached: attached.clone(), whose: whose.clone() }
    }

    /// Whether a text names the scope.
    fn is_called(&self, text: &str) -> bool {
        text == self.attached.id() || self.whose.names.iter().any(|name| name == text)
    }

    /// What a test says, or else the scope's id; its id, too, where a test calls it by a name.
    fn or_own(&self, said: Option<String>) -> String {
        said.filter(|text| !self.is_called(text)).unwrap_or_else(|| self.attached.id().to_owned())
    }

    pub(super) fn caller(&self, said: Said) -> Caller {
        let mut said = said;
        let mut labels: Vec<String> = Vec::new();
        match &self.attached {
            Attachment::Everybody => {}
            Attachment::Organization(_) => said.organization = Some(self.or_own(said.organization)),
            Attachment::Group(_) | Attachment::GroupById(_) => {
                let named = said.group_id.as_ref().or(said.group.as_ref());
                if named.is_none_or(|named| self.is_called(named)) {
                    said.group_id = Some(self.attached.id().to_owned());
                    labels.clone_from(&self.whose.names);
                    // Another group may be of any organization.
                    let own = || self.whose.organization.as_ref().map(ToString::to_string);
                    said.organization = said.organization.or_else(own);
                }
            }
            Attachment::Key(_) => said.key = Some(self.or_own(said.key)),
        }
        let organization = said.organization.as_deref().unwrap_or(OrganizationId::DEFAULT);
        let mut caller = Caller::operator(OrganizationId::from(organization), &[]);
        let id = said.group_id.or_else(|| said.group.clone());
        caller.group = id.as_deref().map(GroupId::from);
        for label in id.into_iter().chain(said.group).chain(labels) {
            if !caller.labels.iter().any(|there| **there == *label) {
                caller.labels.push(label.as_str().into());
            }
        }
        caller.key = said.key.as_deref().map(KeyId::from);
        caller
    }
}
