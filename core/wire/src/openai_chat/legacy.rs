//! `functions`, as OpenAI had tools before there were several calls: one call in a turn, without an id.

use std::collections::{HashMap, VecDeque};

use super::decode::arguments;
use crate::error::{Result, WireError};
use crate::ir::{Block, Request, Role, Tool, ToolChoice, ToolKind};
use crate::json::{Kind, Val};
use crate::loss::Losses;

/// What is declared.
pub(super) fn functions(request: &mut Request, value: Val<'_>, losses: &mut Losses) {
    for (at, function) in value.elements().enumerate() {
        let path = format!("functions[{at}]");
        let Some(name) = function.get_str("name") else {
            losses.dropped(path, "a function without a name");
            continue;
        };
        losses.unread(function, &path, &["name", "description", "parameters"]);
        request.as_functions = true;
        // A turn has room for one call.
        request.parallel_tools = Some(false);
        request.tools.push(Tool {
            name: name.into_owned(),
            kind: ToolKind::Function,
            description: function.get_str("description").map(|s| s.into_owned()),
            schema: function.get("parameters").map(|s| s.raw().to_owned()),
            strict: None,
            cache: None,
        });
    }
}

/// Which of them is to be called.
pub(super) fn choice(request: &mut Request, value: Val<'_>, losses: &mut Losses) {
    request.tool_choice = match (value.as_str().as_deref(), value.get_str("name")) {
        (Some("none"), _) => Some(ToolChoice::None),
        (Some("auto"), _) => Some(ToolChoice::Auto),
        (None, Some(name)) => Some(ToolChoice::Named(name.into_owned())),
        _ => {
            losses.dropped("function_call", "the target has no such choice");
            None
        }
    };
}

/// The call of an earlier turn. Its id is made of its place, which stays the same as the conversation goes on.
pub(super) fn call(call: Val<'_>, path: &str, losses: &mut Losses) -> Result<Block> {
    let path = format!("{path}.function_call");
    let name = call.get_str("name").filter(|_| call.kind() == Kind::Object).ok_or_else(|| {
        WireError::invalid(format!("`{path}` must be an object with a name")).at(path.as_str())
    })?;
    let place: String = path.chars().filter(char::is_ascii_digit).collect();
    Ok(Block::ToolUse {
        id: format!("call_function_{place}"),
        name: name.into_owned(),
        kind: ToolKind::Function,
        input: arguments(call.get("arguments"), &path, losses),
        cache: None,
    })
}

/// The calls of the turn that is open, by name: results of functions name nothing else.
#[derive(Default)]
pub(super) struct Open(HashMap<String, VecDeque<String>>);

impl Open {
    /// Another turn of the assistant's has its own.
    pub(super) fn begin(&mut self) {
        // Those of a turn with many calls would be cleared in as much time by each behind it.
        self.0 = HashMap::new();
    }

    /// What the assistant has said in the turn.
    pub(super) fn add(&mut self, blocks: &[Block]) {
        for block in blocks {
            if let Block::ToolUse { id, name, .. } = block {
                self.0.entry(name.clone()).or_default().push_back(id.clone());
            }
        }
    }

    /// The first call of that name that has no result yet; the last, where all have one.
    fn take(&mut self, name: &str) -> Option<String> {
        let ids = self.0.get_mut(name)?;
        if ids.len() > 1 { ids.pop_front() } else { ids.front().cloned() }
    }
}

/// A function's result: of a call of that name.
pub(super) fn result(
    request: &mut Request,
    open: &mut Open,
    message: Val<'_>,
    content: Vec<Block>,
    path: &str,
) -> Result<()> {
    let id = open.take(&message.get_str("name").unwrap_or_default()).ok_or_else(|| {
        WireError::invalid(format!(
            "`{path}.name` answers no call of the turn before: send the model's `function_call` first"
        ))
        .at(format!("{path}.name"))
    })?;
    request.add(Role::User, [Block::ToolResult { id, content, is_error: false, cache: None }]);
    Ok(())
}
