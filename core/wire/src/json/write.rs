//! Writes JSON text straight into a string.

use std::fmt::Write as _;

use super::escape_into;

/// Writes the members of one object.
pub(crate) struct Object<'a> {
    out: &'a mut String,
    first: bool,
}

/// Writes the elements of one array.
pub(crate) struct Array<'a> {
    out: &'a mut String,
    first: bool,
}

/// An object as text.
pub(crate) fn object(fill: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = String::with_capacity(256);
    object_with(&mut out, fill);
    out
}

/// Appends an object to `out`.
fn object_with(out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    fill(&mut Object { out, first: true });
    out.push('}');
}

fn separate(out: &mut String, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(',');
    }
}

impl Object<'_> {
    /// How much was written so far of what this object stands in, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    fn name(&mut self, name: &str) -> &mut String {
        separate(self.out, &mut self.first);
        escape_into(self.out, name);
        self.out.push(':');
        self.out
    }

    pub(crate) fn str(&mut self, name: &str, text: &str) {
        escape_into(self.name(name), text);
    }

    pub(crate) fn opt_str(&mut self, name: &str, text: Option<&str>) {
        match text {
            Some(text) => self.str(name, text),
            None => self.raw(name, "null"),
        }
    }

    /// A value that is JSON text already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        let out = self.name(name);
        out.push_str(json);
    }

    pub(crate) fn num(&mut self, name: &str, n: u64) {
        // Writing to a string can't fail.
        let _ = write!(self.name(name), "{n}");
    }

    pub(crate) fn bool(&mut self, name: &str, yes: bool) {
        self.raw(name, if yes { "true" } else { "false" });
    }

    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        object_with(self.name(name), fill);
    }

    pub(crate) fn array(&mut self, name: &str, fill: impl FnOnce(&mut Array<'_>)) {
        let out = self.name(name);
        out.push('[');
        fill(&mut Array { out, first: true });
        out.push(']');
    }
}

impl Array<'_> {
    /// How much was written so far of what this list stands in, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    pub(crate) fn str(&mut self, text: &str) {
        separate(self.out, &mut self.first);
        escape_into(self.out, text);
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        separate(self.out, &mut self.first);
        self.out.push_str(json);
    }

    pub(crate) fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        separate(self.out, &mut self.first);
        object_with(self.out, fill);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_nested_json() {
        let text = object(|o| {
            o.str("a", "x\"y");
            o.opt_str("n", None);
            o.array("l", |l| {
                l.str("s");
                l.object(|o| o.bool("b", true));
            });
            o.raw("r", "1.50");
            o.object("e", |_| {});
            o.num("u", u64::MAX);
        });
        assert_eq!(
            text,
            r#"{"a":"x\"y","n":null,"l":["s",{"b":true}],"r":1.50,"e":{},"u":18446744073709551615}"#
        );
    }
}
