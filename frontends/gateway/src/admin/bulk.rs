//! Many things in one step: all of it is done, or nothing; each with an event of its own, so that whoever may read of a thing reads
//! what became of it.

use std::collections::HashSet;

use serde::Serialize;
use sluicegate_core::{Error, ErrorKind, Result};

use super::seed::Seeds;
use super::{Actor, Admin, Deed, Seen, Then, came_second, invalid};
use crate::store::Change;

/// No more things are changed at once.
// BOUND: of one transaction, which others wait for.
pub(super) const AT_ONCE: usize = 500;

/// What could be done to one thing.
pub(super) struct Step {
    /// Which.
    pub(super) id: String,
    pub(super) deed: Deed,
    pub(super) changes: Vec<Change>,
    pub(super) seeds: Seeds,
    /// What is told of it: `same` where nothing is to be done.
    pub(super) outcome: &'static str,
}

/// What became of one thing of many.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Which: its id, or what it was named by.
    pub(super) id: Option<String>,
    /// `created`, `changed`, `deleted`, `same` and the like; or `refused`, and then nothing was done to any.
    pub(super) outcome: &'static str,
    /// Why it was refused.
    pub(super) error: Option<Error>,
}

/// The same, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BulkItem {
    /// Which.
    pub id: String,
    /// What became of it.
    pub outcome: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What became of many things: all of it, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BulkView {
    /// Whether it was done.
    pub done: bool,
    /// One by one, in the order in which they were named.
    pub items: Vec<BulkItem>,
}

impl BulkView {
    pub(super) fn of((done, items): (bool, Vec<Outcome>)) -> Self {
        let shown = |it: Outcome| BulkItem {
            id: it.id.unwrap_or_default(),
            outcome: it.outcome,
            message: it.error.map(|error| error.message().to_owned()),
        };
        Self { done, items: items.into_iter().map(shown).collect() }
    }
}

/// Refuses nothing, and too much.
pub(super) fn check_count(count: usize, what: &str) -> Result<()> {
    match count {
        1..=AT_ONCE => Ok(()),
        _ => Err(invalid("items", format!("name 1 to {AT_ONCE} {what}"))),
    }
}

/// Refuses more places in groups than one step makes.
pub(super) fn check_places(field: &'static str, count: usize) -> Result<()> {
    if count <= AT_ONCE {
        return Ok(());
    }
    let message = format!(
        "`{field}` names {count}, and {AT_ONCE} at most can be put into groups at once: add the others by POST /api/v1/memberships/bulk"
    );
    Err(invalid(field, message))
}

impl Actor {
    /// Who decided on a state by its tag, if one is given.
    pub(super) fn deciding_on(&self, etag: Option<&String>) -> Actor {
        match etag {
            Some(tag) => self.clone().having_seen(Some(Seen::Tags(vec![tag.clone()]))),
            // What the whole request was decided on.
            None => self.clone(),
        }
    }
}

impl Admin {
    /// Does all of what was prepared, or nothing, and tells what became of each. `what` a thing is called; with each what it was
    /// named by.
    ///
    /// # Errors
    /// `Store`, and whatever is no single thing's fault.
    pub(super) async fn all_or_none(
        &self,
        actor: &Actor,
        what: &str,
        prepared: Vec<(Option<String>, Result<Step>)>,
        then: Then,
    ) -> Result<(bool, Vec<Outcome>)> {
        let (mut items, mut places, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        let (mut steps, mut seeds) = (Vec::new(), Seeds::new());
        for (called, step) in prepared {
            let step = step.and_then(|step| match seen.insert(step.id.clone()) {
                true => Ok(step),
                // The second would be decided on what the first has made of it.
                false => {
                    let message = format!("{what} `{}` is named twice; say once what becomes of it", step.id);
                    Err(invalid("items", message))
                }
            });
            items.push(match step {
                Ok(step) => {
                    let told = Outcome { id: Some(step.id), outcome: step.outcome, error: None };
                    if step.outcome != "same" {
                        places.push(items.len());
                        steps.push((step.deed, step.changes));
                        seeds.extend(step.seeds);
                    }
                    told
                }
                Err(error) if matches!(error.kind(), ErrorKind::Store | ErrorKind::Internal) => {
                    return Err(error);
                }
                Err(error) => Outcome { id: called, outcome: "refused", error: Some(error) },
            });
        }
        if items.iter().any(|it| it.error.is_some()) {
            return Ok((false, unmade(items)));
        }
        if !steps.is_empty()
            && let Err(error) = self.write_steps(actor, steps, seeds, then).await
        {
            return refused_by_one(error, items, &places);
        }
        Ok((true, items))
    }
}

/// The database has refused one of them, such as for a name that is taken.
fn refused_by_one(error: Error, mut items: Vec<Outcome>, places: &[usize]) -> Result<(bool, Vec<Outcome>)> {
    let step = error.context().iter().find(|(name, _)| *name == "step");
    let step = step.and_then(|(_, number)| number.parse::<usize>().ok());
    let item = step.and_then(|step| places.get(step)).and_then(|at| items.get_mut(*at));
    match item {
        Some(item) if error.kind() == ErrorKind::Conflict && !came_second(&error) => {
            (item.outcome, item.error) = ("refused", Some(without(error, "step")));
            Ok((false, unmade(items)))
        }
        _ => Err(without(error, "step")),
    }
}

/// Where all was done, whose ids they are; else why it wasn't, naming the one that can't be done.
pub(super) fn ids_done(what: &str, (_, items): (bool, Vec<Outcome>)) -> Result<Vec<String>> {
    let mut ids = Vec::with_capacity(items.len());
    for Outcome { id, error, .. } in items {
        match error {
            Some(error) => return Err(naming(what, id.as_deref().unwrap_or_default(), error)),
            None => ids.extend(id),
        }
    }
    Ok(ids)
}

/// An error that says of which of several it is.
fn naming(what: &str, id: &str, error: Error) -> Error {
    match id.is_empty() || error.message().contains(&format!("`{id}`")) {
        true => error,
        false => saying(&error, format!("{what} `{id}`: {}", error.message())),
    }
}

/// Where nothing was done, what was to be made has no id.
fn unmade(mut items: Vec<Outcome>) -> Vec<Outcome> {
    items.iter_mut().filter(|it| it.outcome == "created").for_each(|it| it.id = None);
    items
}

/// The same error with another message.
pub(super) fn saying(error: &Error, message: String) -> Error {
    remade(error, message, |_| true)
}

/// The same error without a fact that is only for who is told here.
pub(super) fn without(error: Error, fact: &str) -> Error {
    if error.context().iter().all(|(name, _)| *name != fact) {
        return error;
    }
    remade(&error, error.message().to_owned(), |name| name != fact)
}

fn remade(error: &Error, message: String, keeps: impl Fn(&str) -> bool) -> Error {
    let said = Error::new(error.kind(), message).with_retry(error.retry());
    let kept = error.context().iter().filter(|(name, _)| keeps(name));
    kept.fold(said, |said, (name, value)| said.with(name, value.clone()))
}
