//! `credential_list`: what entries of a `model_list` share by `litellm_credential_name`.

use crate::diagnostic::Severity;
use crate::reader::{Fields, Item, Load};
use crate::suggest::nearest;
use crate::yaml::{Entry, Node, Value};

use super::known;

/// What one of them holds.
struct Credential {
    name: String,
    values: Vec<Entry>,
}

/// The file with each credential's values written into the entries that name it; what an entry says itself counts. `None` when
/// none names one.
pub(super) fn spread(load: &mut Load<'_>, root: &Item<'_>) -> Option<Node> {
    let all = read(load, root);
    let mut tree = root.node.clone();
    let Value::Map(top) = &mut tree.value else { return None };
    let models = top.iter_mut().find(|entry| entry.key == "model_list")?;
    let Value::List(models) = &mut models.value.value else { return None };
    let mut any = false;
    for (at, model) in models.iter_mut().enumerate() {
        let Value::Map(fields) = &mut model.value else { continue };
        let Some(params) = fields.iter_mut().find(|entry| entry.key == "litellm_params") else { continue };
        let Value::Map(params) = &mut params.value.value else { continue };
        let Some(named) = params.iter().find(|entry| entry.key == "litellm_credential_name") else {
            continue;
        };
        let item = Item {
            node: &named.value,
            at: format!("model_list[{at}].litellm_params.litellm_credential_name"),
            place: named.place,
        };
        let Some(name) = item.filled(load) else { continue };
        let Some(credential) = all.iter().find(|it| it.name == name) else {
            let message =
                format!("there is no credential `{name}` in `credential_list`: the model has none of it");
            let remedy = match nearest(&name, all.iter().map(|it| it.name.as_str())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "declare it, or write `api_key` into the entry".to_owned(),
            };
            item.say(load, Severity::Warning, "unknown_credential", message, remedy);
            continue;
        };
        any = true;
        for value in &credential.values {
            if !params.iter().any(|own| own.key == value.key) {
                params.push(value.clone());
            }
        }
    }
    any.then_some(tree)
}

fn read(load: &mut Load<'_>, root: &Item<'_>) -> Vec<Credential> {
    let mut all: Vec<Credential> = Vec::new();
    let list = root.children().find(|(key, _)| *key == "credential_list").map(|(_, item)| item);
    let Some(list) = list else { return all };
    for item in list.list(load) {
        let Some(fields) = Fields::open(load, &item, &known::CREDENTIAL) else { continue };
        let Some(name) = fields.text(load, "credential_name").filter(|name| !name.is_empty()) else {
            let message = "the credential has no name: no model can say that it has it";
            item.say(load, Severity::Error, "missing_key", message, "add `credential_name`");
            continue;
        };
        if all.iter().any(|it| it.name == name) {
            let message = format!("the credential `{name}` is there twice: the first one counts");
            item.say(load, Severity::Warning, "duplicate_name", message, "give each a name of its own");
            continue;
        }
        let values = fields.get("credential_values").filter(|values| values.is_map(load));
        let values = values.map(|it| it.node.entries().to_vec()).unwrap_or_default();
        all.push(Credential { name, values });
    }
    all
}
