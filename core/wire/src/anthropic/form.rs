//! An answer in a form, of models that can't be held to schemas: they give it to a tool that they must call.

use super::model::takes_schemas;
use crate::error::{Result, WireError};
use crate::ir::{OutputFormat, Request, Tool, ToolChoice, ToolKind};
use crate::json::Val;
use crate::loss::Losses;
use crate::names::Names;

/// What the tool is called, unless the caller has one of that name.
const NAME: &str = "json_tool_call";
const DESCRIPTION: &str = "Takes your answer: give the whole of it here, and nothing besides.";

/// Asks for the form by a tool where the model takes no other way. What it is given becomes the answer's text again.
///
/// # Errors
/// The form is none that a tool can take, or the call has a search besides: another channel may serve it.
pub(crate) fn form_as_tool(request: &mut Request, names: &mut Names, losses: &mut Losses) -> Result<()> {
    if takes_schemas(&request.model) {
        return Ok(());
    }
    let OutputFormat::JsonSchema { schema, description, .. } = &request.format else { return Ok(()) };
    let kind = Val::trusted(schema).get_str("type");
    if request.search.is_some() || kind.is_some_and(|kind| kind != "object") {
        let message = "the model can't be held to this schema: choose a newer one, or leave out what isn't an object and the search";
        return Err(WireError::unsupported(message).at("response_format"));
    }
    let said =
        description.as_deref().map_or_else(|| DESCRIPTION.to_owned(), |why| format!("{DESCRIPTION} {why}"));
    let schema = std::mem::take(&mut request.format);
    let OutputFormat::JsonSchema { schema, .. } = schema else { return Ok(()) };
    if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)))
        && !request.tools.is_empty()
    {
        losses.dropped("response_format", "the answer is a call of a tool that it must make");
        return Ok(());
    }
    losses.approximated(
        "response_format",
        "the model can't be held to a schema: it must give its answer to a tool",
    );
    let mut name = NAME.to_owned();
    // BOUND: one more than there are tools.
    while request.tools.iter().any(|tool| tool.name == name) {
        name.push('_');
    }
    names.take_answer(&name);
    let may_call = !request.tools.is_empty() && request.tool_choice != Some(ToolChoice::None);
    if may_call && !request.allowed_tools.is_empty() {
        request.allowed_tools.push(name.clone());
    }
    request.tool_choice = Some(if may_call { ToolChoice::Required } else { ToolChoice::Named(name.clone()) });
    if !may_call {
        request.allowed_tools.clear();
    } else if request.parallel_tools != Some(false) {
        losses
            .approximated("parallel_tool_calls", "one call at a time, beside the tool that takes the answer");
    }
    // An answer is given once.
    request.parallel_tools = Some(false);
    request.tools.push(Tool {
        name,
        kind: ToolKind::Function,
        description: Some(said),
        schema: Some(schema),
        strict: None,
        cache: None,
    });
    Ok(())
}
