//! The headers beside a body, as a channel's changes see them.

use sluicegate_core::edit::{Change, Passed};
use sluicegate_core::header;

/// The headers of one request: what is sent, and what its caller sent. Names are in lower case.
#[derive(Clone, Debug, Default)]
pub struct Headers<'a> {
    caller: &'a [(String, String)],
    sent: Vec<(String, String)>,
}

impl<'a> Headers<'a> {
    /// The caller's, of which only those that [may pass](header::may_pass) are looked at, and what is sent as far as it may change.
    pub fn new(caller: &'a [(String, String)], sent: Vec<(String, String)>) -> Self {
        Self { caller, sent }
    }

    /// What is to be sent.
    pub fn into_sent(self) -> Vec<(String, String)> {
        self.sent
    }

    /// A header as it is sent.
    pub fn sent(&self, name: &str) -> Option<&str> {
        self.sent.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A header as the caller sent it.
    pub fn of_caller(&self, name: &str) -> Option<&str> {
        let found = self.caller.iter().find(|(known, _)| known == name && header::may_pass(known));
        found.map(|(_, value)| value.as_str())
    }

    /// A header as it is sent, else as the caller sent it.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.sent(name).or_else(|| self.of_caller(name)).map(str::to_owned)
    }

    /// Sends it. What a header can't hold isn't sent.
    pub fn set(&mut self, name: &str, value: String) {
        if header::is_own(name) || value.chars().any(|c| c.is_control() && c != '\t') {
            return;
        }
        match self.sent.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            // BOUND: the caller's headers and the channel's changes.
            None => self.sent.push((name.to_owned(), value)),
        }
    }

    fn remove(&mut self, name: &str) {
        self.sent.retain(|(known, _)| known != name);
    }

    fn put(&mut self, name: &str, value: String, keep: bool) {
        if !keep || self.sent(name).is_none() {
            self.set(name, value);
        }
    }

    /// Makes a change that is of headers only.
    pub(super) fn change(&mut self, path: &str, change: &Change) {
        match change {
            Change::SetHeader { value, keep } => {
                let of_caller = |name: &str| self.of_caller(name).map(str::to_owned);
                if let Some(value) = header::filled(value, of_caller) {
                    self.put(path, value, *keep);
                }
            }
            Change::DeleteHeader => self.remove(path),
            Change::CopyHeader { to, keep } => {
                if let Some(value) = self.get(path) {
                    self.put(to, value, *keep);
                }
            }
            Change::MoveHeader { to, keep } => {
                if let Some(value) = self.get(path) {
                    self.put(to, value, *keep);
                    if to != path {
                        self.remove(path);
                    }
                }
            }
            Change::PassHeaders { which, keep } => {
                let is_meant = |name: &str| match which {
                    Passed::All => true,
                    Passed::Named(names) => names.iter().any(|known| known == name),
                    Passed::Matching(pattern) => pattern.regex().is_match(name),
                };
                for (name, value) in self.caller {
                    if header::may_pass(name) && is_meant(name) {
                        self.put(name, value.clone(), *keep);
                    }
                }
            }
            _ => {}
        }
    }
}
