//! A schema with all that it joins and refers to: each closed by itself, these would bar each other's members.

use std::borrow::Cow;

use super::Closer;
use crate::json::{Kind, Val};
use crate::reference::{path, steps};

/// So many are joined, and so many are the choices beside members.
// BOUND: values that are only shown may refer in a circle.
pub(super) const LAYERS_MAX: usize = 128;

/// What is asked of a schema, read at once.
#[derive(Clone, Copy)]
pub(super) struct Layer<'a> {
    pub(super) whole: Val<'a>,
    kind: Option<Val<'a>>,
    /// What it refers to, unless that is among the layers.
    reference: Option<Val<'a>>,
    pub(super) properties: Option<Val<'a>>,
    pub(super) required: Option<Val<'a>>,
    pub(super) others: Option<Val<'a>>,
    any_of: Option<Val<'a>>,
    one_of: Option<Val<'a>>,
    all_of: Option<Val<'a>>,
}

impl<'a> Layer<'a> {
    fn of(whole: Val<'a>) -> Self {
        let mut layer = Self {
            whole,
            kind: None,
            reference: None,
            properties: None,
            required: None,
            others: None,
            any_of: None,
            one_of: None,
            all_of: None,
        };
        for (name, value) in whole.members() {
            let place = match &*name {
                "type" => &mut layer.kind,
                "$ref" => &mut layer.reference,
                "properties" => &mut layer.properties,
                "required" => &mut layer.required,
                "additionalProperties" => &mut layer.others,
                "anyOf" => &mut layer.any_of,
                "oneOf" => &mut layer.one_of,
                "allOf" => &mut layer.all_of,
                _ => continue,
            };
            *place = Some(value).filter(|value| !value.is_null());
        }
        layer
    }

    /// What it says itself: no reference that was followed.
    pub(super) fn said(&self) -> impl Iterator<Item = (Cow<'a, str>, Val<'a>)> + use<'a> {
        let is_followed = self.reference.is_none();
        self.whole.members().filter(move |(name, _)| name != "$ref" || !is_followed)
    }

    pub(super) fn is_object(&self) -> bool {
        self.properties.is_some() || self.kind.is_some_and(names_object)
    }

    /// Whether it says what can't stand beside a reference: it has to be joined with what that leads to.
    fn is_joined(&self) -> bool {
        self.is_object() || self.required.or(self.any_of).or(self.one_of).is_some()
    }

    /// Whether it says nothing but what it refers to.
    fn is_alias(&self) -> bool {
        self.reference.is_some() && self.whole.members().nth(1).is_none()
    }
}

fn names_object(kind: Val<'_>) -> bool {
    let is_word = |word: Cow<'_, str>| word == "object";
    kind.as_str().is_some_and(is_word) || kind.elements().filter_map(Val::as_str).any(is_word)
}

impl<'a> Closer<'a> {
    /// These schemas and all that they join, and what they refer to unless that may stay a reference.
    pub(super) fn layers(&mut self, schemas: &[Val<'a>]) -> Vec<Layer<'a>> {
        let mut layers = Vec::new();
        schemas.iter().for_each(|schema| self.join(*schema, &mut layers));
        let mut references = layers.iter().filter_map(|layer| layer.reference);
        let only = references.next().filter(|_| references.next().is_none()).and_then(Val::as_str);
        let is_plain = !layers.iter().any(Layer::is_joined);
        if is_plain && only.is_some_and(|pointer| self.stays(&pointer)) {
            return layers;
        }
        self.followed(layers)
    }

    /// What an object of these layers is one of: closed by themselves, these would bar its members, as it would theirs.
    pub(super) fn choices(&mut self, layers: &[Layer<'a>]) -> Vec<Layer<'a>> {
        let mut choices: Vec<Layer<'a>> = Vec::new();
        let mut at = 0;
        while let Some(layer) = layers.get(at).or_else(|| choices.get(at - layers.len())).copied() {
            at += 1;
            for inner in [layer.any_of, layer.one_of].into_iter().flatten().flat_map(Val::elements) {
                let mut joined = Vec::new();
                self.join(inner, &mut joined);
                choices.append(&mut self.followed(joined));
                self.cut |= choices.len() > LAYERS_MAX;
                if self.cut {
                    return choices;
                }
            }
        }
        choices
    }

    /// A schema and what it joins, in the order in which that stands there.
    // BOUND: the body's own nesting is bounded.
    fn join(&mut self, schema: Val<'a>, layers: &mut Vec<Layer<'a>>) {
        self.cut |= layers.len() >= LAYERS_MAX || !self.looks.look(schema);
        if self.cut {
            return;
        }
        let layer = Layer::of(schema);
        layers.push(layer);
        layer.all_of.into_iter().flat_map(Val::elements).for_each(|inner| self.join(inner, layers));
    }

    /// These layers, and behind each what it refers to, and so on.
    fn followed(&mut self, mut layers: Vec<Layer<'a>>) -> Vec<Layer<'a>> {
        layers.reverse();
        let (mut left, mut layers) = (layers, Vec::new());
        for _ in 0..LAYERS_MAX {
            let Some(layer) = left.pop() else { return layers };
            let Some(found) = self.referred(&layer) else {
                layers.push(layer);
                continue;
            };
            if !layer.is_alias() {
                layers.push(Layer { reference: None, ..layer });
            }
            let mut joined = Vec::new();
            self.join(found, &mut joined);
            left.extend(joined.into_iter().rev());
        }
        self.cut |= !left.is_empty();
        layers
    }

    fn referred(&mut self, layer: &Layer<'a>) -> Option<Val<'a>> {
        self.definitions.resolve(&layer.reference?.as_str()?, &mut self.looks)
    }

    /// Whether a pointer still leads to what it leads to: nothing on its way is joined, moved, or named otherwise.
    fn stays(&mut self, pointer: &str) -> bool {
        let Some(path) = path(pointer) else { return false };
        let (mut at, mut steps) = (self.root, steps(&path));
        while let Some(step) = steps.next() {
            let Some(mut next) = self.definitions.within(at, &step, &mut self.looks) else { return false };
            let has_names = match &*step {
                "properties" | "$defs" | "definitions" => true,
                "anyOf" if self.is_any(at) => true,
                "items" if next.kind() == Kind::Object => false,
                _ => return false,
            };
            if has_names {
                let Some(step) = steps.next() else { return false };
                let Some(found) = self.definitions.within(next, &step, &mut self.looks) else { return false };
                next = found;
            }
            at = next;
        }
        true
    }

    /// Whether a schema's `anyOf` is written as it stands there.
    fn is_any(&mut self, schema: Val<'a>) -> bool {
        let mut said = |name: &str| self.definitions.within(schema, name, &mut self.looks);
        let others = ["oneOf", "allOf", "$ref", "properties"];
        !said("type").is_some_and(names_object) && !others.into_iter().any(|name| said(name).is_some())
    }
}
